"""The lines of /etc/resolv.conf: whether a C library reads in them what was meant."""

from __future__ import annotations

from dockerdoctor.checks.dns_answers import both, nameless, seen, works
from dockerdoctor.checks.dns_host import LASTING, another
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.dns import HostDns, HostResolver
from dockerdoctor.facts.dns_spare import SpareServers
from dockerdoctor.facts.registry import Registries
from dockerdoctor.facts.resolv_conf import Overlooked
from dockerdoctor.facts.routes import Routes
from dockerdoctor.model import Evidence, Finding, Severity


@check(
    "dns.resolv-conf-lines",
    title="The nameservers in the host's /etc/resolv.conf are written so that programs read them",
    severity=Severity.ERROR,
    docs="https://man7.org/linux/man-pages/man5/resolv.conf.5.html",
)
def resolv_conf_lines(
    resolver: HostResolver,
    dns: HostDns,
    spare: SpareServers | None,
    routes: Routes | None,
    registries: Registries | None,
) -> Finding:
    """
    A C library wants “nameserver”, white space and an address, and passes over any other line without a word.

    Why it matters: carriage returns of a file from Windows, a name in place of an address or a comma leave the host
    without a nameserver, and containers that are given a copy; dockerd reads some such lines all the same, so that not
    all of it fails.
    How to fix: write the lines as they are read.
    """
    etc = resolver.etc
    if not etc.overlooked:
        return passed(f"every line of {etc.path} is read as it was meant")
    lines = tuple(Evidence(f"{etc.path}:{line.number}", f"{line.text!r}: {line.reason}") for line in etc.overlooked)
    if etc.nameservers:
        return passed(f"{etc.path} names {', '.join(etc.nameservers)}; another line is passed over", *lines)
    if works(both(dns, "127.0.0.1")):
        return passed(f"{etc.path} names no server, and the one on 127.0.0.1 that this means answers", *lines)
    if reason := nameless(resolver, dns, routes, registries):
        return skipped(f"{etc.path} names no server that is read, and {reason}")
    first = etc.overlooked[0]
    return failed(
        f"{etc.path} names no nameserver that programs read: in line {first.number}, {first.reason}",
        *lines,
        *(seen(dns.said(s), "host") for s in etc.meant if dns.said(s)),
        cause="A C library passes over lines that it does not understand, so that the host has no nameserver; containers "
        "get a copy of them.",
        fix=_rewritten(etc.path, etc.overlooked, dns, another(resolver, dns, spare)),
    )


def _rewritten(path: str, lines: tuple[Overlooked, ...], dns: HostDns, other: str) -> tuple[str, ...]:
    """Commands that leave in the file what was meant, where it answers, or else a nameserver that does."""
    edit = "sed -i --follow-symlinks"
    if all(line.reason.startswith("it ends in") and works(dns.said(line.address)) for line in lines):
        return (f"{edit} 's/\\r$//' {path}",)
    good = [(line.number, line.address) for line in lines if line.address and works(dns.said(line.address))]
    if not good and other:
        good = [(lines[0].number, other)]
    if not good:
        return (f"# write each nameserver of your network into {path}, as a line “nameserver ADDRESS”",)
    script = "; ".join(f"{number}s/.*/nameserver {address}/" for number, address in good)
    return (f"{edit} '{script}' {path}", LASTING)
