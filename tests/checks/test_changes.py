"""Fixes that were cut short."""

import pytest

from dockerdoctor.checks.changes import unfinished
from dockerdoctor.facts.changes import OwnChanges
from dockerdoctor.model import Status


@pytest.mark.parametrize(
    ("changes", "status", "fix"),
    [
        (OwnChanges(), Status.PASS, ()),
        (OwnChanges(("a", "b")), Status.FAIL, ("doctor undo b", "doctor undo a")),
        (OwnChanges(("a",), at_work=True), Status.SKIP, ()),
    ],
)
def test_unfinished(changes, status, fix):
    found = unfinished.decide(changes)
    assert (found.status, found.fix) == (status, fix)
