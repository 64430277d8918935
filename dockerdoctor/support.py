"""What `doctor report` puts together for somebody who helps from afar. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from functools import partial

from dockerdoctor.archive import MAGIC, NoArchive, unpack
from dockerdoctor.facts.caller import Caller
from dockerdoctor.facts.engine import Installed
from dockerdoctor.facts.kernel import Kernel
from dockerdoctor.facts.log import RecentLog
from dockerdoctor.measure import Facts, FactsView, Missing
from dockerdoctor.model import Report
from dockerdoctor.redact import redact
from dockerdoctor.render.json import render as render_json
from dockerdoctor.render.terminal import MAX_WIDTH, Options
from dockerdoctor.render.terminal import render as render_text
from dockerdoctor.render.words import reword
from dockerdoctor.saved import dump

FACTS, REPORT, LOG, ABOUT, TEXT = "facts.json", "report.json", "log.txt", "about.txt", "report.txt"
CONTENTS = (
    (TEXT, "what doctor check says, in full"),
    (REPORT, "the same for programs"),
    (FACTS, "what was measured; doctor check --from decides again"),
    (LOG, "the end of dockerd's log"),
)

# Of the names of what could not be measured; more of them is one cause's doing.
SHOWN = 4


def name_of(host: str, made: datetime) -> str:
    """Name the archive: "dockerdoctor-HOST-20261124-130000"."""
    return f"dockerdoctor-{re.sub(r'[^A-Za-z0-9.-]+', '-', host) or 'host'}-{made:%Y%m%d-%H%M%S}"


def members(facts: Facts, report: Report, python: str, secrets: Iterable[str] = ()) -> dict[str, str]:
    """Give every file of the archive its text."""
    # Before it is laid out, too: a line that is broken in the middle parts a secret from its name, and from itself.
    report = reword(report, partial(redact, secrets=tuple(secrets)))
    return {
        ABOUT: about(facts, report, python),
        TEXT: render_text(report, Options(width=MAX_WIDTH, verbose=True, all=True)),
        REPORT: render_json(report, Options()),
        FACTS: dump(facts),
        LOG: log_text(facts.get(RecentLog)),
    }


def log_text(log: object) -> str:
    """Give the log, or say why it is not there."""
    if isinstance(log, RecentLog):
        return "\n".join((f"# {log.source}", *log.lines, ""))
    return f"# not read: {_reason(log)}\n" if isinstance(log, Missing) else ""


def member(data: bytes, name: str) -> str:
    """Read one file of an archive, or what is no archive as a whole; raises NoArchive."""
    if not data.startswith(MAGIC):
        return data.decode("utf-8", "backslashreplace")
    found = unpack(data)
    if name not in found:
        raise NoArchive(f"no archive of doctor report: there is no {name} in it")
    return found[name]


def about(facts: Facts, report: Report, python: str) -> str:
    """Say what the archive is, of which versions it speaks, and what is not in it."""
    known, engine = FactsView(facts), report.engine
    caller, kernel, installed = known.of(Caller), known.of(Kernel), known.of(Installed)
    version = engine.version or (installed.dockerd_version if installed else "") or "of unknown version"
    answers = f"API {engine.api}" if engine.version else "not answering"
    lines = [
        f"dockerdoctor {report.version}, Python {python}",
        f"Docker Engine {version}, {answers}, at {report.endpoint.url or 'no endpoint'} ({report.endpoint.source})",
        f"{engine.os or 'Linux'}, kernel {engine.kernel or (kernel.release if kernel else 'not known')}",
        f"examined {report.started:%Y-%m-%d %H:%M:%S} UTC by {caller.user if caller else '?'}",
        "",
        *(f"{name:12} {what}" for name, what in CONTENTS),
        "",
        "Passwords, tokens and keys were taken out, and stand as ***. Names, addresses and paths were not.",
    ]
    absent = missing(facts)
    return "\n".join([*lines, *(["", "Not in it:", *(f"  {line}" for line in absent)] if absent else []), ""])


def missing(facts: Facts) -> list[str]:
    """Say once per reason what could not be measured, and how it can be."""
    by_reason: dict[str, list[str]] = {}
    for fact, value in facts.items():
        if isinstance(value, Missing) and not value.skipped:
            by_reason.setdefault(_reason(value), []).append(fact.__name__)
    return [f"{_some(names)}: {reason}" for reason, names in by_reason.items()]


def _reason(missing: Missing) -> str:
    return f"{missing.reason} ({missing.how.lstrip('# ')})" if missing.how else missing.reason


def _some(names: list[str]) -> str:
    return ", ".join(names if len(names) <= SHOWN else [*names[: SHOWN - 1], f"and {len(names) - SHOWN + 1} more"])
