"""Containers and networks, by way of the client."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from dockerdoctor.fixes.shell import NotOurs, Simple
from dockerdoctor.fixes.steps import Back, Run, Step
from dockerdoctor.fixes.vocabulary.desk import Desk


def docker(one: Simple, desk: Desk) -> Iterator[Step]:
    """Containers that run or do not, networks that are made and joined, limits, contexts."""
    words = one.words[1:]
    last = words[-1]
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
    elif words[:2] == ("network", "connect"):
        network, container = words[-2:]
        joined = desk.run("docker", "inspect", "--format", "{{json .NetworkSettings.Networks}}", container)
        if network in json.loads(joined):
            raise NotOurs(f"{container} is on {network} already")
        yield Run(
            one.words, (Back(("docker", "network", "disconnect", network, container), lenient=True, lasting=True),)
        )
    elif words[0] == "update":
        back = ("docker", "update", *_limits(words[1:-1], last, desk), last)
        yield Run(one.words, (Back(back, lasting=True),))
    elif words[-3:-1] == ("context", "use"):
        there = desk.run("docker", "context", "show").strip()
        yield Run(one.words, (Back(("docker", "context", "use", there), lasting=True),))
    else:
        raise NotOurs(f"docker {words[0]} is not among what the doctor can take back")


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
