"""Patients kept by tests/lab/record.py: the same facts must lead to the same causes."""

import json
from pathlib import Path

import pytest

from dockerdoctor.diagnose import report_on
from dockerdoctor.facts.endpoint import Settings
from dockerdoctor.facts.probes import PROBES
from dockerdoctor.model import Status
from dockerdoctor.saved import load

CASES = sorted((Path(__file__).parent / "cases").glob("*.json"))


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_case(path):
    case = json.loads(path.read_text(encoding="utf-8"))
    report = report_on(load(json.dumps(case["saved"]), PROBES, (Settings,)))
    assert [r.check.id for r in report.root_causes] == case["root_causes"]
    assert not report.counts[Status.CRASH]


def test_there_are_cases():
    assert CASES
