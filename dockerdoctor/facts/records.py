"""Questions about single names: what shows that some of them fare otherwise than others."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from dockerdoctor.facts.daemon_json import DaemonJson, flag_values
from dockerdoctor.facts.dns import HostResolver
from dockerdoctor.facts.names_in_use import NamesInUse
from dockerdoctor.facts.split import SplitDns
from dockerdoctor.facts.upstreams import usable
from dockerdoctor.host import Host
from dockerdoctor.measure import probe
from dockerdoctor.web import HUB

# A host that no domain has; what answers for it answers for every name (a wildcard, RFC 4592).
NOBODY = "no-such-host-"
MAX_SEARCH = 3
MAX_SERVERS = 3


@dataclass(frozen=True, slots=True)
class RecordQuestions:
    """Names and the types of records to ask every nameserver for, from every place."""

    all: tuple[tuple[str, str], ...]
    servers: tuple[str, ...] = ()  # of domains that are split off: what they know, containers may need


def search_domains(resolver: HostResolver | None, config: DaemonJson | None) -> tuple[str, ...]:
    """What new containers complete short names with: what dockerd is told, else what the host does."""
    listed = (config.settings or {}).get("dns-search") if config else None
    told = listed if isinstance(listed, list) else flag_values(config.flags, "dns-search") if config else ()
    found = tuple(map(str, told)) or (resolver.given.search if resolver else ())
    return tuple(dict.fromkeys(d.strip(".").lower() for d in found if d.strip(".")))[:MAX_SEARCH]


@probe()
def record_questions(
    host: Host,  # noqa: ARG001 - as every probe
    resolver: HostResolver | None,
    config: DaemonJson | None,
    in_use: NamesInUse | None,
    split: SplitDns | None,
) -> RecordQuestions:
    """Gather them: an IPv6 address, a host that nobody has, names that containers want, domains that are split off."""
    search = search_domains(resolver, config)
    nobody = f"{NOBODY}{secrets.token_hex(4)}"
    names = [*search, *(u.name for u in in_use.all)] if in_use else list(search)
    names += [r.domain for r in split.domains] if split else []
    wild = [f"{nobody}.{domain}" for domain in search]
    return RecordQuestions(
        tuple(dict.fromkeys(((HUB, "AAAA"), *((name, "A") for name in (*wild, *names))))),
        tuple(dict.fromkeys(s for r in split.domains for s in r.servers if usable(s)))[:MAX_SERVERS] if split else (),
    )
