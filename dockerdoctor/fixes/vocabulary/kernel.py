"""What the kernel is told: settings, links, limits of processes, mounts, connections."""

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


def ip(one: Simple, desk: Desk) -> Iterator[Step]:
    """A link that comes up, an address that is added."""
    words = [word for word in one.words if word != "dev"]
    if words[:3] == ["ip", "link", "set"] and words[4:] == ["up"]:
        up = "UP" in desk.run("ip", "-o", "link", "show", "dev", words[3]).partition("<")[2].partition(">")[0].split(
            ","
        )
        yield Run(one.words, () if up else (Back(("ip", "link", "set", "dev", words[3], "down"), lenient=True),))
    elif words[:3] == ["ip", "address", "add"]:
        address, device = words[3], one.words[one.words.index("dev") + 1]
        if f" {address} " in desk.run("ip", "-o", "address", "show", "dev", device):
            raise NotOurs(f"{device} has {address} already")
        yield Run(one.words, (Back(("ip", "address", "del", address, "dev", device), lenient=True),))
    else:
        raise NotOurs("of ip only links that come up and addresses that are added can be taken back")


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


def mount(one: Simple, desk: Desk) -> Iterator[Step]:  # noqa: ARG001
    """A mount that becomes writable."""
    if one.words[1:3] != ("-o", "remount,rw") or len(one.words) != 4:
        raise NotOurs("of mounts only one that becomes writable can be taken back")
    yield Run(one.words, (Back(("mount", "-o", "remount,ro", one.words[3])),))


def conntrack(one: Simple, desk: Desk) -> Iterator[Step]:  # noqa: ARG001
    """Entries that the kernel makes anew."""
    if one.words[1:2] != ("-D",):
        raise NotOurs("only the deletion of single entries is known here")
    # The kernel makes such an entry anew with the next packet; none to delete is no failure.
    yield Run(one.words, lenient=True)
