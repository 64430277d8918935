"""Measuring: each probe touches the world once, concurrently with the others, and is never waited for past its deadline."""

from __future__ import annotations

import time
import traceback
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from dockerdoctor.host import Host

F = TypeVar("F")

# Given to a probe that needs no more; a probe that does says so at its declaration.
DEFAULT_DEADLINE = 3.0  # seconds


class Unmeasured(Exception):  # noqa: N818 - it is an answer, not an error
    """Raised by a probe that cannot measure its fact; `how` is the way to get it."""

    def __init__(self, reason: str, how: str = "", *, skipped: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.how, self.skipped = reason, how, skipped


@dataclass(frozen=True, slots=True)
class Missing:
    """Stands in for a fact that could not be measured."""

    reason: str
    how: str = ""  # the way to get it: "run as root"
    skipped: bool = False  # left out on purpose, so that a check needing it is SKIP and not UNKNOWN
    crashed: str = ""  # the traceback, when it was our own bug


Facts = dict[type, Any]  # type → value | Missing


class FactsView(dict[type, Any]):
    """Facts with typed look-up."""

    def of(self, fact: type[F]) -> F | None:
        """The fact, or None where it is missing."""
        value = self.get(fact)
        return value if isinstance(value, fact) else None


@dataclass(frozen=True, slots=True)
class Probe:
    """How one fact is measured."""

    fact: type
    needs: dict[str, tuple[type, bool]]  # parameter → (fact, required)
    deadline: float  # seconds
    upstream: tuple[str, ...]  # checks whose failure explains this fact being missing
    starts_container: bool
    measure: Callable[..., Any]


def needs_of(function: Callable[..., Any]) -> dict[str, tuple[type, bool]]:
    """Read from the annotations what a probe or a check needs: `X` is required, `X | None` optional."""
    needs: dict[str, tuple[type, bool]] = {}
    for name, hint in get_type_hints(function).items():
        if name == "return" or hint is Host:
            continue
        if get_origin(hint) in {Union, types.UnionType}:
            (fact,) = (arg for arg in get_args(hint) if arg is not type(None))
            needs[name] = (fact, False)
        else:
            needs[name] = (hint, True)
    return needs


def probe(
    *, deadline: float = DEFAULT_DEADLINE, upstream: Iterable[str] = (), starts_container: bool = False
) -> Callable[[Callable[..., Any]], Probe]:
    """Declare a probe: `def fact(host: Host, other: OtherFact) -> Fact`."""

    def wrap(function: Callable[..., Any]) -> Probe:
        fact = get_type_hints(function)["return"]
        return Probe(fact, needs_of(function), deadline, tuple(upstream), starts_container, function)

    return wrap


def arguments(needs: Mapping[str, tuple[type, bool]], facts: Mapping[type, Any]) -> dict[str, Any] | Missing:
    """Pick what a probe or a check asked for; the first required fact that is missing, where one is."""
    picked: dict[str, Any] = {}
    for name, (fact, required) in needs.items():
        value = facts.get(fact, Missing(f"{fact.__name__} was not measured"))
        if isinstance(value, Missing):
            if required:
                return value
            value = None
        picked[name] = value
    return picked


def required_probes(probes: Iterable[Probe], wanted: Iterable[type]) -> tuple[Probe, ...]:
    """Only the probes that the wanted facts rest on, directly or through others."""
    by_fact = {p.fact: p for p in probes}
    kept: dict[type, Probe] = {}
    queue = list(wanted)
    while queue:
        fact = queue.pop()
        if fact in by_fact and fact not in kept:
            kept[fact] = by_fact[fact]
            queue.extend(need for need, _ in by_fact[fact].needs.values())
    return tuple(p for p in by_fact.values() if p.fact in kept)


def ignore(fact: type, value: Any, seconds: float) -> None:
    """Observe nothing."""


def measure(
    probes: Iterable[Probe],
    host: Host,
    given: Mapping[type, Any] = types.MappingProxyType({}),
    *,
    passive: bool = False,
    observe: Callable[[type, Any, float], None] = ignore,
) -> tuple[FactsView, dict[type, float]]:
    """
    Run each probe once, as soon as its needs are measured, and wait for none past its deadline.

    Returns the facts, and how many seconds each took. Nothing a probe does can end the run: what is late, refused or
    malformed becomes `Missing`.
    """
    by_fact = {p.fact: p for p in probes if p.fact not in given}
    facts = FactsView(given)
    seconds: dict[type, float] = {}
    order = TopologicalSorter(
        {p.fact: [need for need, _ in p.needs.values() if need in by_fact] for p in by_fact.values()}
    )
    order.prepare()  # a cycle is a programming mistake: raise
    answers: SimpleQueue[tuple[type, Any]] = SimpleQueue()
    started: dict[type, float] = {}  # probes in flight
    while order.is_active():
        for fact in order.get_ready():
            started[fact] = time.monotonic()
            # A daemon thread and no executor: an executor joins its workers at exit, so that one hung probe
            # would hang the program after its report (python/cpython#80961).
            Thread(target=_run, args=(by_fact[fact], host, dict(facts), passive, answers), daemon=True).start()
        for fact, value in _next_answers(answers, started, by_fact):
            if fact in started:  # a late answer to a closed question is dropped
                seconds[fact] = time.monotonic() - started.pop(fact)
                facts[fact] = value
                observe(fact, value, seconds[fact])
                order.done(fact)
    return facts, seconds


def _run(
    p: Probe, host: Host, facts: Mapping[type, Any], passive: bool, answers: SimpleQueue[tuple[type, Any]]
) -> None:
    answers.put((p.fact, _value(p, host, facts, passive)))


def _value(p: Probe, host: Host, facts: Mapping[type, Any], passive: bool) -> Any:
    if passive and p.starts_container:
        return Missing("--passive starts no probe container", how="run without --passive", skipped=True)
    picked = arguments(p.needs, facts)
    if isinstance(picked, Missing):
        return Missing(picked.reason, picked.how, picked.skipped)
    try:
        return p.measure(host, **picked)
    except Unmeasured as no:
        return Missing(no.reason, no.how, no.skipped)
    except PermissionError as denied:
        return Missing(f"{denied.filename or p.fact.__name__}: permission denied", how="run as root")
    except Exception as bug:  # noqa: BLE001 - one of two places: a bug in a probe must not end the run
        return Missing(f"{type(bug).__name__}: {bug}", crashed=traceback.format_exc())


def _next_answers(
    answers: SimpleQueue[tuple[type, Any]], started: Mapping[type, float], by_fact: Mapping[type, Probe]
) -> list[tuple[type, Any]]:
    """Wait for an answer or for the next deadline; a probe that is overdue is answered for."""
    due = {fact: at + by_fact[fact].deadline for fact, at in started.items()}
    try:
        got = [answers.get(timeout=max(0.0, min(due.values()) - time.monotonic()))]
        while not answers.empty():
            got.append(answers.get())
    except Empty:
        got = []
    now = time.monotonic()
    answered = {fact for fact, _ in got}
    late = [
        (fact, Missing(f"no answer within {by_fact[fact].deadline:g} s"))
        for fact, at in due.items()
        if at <= now and fact not in answered
    ]
    return got + late
