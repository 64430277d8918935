"""What the kernel is told: settings, links, routes, limits of processes, connections."""

from __future__ import annotations

from collections.abc import Iterator

from dockerdoctor.fixes.shell import NotOurs, Simple
from dockerdoctor.fixes.steps import Back, Run, Step
from dockerdoctor.fixes.vocabulary.desk import Desk


def sysctl(one: Simple, desk: Desk) -> Iterator[Step]:
    """A setting of the running kernel, and its value before."""
    if one.words[1:2] != ("-w",) or len(one.words) != 3:
        raise NotOurs("only sysctl -w NAME=VALUE is known here")
    name = one.words[2].partition("=")[0]
    ask = ("sysctl", "-n", name)
    # Those of a bridge go with it.
    yield Run(one.words, (Back(("sysctl", "-w", f"{name}={desk.run(*ask).strip()}"), ask),))


STP = ("type", "bridge", "stp_state")


def ip(one: Simple, desk: Desk) -> Iterator[Step]:
    """A link that comes up, an address that is added, a routing rule that is, a route."""
    if one.words[1] in {"rule", "route"}:
        yield (_rule if one.words[1] == "rule" else _route)(one, desk)
        return
    words = [word for word in one.words if word != "dev"]
    if words[:3] == ["ip", "link", "set"] and words[4:] == ["up"]:
        up = "UP" in desk.run("ip", "-o", "link", "show", "dev", words[3]).partition("<")[2].partition(">")[0].split(
            ","
        )
        yield Run(one.words, () if up else (Back(("ip", "link", "set", "dev", words[3], "down"), lenient=True),))
    elif words[:3] == ["ip", "link", "set"] and words[4:] in (["arp", "on"], [*STP, "0"]):
        undone = ("arp", "off") if words[4] == "arp" else (*STP, "1")
        # One that has gone has no state to be given back.
        yield Run(one.words, (Back(("ip", "link", "set", "dev", words[3], *undone), lenient=True),))
    elif words[:3] == ["ip", "address", "add"]:
        address, device = words[3], one.words[one.words.index("dev") + 1]
        if f" {address} " in desk.run("ip", "-o", "address", "show", "dev", device):
            raise NotOurs(f"{device} has {address} already")
        yield Run(one.words, (Back(("ip", "address", "del", address, "dev", device), lenient=True),))
    else:
        raise NotOurs("of ip only links that come up, and addresses, rules and routes that are added can be taken back")


def _rule(one: Simple, desk: Desk) -> Run:
    """A routing rule, with a priority that no other has."""
    act, *spec = one.words[2:]
    if act != "add" or spec[-2] != "priority" or not spec[-1].isdecimal():
        raise NotOurs("only ip rule add ... priority NUMBER is known here")
    ask = ("ip", "rule", "show", "priority", spec[-1])
    if desk.run(*ask).strip():
        raise NotOurs(f"there is a rule of priority {spec[-1]} already")
    # Two may have one priority, if they come together.
    shown = " ".join((*(() if spec[0] == "from" else ("from", "all")), *spec[:-2]))
    return Run(one.words, (Back(("ip", "rule", "del", *spec), ask, f"{spec[-1]}:\t{shown}"),))


def _route(one: Simple, desk: Desk) -> Run:
    """A route that takes the place of another, or of none."""
    act, subnet, *way = one.words[2:]
    if act != "replace" or "table" in way:
        raise NotOurs("only ip route replace, in the main table, is known here")
    was = desk.run("ip", "-o", "route", "show", "exact", subnet).split("\n")[:-1]
    if len(was) > 1 or any("\\" in line or "nexthop" in line for line in was):
        raise NotOurs(f"there are several routes to {subnet}")
    # One of a link that has gone has gone with it; what the kernel tells of a link is no part of a route.
    told = {"linkdown", "dead", "offload"}
    back = ("replace", *(word for word in was[0].split() if word not in told)) if was else ("del", subnet, *way)
    return Run(one.words, (Back(("ip", "route", *back), lenient=True),))


def bridge(one: Simple, desk: Desk) -> Iterator[Step]:  # noqa: ARG001
    """A port's hairpin mode."""
    if one.words[1:4] != ("link", "set", "dev") or one.words[5:] != ("hairpin", "on"):
        raise NotOurs("only its hairpin mode is known here")
    # The port may have gone with its container.
    yield Run(one.words, (Back((*one.words[:-1], "off"), lenient=True),))


def kill(one: Simple, desk: Desk) -> Iterator[Step]:  # noqa: ARG001
    """A stopped process that goes on."""
    if one.words[1:2] != ("-CONT",):
        raise NotOurs("a process that has ended does not come back")
    yield Run(one.words)


def prlimit(one: Simple, desk: Desk) -> Iterator[Step]:
    """A limit of a running process: its soft one, as it was."""
    if one.words[1:2] != ("--pid",) or len(one.words) != 4 or not one.words[3].startswith("--nofile="):
        raise NotOurs("only --pid PID --nofile=LIMITS is known here")
    pid = one.words[2]
    now = desk.run("prlimit", "--pid", pid, "--nofile", "--output", "SOFT,HARD", "--noheadings", "--raw").split()
    began = desk.host.process_stat(int(pid))[19]
    # The process may have ended by then, and its limits with it; and its number may be another's, which began later.
    test = ("cat", f"/proc/{pid}/stat")
    yield Run(
        one.words, (Back(("prlimit", "--pid", pid, f"--nofile={':'.join(now)}"), test, f" {began} ", lenient=True),)
    )


def sleep(one: Simple, desk: Desk) -> Iterator[Step]:  # noqa: ARG001
    """Time for what was started."""
    if len(one.words) != 2 or not one.words[1].isdecimal():
        raise NotOurs("only sleep SECONDS is known here")
    yield Run(one.words)


def conntrack(one: Simple, desk: Desk) -> Iterator[Step]:  # noqa: ARG001
    """Entries that the kernel makes anew."""
    if one.words[1:2] != ("-D",):
        raise NotOurs("only the deletion of single entries is known here")
    # The kernel makes such an entry anew with the next packet; none to delete is no failure.
    yield Run(one.words, lenient=True)
