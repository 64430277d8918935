"""Names that mean something else in containers: completed with a domain that answers for any."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dockerdoctor.checks.dns_answers import dark, line_of
from dockerdoctor.checks.dns_options import options, search, set_in_daemon, told_options
from dockerdoctor.checks.dns_records import RESOLV_CONF_MAN, shown_record
from dockerdoctor.checks.rewriting import impact
from dockerdoctor.examine import check, failed, passed
from dockerdoctor.facts.containers import Containers
from dockerdoctor.facts.daemon_json import DaemonJson
from dockerdoctor.facts.dns import HostResolver, ndots, parse_resolv_conf
from dockerdoctor.facts.engine import EngineInfo, Units
from dockerdoctor.facts.inside import USER, Inside, View
from dockerdoctor.facts.records import NOBODY
from dockerdoctor.host import DnsAnswer
from dockerdoctor.model import Evidence, Finding, Severity


def first_word(view: View, servers: Iterable[str], name: str) -> DnsAnswer | None:
    """What the first server that answers says of a name: a C library asks no other."""
    for server in servers:
        said = view.record(server, name)
        if said and said[0].ok:
            return said[-1] if said[-1].ok else said[0]
    return None


def _wildcards(view: View) -> Iterator[DnsAnswer]:
    """Search domains that have an address for a host that nobody has."""
    for name in dict.fromkeys(a.name for a in view.records if a.name.startswith(NOBODY)):
        word = first_word(view, view.nameservers, name)
        if word and word.addresses and name.partition(".")[2] in search(view):
            yield word


def completed_first(view: View, name: str) -> bool:
    """Whether a place takes a name for another's: a domain that answers for any name is tried with it before itself."""
    return name.count(".") < _ndots(view) and any(_wildcards(view))


@check(
    "dns.search-wildcard",
    title="Names in containers are not completed with a domain that answers for every name",
    severity=Severity.ERROR,
    docs=RESOLV_CONF_MAN,
)
def search_wildcard(
    inside: Inside,
    resolver: HostResolver | None,
    config: DaemonJson | None,
    containers: Containers | None,
    units: Units | None,
    info: EngineInfo | None,
) -> Finding:
    """
    With `ndots:N`, a name with fewer dots is tried with the search domains first (resolv.conf(5)).

    Where such a domain has a wildcard record, that try succeeds: "redis" is then redis.example.org.

    Why it matters: containers reach a stranger instead of each other, or of the Internet: wrong certificates, refused
    connections, time-outs.
    How to fix: `ndots:0` for containers, as Docker itself sets it unless it is told otherwise.
    """
    if unasked := dark(inside):
        return unasked
    wild = [(v, word) for v in inside.views for word in _wildcards(v)]
    # Docker's own names have no dots, and are looked for on user-defined networks.
    sick = [(v, word) for v, word in wild if _ndots(v) >= (1 if v.place == USER else 2)]
    if not sick:
        if not wild:
            return passed("no search domain of containers answers for a host that does not exist")
        domain = wild[0][1].name.partition(".")[2]
        return passed(f"{domain} answers for every name, and names are tried without it first")
    view, word = sick[0]
    domain, dots = word.name.partition(".")[2], _ndots(view)
    names = "names of containers" if dots == 1 else f"names with fewer than {dots} dots"
    told = any(o.startswith("ndots:") for o in told_options(config))
    return failed(
        f"{names} become hosts of {domain} first, which has {', '.join(word.addresses[:2])} for any name (ndots:{dots})",
        *(Evidence(f"/etc/resolv.conf on the {v.place}", _shown(v)) for v, _ in sick),
        *(line for v, w in sick for line in shown_record((w,), v.place)),
        *(
            (Evidence(line_of(config, "dns-opts"), f'"dns-opts": {list(told_options(config))}'),)
            if config and told
            else ()
        ),
        *(
            Evidence(resolver.etc.path, f"options {' '.join(resolver.etc.options)}")
            for _ in ["host"]
            if resolver and not told
        ),
        cause=f"*.{domain} is a wildcard record, {domain} a search domain of containers, and ndots:{dots} has it tried "
        "before the name itself.",
        fix=_without_ndots(resolver, config, units, _old(containers)),
        impact=impact(info) if told else "containers are restarted",
    )


def _ndots(view: View) -> int:
    return ndots(parse_resolv_conf(view.resolv_conf)[2])


def _shown(view: View) -> str:
    return "; ".join(line for line in view.resolv_conf.splitlines() if line.startswith(("search", "domain", "options")))


def _old(containers: Containers | None) -> tuple[str, ...]:
    """Running containers keep the resolv.conf they were started with."""
    return tuple(c.name for c in containers.running if c.network_mode not in {"host", "none"}) if containers else ()


def _without_ndots(
    resolver: HostResolver | None, config: DaemonJson | None, units: Units | None, old: tuple[str, ...]
) -> tuple[str, ...]:
    again = (f"docker restart {' '.join(old)}",) if old else ()
    kept = [o for o in options(config, resolver) if not o.startswith("ndots:")]
    if told_options(config) or not resolver or resolver.etc.link:
        return (*set_in_daemon(config, "dns-opts", [*kept, "ndots:0"], units), *again)
    path = resolver.etc.path
    return (
        f"sed -i -E '/^options/s/[[:space:]]+ndots:[0-9]+//; /^options[[:space:]]*$/d' {path}",
        "# and where your network's settings are kept, or it is overwritten",
        *again,
    )
