"""Two examinations side by side: what is worse, what is better, and what only nobody saw."""

import json
from datetime import datetime, timezone
from pathlib import Path

import pytest

from dockerdoctor.archive import pack
from dockerdoctor.compare import Kind, Run, Verdict, compare, read_run
from dockerdoctor.diagnose import report_on
from dockerdoctor.facts.endpoint import Settings
from dockerdoctor.facts.probes import PROBES
from dockerdoctor.model import Severity, Status
from dockerdoctor.render.json import render as render_json
from dockerdoctor.render.terminal import Options
from dockerdoctor.saved import Unreadable, load
from dockerdoctor.support import members

PASS, FAIL, SKIP, UNKNOWN, CRASH = (Status(s) for s in ("pass", "fail", "skip", "unknown", "crash"))


def run(*verdicts, name="x"):
    return Run(name, tuple(verdicts))


def verdict(status, summary="said", severity=Severity.ERROR, one="a.b", because=()):
    return Verdict(one, "It works", severity, status, summary, because)


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (PASS, FAIL, Kind.NEWLY_FAILING),
        (SKIP, FAIL, Kind.NEWLY_FAILING),
        (UNKNOWN, FAIL, Kind.NEWLY_KNOWN),
        (CRASH, FAIL, Kind.NEWLY_KNOWN),
        (None, FAIL, Kind.NEWLY_KNOWN),
        (FAIL, PASS, Kind.REPAIRED),
        (FAIL, SKIP, Kind.REPAIRED),
        (FAIL, UNKNOWN, Kind.NO_LONGER_KNOWN),
        (FAIL, CRASH, Kind.NO_LONGER_KNOWN),
        (FAIL, None, Kind.NO_LONGER_KNOWN),
        (PASS, UNKNOWN, Kind.CHANGED),
        (PASS, PASS, None),
        (FAIL, FAIL, None),
        (None, PASS, None),
        (PASS, None, None),
    ],
)
def test_kinds(before, after, kind):
    compared = compare(*(run(*([verdict(status)] if status else [])) for status in (before, after)))
    assert [c.kind for c in compared.changes] == ([kind] if kind else [])
    assert compared.worse(Severity.INFO) == (kind is Kind.NEWLY_FAILING)


def test_another_summary_is_a_change_and_nothing_worse():
    compared = compare(run(verdict(FAIL, "8% free")), run(verdict(FAIL, "7% free")))
    (change,) = compared.changes
    assert (change.kind, change.still_fails) == (Kind.CHANGED, True)
    assert compared.failing_in_both == ("a.b",)
    assert not compared.worse(Severity.INFO)


def test_how_bad_it_must_be_can_be_said():
    compared = compare(run(verdict(PASS)), run(verdict(FAIL, severity=Severity.WARNING)))
    assert compared.worse(Severity.WARNING)
    assert not compared.worse(Severity.ERROR)


CASES = Path(__file__).parent / "cases"


def saved(name):
    return json.dumps(json.loads((CASES / f"{name}.json").read_text(encoding="utf-8"))["saved"])


def kinds_of_files(text):
    """One patient in each kind of file."""
    facts = load(text, PROBES, (Settings,))
    report = report_on(facts)
    archive = pack(members(facts, report, "3.13"), "x", datetime.now(timezone.utc))
    return {"facts": text.encode(), "report": render_json(report, Options()).encode(), "archive": archive}


@pytest.mark.parametrize("first", ["facts", "report", "archive"])
@pytest.mark.parametrize("second", ["facts", "report", "archive"])
def test_every_kind_of_file_compares_with_every_other(first, second):
    old, new = kinds_of_files(saved("port-app-binds-loopback")), kinds_of_files(saved("net-ip-forward-off"))
    compared = compare(read_run("a", old[first]), read_run("b", new[second]))
    roots = [c.check.id for c in compared.of(Kind.NEWLY_FAILING) if not c.check.because]
    assert roots == ["network.ip-forward"]
    assert [c.check.id for c in compared.of(Kind.REPAIRED)] == ["ports.app-binds-loopback"]
    same = compare(read_run("a", old[first]), read_run("b", old[second]))
    assert not [c for c in same.changes if c.kind is not Kind.CHANGED]


def test_an_archive_says_when_it_was_made():
    assert read_run("a", kinds_of_files(saved("net-ip-forward-off"))["archive"]).started.endswith("Z")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"[" * 100_000,
        b"\xff\xfe",
        b"{}",
        b'{"facts": 7}',
        b'{"schema_version": 99, "facts": {}}',
        b'{"results": 7}',
        b'{"results": [7]}',
        b'{"results": [{"id": "a.b"}]}',
        b'{"results": [{"id": "a.b", "title": "", "severity": "dire", "status": "fail", "summary": ""}]}',
        b'{"results": [{"id": "a.b", "title": "", "severity": [], "status": {}, "summary": ""}]}',
        b"\x1f\x8bjunk",
        pytest.param(pack({"a.txt": "a"}, "x", datetime.now(timezone.utc)), id="archive"),
    ],
)
def test_other_files_are_refused(data):
    with pytest.raises(Unreadable):
        read_run("x", data)
