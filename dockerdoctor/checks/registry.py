"""Whether images can be pulled: Docker Hub or a mirror of it, and the other registries that something here names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dockerdoctor.checks.dns_names import completed_first
from dockerdoctor.examine import check, failed, passed, skipped, unknown
from dockerdoctor.facts.containers import Containers
from dockerdoctor.facts.daemon_json import DaemonJson
from dockerdoctor.facts.inside import Inside
from dockerdoctor.facts.registry import Registries, Registry, registry_of
from dockerdoctor.facts.routes import Routes
from dockerdoctor.model import Evidence, Finding, Severity
from dockerdoctor.web import Attempt, split_port

MIRRORS = "https://docs.docker.com/docker-hub/image-library/mirror/"
LIMITS = "https://docs.docker.com/docker-hub/usage/pulls/"
RELOAD = "systemctl reload docker"
# Certificates live for months, and no clock that is kept is an hour off.
CLOCK_TOLERANCE = 3600.0
# What can keep the daemon's question from getting to the registry at all.
PROXIES = ("proxy.url", "proxy.tls-scheme", "proxy.dead", "proxy.credentials", "proxy.no-proxy")
MISSING_PROXY = (
    "proxy.daemon-missing",
    "proxy.no-proxy-too-wide",
    "proxy.https-missing",
    "proxy.all-proxy",
    "proxy.unit-in-force",
    "proxy.unit-percent",
)
FULL_TABLE = ("network.conntrack",)  # whatever is not there may be so because no connection can be opened
OWN = (
    "proxy.tls-interception",
    "registry.clock",
    "registry.certs-d",
    "registry.certificate",
    "registry.ipv6",
    "registry.plain-http",
    "registry.token-server",
    "registry.rate-limit",
    "registry.layers",
)


def seen(attempt: Attempt, method: str = "GET") -> Evidence:
    """Show one attempt."""
    via = f" through {attempt.via}" if attempt.via else ""
    said = attempt.words
    if attempt.layer == "name":
        said = f"{attempt.outcome} (host's resolver)"
    elif attempt.outcome.isupper():
        said = f"{attempt.outcome}: {said}"
    extra = [f"{k}: {v}" for k, v in attempt.headers if k in {"server", "via", "retry-after", "ratelimit-remaining"}]
    return Evidence(f"{method} {attempt.url}{via}", "; ".join([said, *extra]))


def all_seen(registry: Registry) -> Iterator[Evidence]:
    """Show all that was asked of one registry."""
    if registry.origin:
        yield Evidence(f"GET {registry.origin}", f"leads on to {registry.asked.url}")
    yield seen(registry.asked)
    if registry.manifest:
        yield seen(registry.manifest, "HEAD")
    for other in (registry.token, registry.layer, registry.direct, registry.around, registry.plain):
        if other:
            yield seen(other)


def causes_of(registry: Registry) -> tuple[str, ...]:
    """Which checks judge what is wrong with this one; empty when it is simply not there."""
    asked = registry.asked
    if registry.limited:
        return ("registry.rate-limit",)
    if registry.interception and not registry.interception.trusted:
        return ("proxy.tls-interception",)
    if asked.verify_code or registry.fresh_authority or registry.flaws:
        return ("registry.clock", "registry.certs-d", "registry.certificate")
    if registry.is_registry:
        return ("registry.plain-http",)
    if only_ipv6(registry):
        return ("registry.ipv6",)
    if registry.token and not registry.token.answered:
        return ("registry.token-server",)
    if registry.asked.answered and registry.layer:
        return ("registry.layers",)
    # No answer to a plain question may be the proxy's silence as well as the registry's.
    silent = asked.via and not asked.status and asked.layer == "http"
    if asked.layer == "proxy" or silent or (asked.via and registry.direct and _fine(registry.direct)):
        return PROXIES
    if registry.around:
        return MISSING_PROXY
    return ("dns.host-resolves",) if asked.layer == "name" else ()


def only_ipv6(registry: Registry) -> bool:
    """Whether no connection came about because its name has no IPv4 address."""
    return registry.asked.layer == "connect" and bool(registry.addresses) and all(":" in a for a in registry.addresses)


def _fine(attempt: Attempt) -> bool:
    return attempt.answered and attempt.status in {200, 401}


def _because(registries: Iterable[Registry]) -> tuple[str, ...]:
    """What explains all of them; nothing, when one of them is simply not there."""
    found: list[str] = []
    for registry in registries:
        causes = causes_of(registry)
        if not causes:
            silent = registry.asked.layer == "connect" and registry.asked.outcome in {"timeout", "EPERM"}
            return FULL_TABLE if silent else ()
        found += causes
    return tuple(dict.fromkeys(found))


ASTRAY = "dns.search-wildcard"


def _astray(registries: Iterable[Registry], inside: Inside | None) -> tuple[str, ...]:
    """Whether this host takes their names for others: completed with a domain that answers for any."""
    names = [split_port(r.host_port)[0] for r in registries]
    return (ASTRAY,) if inside and any(completed_first(inside.host, name) for name in names) else ()


def _list(registries: Iterable[Registry]) -> str:
    return ", ".join(f"{r.name} {r.trouble}" for r in registries)


# -- whether there is anything to pull from ---------------------------------------------------------------------------


@check(
    "registry.hub",
    title="Docker Hub, or a mirror of it, serves",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/desktop/setup/allow-list/",
    upstream=("dns.host-resolves", ASTRAY, *PROXIES, *MISSING_PROXY, *FULL_TABLE, *OWN),
)
def hub(registries: Registries, inside: Inside | None = None) -> Finding:
    """
    An image's name without a registry means Docker Hub; mirrors are asked first, and one that serves is enough.

    Why it matters: `docker pull`, `docker run` of a new image and every build FROM one fail.
    How to fix: see which layer fails: name, connection, proxy, TLS or the registry itself.
    """
    if registries.hub_serves:
        good = next(r for r in registries.all if r.role in {"mirror", "hub"} and r.serves)
        return passed(f"{good.name} serves", *all_seen(good))
    group = [r for r in registries.all if r.role in {"mirror", "hub"}]
    if any(r.secret_hidden for r in group):
        return unknown("the daemon's proxy wants a password, which only root may read", how="# run as root")
    lines = tuple(line for r in group for line in all_seen(r))
    if registries.hub_wanted:
        lines += (Evidence(registries.hub_wanted, "wants it"),)
    if not wanted(registries):
        return skipped(f"{_list(group)}; nothing here asks for it")
    sick = [r for r in registries.sick if r.role in {"mirror", "hub"}] or group
    return failed(
        f"no image can be pulled: {_list(group)}",
        *lines,
        cause=_why(sick[0]),
        fix=_ways(sick[0], mirrored=bool(registries.mirrors)),
        because=(*_because(sick), *_astray(sick, inside)),
    )


def wanted(registries: Registries) -> bool:
    """Whether something shows that this host is meant to pull from Docker Hub: a mirror, a proxy, somebody's pull or build."""
    via = any(r.asked.via for r in registries.all if r.role in {"mirror", "hub"})
    return bool(registries.mirrors or via or registries.hub_wanted)


@check(
    "registry.no-hub",
    title="Docker Hub is within reach",
    severity=Severity.WARNING,
    docs="https://docs.docker.com/desktop/setup/allow-list/",
    upstream=("dns.host-resolves", *MISSING_PROXY, *OWN),
)
def no_hub(registries: Registries, containers: Containers | None, routes: Routes | None) -> Finding:
    """
    A host may be meant to be without Docker Hub: nothing shows that anybody wants it here, and nothing shows the contrary.

    Why it matters: if it is meant to be within reach, `docker pull` and every build FROM one of its images fail.
    How to fix: see which layer fails; or name a mirror, which serves instead.
    """
    hub = registries.hub
    if registries.hub_serves or hub is None or wanted(registries) or hub.secret_hidden:
        return skipped("a mirror, a proxy or a pull shows that it is wanted, or it serves")
    if routes is not None and not routes.defaults:
        return skipped("this host has no default route and no proxy: it is not meant to reach Docker Hub")
    others = [r for r in registries.all if r.role == "named" and r.serves]
    used = [c for c in containers.all if not registry_of(c.image)] if containers else []
    if others and not used:
        return skipped(f"images come from {others[0].name} here, which serves; Docker Hub is not used")
    return failed(
        f"Docker Hub is out of reach: {hub.trouble}",
        *all_seen(hub),
        cause=_why(hub),
        fix=_ways(hub, mirrored=False),
        because=_because([hub]),
    )


def _why(registry: Registry) -> str:
    asked = registry.asked
    name = split_port(registry.host_port)[0]
    if asked.layer == "name" and asked.outcome == "timeout":
        return f"The host's resolver did not answer for {name}, and the daemon resolves names with it."
    if asked.layer == "name":
        return f"The host's nameservers know no {name}: they are for inside names only, or filter it, or a proxy is needed."
    if asked.layer == "connect" and asked.outcome == "ECONNREFUSED":
        return f"Nothing listens at {registry.host_port}, or a firewall rejects the connection."
    if asked.layer == "connect" and asked.outcome == "timeout":
        return f"Nothing comes back from {registry.host_port}: a firewall drops it, or the network needs a proxy."
    return f"{registry.name}: {registry.trouble}."


def _ways(registry: Registry, *, mirrored: bool) -> tuple[str, ...]:
    if mirrored:
        return (
            f"# start {registry.name} again, or take it out of registry-mirrors in /etc/docker/daemon.json",
            f"# then: {RELOAD}",
        )
    return (
        f"# see it for yourself: curl -v https://{registry.host_port}/v2/",
        "# behind a proxy: give it to the daemon (https://docs.docker.com/engine/daemon/proxy/)",
        "# on a network without Docker Hub: name a mirror in registry-mirrors of /etc/docker/daemon.json",
    )


@check(
    "registry.named",
    title="The other registries that something here uses serve",
    severity=Severity.WARNING,
    docs="https://docs.docker.com/reference/cli/docker/image/pull/",
    upstream=(
        "dns.host-resolves",
        ASTRAY,
        *PROXIES,
        *MISSING_PROXY,
        *FULL_TABLE,
        *OWN,
        "registry.hub",
        "registry.mirrors",
    ),
)
def others_serve(registries: Registries, inside: Inside | None = None) -> Finding:
    """
    Registries that a container's image, a login, a Dockerfile or certs.d names.

    Why it matters: their images cannot be pulled or pushed until they are back; what runs goes on running.
    How to fix: see which layer fails.
    """
    asked = [r for r in registries.all if r.role == "named" or (r.role == "tagged" and (r.serves or r.is_registry))]
    if not asked:
        return skipped("nothing here names a registry other than Docker Hub")
    if any(r.secret_hidden for r in asked):
        return unknown("the daemon's proxy wants a password, which only root may read", how="# run as root")
    sick = [r for r in asked if not r.serves]
    lines = tuple(line for r in (sick or asked) for line in all_seen(r))
    if not sick:
        return passed(f"{', '.join(r.name for r in asked)} serve" + ("s" if len(asked) == 1 else ""), *lines)
    mirrors = {r.host_port for r in registries.mirrors if not r.serves}
    # One server may be a mirror and a registry of its own name.
    twice = ("registry.hub", "registry.mirrors") if all(r.host_port in mirrors for r in sick) else ()
    return failed(
        _list(sick),
        *lines,
        *(Evidence(r.named_by, r.name) for r in sick),
        cause=_why(sick[0]),
        fix=(f"# see it for yourself: curl -v {sick[0].asked.url}",),
        because=(*_because(sick), *_astray(sick, inside), *twice),
    )


@check(
    "registry.mirrors",
    title="Every mirror that the daemon is told to ask serves",
    severity=Severity.WARNING,
    docs=MIRRORS,
    # Where nothing at all serves, no mirror does.
    upstream=("registry.hub", "dns.host-resolves", *PROXIES, *MISSING_PROXY, *FULL_TABLE),
)
def mirrors(registries: Registries, config: DaemonJson | None) -> Finding:
    """
    Mirrors are asked in order, and each dead one is waited for.

    Why it matters: pulls pause for up to half a minute before they go on elsewhere.
    How to fix: take it out of registry-mirrors and reload the daemon; nothing is interrupted.
    """
    if not registries.mirrors:
        return skipped("no mirror is configured")
    if any(r.secret_hidden for r in registries.mirrors):
        return unknown("the daemon's proxy wants a password, which only root may read", how="# run as root")
    sick = [r for r in registries.mirrors if not r.serves]
    lines = tuple(line for r in (sick or registries.mirrors) for line in all_seen(r))
    if not sick:
        return passed(f"{', '.join(r.name for r in registries.mirrors)}: serving", *lines)
    path = config.path if config else "/etc/docker/daemon.json"
    listed = (config.settings or {}).get("registry-mirrors") if config else None
    written = [str(m) for m in listed] if isinstance(listed, list) else []
    drop = [w for w in written for r in sick if w.rstrip("/") == r.name]
    fix = [
        f"""sed -z -i -E 's#,[[:space:]]*"{w}"##; t; s#"{w}"[[:space:]]*,?[[:space:]]*##' {path}""" for w in drop
    ] or [f"# take {sick[0].name} out of the daemon's --registry-mirror"]
    still = next((r.name for r in registries.all if r.serves and r.role in {"mirror", "hub"}), "Docker Hub")
    return failed(
        _list(sick),
        *lines,
        cause=f"Pulls wait for it, and then come from {still}."
        if registries.hub_serves
        else "No pull can come from it.",
        fix=(*fix, RELOAD),
        because=None if not registries.hub_serves else [c for c in _because(sick) if not c.startswith("registry.")],
    )
