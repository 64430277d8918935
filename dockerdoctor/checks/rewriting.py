"""Commands that put a corrected daemon.json in the place of the broken one, and what they interrupt."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from typing import Any

from dockerdoctor import jsontext
from dockerdoctor.facts.daemon_json import DaemonJson
from dockerdoctor.facts.engine import EngineInfo, Units
from dockerdoctor.jsontext import Edit, Node


def quoted(text: str) -> str:
    """Quote for a shell, so that lines stay lines."""
    return "'" + text.replace("'", "'\\''") + "'"


def rewritten(file: DaemonJson, new: str, units: Units | None, *, restart: bool = True) -> tuple[str, ...]:
    """Back up, write, restart; where the text holds a masked password, what to do by hand."""
    again = restarted(units) if restart else ()
    path = shlex.quote(file.path)
    if file.masked:
        return (
            f"# edit {file.path} by hand, since it holds what is not shown here (a password, or bytes that are no text):",
            *(f"#   {line}" for line in new.splitlines()),
            *again,
        )
    return (
        # A backup of its own each time: an older one may be the last that worked.
        f"cp -a --backup=numbered {path} {shlex.quote(f'{file.path}.bak')}",
        # A here-string keeps its meaning when the terminal indents it; tee keeps owner and mode, and takes a sudo.
        f"tee {path} <<< {quoted(new.rstrip())}",
        *again,
    )


def restarted(units: Units | None) -> tuple[str, ...]:
    """Restart the engine; one that failed to start too often is refused by systemd until that is forgotten."""
    if units and units.systemd:
        return "systemctl reset-failed docker.service docker.socket", "systemctl restart docker"
    return ("service docker restart",)


def impact(info: EngineInfo | None) -> str:
    """What a restart interrupts."""
    if info is None:
        return "starts dockerd"
    if not info.containers_running or info.live_restore:
        return "restarts dockerd"
    count = info.containers_running
    return f"restarts dockerd; {count} container{'' if count == 1 else 's'} stop{'s' if count == 1 else ''}"


def typed(value: Any) -> str:
    """A value as it is written in JSON."""
    return json.dumps(value, ensure_ascii=False)


def without(text: str, root: Node, names: Iterable[str]) -> str:
    """The text without some keys of the outermost object."""
    for name in names:
        for member in reversed(root.members):
            if member.key == name:
                text = jsontext.edited(text, [jsontext.removal(root, member)])
                root = jsontext.document(text) or root
    return text


def with_value(node: Node, value: Any) -> Edit:
    """Write another value in the place of one."""
    return Edit(node.start, node.end, typed(value))


def with_member(text: str, key: str, value: Any) -> str:
    """The text with a key of the outermost object set, a new one before all others; empty where there is no object."""
    root = jsontext.document(text)
    if not text.strip():
        return f"{{\n  {typed(key)}: {typed(value)}\n}}\n"
    if not root or not isinstance(root.value, dict):
        return ""
    mine = [m.node for m in root.members if m.key == key]
    if mine:
        return jsontext.edited(text, [with_value(mine[-1], value)])
    at = root.start + 1
    lead = text[at : root.members[0].start] if root.members else "\n"
    comma = "," if root.members else ""
    return jsontext.edited(text, [Edit(at, at, f"{lead}{typed(key)}: {typed(value)}{comma}")])
