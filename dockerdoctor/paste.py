"""Make the commands of a fix ready to paste by whoever runs the doctor. Pure."""

from __future__ import annotations

import re
import shlex

from dockerdoctor.facts.caller import Caller

# What concerns the caller's own session or login, and what the Docker client does for whoever may use the engine.
OWN = frozenset({"docker", "docker-compose", "unset", "export", "newgrp", "cd", "source", "id", "exec"})
# Redirections, pipes and lists: sudo would hold for the first command alone.
SHELL = re.compile(r"[|<>;&]|\$\(|`")

# A here-string feeds one command, and the shell that it is pasted into does the feeding: sudo sh may not know them.
FED = re.compile(r"(?:[^|<>;&`$'\"]|'[^']*')* <<< '(?:[^']|'\\'')*'")


def ready(step: str, caller: Caller) -> str:
    """Add what a step needs: the doctor's own path and --yes, and sudo for those who are not root."""
    if step.startswith("#"):
        return step
    words = step.split()
    ours = bool(words) and words[0] == "doctor"
    if ours:
        yes = [] if "--yes" in words or "--write" not in words else ["--yes"]
        step = shlex.join([caller.doctor, *words[1:], *yes])
    elif not words or words[0] in OWN or "~/" in step or f"{caller.home}/" in step:
        return step
    if caller.root or (ours and "--write" not in words):
        return step
    if FED.fullmatch(step):
        return f"sudo {step}"
    return f"sudo sh -c {shlex.quote(step)}" if SHELL.search(step) else f"sudo {step}"


def bare(step: str) -> str:
    """Take off again what `ready` puts before a command for those who are not root."""
    if step.startswith("sudo sh -c "):
        return shlex.split(step)[3]
    return step.removeprefix("sudo ")
