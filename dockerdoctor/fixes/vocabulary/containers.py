"""Containers and networks, by way of the client."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from dockerdoctor.fixes.daemon_json import NotAnObject, without
from dockerdoctor.fixes.shell import NotOurs, Simple
from dockerdoctor.fixes.steps import Back, Put, Run, Step
from dockerdoctor.fixes.vocabulary.desk import Desk

# What can be taken back, or is taken away with a consent of its own.
VERBS = ("restart", "start", "stop", "create", "connect", "disconnect", "update", "prune", "use")


def docker(one: Simple, desk: Desk) -> Iterator[Step]:
    """Containers that run or do not, networks that are made and joined, limits, contexts."""
    words = one.words[1:]
    last = words[-1]
    if words[1:2] == ("prune",):
        yield _pruned(one, desk)
        return
    if words[0] in {"restart", "start", "stop"} and any(word.startswith("-") for word in words[1:]):
        raise NotOurs("its options are not known here")
    if words[0] == "restart":
        yield Run(one.words)
    elif words[0] == "start":
        idle = tuple(name for name in words[1:] if desk.host.run(*_state(name), timeout=10).out.strip() != "true")
        yield Run(one.words, (Back(("docker", "stop", *idle), lenient=True),) if idle else ())
    elif words[0] == "stop":
        busy = tuple(name for name in words[1:] if desk.run(*_state(name)).strip() == "true")
        yield Run(one.words, (Back(("docker", "start", *busy), lenient=True),) if busy else ())
    elif words[:2] == ("network", "create"):
        if last in desk.run("docker", "network", "ls", "--format", "{{.Name}}").split():
            raise NotOurs(f"there is a network {last} already")
        yield Run(one.words, (Back(("docker", "network", "rm", last), lenient=True, lasting=True),))
    elif words[:2] == ("network", "disconnect"):
        yield _disconnected(one, desk)
    elif words[:2] == ("network", "connect"):
        network, container = words[-2:]
        if network in _joined(container, desk) and (network, container) not in desk.left:
            raise NotOurs(f"{container} is on {network} already")
        yield Run(
            one.words, (Back(("docker", "network", "disconnect", network, container), lenient=True, lasting=True),)
        )
    elif words[0] == "update":
        back = ("docker", "update", *_limits(words[1:-1], last, desk), last)
        yield Run(one.words, (Back(back, lasting=True),))
    elif words[-3:] == ("context", "use", "default"):
        yield _default_context(desk)
    else:
        raise NotOurs(f"docker {words[0]} is not among what the doctor can take back")


def _joined(container: str, desk: Desk) -> Any:
    """Give the networks that a container is on, and how."""
    return json.loads(desk.run("docker", "inspect", "--format", "{{json .NetworkSettings.Networks}}", container))


def _disconnected(one: Simple, desk: Desk) -> Run:
    """A container leaves a network; from one that is not there any more nothing is lost but its id."""
    options, (network, container) = one.words[3:-2], one.words[-2:]
    if set(options) - {"--force", "-f"}:
        raise NotOurs("its options are not known here")
    mine = _joined(container, desk).get(network)
    if mine is None:
        raise NotOurs(f"{container} is not on {network}")
    address = mine.get("IPAMConfig") or {}
    # The engine adds the container's own id.
    aliases = [alias for alias in mine.get("Aliases") or () if not _own_alias(alias, container, desk)]
    if any(address.values()) or aliases or mine.get("Links") or mine.get("DriverOpts"):
        raise NotOurs(f"{container} has an address or other names of its own on {network}, which would be lost")
    desk.left.add((network, container))
    there = desk.run("docker", "network", "ls", "--no-trunc", "--format", "{{.ID}}").split()
    back = Back(("docker", "network", "connect", network, container), lenient=True, lasting=True)
    return Run(one.words, (back,) if mine.get("NetworkID") in there else ())


def _own_alias(alias: str, container: str, desk: Desk) -> bool:
    """Whether a name on a network is one that every container has there: its id, and with newer engines its own name."""
    return alias == container or desk.run("docker", "inspect", "--format", "{{.Id}}", container).startswith(alias)


PRUNED = {("builder", "prune"): {"--all", "-a", "--force", "-f"}, ("image", "prune"): {"--force", "-f"}}


def _pruned(one: Simple, desk: Desk) -> Run:
    """Take away for good what is made again by itself: how much is measured before. Never volumes, nor containers."""
    kind, options = one.words[1:3], set(one.words[3:])
    if kind not in PRUNED or options - PRUNED[kind]:
        raise NotOurs("what it would remove may be wanted by somebody")
    if kind[0] == "builder":
        rows = map(json.loads, desk.run("docker", "system", "df", "--format", "{{json .}}", timeout=60).splitlines())
        freed = next((row["Reclaimable"].split()[0] for row in rows if row["Type"] == "Build Cache"), "0B")
        what = f"{freed} of build cache"
    else:
        listing = ("docker", "image", "ls", "--quiet", "--no-trunc", "--filter", "dangling=true")
        found = tuple(dict.fromkeys(desk.run(*listing).split()))
        bytes_of = (
            map(int, desk.run("docker", "image", "inspect", "--format", "{{.Size}}", *found).split()) if found else ()
        )
        freed = f"{sum(bytes_of) / 1e6:.0f}MB" if found else "0B"
        what = f"{len(found)} images without a name, {freed} in all"
    if freed == "0B":
        raise NotOurs(f"{' '.join(one.words[:3])} would free nothing")
    return Run(one.words, forever=what)


def _default_context(desk: Desk) -> Put:
    """Docker's client would write its whole file anew, in a form of its own: only the line is taken out that names another."""
    name = f"{desk.host.env.get('DOCKER_CONFIG') or f'{desk.host.home}/.docker'}/config.json"
    path = desk.path(name)
    if not (found := desk.file(path)):
        raise NotOurs(f"{name} is not there")
    try:
        return desk.put(path, replace(found, data=without(found.data, "currentContext"), mtime_ns=0))
    except NotAnObject as no:
        raise NotOurs(f"{name}: {no}") from no


def _state(container: str) -> tuple[str, ...]:
    """Ask whether a container runs."""
    return ("docker", "inspect", "--format", "{{.State.Running}}", container)


# The API takes 0 for "as it is": a limit that was none before cannot be told to be none again, but for these.
LIMITS = {"--memory": ("Memory", ""), "--memory-swap": ("MemorySwap", "-1"), "--pids-limit": ("PidsLimit", "-1")}


def _limits(options: Sequence[str], container: str, desk: Desk) -> Iterator[str]:
    """Give the options that make a container's limits what they are now."""
    now = json.loads(desk.run("docker", "inspect", "--format", "{{json .HostConfig}}", container))
    for option in options[::2]:
        key, none = LIMITS.get(option, ("", ""))
        value = str(now.get(key) or none)
        if not value:
            raise NotOurs(f"docker update {option} cannot be taken back here")
        yield from (option, value)
