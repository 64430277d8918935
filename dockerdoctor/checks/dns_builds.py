"""Name resolution in builds, where it differs from that of containers."""

from __future__ import annotations

import shlex

from dockerdoctor.checks.dns_answers import both, dark, matrix, works
from dockerdoctor.checks.dns_host import LASTING
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.builds import Builder, BuildResolver
from dockerdoctor.facts.dns import HostDns, HostResolver, is_loopback
from dockerdoctor.facts.inside import Inside
from dockerdoctor.model import Evidence, Finding, Severity


def _asked(inside: Inside, servers: tuple[str, ...]) -> bool:
    return any(both(v, s) for v in inside.views for s in servers)


def _answering(inside: Inside) -> tuple[str, ...]:
    """Nameservers that containers on the default bridge, where builds run, are given and that answer there."""
    return tuple(s for s in inside.bridge.nameservers if works(both(inside.bridge, s)))


@check(
    "dns.builds",
    title="Builds are given nameservers that answer, as containers are",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/build/buildkit/",
    upstream=("dns.ipv6-only",),
)
def builds(build: BuildResolver, inside: Inside, resolver: HostResolver, host: HostDns | None) -> Finding:
    """
    BuildKit makes a resolv.conf of its own, once, and anew only when the host's file is newer than it.

    Why it matters: a VPN that swaps /etc/resolv.conf for another file, which may be older, leaves builds with the servers
    of before; and builds keep IPv6 servers, which Docker takes out for containers. `docker run` works and
    `docker build` does not resolve anything.
    How to fix: let BuildKit see a newer file, with a server that builds can reach.
    """
    if not build.path:
        return skipped("nothing was built with dockerd's own BuildKit here")
    if unasked := dark(inside):
        return unasked
    good = _answering(inside)
    if not good or not _asked(inside, build.servers):
        return skipped("containers on the default bridge do not resolve names either, or nothing could be asked")
    if any(works(both(inside.bridge, s)) for s in build.servers):
        return passed(f"builds are given {', '.join(build.servers)}")
    etc = resolver.given
    named = ", ".join(build.servers)
    lines = (
        Evidence(build.path if build.kept else etc.path, f"nameserver {named}"),
        Evidence("/etc/resolv.conf in a container", f"nameserver {', '.join(inside.bridge.nameservers)}"),
        *(line for s in (*build.servers, *good[:1]) for line in matrix(s, host, inside)),
    )
    if build.kept and not set(build.servers) & set(etc.for_dockerd):
        return failed(
            f"builds are still given {named}, which does not answer, and containers {', '.join(good)}",
            *lines,
            cause=f"BuildKit made its resolv.conf when other nameservers were in force, and makes it anew only when "
            f"{etc.path} is newer, which it is not.",
            fix=(f"touch {etc.path}",),
            because=(),
        )
    six = all(":" in s for s in build.servers)
    return failed(
        f"builds are given {named}, which they cannot ask, and containers {', '.join(good)}",
        *lines,
        cause="BuildKit keeps servers with IPv6 addresses, which Docker takes out of what containers get: without IPv6 "
        "in its network, a build has no nameserver."
        if six
        else "The nameservers that BuildKit hands to builds do not answer from there.",
        fix=(
            f"echo 'nameserver {good[0]}' >> {etc.path}",
            LASTING,
            f'# or in daemon.json, for containers and builds alike: "dns": ["{good[0]}"]',
        ),
        because=("dns.ipv6-only",) if six else (),
    )


@check(
    "dns.builder",
    title="The builder that buildx uses asks nameservers that answer",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/build/builders/drivers/docker-container/",
)
def builder(one: Builder, inside: Inside, host: HostDns | None) -> Finding:
    """
    A builder of the docker-container driver is a container with a configuration of its own; daemon.json says nothing to it.

    Why it matters: `docker buildx build` does not resolve names, while `docker run`, and a build by dockerd itself, do.
    How to fix: use dockerd's own builder, or make this one again with nameservers that answer.
    """
    if not one.name:
        return skipped("builds go to dockerd's own BuildKit")
    if not one.servers:
        return skipped(f"the builder {one.name} names no nameservers of its own")
    if unasked := dark(inside):
        return unasked
    good, named = _answering(inside), ", ".join(one.servers)
    if not good or not _asked(inside, one.servers):
        return skipped("containers on the default bridge do not resolve names either, or nothing could be asked")
    if any(works(both(v, s)) for v in inside.views for s in one.servers):
        return passed(f"the builder {one.name} asks {named}")
    loopback = all(is_loopback(s) for s in one.servers)
    return failed(
        f"the builder {one.name} asks {named}, which does not answer containers",
        Evidence(one.path, f"buildkitd.toml, [dns]: nameservers = {list(one.servers)}"),
        *(line for s in one.servers for line in matrix(s, host, inside)),
        cause="buildkitd.toml of this builder names them; “dns” in daemon.json does not reach it."
        + (" A loopback address means the builder's own container." if loopback else ""),
        fix=(
            "docker buildx use default",
            f"# or take them out of buildkitd.toml and make it again: docker buildx rm {shlex.quote(one.name)}",
        ),
    )
