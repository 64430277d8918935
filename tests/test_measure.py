"""Measuring: once each, concurrently, in order of need, never past a deadline."""

import time
from dataclasses import dataclass

import pytest

from dockerdoctor.host import Host
from dockerdoctor.measure import Missing, Unmeasured, measure, probe, required_probes


@dataclass(frozen=True)
class Base:
    n: int


@dataclass(frozen=True)
class Derived:
    n: int


@dataclass(frozen=True)
class Slow:
    n: int


@dataclass(frozen=True)
class Sad:
    n: int


@probe()
def base(host: Host) -> Base:
    return Base(1)


@probe()
def derived(host: Host, base: Base, sad: Sad | None) -> Derived:
    return Derived(base.n + (sad.n if sad else 10))


@probe(deadline=0.2)
def slow(host: Host) -> Slow:
    time.sleep(5)
    return Slow(1)


@probe(starts_container=True)
def contained(host: Host) -> Slow:
    return Slow(1)


def sad(error):
    @probe()
    def sad(host: Host) -> Sad:
        raise error

    return sad


def run(*probes, **options):
    return measure(probes, Host(), **options)[0]


def test_needs_come_first_and_optional_ones_may_be_missing():
    facts = run(derived, base, sad(Unmeasured("no")))
    assert facts[Derived] == Derived(11)


def test_a_required_fact_that_is_missing_hands_on_its_reason():
    facts = run(derived, sad(Unmeasured("no")))
    assert facts[Derived] == Missing("Base was not measured")


@pytest.mark.parametrize(
    ("error", "missing"),
    [
        (Unmeasured("gone", how="run as root"), Missing("gone", "run as root")),
        (PermissionError(13, "denied", "/x"), Missing("/x: permission denied", "run as root")),
    ],
)
def test_what_cannot_be_measured_has_a_reason(error, missing):
    assert run(sad(error))[Sad] == missing


def test_a_bug_is_kept_with_its_traceback():
    found = run(sad(KeyError("oops")))[Sad]
    assert found.reason == "KeyError: 'oops'"
    assert "Traceback" in found.crashed


def test_nothing_is_waited_for_past_its_deadline():
    began = time.monotonic()
    facts = run(slow, base)
    assert facts[Slow] == Missing("no answer within 0.2 s")
    assert facts[Base] == Base(1)
    assert time.monotonic() - began < 2


def test_passive_starts_no_container():
    assert run(contained, passive=True)[Slow].skipped
    assert run(contained)[Slow] == Slow(1)


def test_each_is_seen_once():
    seen = []
    measure([base, derived, sad(Unmeasured("no"))], Host(), observe=lambda fact, value, seconds: seen.append(fact))
    assert sorted(f.__name__ for f in seen) == ["Base", "Derived", "Sad"]


def test_only_what_is_needed_is_run():
    assert required_probes([base, derived, slow], [Derived]) == (base, derived)
