"""Name resolution on the host itself, which the daemon pulls with."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from dockerdoctor.checks.dns_answers import both, nameless, outcome, seen, silent, works
from dockerdoctor.checks.dns_rules import FIREWALLS, dropped_from_here, shown, taken_away
from dockerdoctor.examine import check, failed, passed, skipped, unknown
from dockerdoctor.facts.containers import Networks
from dockerdoctor.facts.dns import RESOLVED_STUB, HostDns, HostResolver, is_loopback
from dockerdoctor.facts.dns_spare import SpareServers
from dockerdoctor.facts.firewall import Firewall, Moved
from dockerdoctor.facts.registry import Registries
from dockerdoctor.facts.routes import Routes
from dockerdoctor.model import Evidence, Finding, Severity

STUB_LINK = "ln -sf ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf"
RESTART = ("systemctl reset-failed docker.service", "systemctl restart docker.service")
LASTING = "# and where your network's settings are kept, or it is overwritten"


def _asked(resolver: HostResolver) -> tuple[str, ...]:
    return resolver.etc.nameservers or ("127.0.0.1",)  # what resolv.conf(5) means by an empty file


def _resolves(resolver: HostResolver, dns: HostDns) -> bool:
    """Whether a C library gets answers: over UDP, but where resolv.conf says otherwise."""
    transport = "tcp" if "use-vc" in resolver.etc.options else "udp"
    return any(works(dns.said(s, transport)) for s in _asked(resolver))


def another(resolver: HostResolver, dns: HostDns, spare: SpareServers | None) -> str:
    """A nameserver that answers the host, though its resolv.conf does not name it."""
    known = dict.fromkeys(a.server for a in dns.answers if a.ok and a.transport == "udp")
    found = next((s for s in known if s not in _asked(resolver) and not is_loopback(s)), "")
    return found or (spare.best if spare else "")


def _written(resolver: HostResolver, server: str) -> tuple[str, ...]:
    """Commands that leave a resolv.conf with one nameserver; a link or a folder in its place goes."""
    etc = resolver.etc
    room = (f"rmdir {etc.path}",) if etc.problem == "EISDIR" else ()
    return (*room, f"install -m 644 /dev/stdin {etc.path} <<'END'\nnameserver {server}\nEND", LASTING)


@check(
    "dns.resolv-conf",
    title="The host's /etc/resolv.conf leads to nameservers",
    severity=Severity.ERROR,
    docs="https://man7.org/linux/man-pages/man5/resolv.conf.5.html",
)
def resolv_conf(
    resolver: HostResolver,
    dns: HostDns,
    routes: Routes | None,
    registries: Registries | None,
    spare: SpareServers | None,
) -> Finding:
    """
    Docker reads the host's /etc/resolv.conf for its own lookups and copies it into containers.

    Why it matters: without a nameserver in it, the daemon asks 127.0.0.1 for registries and containers get a public
    resolver that many networks block.
    How to fix: restore the link to the running resolver's file, or write a nameserver into it.
    """
    etc = resolver.etc
    where = Evidence(etc.path, f"link to {etc.link}: {etc.problem}" if etc.link else etc.problem or "ok")
    if not etc.problem:
        return passed(f"{etc.path} names {', '.join(etc.nameservers)}", where)
    if etc.overlooked:
        return skipped(f"{etc.path} names servers, in lines that are not read as such")
    if etc.problem == "EACCES":
        return unknown(f"{etc.path} cannot be read", where, how="# run as root")
    if works(both(dns, "127.0.0.1")):
        return passed(f"{etc.path} names no server, and the one on 127.0.0.1 that this means answers", where)
    if reason := nameless(resolver, dns, routes, registries):
        return skipped(f"{etc.path} names no server, and {reason}")
    server = another(resolver, dns, spare)
    if resolver.resolved.nameservers:
        # dockerd looks once whether the stub is in use (moby/moby, libnetwork/resolvconf).
        fix: tuple[str, ...] = (STUB_LINK, *RESTART)
    elif spare and spare.resolved and "systemd/resolve" in etc.link:
        fix = ("systemctl enable --now systemd-resolved.service", *RESTART)
    elif server:
        fix = _written(resolver, server)
    else:
        fix = (
            f"# write your network's nameserver into {etc.path}, as a line “nameserver ADDRESS”;",
            "# `ip route` shows the router, which often is one",
        )
    words = {
        "missing": "does not exist",
        "empty": "names no nameserver",
        "dangling link": f"is a link to {etc.link}, which does not exist",
        "EISDIR": "is a folder",
        "ELOOP": "is a link that leads to itself",
    }
    state = words.get(etc.problem, f"cannot be read ({etc.problem})")
    return failed(
        f"{etc.path} {state}",
        where,
        *((Evidence(f"{server}, asked from the host", "answers"),) if server else ()),
        cause="The host has no resolver configuration, so the daemon cannot look registries up, and containers get "
        "Docker's public fallback servers instead of your network's.",
        fix=fix,
        impact="restarts dockerd" if RESTART[-1] in fix else "",
    )


@check(
    "dns.host-firewall",
    title="The host's own firewall lets its questions to nameservers pass",
    severity=Severity.ERROR,
    docs=FIREWALLS,
    upstream=("network.conntrack",),  # what finds no room in the table is not permitted either
)
def host_firewall(
    resolver: HostResolver, dns: HostDns, routes: Routes | None, firewall: Firewall | None, moved: Moved | None
) -> Finding:
    """
    What the host itself sends passes the OUTPUT chain, and what comes back INPUT; containers' packets pass neither.

    Why it matters: containers resolve, and the daemon cannot pull: its look-ups end in "operation not permitted" or
    "i/o timeout".
    How to fix: let the host ask port 53.
    """
    servers = _asked(resolver)
    if _resolves(resolver, dns):
        return passed(f"{', '.join(servers)} can be asked")
    # The kernel's answer to a program whose packet OUTPUT drops.
    forbidden = [s for s in servers if any(a.outcome == "EPERM" for a in dns.said(s))]
    found = tuple(
        drop for s in servers for drop in dropped_from_here(s, routes, firewall, moved, seen=s in forbidden) if routes
    )
    if not forbidden and not found:
        return passed("no rule of this host's keeps it from asking")
    server = (forbidden or list(servers))[0]
    rule = f": {found[0].text}" if found else ""
    return failed(
        f"this host's firewall does not let it ask {server}{rule}",
        *(seen(dns.said(s), "host") for s in servers if dns.said(s)),
        *shown(found),
        cause="A rule for the host's own packets drops its questions to nameservers, the daemon's among them.",
        fix=taken_away(found),
        because=() if found else None,
    )


@check(
    "dns.host-resolves",
    title="The host's own nameservers answer",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/engine/daemon/troubleshoot/",
    upstream=(
        "dns.resolv-conf",
        "dns.resolv-conf-lines",
        "dns.host-firewall",
        "dns.udp-blocked",
        "network.subnet-overlap",
    ),
)
def host_resolves(
    resolver: HostResolver,
    dns: HostDns,
    networks: Networks | None,
    routes: Routes | None,
    registries: Registries | None,
    spare: SpareServers | None,
) -> Finding:
    """
    The daemon pulls images with the host's resolver; "dns" in daemon.json is for containers only.

    Why it matters: pulls and builds fail with "lookup … i/o timeout", "server misbehaving" or "no such host".
    How to fix: give the host a nameserver that answers.
    """
    servers = _asked(resolver)
    lines = tuple(seen(said, "host") for s in servers for t in ("udp", "tcp") if (said := dns.said(s, t)))
    if _resolves(resolver, dns):
        return passed(f"{', '.join(servers)} answer" + ("s" if len(servers) == 1 else ""), *lines)
    if reason := nameless(resolver, dns, routes, registries):
        return skipped(f"no nameserver answers the host, and {reason}")
    return failed(
        f"the host cannot resolve names: {', '.join(f'{s} {outcome(dns.said(s))}' for s in servers)}",
        *lines,
        cause=_why(resolver, dns)
        + " The daemon looks up registries with it, and “dns” in daemon.json does not change that.",
        fix=_repair(resolver, dns, spare),
        because=_explained(servers, dns, networks),
    )


def _why(resolver: HostResolver, dns: HostDns) -> str:
    heard = [a for s in _asked(resolver) for a in both(dns, s)]
    if all(is_loopback(a.server) and a.outcome == "ECONNREFUSED" for a in heard):
        return f"The resolver that should run on this host ({', '.join(_asked(resolver))}) does not."
    if silent(heard):
        return "No nameserver of the host answers: the server is down, its address is wrong, or the network drops the questions."
    return f"The host's nameserver is there but does not resolve: it says {outcome(a for a in heard if not a.silent)}."


def _repair(resolver: HostResolver, dns: HostDns, spare: SpareServers | None) -> tuple[str, ...]:
    etc, server = resolver.etc, another(resolver, dns, spare)
    if etc.nameservers == (RESOLVED_STUB,) and all(a.outcome == "ECONNREFUSED" for a in dns.said(RESOLVED_STUB)):
        return ("systemctl restart systemd-resolved.service",)
    if not server:
        return (f"# write a nameserver that answers into {etc.path}, or repair the one it names",)
    if etc.link:
        return (f"# make {server}, which answers, the nameserver of this host's network settings",)
    return (f"sed -i '0,/^nameserver/s/^nameserver.*/nameserver {server}/' {etc.path}", LASTING)


def _explained(servers: Iterable[str], dns: HostDns, networks: Networks | None) -> tuple[str, ...]:
    """Which of the causes upstream the answers leave possible."""
    possible = ["dns.resolv-conf", "dns.resolv-conf-lines", "dns.host-firewall"]
    if any(works(dns.said(s, "tcp")) for s in servers):
        possible.append("dns.udp-blocked")
    if networks and any(swallowed(s, networks) for s in servers):
        possible.append("network.subnet-overlap")
    return tuple(possible)


def swallowed(server: str, networks: Networks) -> bool:
    """Whether a Docker network claims a nameserver's address, so that questions to it never leave the host."""
    try:
        address = ipaddress.ip_address(server)
        return any(address in ipaddress.ip_network(subnet) for n in networks.bridges for subnet in n.subnets)
    except ValueError:
        return False
