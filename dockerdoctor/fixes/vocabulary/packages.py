"""Packages: what would come is simulated before, and just that is purged again."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dockerdoctor.fixes.shell import NotOurs, Simple
from dockerdoctor.fixes.steps import Back, Run, Step
from dockerdoctor.fixes.vocabulary.desk import Desk

# Inst docker-buildx [0.1 of before] (0.13.1 Debian:13 [amd64])
PLANNED = re.compile(r"^(?P<act>Inst|Remv) (?P<name>\S+)(?: \[(?P<before>[^\]]*)\])?", re.MULTILINE)
SIMULATION = 60.0  # seconds


def apt_get(one: Simple, desk: Desk) -> Iterator[Step]:
    """New packages and those that they need; one that would replace or remove another cannot be taken back."""
    if one.words[1:] == ("update",):
        return  # its lists are read as they are: what is planned must be what comes
    # One that is installed already is replaced by --reinstall, and seen below; one that is not just comes.
    verb, *names = (word for word in one.words[1:] if word not in {"-y", "--yes", "--reinstall"})
    if verb != "install" or not names or any(name.startswith("-") for name in names):
        raise NotOurs("of apt-get only the installation of packages is known here")
    done = desk.host.run("apt-get", "--simulate", "install", *names, timeout=SIMULATION)
    if not done.ok:
        raise NotOurs(
            f"apt-get cannot say what would come ({_last(done.err)}); apt-get update first, then doctor fix again"
        )
    planned = list(PLANNED.finditer(done.out))
    if "--reinstall" in one.words and not planned:
        raise NotOurs(f"{' '.join(names)} is installed, as dpkg sees it: what its files were like would be lost")
    if other := next((p for p in planned if p["act"] == "Remv" or p["before"]), None):
        raise NotOurs(f"it would remove or replace {other['name']}, and an older version may not be had again")
    new = tuple(p["name"] for p in planned)
    if not new:
        raise NotOurs(f"{' '.join(names)} is installed, as dpkg sees it: apt-get install --reinstall {' '.join(names)}")
    listed = desk.host.run("dpkg-query", "--show", "--showformat", "${db:Status-Status}\\n", *new)
    if "config-files" in listed.out.split():
        raise NotOurs("a package of that name has left its settings here, which would be lost with it")
    # Apart: a download that takes too long may be killed, dpkg at work may not.
    yield Run(("apt-get", "install", "--yes", "--download-only", *names))
    # Not by apt-get, which would take along what has come to need them since.
    yield Run(
        ("apt-get", "install", "--yes", "--no-remove", "--no-download", *names),
        (Back(("dpkg", "--purge", *new), lasting=True),),
    )


def _last(said: str) -> str:
    lines = [line.removeprefix("E: ") for line in said.splitlines() if line.startswith("E: ")]
    return lines[0] if lines else "it says nothing"
