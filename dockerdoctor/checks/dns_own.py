"""Nameservers that single containers were given by name: `docker run --dns`, `dns:` of Compose."""

from __future__ import annotations

import shlex

from dockerdoctor.checks.dns_answers import CONTAINER_DNS, NO_CONNECTION, STOPPED, both, dark, matrix, works
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.containers import Container, Containers
from dockerdoctor.facts.dns import ContainerResolver, ContainerResolvers, EmbeddedResolvers, HostDns, is_loopback
from dockerdoctor.facts.inside import Inside
from dockerdoctor.model import Evidence, Finding, Severity

ANSWERS = frozenset({"NOERROR", "NXDOMAIN"})


def _unserved(one: ContainerResolver, inside: Inside, embedded: EmbeddedResolvers | None) -> bool:
    """Whether none of its own servers answers, asked from its own network first; what was not asked is not judged."""
    there = dict((*embedded.answers, *embedded.own)).get(one.container, "") if embedded else ""
    if there in ANSWERS or there.startswith("unable"):
        return False
    far = [s for s in one.own if not is_loopback(s)]
    if not far:
        return bool(there)
    if there in STOPPED and one.container in dict(embedded.own if embedded else ()):
        return True
    asked = [s for s in far if any(both(v, s) for v in inside.views)]
    return len(asked) == len(far) and not any(works(both(v, s)) for v in inside.views for s in far)


@check(
    "dns.container-own",
    title="Containers that were given nameservers of their own get answers from them",
    severity=Severity.ERROR,
    docs=CONTAINER_DNS,
    upstream=("dns.redirected", "dns.udp-blocked", "dns.input-firewall", "dns.forward-firewall", *NO_CONNECTION),
)
def container_own(
    running: ContainerResolvers,
    inside: Inside,
    containers: Containers | None,
    host: HostDns | None,
    embedded: EmbeddedResolvers | None,
) -> Finding:
    """
    What --dns says goes before daemon.json and the host's resolv.conf, for as long as the container exists.

    Why it matters: every other container resolves names, a restart does not help, and daemon.json changes nothing.
    How to fix: create the container again, without nameservers of its own or with ones that answer.
    """
    own = [c for c in running.all if c.follows]
    if not own:
        return skipped("no running container was given nameservers of its own")
    if unasked := dark(inside):
        return unasked
    sick = [c for c in own if _unserved(c, inside, embedded)]
    if not sick:
        return passed(f"the nameservers of {', '.join(c.container for c in own)} answer")
    known = {c.name: c for c in containers.all} if containers else {}
    good = next((s for s in inside.bridge.nameservers if works(both(inside.bridge, s))), "")
    servers = tuple(dict.fromkeys(s for c in sick for s in c.own))
    itself = all(is_loopback(s) for s in servers)
    return failed(
        f"{', '.join(c.container for c in sick)} was told to ask {', '.join(servers)} (--dns), "
        + ("itself, where no nameserver listens" if itself else "which does not answer"),
        *(Evidence(f"docker inspect {c.container}, HostConfig.Dns", ", ".join(c.own)) for c in sick),
        *(line for s in servers for line in matrix(s, host, inside)),
        cause="A container keeps the nameservers that it was created with; neither a restart nor daemon.json changes them."
        + (" A loopback address means the container itself." if itself else ""),
        fix=tuple(step for c in sick for step in _steps(c, known.get(c.container), good)),
        because=() if good else None,
    )


def _steps(one: ContainerResolver, container: Container | None, good: str) -> tuple[str, ...]:
    """How to be rid of them: for now, where Docker's copy of the file is what the container reads, and for good."""
    labels = dict(container.labels) if container else {}
    steps = []
    if container and good and container.network_mode in {"default", "bridge"} and container.resolv_conf_path:
        steps = [f"echo 'nameserver {good}' > {shlex.quote(container.resolv_conf_path)}"]
        steps.append(f"# that lasts until {one.container} is started again; for good:")
    if service := labels.get("com.docker.compose.service"):
        file = labels.get("com.docker.compose.project.config_files") or "its Compose file"
        return (*steps, f"# take “dns” out of service {service} in {file}, then: docker compose up -d {service}")
    return (*steps, f"# create {one.container} again without --dns, or with a server that answers")
