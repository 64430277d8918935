"""
What may come next on the command line, for shells and for the docker command.

All of them ask `doctor __complete WORD... LAST` and read lines of `candidate<tab>help` and then `:DIRECTIVE`, as
programs made with spf13/cobra answer; so `docker doctor` completes, too, and our own scripts need no second language.
"""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum, IntFlag
from importlib.resources import files
from pathlib import Path
from typing import Any

import typer

from dockerdoctor.checks import CATALOGUE
from dockerdoctor.cli import app
from dockerdoctor.facts.endpoint import client_config
from dockerdoctor.host import Host
from dockerdoctor.render import ReportFormat

Candidate = tuple[str, str]  # what may be written, and what it is


class Directive(IntFlag):
    """What the shell shall do besides (spf13/cobra, ShellCompDirective)."""

    DEFAULT = 0  # offer files
    NO_SPACE = 2
    NO_FILES = 4


def _checks(host: Host) -> Iterator[Candidate]:
    del host
    for one in CATALOGUE:
        yield one.id, one.title


def _contexts(host: Host) -> Iterator[Candidate]:
    yield "default", "DOCKER_HOST, or the engine of this host"
    folder = f"{client_config.measure(host).path.rpartition('/')[0]}/contexts/meta"
    yield from (context for name in host.listdir(folder) if (context := _context(host, f"{folder}/{name}/meta.json")))


def _context(host: Host, path: str) -> Candidate | None:
    try:
        about = json.loads(host.read(path))
        return str(about["Name"]), str(about.get("Metadata", {}).get("Description") or "")
    except (OSError, ValueError, LookupError, AttributeError, TypeError):
        return None  # it is the checks that say what is wrong with it


def _entries(host: Host) -> Iterator[Candidate]:
    from dockerdoctor.fixes.undo import history  # noqa: PLC0415 - only to name what can be undone

    try:
        for entry in history(host):
            if entry.stands:
                yield entry.id, entry.summary
    except OSError:  # root's own
        return


def _report_files(host: Host) -> Iterator[Candidate]:
    del host
    for form in ReportFormat:
        yield f"{form.value}=", ""


# By the names of parameters; what else has a type that says it.
VALUES: dict[str, Callable[[Host], Iterator[Candidate]]] = {
    "only": _checks,
    "skip": _checks,
    "ids": _checks,
    "context": _contexts,
    "entry_id": _entries,
    "report_files": _report_files,
}


def answer(words: Sequence[str], host: Host | None = None) -> str:
    """Say what may follow, as lines for a shell."""
    found, directive = candidates(words, host or Host())
    lines = [f"{value}\t{_first_line(about)}" if about else value for value, about in found]
    return "\n".join([*lines, f":{directive.value}"]) + "\n"


def candidates(words: Sequence[str], host: Host) -> tuple[list[Candidate], Directive]:
    """Find what the last word may become, after the words before it."""
    *before, last = words or [""]
    command: Any = typer.main.get_command(app)
    context = typer.Context(command, info_name="doctor")
    taken: list[str] = []
    while before:
        word = before.pop(0)
        if hasattr(command, "list_commands") and not word.startswith("-"):
            inner = command.get_command(context, word)
            if inner is None:
                return [], Directive.NO_FILES
            command, context, taken = inner, typer.Context(inner, info_name=word, parent=context), []
        else:
            taken.append(word)
    if hasattr(command, "list_commands") and not last.startswith("-"):
        names = [(name, command.get_command(context, name)) for name in command.list_commands(context)]
        return _matching(((n, c.help or "") for n, c in names if c and not c.hidden), last), (Directive.NO_FILES)
    return _of_command(command, taken, last, host)


def _of_command(command: Any, taken: list[str], last: str, host: Host) -> tuple[list[Candidate], Directive]:
    options = [p for p in command.params if p.opts[0].startswith("-") and not p.hidden]
    arguments = [p for p in command.params if not p.opts[0].startswith("-")]
    expects, positional = None, 0
    for word in taken:
        if expects is not None:
            expects = None
        elif word.startswith("-") and word != "-":
            option = next((p for p in options if word in p.opts), None)
            expects = option if option is not None and not option.is_flag else None
        else:
            positional += 1
    if expects is not None:
        return _values(command, expects, last, "", host)
    if last.startswith("--") and "=" in last:
        name, _, value = last.partition("=")
        named = next((p for p in options if name in p.opts and not p.is_flag), None)
        return _values(command, named, value, f"{name}=", host) if named is not None else ([], Directive.NO_FILES)
    if last.startswith("-"):
        used = {word.partition("=")[0] for word in taken}
        free = [p for p in options if p.multiple or not used & {*p.opts, *p.secondary_opts}]
        longest = [(max(names, key=len), p.help or "") for p in free for names in (p.opts, p.secondary_opts) if names]
        return _matching([*longest, ("--help", "Show this message and exit.")], last), Directive.NO_FILES
    if not arguments:
        return [], Directive.NO_FILES
    argument = arguments[min(positional, len(arguments) - 1)]
    if positional >= len(arguments) and argument.nargs != -1:
        return [], Directive.NO_FILES
    found, directive = _values(command, argument, last, "", host)
    return [(value, about) for value, about in found if value not in taken], directive


def _values(command: Any, parameter: Any, last: str, before: str, host: Host) -> tuple[list[Candidate], Directive]:
    """Find the values of a parameter that begin so; `before` is what stands before them in the same word."""
    if source := VALUES.get(parameter.name):
        if source is _report_files and "=" in last:
            return [], Directive.DEFAULT
        # Several in one word, as --only takes them.
        head, comma, tail = (
            last.rpartition(",") if source is _checks and parameter.opts[0].startswith("-") else ("", "", last)
        )
        found = _matching(source(host), tail, f"{before}{head}{comma}")
        return found, Directive.NO_FILES | (Directive.NO_SPACE if source is _report_files else Directive.DEFAULT)
    if "FILE" in (parameter.metavar or ""):
        return [], Directive.DEFAULT
    annotation = typing.get_type_hints(inspect.unwrap(command.callback)).get(parameter.name)
    kinds = [kind for kind in (annotation, *typing.get_args(annotation)) if isinstance(kind, type)]
    for kind in kinds:
        if issubclass(kind, Enum):
            return _matching(((str(one.value), "") for one in kind), last, before), Directive.NO_FILES
        if issubclass(kind, Path):
            return [], Directive.DEFAULT
    return [], Directive.NO_FILES


def _matching(found: Iterable[Candidate], last: str, before: str = "") -> list[Candidate]:
    return [(f"{before}{value}", about) for value, about in found if value.startswith(last)]


def _first_line(about: str) -> str:
    return about.strip().partition("\n")[0]


def script(shell: str) -> str:
    """Give the script that a shell reads to complete `doctor`."""
    return (files("dockerdoctor") / "shells" / f"doctor.{shell}").read_text(encoding="utf-8")
