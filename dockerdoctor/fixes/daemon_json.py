"""Change one member of a daemon.json and not a byte besides: order, indentation and line endings stay the owner's."""

from __future__ import annotations

import codecs
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

# The byte order marks that dockerd honours since 23.0.
BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
SPACE = re.compile(r"[ \t\r\n]*")  # JSON's own, narrower than Python's


class NotAnObject(ValueError):  # noqa: N818 - it is an answer, not an error
    """The text is not one JSON object; says where and why."""

    def __init__(self, reason: str, line: int, column: int) -> None:
        super().__init__(f"line {line} column {column}: {reason}")
        self.reason, self.line, self.column = reason, line, column


@dataclass(frozen=True, slots=True)
class Item:
    """A value in an object or a list, as offsets into the text; in an object, with its key."""

    start: int  # of the key's quote, or of the value in a list
    value: int  # of the value's first character
    end: int  # behind its last
    key: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where an object or a list, and what it holds, lies."""

    opens: int  # of "{" or "["
    closes: int  # of "}" or "]"
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Style:
    """The white space of a list: behind "[", between items (comma included), and before "]"."""

    lead: str = ""
    joint: str = ", "
    tail: str = ""

    def list_of(self, values: Iterable[str]) -> str:
        """Write a list of strings in this style."""
        return f"[{self.lead}{self.joint.join(map(json.dumps, values))}{self.tail}]"


def decode(data: bytes) -> tuple[str, str, bytes]:
    """Turn bytes into text; returns the text, its encoding and the byte order mark. Nothing is lost on the way."""
    for bom, encoding in BOMS:
        if data.startswith(bom):
            return data[len(bom) :].decode(encoding, "surrogateescape"), encoding, bom
    return data.decode("utf-8", "surrogateescape"), "utf-8", b""


def blank(text: str) -> bool:
    """Whether there is nothing but white space, which stands for no settings at all."""
    return not text.strip(" \t\r\n")


def layout(text: str) -> Layout:
    """Find the members of the outer object; raises NotAnObject. What follows the object is dockerd's to judge."""
    try:
        return _scan(text, SPACE.match(text).end(), "{")  # type: ignore[union-attr]  # it matches nothing, too
    except json.JSONDecodeError as no:
        raise NotAnObject(no.msg, no.lineno, no.colno) from None
    except RecursionError:
        raise NotAnObject("nested too deeply", 1, 1) from None


def with_list(data: bytes, key: str, values: Sequence[str]) -> bytes:
    """
    Give the outer object `key: values`: in place of the value it has, or as a new last member in the file's own style.

    Of duplicate keys the last is changed: it is the one dockerd heeds. Raises NotAnObject.
    """
    text, encoding, bom = decode(data)
    return bom + _with_list(text, key, values).encode(encoding, "surrogateescape")


def _with_list(text: str, key: str, values: Sequence[str]) -> str:
    newline = "\r\n" if "\r\n" in text else "\n"
    whole = f"{{{newline}  {json.dumps(key)}: {Style().list_of(values)}{newline}}}"
    if blank(text):
        return whole + newline
    outer = layout(text)
    if not outer.items:
        return text[: outer.opens] + whole + text[outer.closes + 1 :]
    mine = [m for m in outer.items if m.key == key]
    lists = [m for m in (*reversed(mine), *outer.items) if text[m.value] == "["]
    style = next(filter(None, (_style_of(text, m.value) for m in lists)), None) or Style(joint=_comma(text, outer))
    if mine:
        return text[: mine[-1].value] + style.list_of(values) + text[mine[-1].end :]
    last = outer.items[-1]
    colon = text[json.JSONDecoder().raw_decode(text, last.start)[1] : last.value]
    return f"{text[: last.end]}{_joint(text, outer)}{json.dumps(key)}{colon}{style.list_of(values)}{text[last.end :]}"


def _joint(text: str, outer: Layout) -> str:
    """What stands between two members, comma included: the file's most usual way."""
    joints = Counter(text[a.end : b.start] for a, b in pairwise(outer.items))
    if joints:
        return joints.most_common(1)[0][0]
    lead = text[outer.opens + 1 : outer.items[0].start]
    return f",{lead}" if "\n" in lead else _comma(text, outer)


def _comma(text: str, outer: Layout) -> str:
    """A comma within a line, with a space behind it where the file has one behind its colons."""
    first = outer.items[0]
    return ", " if text[first.value - 1].isspace() else ","


def _style_of(text: str, at: int) -> Style | None:
    """The style of one list; None when it is empty and has none."""
    found = _scan(text, at, "[")
    if not found.items:
        return None
    lead = text[at + 1 : found.items[0].start]
    joints = [text[a.end : b.start] for a, b in pairwise(found.items)]
    usual = f",{lead}" if "\n" in lead else ", "
    return Style(lead, joints[0] if joints else usual, text[found.items[-1].end : found.closes])


def _scan(text: str, opens: int, bracket: str) -> Layout:
    """Walk through one object or list; raises JSONDecodeError."""
    close = {"{": "}", "[": "]"}[bracket]
    # Python's own decoder takes NaN and Infinity, which are no JSON.
    decoder = json.JSONDecoder(parse_constant=_refuse)
    at = _skip(text, _expect(text, opens, bracket))
    items: list[Item] = []
    while items or text[at : at + 1] != close:
        start, key = at, ""
        if bracket == "{":
            _expect(text, at, '"')
            key, at = decoder.raw_decode(text, at)
            at = _skip(text, _expect(text, _skip(text, at), ":"))
        try:
            _, end = decoder.raw_decode(text, at)
        except ArithmeticError as no:
            raise json.JSONDecodeError(f"{no} is no JSON value", text, at) from None
        items.append(Item(start, at, end, key))
        at = _skip(text, end)
        if text[at : at + 1] == close:
            break
        at = _skip(text, _expect(text, at, ","))
    return Layout(opens, at, tuple(items))


def _refuse(name: str) -> None:
    raise ArithmeticError(name)


def _skip(text: str, at: int) -> int:
    found = SPACE.match(text, at)
    return found.end() if found else at


def _expect(text: str, at: int, wanted: str) -> int:
    if text[at : at + 1] != wanted:
        raise json.JSONDecodeError(f"Expecting {wanted!r}", text, at)
    return at + 1
