"""Who explains whom."""

import pytest

from dockerdoctor.diagnosis import root_causes
from dockerdoctor.model import Status

FAIL, UNKNOWN, PASS = Status.FAIL, Status.UNKNOWN, Status.PASS


@pytest.mark.parametrize(
    ("status", "upstream", "expected"),
    [
        ({"a": FAIL, "b": FAIL, "c": FAIL}, {"b": {"a"}, "c": {"b"}}, {"a": set(), "b": {"a"}, "c": {"a"}}),
        ({"a": FAIL, "b": PASS, "c": FAIL}, {"b": {"a"}, "c": {"b"}}, {"a": set(), "c": set()}),
        ({"a": FAIL, "b": UNKNOWN, "c": FAIL}, {"b": {"a"}, "c": {"b"}}, {"a": set(), "b": {"a"}, "c": {"a"}}),
        ({"a": UNKNOWN, "b": FAIL}, {"b": {"a"}}, {"a": set(), "b": set()}),
        ({"a": FAIL, "b": FAIL, "c": FAIL}, {"c": {"a", "b"}}, {"a": set(), "b": set(), "c": {"a", "b"}}),
    ],
    ids=["chain", "healthy-step-breaks", "unknown-hands-on", "unknown-explains-nothing", "two-causes"],
)
def test_root_causes(status, upstream, expected):
    found = root_causes(status, {k: frozenset(v) for k, v in upstream.items()})
    assert found == {k: frozenset(v) for k, v in expected.items()}
