"""What somebody may have meant who named a check that there is not. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

SHOWN = 5
# As difflib's own default: below it, what is "close" has no more than a few letters in common.
CLOSE = 0.6


def nearest(name: str, ids: Iterable[str]) -> tuple[str, ...]:
    """The ids, or areas as "dns.*", that come closest: written alike, in whole or after the area, or with all the words."""
    ids = tuple(ids)
    names = (*dict.fromkeys(f"{one.partition('.')[0]}.*" for one in ids), *ids)
    asked = re.sub(r"[^a-z0-9]+", "-", name.lower().replace(".", " ")).strip("-")
    words = set(asked.split("-")) - {""}

    def closeness(one: str) -> float:
        area, _, subject = one.partition(".")
        whole = area if subject == "*" else f"{area}-{subject}"
        alike = max(difflib.SequenceMatcher(None, asked, part).ratio() for part in (whole, subject))
        named = bool(words) and words <= {*whole.split("-")}
        return alike + named

    found = sorted(((closeness(one), one) for one in names), key=lambda pair: (-pair[0], names.index(pair[1])))
    return tuple(one for close, one in found[:SHOWN] if close >= CLOSE)
