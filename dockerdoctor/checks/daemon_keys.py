"""The keys of daemon.json: whether this engine knows them, uses them, and takes their types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dockerdoctor import jsontext
from dockerdoctor.checks.daemon_json import STRICT, engine_version, named, unparsable
from dockerdoctor.checks.rewriting import impact, restarted, rewritten, typed, with_value, without
from dockerdoctor.daemonkeys import (
    BY_NAME,
    PROXY_KEYS,
    WHOLE,
    accepted,
    flattened,
    ignored_meaning,
    nearest,
)  # fmt: skip
from dockerdoctor.daemontypes import NOTHING, converted, fits
from dockerdoctor.examine import check, failed, passed
from dockerdoctor.facts.daemon_json import DaemonJson
from dockerdoctor.facts.engine import EngineInfo, EngineVersion, Installed, Units, version_parts
from dockerdoctor.jsontext import Member, Node
from dockerdoctor.model import Evidence, Finding, Severity

REFERENCE = "https://docs.docker.com/reference/cli/dockerd/#daemon-configuration-file"
BLOCKERS = ("daemon-json.readable", "daemon-json.encoding", "daemon-json.empty", "daemon-json.syntax")


def members(root: Node, outer: str = "") -> Mapping[str, Member]:
    """The members of the outermost object, or of one inside it, by name; of equal ones the last, which counts."""
    if outer:
        inner = members(root).get(outer)
        return {m.key: m for m in inner.node.members} if inner else {}
    return {m.key: m for m in root.members}


def shown(file: DaemonJson, member: Member) -> Evidence:
    """A member as it stands in the file."""
    line, _ = jsontext.place(file.text, member.start)
    text = " ".join(file.text[member.start : member.node.end].split())
    return Evidence(f"{file.path}:{line}", text if len(text) <= 120 else f"{text[:117]}...")


def of_another_version(name: str, outer: str, engine: tuple[int, ...]) -> str:
    """The key of another engine version that a refused name is, or is part of; empty when it is of none."""
    for candidate in (outer, name):
        key = BY_NAME.get(candidate)
        if key and not key.refused and engine and not key.known(engine):
            return candidate
    return "proxies" if name in PROXY_KEYS and engine < STRICT else ""


def refused(settings: dict[str, Any], engine: tuple[int, ...]) -> list[tuple[str, str]]:
    """
    The names that the daemon's look-up does not let pass: (name, the object it lies in).

    Where a known key has an object for its value by mistake, the daemon complains of what is inside; its type is wrong.
    """

    def mistyped(outer: str) -> bool:
        return outer in BY_NAME and BY_NAME[outer].known(engine) and outer != "proxies"

    return [(n, outer) for n, outer in flattened(settings, engine) if not accepted(n, engine) and not mistyped(outer)]


@check(
    "daemon-json.known-keys",
    title="Every key of the configuration file exists",
    severity=Severity.ERROR,
    docs=REFERENCE,
    upstream=(),
)
def known_keys(
    file: DaemonJson,
    installed: Installed | None,
    version: EngineVersion | None,
    units: Units | None,
    info: EngineInfo | None,
) -> Finding:
    """
    A key that dockerd does not know is fatal; names are compared exactly, in case and number.

    Why it matters: dockerd stops with "the following directives don't match any configuration option".
    How to fix: rename the key, or take it out.
    """
    engine = engine_version(version, installed)
    root = unparsable(file, engine)
    if isinstance(root, Finding):
        return root
    settings = file.settings or {}
    wrong = [(n, o) for n, o in refused(settings, engine) if not of_another_version(n, o, engine)]
    if not wrong:
        return passed(f"{named(engine)} knows all {len(settings)} keys of {file.path}")
    text, said, seen = file.text, [], []
    for name, outer in wrong:
        found = members(root, outer).get(name)
        seen += [shown(file, found)] if found else []
        meant = _meant(name, outer, settings, engine)
        said.append(f'"{name}"' + (f' (meant: "{meant}"?)' if meant else ""))
        text = _renamed(text, name, outer, meant)
    return failed(
        f"{named(engine)} knows no key {', '.join(said)}",
        *seen,
        cause=_why(wrong[0][0], wrong[0][1]),
        fix=rewritten(file, text, units) if jsontext.document(text) else restarted(units),
        impact=impact(info),
    )


def _why(name: str, outer: str) -> str:
    key = BY_NAME.get(name)
    if key and key.refused:
        return f'dockerd has a field for "{name}" but no flag of that name, and therefore takes the key for unknown.'
    if outer:
        return f'dockerd reads what is inside "{outer}" as keys of the file itself, and knows none called "{name}".'
    return "dockerd does not start with a key that it does not know."


def _meant(name: str, outer: str, settings: Mapping[str, Any], engine: tuple[int, ...]) -> str:
    if outer == "proxies":
        plain = name.lower().replace("_", "").replace("-", "")
        return next((k for k in PROXY_KEYS if k.replace("-", "") == plain), "")
    meant = nearest(name, engine)
    return meant if meant not in settings or meant == name else ""


def _renamed(text: str, name: str, outer: str, meant: str) -> str:
    """Rename one key, with its value converted to the type of the new one, or take it out."""
    root = jsontext.document(text)
    if root is None:
        return text
    parent = members(root)[outer].node if outer else root
    member = {m.key: m for m in parent.members}.get(name)
    if member is None:
        return text
    key = BY_NAME.get(meant)
    value = converted(key.type, member.node.value) if key else member.node.value
    if not meant or value is NOTHING or (outer and outer != "proxies"):
        return without(text, root, [outer]) if outer and outer != "proxies" else _removed(text, parent, member)
    edits = [jsontext.Edit(member.start, member.key_end, typed(meant))]
    if value != member.node.value:
        edits.append(with_value(member.node, value))
    return jsontext.edited(text, edits)


def _removed(text: str, parent: Node, member: Member) -> str:
    return jsontext.edited(text, [jsontext.removal(parent, member)])


@check(
    "daemon-json.version",
    title="Every key of the configuration file is one of this engine version",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/engine/deprecated/",
)
def of_this_version(
    file: DaemonJson,
    installed: Installed | None,
    version: EngineVersion | None,
    units: Units | None,
    info: EngineInfo | None,
) -> Finding:
    """
    Keys come and go with engine versions, and an engine refuses those of another as it refuses any unknown one.

    Why it matters: dockerd does not start; after an upgrade that dropped a key, this comes as a surprise.
    How to fix: use what replaced the key, take it out, or upgrade the engine.
    """
    engine = engine_version(version, installed)
    root = unparsable(file, engine)
    if isinstance(root, Finding):
        return root
    settings = file.settings or {}
    names = dict.fromkeys(of_another_version(n, o, engine) for n, o in refused(settings, engine))
    wrong = [BY_NAME[n] for n in names if n]
    if not wrong:
        return passed(f"no key of {file.path} is of another version than {named(engine)}")
    text, said, seen = file.text, [], []
    for key in wrong:
        dropped = bool(key.gone) and engine >= version_parts(key.gone)
        since = version_parts(key.gone if dropped else key.since)
        instead = f"; instead: {key.instead}" if dropped and key.instead else ""
        said.append(f'"{key.name}" ({"dropped in" if dropped else "new in"} {_release(since)}{instead})')
        found = members(root).get(key.name)
        seen += [shown(file, found)] if found else []
        text = _replaced(text, key.name, key.instead if dropped else "", settings)
    return failed(
        f"{named(engine)} does not know {', '.join(said)}",
        *seen,
        cause="The file was written for another engine version; dockerd does not start with a key that it does not know.",
        fix=rewritten(file, text, units),
        impact=impact(info),
    )


def _release(parts: tuple[int, ...]) -> str:
    """A version as Docker writes it: 17.09, 20.10, 28.0."""
    return ".".join(f"{n:02d}" if i == 1 and parts[0] in {17, 18, 19} else str(n) for i, n in enumerate(parts))


def _replaced(text: str, name: str, instead: str, settings: Mapping[str, Any]) -> str:
    root = jsontext.document(text)
    if root is None:
        return text
    if instead in BY_NAME and instead not in settings:
        return _renamed(text, name, "", instead)
    names = [name] if name in settings else [k for k in PROXY_KEYS if k in settings]
    return without(text, root, names)


@check(
    "daemon-json.types",
    title="Every value of the configuration file is of its key's type",
    severity=Severity.ERROR,
    docs=REFERENCE,
)
def types(
    file: DaemonJson,
    installed: Installed | None,
    version: EngineVersion | None,
    units: Units | None,
    info: EngineInfo | None,
) -> Finding:
    """
    Dockerd converts nothing: "true" is no true, 3 is no "3", and one address is no list of addresses.

    Why it matters: dockerd stops with "json: cannot unmarshal … into Go struct field".
    How to fix: write the value in its type.
    """
    engine = engine_version(version, installed)
    root = unparsable(file, engine)
    if isinstance(root, Finding):
        return root
    edits, seen, said = [], [], []
    sure = True
    for member in members(root).values():
        key = BY_NAME.get(member.key)
        if key is None or not key.known(engine) or (key.idle and engine >= version_parts(key.idle)):
            continue
        if fits(key.type, member.node.value):
            continue
        new = converted(key.type, member.node.value)
        seen.append(shown(file, member))
        if new is NOTHING:
            sure = False
            said.append(f'"{key.name}" must be {key.type}')
        else:
            edits.append(with_value(member.node, new))
            said.append(f'"{key.name}" must be {key.type}: {typed(new)}')
    if not said:
        return passed(f"every value of {file.path} is of its type")
    new_text = jsontext.edited(file.text, edits)
    by_hand = (f"# correct {file.path}: {'; '.join(said)}", *restarted(units))
    return failed(
        "; ".join(said),
        *seen,
        cause="dockerd converts no value to another type, and does not start.",
        fix=rewritten(file, new_text, units) if sure else by_hand,
        impact=impact(info),
    )


@check(
    "daemon-json.ignored-keys",
    title="Every setting of the configuration file has an effect",
    severity=Severity.WARNING,
    docs=REFERENCE,
)
def ignored_keys(
    file: DaemonJson,
    installed: Installed | None,
    version: EngineVersion | None,
    units: Units | None,
    info: EngineInfo | None,
) -> Finding:
    """
    Dockerd looks keys up among its flags, so a flag's name passes as a key and is then used by nothing.

    Why it matters: the setting has no effect, and nothing says so.
    How to fix: use the key's own name, at the outermost level.
    """
    engine = engine_version(version, installed)
    root = unparsable(file, engine)
    if isinstance(root, Finding):
        return root
    settings = file.settings or {}
    said, seen, text = [], [], file.text
    for name, member in members(root).items():
        why, new = _ignored(name, settings, engine)
        if why:
            said.append(why)
            seen.append(shown(file, member))
            text = _moved(text, name, new)
    rest = [p for p in jsontext.problems(file.text) if p.kind == "second-object"]
    if rest and engine and engine < STRICT and not jsontext.keys_after(file.text):
        said.append("text after the object is ignored, until an upgrade to 23.0 or later refuses it")
        seen.append(Evidence(f"{file.path}:{rest[0].line}:{rest[0].column}", rest[0].reason))
        text = jsontext.repaired(text) or text
    if not said:
        return passed(f"every key of {file.path} is used")
    return failed(
        "; ".join(said),
        *seen,
        cause="dockerd accepts this and does nothing with it.",
        fix=rewritten(file, text, units),
        impact=impact(info),
    )


def _ignored(name: str, settings: Mapping[str, Any], engine: tuple[int, ...]) -> tuple[str, str]:
    """Why a key of the outermost object has no effect, and the key that would; empty when it has one, or is refused."""
    value = settings[name]
    if isinstance(value, dict) and not (name in WHOLE and engine >= version_parts(WHOLE[name])):
        key = BY_NAME.get(name)
        if (name == "proxies" and engine >= STRICT) or (key and key.known(engine)):
            return "", ""
        if all(accepted(inner, engine) for inner in value):
            return f'"{name}" is no key, and what is inside it is not read', ""
        return "", ""
    if name in PROXY_KEYS and engine >= STRICT:
        return f'"{name}" is read only inside "proxies"', "proxies"
    meaning = ignored_meaning(name, engine)
    if not meaning or (name in BY_NAME and BY_NAME[name].known(engine)):
        return "", ""
    if meaning == "nothing":
        return f'"{name}" is not read from the file', ""
    return f'"{name}" is the name of the flag; the key is "{meaning}"', meaning


def _moved(text: str, name: str, new: str) -> str:
    """Put what is ignored where it is read: under its key, or out of an object that is none."""
    root = jsontext.document(text)
    member = members(root).get(name) if root else None
    if root is None or member is None:
        return text
    if new == "proxies":
        return _into_proxies(text, root, member)
    if new:
        return _renamed(text, name, "", new if new not in members(root) else "")
    inside = [m for m in member.node.members if m.key in BY_NAME and m.key not in members(root)]
    if inside and all(fits(BY_NAME[m.key].type, m.node.value) for m in inside):
        body = text[member.node.start + 1 : member.node.end - 1].strip()
        if len(inside) == len(member.node.members):
            return jsontext.edited(text, [jsontext.Edit(member.start, member.node.end, body)])
    return _removed(text, root, member)


def _into_proxies(text: str, root: Node, member: Member) -> str:
    written = f"{typed(member.key)}: {typed(member.node.value)}"
    proxies = members(root).get("proxies")
    if proxies is None:
        return jsontext.edited(text, [jsontext.Edit(member.start, member.node.end, f'"proxies": {{{written}}}')])
    if any(m.key == member.key for m in proxies.node.members):
        return _removed(text, root, member)
    inside = proxies.node.start + 1
    comma = ", " if proxies.node.members else ""
    return jsontext.edited(text, [jsontext.Edit(inside, inside, written + comma), jsontext.removal(root, member)])
