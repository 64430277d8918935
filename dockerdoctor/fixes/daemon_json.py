"""Change one member of a daemon.json, or of a client's config.json, and not a byte besides: order, indentation and line endings stay the owner's."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from dockerdoctor import jsontext
from dockerdoctor.facts.daemon_json import BYTE_ORDER_MARKS
from dockerdoctor.jsontext import BLANK, Edit, Node


class NotAnObject(ValueError):  # noqa: N818 - it is an answer, not an error
    """The text is not one JSON object; says where and why."""

    def __init__(self, reason: str, line: int, column: int) -> None:
        super().__init__(f"line {line} column {column}: {reason}")
        self.reason, self.line, self.column = reason, line, column


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
    for mark, encoding in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "surrogateescape"), encoding, mark
    return data.decode("utf-8", "surrogateescape"), "utf-8", b""


def outer(text: str) -> Node:
    """Find the outer object; raises NotAnObject. Blank text is an empty one; what follows it is dockerd's to judge."""
    if not text.strip(BLANK):
        return Node(0, len(text), {})
    root = jsontext.document(text)
    if root and isinstance(root.value, dict):
        return root
    fatal = next((p for p in jsontext.problems(text) if p.fatal and p.kind not in {"second-object", "bom"}), None)
    if fatal:
        raise NotAnObject(fatal.reason, fatal.line, fatal.column)
    raise NotAnObject("not an object in braces", *jsontext.place(text, root.start if root else 0))


def with_list(data: bytes, key: str, values: Sequence[str]) -> bytes:
    """
    Give the outer object `key: values`: in place of the value it has, or as a new last member in the file's own style.

    Of duplicate keys the last is changed: it is the one dockerd heeds. Raises NotAnObject.
    """
    text, encoding, mark = decode(data)
    changed = jsontext.edited(text, [_edit(text, outer(text), key, values)])
    return mark + changed.encode(encoding, "surrogateescape")


def without(data: bytes, key: str) -> bytes:
    """Take a member out of the outer object, as often as it is there; raises NotAnObject."""
    text, encoding, mark = decode(data)
    while mine := [m for m in outer(text).members if m.key == key]:
        text = jsontext.edited(text, [jsontext.removal(outer(text), mine[0])])
    return mark + text.encode(encoding, "surrogateescape")


def _edit(text: str, root: Node, key: str, values: Sequence[str]) -> Edit:
    newline = "\r\n" if "\r\n" in text else "\n"
    if not root.members:
        whole = f"{{{newline}  {json.dumps(key)}: {Style().list_of(values)}{newline}}}"
        return Edit(root.start, root.end, whole if text[root.start : root.end].strip(BLANK) else whole + newline)
    mine = [m.node for m in root.members if m.key == key]
    lists = [*reversed(mine), *(m.node for m in root.members)]
    style = next((_style_of(text, n) for n in lists if n.items), Style(joint=_comma(text, root)))
    if mine:
        return Edit(mine[-1].start, mine[-1].end, style.list_of(values))
    last = root.members[-1]
    colon = text[last.key_end : last.node.start]
    return Edit(last.node.end, last.node.end, f"{_joint(text, root)}{json.dumps(key)}{colon}{style.list_of(values)}")


def _joint(text: str, root: Node) -> str:
    """What stands between two members, comma included: the file's most usual way."""
    joints = Counter(text[a.node.end : b.start] for a, b in pairwise(root.members))
    if joints:
        return joints.most_common(1)[0][0]
    lead = text[root.start + 1 : root.members[0].start]
    return f",{lead}" if "\n" in lead else _comma(text, root)


def _comma(text: str, root: Node) -> str:
    """A comma within a line, with a space behind it where the file has one behind its colons."""
    return ", " if text[root.members[0].node.start - 1] in BLANK else ","


def _style_of(text: str, found: Node) -> Style:
    """The style of a list that holds something."""
    lead = text[found.start + 1 : found.items[0].start]
    joints = [text[a.end : b.start] for a, b in pairwise(found.items)]
    usual = f",{lead}" if "\n" in lead else ", "
    return Style(lead, joints[0] if joints else usual, text[found.items[-1].end : found.end - 1])
