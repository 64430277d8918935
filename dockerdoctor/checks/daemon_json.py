"""The daemon's configuration file as text: whether dockerd can read it at all, and reads all of it."""

from __future__ import annotations

import shlex

from dockerdoctor import jsontext
from dockerdoctor.checks.rewriting import impact, restarted, rewritten
from dockerdoctor.examine import check, failed, passed, skipped, unknown
from dockerdoctor.facts.daemon_json import DaemonJson, flag_values
from dockerdoctor.facts.engine import EngineInfo, EngineVersion, Installed, Units, version_parts
from dockerdoctor.jsontext import Node, Problem
from dockerdoctor.model import Evidence, Finding, Severity

DOCS = "https://docs.docker.com/engine/daemon/"
REFERENCE = "https://docs.docker.com/reference/cli/dockerd/#daemon-configuration-file"
# The first engine that decodes byte order marks, accepts an empty file and refuses text after the first object.
STRICT = (23,)
# Kinds of problems that have checks of their own.
OWN_CHECK = {"bom", "empty", "second-object", "duplicate-key"}


def engine_version(version: EngineVersion | None, installed: Installed | None) -> tuple[int, ...]:
    """The version that will read the file next: the running engine's, else the installed program's; () when unknown."""
    return (version.parts if version else ()) or version_parts(installed.dockerd_version if installed else "")


def named(version: tuple[int, ...]) -> str:
    """The engine with its version, for sentences."""
    return f"Docker Engine {'.'.join(map(str, version))}" if version else "Docker Engine"


def unreadable(file: DaemonJson) -> Finding | None:
    """The finding of every check on the text when there is none."""
    if not file.exists:
        return skipped(f"there is no {file.path}: the defaults hold")
    if file.problem == "EACCES":
        return unknown(f"{file.path}: permission denied", how="# run as root")
    if file.problem == "EFBIG":
        return skipped(f"{file.path} is too long to be looked through")
    if file.problem:
        return skipped(f"{file.path} cannot be read ({file.problem})")
    return None


def misencoded(file: DaemonJson, engine: tuple[int, ...]) -> bool:
    """Whether this engine stops at the file's encoding, before any JSON."""
    strict = not engine or engine >= STRICT
    return (
        bool(file.bom and not strict)
        or (file.bad_byte >= 0 and engine >= STRICT)
        or ("\0" in file.text and not file.bom)
    )


def unparsable(file: DaemonJson, engine: tuple[int, ...]) -> Finding | Node:
    """The outermost object of a file that this engine can parse, or the finding of a check that needs it."""
    if finding := unreadable(file):
        return finding
    if not file.text.strip():
        return skipped(f"{file.path} is empty")
    fatal = [p for p in jsontext.problems(file.text) if p.fatal and p.kind != "second-object"]
    root = jsontext.document(file.text)
    if fatal or root is None or misencoded(file, engine):
        return skipped(f"{file.path} does not parse yet")
    return root


def evidence(file: DaemonJson, problem: Problem) -> Evidence:
    """The line that a problem is in, with its place and its reason."""
    lines = file.text.splitlines()
    line = lines[problem.line - 1].strip() if problem.line <= len(lines) else ""
    return Evidence(f"{file.path}:{problem.line}:{problem.column}", f"{line[:120]}  ← {problem.reason}")


@check(
    "daemon-json.readable",
    title="dockerd can read its configuration file",
    severity=Severity.ERROR,
    docs=DOCS,
)
def readable(file: DaemonJson, units: Units | None) -> Finding:
    """
    Dockerd reads its file as root; only something that is no file, or a missing one that a flag names, stops it.

    Why it matters: dockerd does not start.
    How to fix: put a file there.
    """
    named_by_flag = bool(flag_values(file.flags, "config-file"))
    if not file.exists:
        if not named_by_flag:
            return passed(f"there is no {file.path}, and none is needed")
        return failed(
            f"{file.path}, which --config-file names, does not exist",
            Evidence("dockerd", f"--config-file {file.path}"),
            cause="A configuration file that a flag names must exist, unlike the default one.",
            fix=(f"tee {shlex.quote(file.path)} <<< '{{}}'", *restarted(units)),
            impact="starts dockerd",
        )
    if file.problem == "EACCES":
        return unknown(f"{file.path}: permission denied", how="# run as root")
    if file.problem == "EFBIG":
        return passed(f"{file.path} can be read, and is longer than anybody writes")
    path = shlex.quote(file.path)
    if file.problem == "EISDIR":
        return failed(
            f"{file.path} is a directory",
            Evidence(file.path, "a directory"),
            cause="A directory stands where dockerd expects its configuration file; docker run -v makes one when the "
            "file to mount does not exist.",
            # It may hold something: nothing is lost.
            fix=(f"mv {path} {shlex.quote(f'{file.path}.moved')}", *restarted(units)),
            impact="starts dockerd",
        )
    if file.problem == "ENOTDIR":
        folder = file.path.rpartition("/")[0]
        return failed(
            f"{folder} is no folder, so there can be no {file.path}",
            Evidence(file.path, "ENOTDIR"),
            cause=f"A file stands where dockerd expects the folder {folder}.",
            fix=(
                f"mv {shlex.quote(folder)} {shlex.quote(f'{folder}.moved')}",
                f"mkdir {shlex.quote(folder)}",
                *restarted(units),
            ),
            impact="starts dockerd",
        )
    if file.problem:
        return failed(
            f"{file.path} cannot be read: {file.problem}",
            Evidence(file.path, file.problem),
            cause="dockerd cannot read its configuration file.",
            fix=(f"# see why: ls -l {path}", *restarted(units)),
        )
    return passed(
        f"{file.path}: {len(file.text.splitlines())} lines", Evidence(file.path, f"{len(file.text)} characters")
    )


@check(
    "daemon-json.encoding",
    title="The configuration file is plain UTF-8",
    severity=Severity.ERROR,
    docs=REFERENCE,
)
def encoding(
    file: DaemonJson,
    installed: Installed | None,
    version: EngineVersion | None,
    units: Units | None,
    info: EngineInfo | None,
) -> Finding:
    """
    Editors on Windows put a byte order mark before the text, or write UTF-16.

    Why it matters: engines before 23.0 do not know either and stop with "invalid character"; newer ones decode a
    marked file and stop at bytes that are no text.
    How to fix: save the file as UTF-8 without a byte order mark.
    """
    if finding := unreadable(file):
        return finding
    engine = engine_version(version, installed)
    body = jsontext.repaired(file.text) or file.text
    fix = rewritten(file, body, units)
    if "\0" in file.text and not file.bom:
        return failed(
            f"{file.path} holds NUL bytes: UTF-16 without a mark, or no text",
            Evidence(file.path, f"{file.text.count(chr(0))} NUL bytes"),
            cause="The file is not UTF-8 text.",
            fix=rewritten(file, file.text.replace("\0", ""), units)
            if jsontext.repaired(file.text.replace("\0", "")) == file.text.replace("\0", "")
            else (f"# write {file.path} anew, as UTF-8", *restarted(units)),
            impact=impact(info),
        )
    if file.bad_byte >= 0 and engine >= STRICT:
        return failed(
            f"{file.path} is not UTF-8: the byte at offset {file.bad_byte} is part of no character",
            Evidence(f"{file.path}, offset {file.bad_byte}", file.bom or "UTF-8"),
            cause="dockerd decodes the file strictly, and stops at the first byte that is no text.",
            fix=(f"# save {file.path} as UTF-8", *restarted(units)),
            impact=impact(info),
        )
    if not file.bom:
        return passed(f"{file.path} is UTF-8 without a byte order mark")
    if engine >= STRICT or not engine:
        return passed(f"{file.path} is {file.bom} with a byte order mark, which {named(engine)} decodes")
    return failed(
        f"{file.path} begins with a byte order mark ({file.bom}), which {named(engine)} does not know",
        Evidence(f"{file.path}, the first bytes", {"utf-8": "EF BB BF", "utf-16-le": "FF FE"}.get(file.bom, "FE FF")),
        cause="An editor saved the file with a byte order mark; dockerd takes it for the first character of the JSON.",
        fix=fix,
        impact=impact(info),
    )


@check(
    "daemon-json.empty",
    title="The configuration file is not empty",
    severity=Severity.ERROR,
    docs=REFERENCE,
)
def empty(
    file: DaemonJson,
    installed: Installed | None,
    version: EngineVersion | None,
    units: Units | None,
    info: EngineInfo | None,
) -> Finding:
    """
    A file of nothing is no JSON; the shortest JSON object is {}.

    Why it matters: engines before 23.0 stop with "EOF". A full disk leaves such a file behind.
    How to fix: write {} into it, or the settings that were there.
    """
    if finding := unreadable(file):
        return finding
    engine = engine_version(version, installed)
    if file.text.strip():
        return passed(f"{file.path} holds {len(file.text)} characters")
    if engine >= STRICT or not engine:
        return passed(f"{file.path} is empty, which {named(engine)} takes for no settings")
    return failed(
        f"{file.path} is empty, and {named(engine)} stops at that",
        Evidence(file.path, f"{len(file.text)} characters, all white space" if file.text else "0 bytes"),
        cause="The file was emptied, or never written; dockerd needs at least {} in it.",
        fix=rewritten(file, "{}", units),
        impact=impact(info),
    )


@check(
    "daemon-json.syntax",
    title="The configuration file is valid JSON",
    severity=Severity.ERROR,
    docs=REFERENCE,
)
def syntax(
    file: DaemonJson,
    installed: Installed | None,
    version: EngineVersion | None,
    units: Units | None,
    info: EngineInfo | None,
) -> Finding:
    """
    JSON has no comments, no trailing commas and one kind of quotes; dockerd's parser forgives nothing.

    Why it matters: dockerd does not start, or will not at the next restart.
    How to fix: correct what is named; the fix shows the whole corrected file where there is only one way to read it.
    """
    if finding := unreadable(file):
        return finding
    engine = engine_version(version, installed)
    if not file.text.strip():
        return skipped(f"{file.path} is empty")
    if misencoded(file, engine):
        return skipped(f"{file.path} is not plain UTF-8")
    wrong = [p for p in jsontext.problems(file.text) if p.fatal and p.kind not in OWN_CHECK]
    if not wrong:
        return passed(f"{file.path} is valid JSON")
    first = wrong[0]
    more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
    new = jsontext.repaired(file.text)
    by_hand = (f"# correct {file.path}, line {first.line}, column {first.column}: {first.reason}", *restarted(units))
    return failed(
        f"{file.path} line {first.line}, column {first.column}: {first.reason}{more}",
        *(evidence(file, p) for p in wrong[:8]),
        cause="The file is not valid JSON, so dockerd refuses to start with it."
        if info is None
        else "The file is not valid JSON; the running dockerd still has its older settings, and will not start again.",
        fix=rewritten(file, new, units) if new is not None else by_hand,
        impact=impact(info),
    )


@check(
    "daemon-json.second-object",
    title="All settings are in one JSON object",
    severity=Severity.ERROR,
    docs="https://github.com/moby/moby/issues/44905",
)
def second_object(
    file: DaemonJson,
    installed: Installed | None,
    version: EngineVersion | None,
    units: Units | None,
    info: EngineInfo | None,
) -> Finding:
    """
    Appending settings with >> makes a second object behind the first, which is no JSON any more.

    Why it matters: engines before 23.0 read the first object and silently ignore the rest; newer ones do not start.
    How to fix: move all settings into one object.
    """
    engine = engine_version(version, installed)
    root = unparsable(file, engine)
    if isinstance(root, Finding):
        return root
    after = [p for p in jsontext.problems(file.text) if p.kind == "second-object"]
    if not after:
        return passed(f"{file.path} is one object")
    lost = jsontext.keys_after(file.text)
    if engine < STRICT and not lost:
        # Read as if the rest were not there; checks on ignored keys tell of it.
        return passed(f"{named(engine)} reads only the first object of {file.path}, and no setting follows it")
    new = jsontext.repaired(file.text)
    by_hand = (f"# {file.path}: move what follows line {after[0].line} into the first object", *restarted(units))
    return failed(
        f"{file.path} line {after[0].line}, column {after[0].column}: {after[0].reason}",
        *(evidence(file, p) for p in after),
        cause=f"{named(engine)} refuses text after the first JSON object."
        if engine >= STRICT
        else f"{named(engine)} reads the first object only, so {', '.join(lost)} has no effect; from 23.0 on dockerd "
        "does not start with such a file.",
        fix=rewritten(file, new, units) if new is not None else by_hand,
        impact=impact(info),
    )


@check(
    "daemon-json.duplicate-key",
    title="No setting is given twice",
    severity=Severity.WARNING,
    docs=REFERENCE,
)
def duplicate_key(
    file: DaemonJson,
    installed: Installed | None,
    version: EngineVersion | None,
    units: Units | None,
    info: EngineInfo | None,
) -> Finding:
    """
    JSON parsers accept a key that stands twice in an object and keep the last.

    Why it matters: the first of both is ignored without a word.
    How to fix: keep one.
    """
    root = unparsable(file, engine_version(version, installed))
    if isinstance(root, Finding):
        return root
    twice = [p for p in jsontext.problems(file.text) if p.kind == "duplicate-key"]
    if not twice:
        return passed(f"{file.path} gives every setting once")
    new = jsontext.once(file.text)
    return failed(
        f"{file.path} line {twice[0].line}: {twice[0].reason}",
        *(evidence(file, p) for p in twice),
        cause="dockerd keeps the last of two equal keys and ignores the others.",
        fix=rewritten(file, new, units) if new else (f"# {file.path}: leave one of both", *restarted(units)),
        impact=impact(info),
    )
