"""The catalogue as a whole: what must hold for every check there is, and ever will be."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import dockerdoctor
from dockerdoctor.checks import AREAS, CATALOGUE
from dockerdoctor.examine import inherited_upstream
from dockerdoctor.facts.endpoint import Settings
from dockerdoctor.facts.probes import PROBES

PACKAGE = Path(dockerdoctor.__file__).parent
IDS = {one.id for one in CATALOGUE}


@pytest.mark.parametrize("one", CATALOGUE, ids=lambda c: c.id)
def test_entry(one):
    area, _, name = one.id.partition(".")
    assert area
    assert name == name.lower()
    assert "_" not in one.id
    assert one.docs.startswith("https://")
    assert "Why it matters:" in (one.decide.__doc__ or "")
    assert "How to fix:" in one.decide.__doc__
    assert set(one.upstream) <= IDS
    assert {fact for fact, _ in one.needs.values()} <= {p.fact for p in PROBES} | {Settings}


def test_causes_have_no_cycle():
    by_fact = {p.fact: p for p in PROBES}
    for p in PROBES:
        assert set(p.upstream) <= IDS
    graph = {c.id: set(c.upstream) | inherited_upstream(c, by_fact) for c in CATALOGUE}
    tuple(TopologicalSorter(graph).static_order())


def test_one_probe_per_fact():
    facts = [p.fact for p in PROBES]
    assert len(facts) == len(set(facts))
    assert {need for p in PROBES for need, _ in p.needs.values()} <= {*facts, Settings}


PURE = [
    *PACKAGE.glob("checks/*.py"),
    *PACKAGE.glob("render/*.py"),
    PACKAGE / "diagnosis.py",
    PACKAGE / "examine.py",
    PACKAGE / "model.py",
]


@pytest.mark.parametrize("path", PURE, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_decisions_touch_nothing(path):
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").split(".")[0])
    assert not imported & {"subprocess", "socket", "os", "time", "docker", "requests", "dns", "pathlib"}


def test_areas_are_not_empty():
    assert AREAS
