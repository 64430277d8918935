"""The daemon's configuration: its file, and what flags add to it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from dockerdoctor.facts.endpoint import ChosenEndpoint, mask_url
from dockerdoctor.facts.engine import DaemonProcess, Units
from dockerdoctor.host import Host, failure_name
from dockerdoctor.measure import Unmeasured, probe

DEFAULT_PATH = "/etc/docker/daemon.json"


@dataclass(frozen=True, slots=True)
class DaemonJson:
    """The configuration file, passwords in URLs masked; the fixes read the bytes themselves."""

    path: str
    exists: bool
    problem: str = ""  # why it cannot be read: "EACCES", "EISDIR"
    text: str = ""
    settings: dict[str, Any] | None = None  # the first JSON value, when it is an object
    modified: float = 0.0  # seconds since the epoch
    flags: tuple[str, ...] = ()  # what dockerd is, or would be, started with, without the program itself

    @property
    def dns(self) -> tuple[str, ...]:
        """The nameservers that the file, or a flag, gives to containers."""
        listed = (self.settings or {}).get("dns")
        return tuple(str(s).strip() for s in listed) if isinstance(listed, list) else flag_values(self.flags, "dns")


def flag_values(arguments: tuple[str, ...], name: str) -> tuple[str, ...]:
    """Every value of a long flag, in both spellings ("--dns 1.1.1.1", "--dns=1.1.1.1")."""
    found = []
    for n, argument in enumerate(arguments):
        key, equals, value = argument.partition("=")
        if key == f"--{name}":
            found.append(value if equals else (arguments[n + 1] if n + 1 < len(arguments) else ""))
    return tuple(found)


def mask_text(text: str) -> str:
    """Mask passwords in URLs inside a longer text, without moving a line or a column elsewhere."""
    import re  # noqa: PLC0415

    return re.sub(r"(\w+://)[^\s\"'/@]*@", lambda m: mask_url(m.group(0)), text)


@probe()
def daemon_json(host: Host, endpoint: ChosenEndpoint, process: DaemonProcess, units: Units | None) -> DaemonJson:
    """Read the file that the running daemon, or else its unit, was told to use."""
    if not endpoint.local:
        raise Unmeasured("the engine is on another host", skipped=True)
    flags = process.arguments[1:]
    if not process.pid and units and units.docker.exec_start:
        flags = tuple(units.docker.exec_start[-1].split()[1:])
    path = (flag_values(flags, "config-file") or (DEFAULT_PATH,))[-1]
    try:
        raw = host.read_bytes(path)
    except FileNotFoundError:
        return DaemonJson(path, exists=False, flags=flags)
    except OSError as no:
        return DaemonJson(path, exists=True, problem=failure_name(no), flags=flags)
    text = mask_text(raw.decode("utf-8", "backslashreplace"))
    try:
        first, _ = json.JSONDecoder().raw_decode(text.lstrip(" \t\r\n"))
    except ValueError:
        first = None
    status = host.path(path).stat()
    return DaemonJson(
        path,
        exists=True,
        text=text,
        settings=first if isinstance(first, dict) else None,
        modified=status.st_mtime,
        flags=flags,
    )
