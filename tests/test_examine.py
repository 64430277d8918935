"""Deciding: statuses from facts, and symptoms folded under their causes."""

from dataclasses import dataclass

import pytest

from dockerdoctor.examine import check, examine, failed, passed, skipped
from dockerdoctor.host import Host
from dockerdoctor.measure import Missing, probe
from dockerdoctor.model import Finding, Severity, Status


@dataclass(frozen=True)
class Number:
    n: int


@probe(upstream=("t.cause",))
def number(host: Host) -> Number:
    return Number(1)


def make(check_id, decide, upstream=()):
    return check(check_id, title="x", severity=Severity.ERROR, docs="https://x", upstream=upstream)(decide)


def broken() -> Finding:
    return failed("broken", cause="c")


def fine() -> Finding:
    return passed("fine")


def independent() -> Finding:
    return failed("broken", cause="c", because=())


def needs_number(n: Number) -> Finding:
    return passed(str(n.n))


def wants_number(n: Number | None) -> Finding:
    return skipped("none") if n is None else passed(str(n.n))


def crashes() -> Finding:
    raise ValueError("oops")


def outcome(*checks, facts=None):
    results, _ = examine(checks, facts or {}, [number])
    return {r.check.id: (r.finding.status, r.because) for r in results}


@pytest.mark.parametrize(
    ("decide", "facts", "status"),
    [
        (fine, {}, Status.PASS),
        (broken, {}, Status.FAIL),
        (crashes, {}, Status.CRASH),
        (needs_number, {Number: Number(1)}, Status.PASS),
        (needs_number, {Number: Missing("no")}, Status.UNKNOWN),
        (needs_number, {Number: Missing("no", skipped=True)}, Status.SKIP),
        (needs_number, {}, Status.UNKNOWN),
        (wants_number, {Number: Missing("no")}, Status.SKIP),
    ],
)
def test_status(decide, facts, status):
    assert outcome(make("t.one", decide), facts=facts)["t.one"][0] is status


def test_a_symptom_is_folded_under_its_cause():
    found = outcome(make("t.cause", broken), make("t.symptom", broken, ("t.cause",)))
    assert found["t.symptom"] == (Status.FAIL, ("t.cause",))


def test_a_finding_may_be_measured_to_be_independent():
    found = outcome(make("t.cause", broken), make("t.other", independent, ("t.cause",)))
    assert found["t.other"] == (Status.FAIL, ())


def test_what_explains_a_missing_fact_explains_the_checks_that_need_it():
    found = outcome(make("t.cause", broken), make("t.blind", needs_number), facts={Number: Missing("no")})
    assert found["t.blind"] == (Status.UNKNOWN, ("t.cause",))


def test_a_crash_is_kept():
    _, crashes_kept = examine([make("t.one", crashes)], {}, [])
    assert "ValueError: oops" in crashes_kept[0]


def test_what_is_ignored_explains_nothing_and_is_no_cause():
    checks = (make("t.cause", broken), make("t.symptom", broken, ("t.cause",)), make("t.well", fine))
    results, _ = examine(checks, {}, [], ignored={"t.cause": "known", "t.well": "no matter"})
    assert [(r.check.id, r.because, r.ignored) for r in results] == [
        ("t.cause", (), "known"),
        ("t.symptom", (), ""),
        ("t.well", (), ""),
    ]
