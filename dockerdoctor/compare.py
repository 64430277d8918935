"""What differs between two examinations: what newly fails, what is repaired, what says something else. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from dockerdoctor.archive import MAGIC, NoArchive, unpack
from dockerdoctor.diagnose import report_on
from dockerdoctor.facts.endpoint import Settings
from dockerdoctor.facts.probes import PROBES
from dockerdoctor.model import Report, Severity, Status
from dockerdoctor.saved import Unreadable, load
from dockerdoctor.support import FACTS, REPORT


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one check came to in one examination."""

    id: str
    title: str
    severity: Severity
    status: Status
    summary: str
    because: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """One examination; empty strings where its file does not say."""

    name: str  # of its file
    verdicts: tuple[Verdict, ...]
    endpoint: str = ""
    engine: str = ""
    started: str = ""


class Kind(str, Enum):
    """How a check's verdicts differ; nothing is worse or better for not having been seen."""

    NEWLY_FAILING = "newly_failing"  # it passed, or did not apply, and fails
    NEWLY_KNOWN = "newly_known"  # it fails, and was not known, or not examined, before
    REPAIRED = "repaired"  # it failed, and passes or does not apply any more
    NO_LONGER_KNOWN = "no_longer_known"  # it failed, and is not known, or not examined, now
    CHANGED = "changed"  # anything else: another summary, known before and not now


@dataclass(frozen=True, slots=True)
class Change:
    """One check whose verdicts differ."""

    kind: Kind
    before: Verdict | None
    after: Verdict | None

    @property
    def check(self) -> Verdict:
        """The newer verdict, or the only one."""
        verdict = self.after or self.before
        assert verdict  # noqa: S101 - one of both there is
        return verdict

    @property
    def still_fails(self) -> bool:
        """Whether it failed, and fails for another reason or with another value."""
        return all(v is not None and v.status is Status.FAIL for v in (self.before, self.after))


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs, and what differs; in the newer one's order, which is the catalogue's."""

    before: Run
    after: Run
    changes: tuple[Change, ...] = field(default=())

    def of(self, kind: Kind) -> tuple[Change, ...]:
        """The changes of one kind."""
        return tuple(c for c in self.changes if c.kind is kind)

    @property
    def failing_in_both(self) -> tuple[str, ...]:
        """Ids of what failed and still does, in whatever words."""
        failed = {v.id for v in self.before.verdicts if v.status is Status.FAIL}
        return tuple(v.id for v in self.after.verdicts if v.status is Status.FAIL and v.id in failed)

    def worse(self, fail_on: Severity) -> bool:
        """Tell whether something this bad, or worse, newly fails."""
        return any(c.check.severity.rank <= fail_on.rank for c in self.of(Kind.NEWLY_FAILING))


def compare(before: Run, after: Run) -> Comparison:
    """Put two runs side by side."""
    old, new = ({v.id: v for v in run.verdicts} for run in (before, after))
    ids = dict.fromkeys((*new, *old))
    kinds = ((_kind(old.get(one), new.get(one)), old.get(one), new.get(one)) for one in ids)
    return Comparison(before, after, tuple(Change(kind, was, now) for kind, was, now in kinds if kind))


SETTLED = frozenset({Status.PASS, Status.SKIP})


def _kind(before: Verdict | None, after: Verdict | None) -> Kind | None:
    was, now = (v.status if v else None for v in (before, after))
    if now is Status.FAIL and was is not Status.FAIL:
        return Kind.NEWLY_FAILING if was in SETTLED else Kind.NEWLY_KNOWN
    if was is Status.FAIL and now is not Status.FAIL:
        return Kind.REPAIRED if now in SETTLED else Kind.NO_LONGER_KNOWN
    # A check that one doctor has and the other has not is no change of the host's.
    if before and after and (was, before.summary) != (now, after.summary):
        return Kind.CHANGED
    return None


# -- reading them -------------------------------------------------------------------------------------------------------


def read_run(name: str, data: bytes) -> Run:
    """
    Read a file of saved facts, a JSON report, or an archive of `doctor report`; raises Unreadable.

    Facts are decided anew, so that two doctors of different ages make no difference.
    """
    started = ""
    if data.startswith(MAGIC):
        try:
            files = unpack(data)
        except NoArchive as no:
            raise Unreadable(str(no)) from None
        started = _started(files.get(REPORT, ""))
        text = files.get(FACTS) or files.get(REPORT) or ""
    else:
        text = data.decode("utf-8", "backslashreplace")
    document = _document(text)
    if "facts" in document:
        return run_of(name, report_on(load(text, PROBES, (Settings,))), started)
    if "results" in document:
        return _run_from(name, document)
    raise Unreadable("neither saved facts nor a JSON report nor an archive of doctor report")


def _document(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise Unreadable("neither saved facts nor a JSON report nor an archive of doctor report")
    return document


def _started(report: str) -> str:
    try:
        return str(_document(report).get("started") or "")
    except Unreadable:
        return ""


def run_of(name: str, report: Report, started: str) -> Run:
    """Take of a report what is compared."""
    verdicts = (
        Verdict(r.check.id, r.check.title, r.check.severity, r.finding.status, r.finding.summary, r.because)
        for r in report.results
    )
    return Run(name, tuple(verdicts), report.endpoint.url, report.engine.version, started)


def _run_from(name: str, document: Mapping[str, Any]) -> Run:
    def said(table: Any, key: str) -> str:
        return str(table.get(key) or "") if isinstance(table, dict) else ""

    try:
        verdicts = tuple(_verdict(entry) for entry in document["results"])
    except (TypeError, KeyError, ValueError, AttributeError) as no:
        raise Unreadable(f"no report of doctor check: {no!r} in its results") from None
    endpoint, engine = said(document.get("endpoint"), "url"), said(document.get("engine"), "version")
    return Run(name, verdicts, endpoint, engine, str(document.get("started") or ""))


def _verdict(entry: Mapping[str, Any]) -> Verdict:
    because: Iterable[Any] = entry.get("because") or ()
    return Verdict(
        str(entry["id"]),
        str(entry["title"]),
        Severity(entry["severity"]),
        Status(entry["status"]),
        str(entry["summary"]),
        tuple(map(str, because)),
    )
