"""The values of daemon.json: what passes the decoder and then stops the daemon."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dockerdoctor import jsontext
from dockerdoctor.checks.daemon_json import engine_version, unparsable
from dockerdoctor.checks.daemon_keys import members, shown
from dockerdoctor.checks.rewriting import impact, restarted, rewritten, with_value, without
from dockerdoctor.daemonkeys import ADDRESSES, BOOL, BY_NAME, STRING, STRINGS, keys_of_flag
from dockerdoctor.daemontypes import fits
from dockerdoctor.daemonvalues import wrong_values
from dockerdoctor.daemonvalues.wrong import REMOVE, UNSURE, Wrong
from dockerdoctor.examine import check, failed, passed
from dockerdoctor.facts.daemon_json import DaemonJson, Flag, StartFlags
from dockerdoctor.facts.engine import EngineInfo, EngineVersion, Installed, Units
from dockerdoctor.model import Finding, Severity


@check(
    "daemon-json.values",
    title="dockerd accepts every value of the configuration file",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/reference/cli/dockerd/#daemon-configuration-file",
)
def values(
    file: DaemonJson,
    start: StartFlags,
    installed: Installed | None,
    version: EngineVersion | None,
    units: Units | None,
    info: EngineInfo | None,
) -> Finding:
    """
    Some values are of the right type and yet of no use: an address without its prefix, a runtime that nobody defined.

    Why it matters: dockerd stops when it meets one, some of them only after it has begun to start.
    How to fix: write what is named.
    """
    engine = engine_version(version, installed)
    root = unparsable(file, engine)
    if isinstance(root, Finding):
        return root
    settings = {
        name: value
        for name, value in (file.settings or {}).items()
        if name in BY_NAME and BY_NAME[name].known(engine) and fits(BY_NAME[name].type, value) and value is not None
    }
    given = from_flags(start.flags)
    runtimes = {**given.get("runtimes", {}), **settings.get("runtimes", {})}
    given |= settings | ({"runtimes": runtimes} if runtimes else {})
    found = list(wrong_values(given, engine, file.absent))
    wrong = [one for one in found if one.key in settings]
    if not wrong:
        return passed(f"dockerd accepts every value of {file.path}")
    text, seen = file.text, []
    for one in wrong:
        if member := members(root).get(one.key):
            seen.append(shown(file, member))
        text = _corrected(text, one)
    unsure = [one for one in wrong if one.new is UNSURE]
    by_hand = (*(f"# {file.path}: {one.how}" for one in wrong), *restarted(units))
    return failed(
        "; ".join(one.reason for one in wrong),
        *dict.fromkeys(seen),
        cause="dockerd refuses "
        + ", ".join(f'the value of "{key}"' for key in dict.fromkeys(one.key for one in wrong))
        + ".",
        fix=by_hand if unsure else rewritten(file, text, units),
        impact=impact(info),
    )


def from_flags(flags: Iterable[Flag]) -> dict[str, Any]:
    """What flags set, under the names of the keys: a runtime, a certificate or a driver may come from there."""
    given: dict[str, Any] = {}
    for flag in flags:
        if flag.name == "--add-runtime":
            name, _, path = flag.value.partition("=")
            given.setdefault("runtimes", {})[name] = {"path": path}
        for name in keys_of_flag(flag.name):
            key = BY_NAME.get(name)
            if key is None:
                continue
            if key.type == BOOL:
                given[name] = flag.value != "false"
            elif key.type in {STRINGS, ADDRESSES}:
                given.setdefault(name, []).append(flag.value)
            elif key.type == STRING:
                given[name] = flag.value
    return given


def _corrected(text: str, one: Wrong) -> str:
    root = jsontext.document(text)
    member = members(root).get(one.key) if root else None
    if root is None or member is None or one.new is UNSURE:
        return text
    if one.new is REMOVE:
        return without(text, root, [one.key])
    return jsontext.edited(text, [with_value(member.node, one.new)])
