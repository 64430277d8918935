"""Who explains whom: folds symptoms under the failures they follow from."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from dockerdoctor.model import Status


def root_causes(status: Mapping[str, Status], upstream: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """
    For each check that is not well, the deepest failures that explain it; empty for a root cause.

    Only a FAIL explains anything; an UNKNOWN hands on what explains it, and a healthy step breaks the chain.
    """

    @cache
    def roots(check_id: str) -> frozenset[str]:
        found: frozenset[str] = frozenset()
        for up in upstream.get(check_id, frozenset()):
            if status.get(up) is Status.FAIL:
                found |= roots(up) or frozenset({up})
            elif status.get(up) is Status.UNKNOWN:
                found |= roots(up)
        return found

    return {check_id: roots(check_id) for check_id, s in status.items() if s in {Status.FAIL, Status.UNKNOWN}}
