"""Whether there is an engine, whether it runs, and whether this user may talk to it."""

from __future__ import annotations

from dockerdoctor.examine import check, failed, passed
from dockerdoctor.facts.endpoint import ChosenEndpoint, DaemonPing
from dockerdoctor.model import Evidence, Finding, Severity


@check(
    "engine.reachable",
    title="The Docker engine's endpoint accepts connections",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/engine/daemon/troubleshoot/",
)
def reachable(endpoint: ChosenEndpoint, ping: DaemonPing) -> Finding:
    """
    Every docker command begins by connecting to the engine's endpoint.

    Why it matters: nothing works without it.
    How to fix: start the engine, or point the client at the right one.
    """
    seen = Evidence(f"connect {endpoint.url}", ping.connect)
    if ping.connect == "ok":
        return passed(f"{endpoint.url} accepts connections", seen)
    return failed(f"{endpoint.url} does not accept connections ({ping.connect})", seen, cause="no engine listens there")


@check(
    "engine.responsive",
    title="The engine answers a ping",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/engine/daemon/troubleshoot/",
    upstream=("engine.reachable",),
)
def responsive(endpoint: ChosenEndpoint, ping: DaemonPing) -> Finding:
    """
    A socket may accept connections while the daemon behind it is frozen.

    Why it matters: every docker command hangs.
    How to fix: look at what the daemon waits for, then restart it.
    """
    seen = Evidence(f"GET {endpoint.url}/_ping", ping.outcome)
    if ping.answered:
        return passed(f"{ping.server or 'the engine'} answered in {ping.seconds * 1000:.0f} ms", seen)
    return failed(f"{endpoint.url}: {ping.outcome}", seen, cause="the daemon does not answer")
