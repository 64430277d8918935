"""Examining again and again: what changed is said, and the screen is kept to."""

from dataclasses import replace

from dockerdoctor.commands.watch import changed, fitting
from dockerdoctor.model import Cell, Mark, Matrix, Result, Row
from tests.render.patients import CAUSE, DARK, SYMPTOM, WARNING, WELL, report


def matrix(mark, said=""):
    return Matrix(("host",), (Row("mirror m:5000", (Cell(mark, said),)),))


def test_what_changed():
    before, after = report(WELL, CAUSE, WARNING), report(WELL, DARK, SYMPTOM, Result(CAUSE.check, WELL.finding))
    assert list(changed(before, after)) == [
        "dns.symptom fails, which was not known: names do not resolve",
        "dns.cause is well again: answered",
        "disk.space is not known any more: 8% free",
    ]
    assert list(changed(after, after)) == []


def test_what_is_reached_no_more():
    well, lost = (replace(report(WELL), matrix=matrix(*m)) for m in ((Mark.OK,), (Mark.FAIL, "no answer")))
    assert list(changed(well, lost)) == ["mirror m:5000 from host: no answer"]
    assert list(changed(lost, well)) == ["mirror m:5000 from host: reached again"]
    assert list(changed(report(WELL), lost)) == []


def test_the_end_stays_on_a_small_screen(monkeypatch):
    monkeypatch.setenv("LINES", "6")
    monkeypatch.setenv("COLUMNS", "80")
    assert fitting([*"abcdefgh"], 2) == ["a", "b", "... 4 more lines", "g", "h"]
    assert fitting([*"abcde"], 2) == [*"abcde"]
