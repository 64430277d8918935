"""A proof proves: a doctor that errs, and a fault that does nothing, are caught. The doctor here is a script."""

import json
from dataclasses import replace

import pytest

from tests.lab import fault as proofs
from tests.lab.fault import Fault, NotProven, prove

pytestmark = pytest.mark.lab

CHECK = "files.flag-absent"


def report(*root_causes, status):
    finding = {"id": CHECK, "status": status, "severity": "error", "summary": "…", "because": [], "evidence": []}
    finding |= {"fix": ["# look first", "rm /srv/flag"], "automatic": False}
    return json.dumps({"engine": None, "root_causes": root_causes, "results": [finding]})


# It finds the flag, as the first of what it names; FALSE_ALARM and BLIND in its environment make it err.
DOCTOR = f"""#!/bin/sh
if [ -n "$BLIND" ]; then echo '{report(status="pass")}'
elif [ -n "$FALSE_ALARM" ]; then echo '{report(CHECK, status="fail")}'; exit 1
elif [ -e /srv/flag ]; then echo '{report(CHECK, "files.other", status="fail")}'; exit 1
else echo '{report(status="pass")}'; fi
"""

FLAG = Fault(
    id="flag:present",
    check=CHECK,
    # Earlier in the PATH than the real one.
    setup=lambda machine: machine.write("/usr/local/sbin/doctor", DOCTOR, mode=0o755),
    inject="touch /srv/flag",
    broken="test ! -e /srv/flag",
    with_=("files.other",),
    verify_fix=True,
)


@pytest.fixture
def noted(tmp_path, monkeypatch):
    file = tmp_path / "results.jsonl"
    monkeypatch.setattr(proofs, "results_file", lambda: file)
    return lambda: [json.loads(line) for line in file.read_text().splitlines()]


def test_found_and_cured(noted):
    prove(FLAG)
    (row,) = noted()
    assert row["proven"]
    assert row["fault"] == FLAG.id
    assert row["cured"] == ["rm /srv/flag"]
    assert set(row["seconds"]) == {"boot", "setup", "control", "inject", "check", "cure"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"with_": ()}, "root causes are"),
        ({"inject": "true"}, "does nothing"),
        ({"broken": "false"}, "before the fault is there"),
        ({"env": {"FALSE_ALARM": "1"}}, "error on a healthy machine"),
        ({"env": {"BLIND": "1"}}, "root causes are"),
        ({"severity": "warning"}, "severity"),
        ({"verify_fix": False, "cure": "true"}, "still fails after"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_not_proven(change, says, noted):
    with pytest.raises(NotProven, match=says):
        prove(replace(FLAG, **change))
    (row,) = noted()
    assert not row["proven"]
    assert says in row["error"]
