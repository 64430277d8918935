"""The programs that dockerd and containerd call, looked at where the engine said that one of them could not be run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from dockerdoctor.facts.endpoint import ChosenEndpoint
from dockerdoctor.facts.engine import PROGRAM_FOLDERS, DaemonProcess, Installed
from dockerdoctor.facts.inside import Inside
from dockerdoctor.facts.log import StartLog
from dockerdoctor.facts.plugins import problem
from dockerdoctor.facts.startup import UnitCommands
from dockerdoctor.host import Host
from dockerdoctor.measure import Unmeasured, probe

# What dockerd, containerd and the shim run; what a container runs is another matter, though the words are the same.
NAMES = (
    *("runc", "crun", "containerd-shim-runc-v2", "containerd-shim", "docker-proxy", "docker-init"),
    *("iptables", "ip6tables", "nft"),
)
_NAME = "|".join(map(re.escape, NAMES))
# Go's words for it (os/exec), the loader's (ld.so), and dockerd's own for iptables (libnetwork).
COMPLAINTS = (
    re.compile(rf'exec: "(?P<name>{_NAME})": executable file not found'),
    re.compile(
        rf"fork/exec (?P<path>/\S*?)(?P<name>{_NAME}): (?:no such file|permission denied|exec format|text file)"
    ),
    re.compile(rf'binary not installed "(?P<name>{_NAME})"'),
    re.compile(rf"(?P<name>{_NAME}): error while loading shared libraries: (?P<library>[^:\s]+)"),
    re.compile(r"(?P<name>[Ii]ptables) not found|failed to find (?P<name2>iptables)"),
)
CONTAINERD_TOML = "/etc/containerd/config.toml"


@dataclass(frozen=True, slots=True)
class BadProgram:
    """One program that could not be run."""

    name: str
    said: str  # the engine's message
    path: str  # where it lies, or would lie; empty where nobody knows
    problem: (
        str  # "missing", "not in PATH", "may not be executed", "lacks libseccomp.so.2"; empty: it looks well by now
    )
    package: str = ""  # that brings it


@dataclass(frozen=True, slots=True)
class BadPrograms:
    """Those that the engine's messages name; and the plugins that containerd was told to do without."""

    all: tuple[BadProgram, ...] = ()
    path: str = ""  # dockerd's PATH
    unserved: str = ""  # the message that a part of containerd is not there
    disabled: str = ""  # the line of its configuration that turns parts of it off
    disabled_at: int = 0  # its number


def named(message: str) -> Iterator[tuple[str, str, str]]:
    """Which programs a message names: (name, path as far as it is told, a library that it lacks)."""
    for pattern in COMPLAINTS:
        for found in pattern.finditer(message):
            told = found.groupdict()
            name = (told.get("name") or told.get("name2") or "").lower()
            folder = told.get("path")
            yield name, f"{folder}{name}" if folder else "", told.get("library") or ""


@probe(deadline=4)
def bad_programs(
    host: Host,
    endpoint: ChosenEndpoint,
    process: DaemonProcess,
    commands: UnitCommands | None,
    programs: Installed,
    inside: Inside | None,
    log: StartLog | None,
) -> BadPrograms:
    """Nothing is looked for on a host where nothing was missed."""
    if not endpoint.local:
        raise Unmeasured("the engine is on another host", skipped=True)
    messages = [m for m in (inside.bridge.error, inside.user.error, inside.publish_error) if m] if inside else []
    messages += [log.complaint] if log and log.complaint else []
    lines = [s.value for s in commands.settings if s.key == "Environment"] if commands else []
    own = lines[-1].strip('"').removeprefix("PATH=") if lines else ""
    path = process.env.get("PATH") or own
    found: dict[str, BadProgram] = {}
    for message in messages:
        for name, where, library in named(message):
            if name not in found:
                found[name] = _looked_at(host, name, message, where, library, path, programs.package_manager)
    unserved = next((m for m in messages if "unknown service containerd." in m), "")
    number, line = _disabled(host) if unserved else (0, "")
    return BadPrograms(tuple(found.values()), path, unserved, line, number)


def _looked_at(
    host: Host, name: str, said: str, where: str, library: str, path: str, package_manager: str
) -> BadProgram:
    in_path = [f"{folder}/{name}" for folder in path.split(":") if folder.startswith("/")]
    folders = [f"{folder}/{name}" for folder in PROGRAM_FOLDERS]
    there = next((p for p in (where, *in_path, *folders) if p and host.exists(p)), "")
    if library:
        trouble = f"lacks {library}"
    elif not there:
        trouble = "is missing"
    elif path and there not in in_path:
        trouble = "is not in PATH"
    else:
        trouble = problem(host, there)
    return BadProgram(name, said, there or where, trouble, _package(host, there or where, name, package_manager))


def _package(host: Host, path: str, name: str, package_manager: str) -> str:
    """Which package brings a program; its list of files knows, whatever became of them."""
    if package_manager == "apt-get":
        found = re.match(r"([\w.+-]+)[:,]", host.run("dpkg-query", "-S", path or f"*bin/{name}").out)
    elif package_manager in {"dnf", "yum", "zypper"}:
        asked = host.run("rpm", "-q", "--queryformat", "%{NAME}", "--whatprovides", path or f"/usr/bin/{name}")
        found = re.match(r"([\w.+-]+)$", asked.out) if asked.ok else None
    else:
        found = None
    return found[1] if found else ""


def _disabled(host: Host) -> tuple[int, str]:
    for number, line in enumerate(host.text(CONTAINERD_TOML).splitlines(), 1):
        if re.match(r"\s*disabled_plugins\s*=\s*\[[^\]]*\S[^\]]*\]", line):
            return number, line.strip()
    return 0, ""
