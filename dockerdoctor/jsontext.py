"""
JSON text as people type it: every mistake with its place and its reason in words, and the text put right.

A parser stops at the first mistake and names the character after it. This one goes on, since it knows the mistakes that
configuration files are made of, and corrects each where only one correction is possible. What it corrects must parse
afterwards, else there is no corrected text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

BOM = "\ufeff"
BLANK = " \t\r\n"
SMART_QUOTES = "“”„‟«»＂"
SMART_APOSTROPHES = "‘’‚‛`´"
# What other languages call JSON's three literals.
LITERALS = {
    "true": "true", "yes": "true", "on": "true", "false": "false", "no": "false", "off": "false",
    "null": "null", "none": "null", "nil": "null", "undefined": "null",
}  # fmt: skip
NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
WORD = re.compile(r"[^\s,;:{}\[\]\"'#“”‘’]+")
ESCAPES = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake; line and column count from 1, in characters."""

    line: int
    column: int
    reason: str  # "a comma after the last entry of an object"
    fatal: bool  # no JSON parser takes it
    kind: str  # "trailing-comma", "comment", "second-object", "duplicate-key", …


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of a text."""

    start: int
    end: int
    new: str


@dataclass(frozen=True, slots=True)
class Node:
    """A value, and where it stands: text[start:end]."""

    start: int
    end: int
    value: Any
    members: tuple[Member, ...] = ()  # of an object, in the order of the text, twice if written twice
    items: tuple[Node, ...] = ()  # of an array


@dataclass(frozen=True, slots=True)
class Member:
    """One "key": value of an object."""

    key: str
    start: int  # of the key, its quote included
    key_end: int
    node: Node


def problems(text: str) -> tuple[Problem, ...]:
    """Every mistake, in the order of the text."""
    return tuple(sorted(_scan(text).problems, key=lambda p: (p.line, p.column)))


def repaired(text: str) -> str | None:
    """The text with every fatal mistake corrected and all else as it was; None when a correction would be a guess."""
    scan = _scan(text)
    if not scan.sure:
        return None
    fixed = edited(text, scan.edits)
    if fixed and not fixed.endswith("\n"):
        fixed += "\n"
    again = _scan(fixed)
    if any(p.fatal for p in again.problems) or again.root is None:
        return None
    try:
        json.loads(fixed)
    except ValueError:
        return None
    return fixed


def corrections(text: str) -> tuple[Edit, ...]:
    """What `repaired` changes, the last first; nothing where it would be a guess."""
    return () if repaired(text) is None else tuple(sorted(_scan(text).edits, key=lambda e: e.start, reverse=True))


def document(text: str) -> Node | None:
    """The first value of a text, when there are no fatal mistakes in it; what follows it does not count."""
    scan = _scan(text)
    return None if any(p.fatal and p.kind not in {"second-object", "bom"} for p in scan.problems) else scan.first


def keys_after(text: str) -> tuple[str, ...]:
    """The keys that follow the end of the first object."""
    scan = _scan(text)
    return tuple(m.key for m in scan.members if scan.first and m.start >= scan.first.end)


def once(text: str) -> str | None:
    """A valid text with every key once: the last value, or all entries where both are lists; None when it is not valid."""
    while (root := document(text)) is not None and not any(p.fatal for p in problems(text)):
        found = _first_twice(root)
        if found is None:
            return text
        parent, first, last = found
        new = last.node.value
        if isinstance(first.node.value, list) and isinstance(new, list):
            new = [*first.node.value, *(item for item in new if item not in first.node.value)]
        edits = [removal(parent, first)]
        if new != last.node.value:
            edits.append(Edit(last.node.start, last.node.end, json.dumps(new, ensure_ascii=False)))
        text = edited(text, edits)
    return None


def _first_twice(node: Node) -> tuple[Node, Member, Member] | None:
    for n, member in enumerate(node.members):
        for other in node.members[n + 1 :]:
            if other.key == member.key:
                return node, member, other
        if found := _first_twice(member.node):
            return found
    for item in node.items:
        if found := _first_twice(item):
            return found
    return None


def place(text: str, offset: int) -> tuple[int, int]:
    """Line and column of an offset, both from 1."""
    return text.count("\n", 0, offset) + 1, offset - (text.rfind("\n", 0, offset) + 1) + 1


def edited(text: str, edits: Iterable[Edit]) -> str:
    """Apply changes that do not overlap."""
    for edit in sorted(edits, key=lambda e: (e.start, e.end), reverse=True):
        text = text[: edit.start] + edit.new + text[edit.end :]
    return text


def removal(parent: Node, member: Member) -> Edit:
    """Take a member out, with one of the commas around it and the white space up to its neighbour."""
    index = parent.members.index(member)
    if index + 1 < len(parent.members):
        return Edit(member.start, parent.members[index + 1].start, "")
    if index:
        return Edit(parent.members[index - 1].node.end, member.node.end, "")
    return Edit(parent.start + 1, parent.end - 1, "")


# Every check of a file asks for the same text, and for its correction.
@lru_cache(maxsize=8)
def _scan(text: str) -> _Scanner:
    scanner = _Scanner(text)
    try:
        scanner.document()
    except _Lost:
        scanner.sure = False
        scanner.root = None
    except RecursionError:
        scanner.problem(0, "more brackets inside each other than any configuration has", "garbage")
        scanner.sure = False
        scanner.root = None
    return scanner


class _Lost(Exception):  # noqa: N818 - it never leaves this module
    """The rest cannot be understood; the problem has been noted."""


@dataclass
class _Scanner:
    text: str
    pos: int = 0
    problems: list[Problem] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)
    sure: bool = True  # every fatal problem so far has its one correction
    root: Node | None = None
    first: Node | None = None  # the root as it was before what follows it
    members: list[Member] = field(default_factory=list)  # of the outermost objects
    stack: list[tuple[str, int]] = field(default_factory=list)  # open brackets

    # -- noting

    def problem(self, at: int, reason: str, kind: str, *, fatal: bool = True) -> None:
        self.problems.append(Problem(*place(self.text, at), reason, fatal, kind))

    def correct(self, start: int, end: int, new: str) -> None:
        self.edits.append(Edit(start, end, new))

    def lost(self, at: int, reason: str, kind: str = "garbage") -> _Lost:
        self.problem(at, reason, kind)
        return _Lost()

    # -- looking

    def peek(self) -> str:
        return self.text[self.pos : self.pos + 1]

    def blank(self) -> None:
        """Skip white space, and comments, which are mistakes."""
        while True:
            while (char := self.peek()) and char in BLANK:
                self.pos += 1
            if char == "#" or self.text.startswith("//", self.pos):
                self.comment(self.text.find("\n", self.pos), "#" if char == "#" else "//")
            elif self.text.startswith("/*", self.pos):
                end = self.text.find("*/", self.pos)
                self.comment(end + 2 if end >= 0 else -1, "/* */")
            elif char in {"\u00a0", "\u200b", "\u2028", "\u2060", BOM}:
                self.problem(self.pos, f"an invisible character (U+{ord(char):04X})", "invisible")
                self.correct(self.pos, self.pos + 1, " ")
                self.pos += 1
            else:
                return

    def comment(self, end: int, style: str) -> None:
        end = len(self.text) if end < 0 else end
        self.problem(self.pos, f"a comment ({style}): JSON has none", "comment")
        begin = self.pos
        line = self.text.rfind("\n", 0, begin) + 1
        newline = self.text.startswith("\n", end) or end == len(self.text)
        if newline and not self.text[line:begin].strip():
            self.correct(line, min(end + 1, len(self.text)), "")  # the line was the comment's alone
        else:
            while newline and begin > line and self.text[begin - 1] in " \t":
                begin -= 1
            self.correct(begin, end, "")
        self.pos = end

    # -- the whole

    def document(self) -> None:
        if self.text.startswith(BOM):
            self.problem(0, "a byte order mark before the first character", "bom")
            self.correct(0, 1, "")
            self.pos = 1
        self.blank()
        if not self.peek():
            self.problem(0, "nothing but white space" if self.text.strip(BOM) else "nothing", "empty")
            self.correct(self.pos if self.text.startswith(BOM) else 0, len(self.text), "{}")
            return
        if self.peek() == "<":
            raise self.lost(self.pos, "a web page (HTML or XML) was saved instead of JSON", "html")
        if re.match(r"[A-Za-z][\w.-]*\s*[:=]", self.text[self.pos :]):
            raise self.lost(
                self.pos, "settings as in YAML or in a shell, where a JSON object in { } is expected", "missing-bracket"
            )
        if re.match(r"\"[^\"\n]*\"\s*:", self.text[self.pos :]):
            # The outer brackets were left out.
            self.problem(self.pos, "the { that opens the object is missing", "missing-bracket")
            self.correct(self.pos, self.pos, "{\n")
            self.root = self.members_of(self.pos, bare=True)
        else:
            self.root = self.value("the file")
        # null is taken for an object without settings
        if self.root.value is not None and not isinstance(self.root.value, dict):
            self.problem(
                self.root.start, f"{_kind(self.root.value)} where an object in {{ }} is expected", "not-object"
            )
            self.sure = False
        self.first = self.root
        self.after()

    def after(self) -> None:
        """What follows the first value: closing brackets too many, or settings that belong inside it."""
        while True:
            self.blank()
            at, char = self.pos, self.peek()
            if not char:
                return
            if char in "}]":
                self.problem(at, f"a {char} too many", "second-object")
                self.drop(at)
            elif char == "," and self.root and re.match(r",\s*\"", self.text[at:]):
                early = self.root.end - 1
                self.problem(early, "this } ends the object too early: settings follow", "second-object")
                self.correct(early, early + 1, "")
                self.pos += 1
                self.stack.append(("{", self.root.start))
                more = self.members_of(self.root.start, bare=False)
                self.members += more.members
                self.root = self.joined(self.root, more, more.end)
            elif char == "{" and self.root and isinstance(self.root.value, dict):
                self.second_object()
            elif char == "," and not self.text[at + 1 :].strip():
                self.problem(at, "a comma after the end of the object", "second-object")
                self.drop(at)
            else:
                raise self.lost(at, "text after the end of the object", "second-object")

    def drop(self, at: int) -> None:
        """Leave out one character, with the white space before it."""
        begin = at
        while begin and self.text[begin - 1] in BLANK:
            begin -= 1
        self.correct(begin, at + 1, "")
        self.pos = at + 1

    def second_object(self) -> None:
        first = self.root
        at = self.pos
        self.problem(at, "a second object after the first", "second-object")
        second = self.value("the second object")
        self.members += second.members
        if first is None or {m.key for m in first.members} & {m.key for m in second.members}:
            self.sure = False  # which of both is meant, nobody can tell
            return
        if not second.members:
            self.correct(first.end, second.end, "")
        elif not first.members:
            self.correct(first.start, second.start, "")
        else:
            last, following = first.members[-1].node.end, second.members[0].start
            gap = self.text[second.start + 1 : following]
            self.edits = [e for e in self.edits if not last <= e.start < following]
            self.correct(last, following, "," + (gap or " "))
        self.root = self.joined(first, second, second.end)

    def joined(self, first: Node, second: Node, end: int) -> Node:
        return Node(first.start, end, {**first.value, **second.value}, first.members + second.members)

    # -- values

    def value(self, what: str) -> Node:
        self.blank()
        at, char = self.pos, self.peek()
        if char == "{":
            self.stack.append(("{", at))
            self.pos += 1
            return self.members_of(at, bare=False)
        if char == "[":
            return self.array()
        if char and char in "\"'" + SMART_QUOTES + SMART_APOSTROPHES:
            return self.string()
        if char and char not in ",:}]{[":
            return self.word()
        raise self.lost(at, f"the value of {what} is missing", "missing-value")

    def array(self) -> Node:
        start = self.pos
        self.stack.append(("[", start))
        self.pos += 1
        items: list[Node] = []
        comma = -1  # where the last comma stands
        while True:
            self.blank()
            char = self.peek()
            if char == "]":
                if comma >= 0:
                    self.problem(comma, "a comma after the last entry of a list", "trailing-comma")
                    self.correct(comma, comma + 1, "")
                self.pos += 1
                self.stack.pop()
                return Node(start, self.pos, [i.value for i in items], items=tuple(items))
            if char in {"", "}"}:
                self.unclosed(start, "[", items[-1].end if items else start + 1, comma)
                return Node(start, self.pos, [i.value for i in items], items=tuple(items))
            if char in {",", ";"}:
                self.stray_comma(bool(items) and comma < 0)
                comma = self.pos - 1 if items else -1
                continue
            before, mark = self.pos, (len(self.problems), len(self.edits))
            item = self.value("a list's entry")
            self.blank_keep()
            if self.peek() in {":", "="} and isinstance(item.value, str):
                # A key: the list was not closed before it.
                del self.problems[mark[0] :], self.edits[mark[1] :]
                self.pos = comma if comma >= 0 else before
                self.unclosed(start, "[", items[-1].end if items else start + 1, -1)
                return Node(start, self.pos, [i.value for i in items], items=tuple(items))
            self.between(items[-1] if items else None, comma, item.start)
            items.append(item)
            comma = -1

    def members_of(self, start: int, *, bare: bool) -> Node:
        """Read an object after its opening bracket; `bare` when there is none."""
        members: list[Member] = []
        comma = -1
        if bare:
            self.stack.append(("{", start))
        while True:
            self.blank()
            char = self.peek()
            if char == "}":
                if comma >= 0:
                    self.problem(comma, "a comma after the last entry of an object", "trailing-comma")
                    self.correct(comma, comma + 1, "")
                self.pos += 1
                break
            if not char or (char == "]" and len(self.stack) > 1 and self.stack[-2][0] == "["):
                self.unclosed(start, "{", members[-1].node.end if members else start + (not bare), comma, members)
                break
            if char in {",", ";"}:
                self.stray_comma(bool(members) and comma < 0)
                comma = self.pos - 1 if members else -1
                continue
            member = self.member()
            self.between(members[-1].node if members else None, comma, member.start)
            members.append(member)
            comma = -1
        self.stack.pop()
        value: dict[str, Any] = {}
        for member in members:
            if member.key in value:
                self.problem(
                    member.start,
                    f'the key "{member.key}" a second time: the last one counts',
                    "duplicate-key",
                    fatal=False,
                )
            value[member.key] = member.node.value
        return Node(start, self.pos, value, tuple(members))

    def member(self) -> Member:
        start, char = self.pos, self.peek()
        if char in "\"'" + SMART_QUOTES + SMART_APOSTROPHES:
            key = str(self.string().value)
        elif match := re.compile(r"[A-Za-z][\w.-]*").match(self.text, self.pos):
            key = match.group()
            self.problem(start, f"the key {key} without quotes", "unquoted")
            self.correct(start, match.end(), json.dumps(key))
            self.pos = match.end()
        elif char in "[{":
            raise self.lost(start, f"{char} where a key in quotes is expected", "missing-key")
        else:
            raise self.lost(start, f"{char!r} where a key in quotes is expected", "missing-key")
        key_end = self.pos
        self.blank()
        if self.peek() == ":":
            self.pos += 1
        elif self.peek() == "=":
            length = 2 if self.text.startswith("=>", self.pos) else 1
            self.problem(self.pos, f'= instead of : after the key "{key}"', "missing-colon")
            self.correct(self.pos, self.pos + length, ":")
            self.pos += length
        elif self.peek() and self.peek() not in ",}]":
            self.problem(key_end, f'no : between the key "{key}" and its value', "missing-colon")
            self.correct(key_end, key_end, ":")
        else:
            raise self.lost(key_end, f'the key "{key}" has no value', "missing-value")
        return Member(key, start, key_end, self.value(f'"{key}"'))

    def between(self, previous: Node | None, comma: int, start: int) -> None:
        """See that a comma stands between two entries."""
        if previous is not None and comma < 0:
            self.problem(previous.end, "a comma is missing after this entry", "missing-comma")
            self.correct(previous.end, previous.end, "," if start > previous.end else ", ")

    def stray_comma(self, expected: bool) -> None:
        at = self.pos
        if self.peek() == ";":
            self.problem(at, "; instead of a comma", "missing-comma")
            self.correct(at, at + 1, "," if expected else "")
        elif not expected:
            self.problem(at, "a comma too many", "extra-comma")
            self.correct(at, at + 1, "")
        self.pos += 1

    def blank_keep(self) -> None:
        """Skip white space only, for looking ahead."""
        while (char := self.peek()) and char in BLANK:
            self.pos += 1

    def unclosed(self, start: int, bracket: str, end: int, comma: int, members: Iterable[Member] = ()) -> None:
        """Close what was left open behind its last entry."""
        line, _ = place(self.text, start)
        closing = {"[": "]", "{": "}"}[bracket]
        what = {"[": "list", "{": "object"}[bracket]
        if bracket == "[":
            self.stack.pop()
        self.problem(end, f"the {what} that begins in line {line} is not closed: a {closing} is missing", "unclosed")
        if comma >= 0:
            self.correct(comma, comma + 1, "")
        if bracket == "{" and self.ambiguous(list(members)):
            self.sure = False
        own_line = bracket == "{" and "\n" in self.text[start:end]
        if own_line and self.peek() == "":
            indent = re.match(r"[ \t]*", self.text[self.text.rfind("\n", 0, start) + 1 :])
            closing = "\n" + (indent.group() if indent else "") + closing
        self.correct(end, end, closing)

    def ambiguous(self, members: list[Member]) -> bool:
        """
        Tell whether the missing } could belong elsewhere than to the end.

        An object inside took the } that was meant for another when one of its keys stands where its parent's do, or
        when all is on one line and nothing shows what was meant.
        """

        def column(member: Member) -> int:
            return place(self.text, member.start)[1]

        def alone(member: Member) -> bool:
            return not self.text[self.text.rfind("\n", 0, member.start) + 1 : member.start].strip()

        for member in members:
            for inner in member.node.members:
                if not alone(inner) and len(member.node.members) > 1:
                    return True
                if alone(inner) and column(inner) <= column(member):
                    return True
            if self.ambiguous(list(member.node.members)):
                return True
        return False

    # -- scalars

    def string(self) -> Node:
        start, quote = self.pos, self.peek()
        closers = quote
        if quote in SMART_QUOTES:
            closers = SMART_QUOTES + '"'
            self.problem(start, f'typographic quotes ({quote}): JSON has only "', "quotes")
        elif quote in SMART_APOSTROPHES:
            closers = SMART_APOSTROPHES + "'"
            self.problem(start, f'a typographic quote ({quote}): JSON has only "', "quotes")
        elif quote == "'":
            self.problem(start, 'single quotes: JSON has only "', "quotes")
        self.pos += 1
        out: list[str] = []
        edits: list[Edit] = []
        while True:
            char = self.peek()
            at = self.pos
            if not char or (char == "\n" and not self.continues(closers)):
                raise self.lost(
                    start, "a string that is not closed: its quote at the end is missing", "unclosed-string"
                )
            self.pos += 1
            if char in closers:
                break
            if quote == '"' and char in SMART_QUOTES and self.closes():
                self.problem(at, f'typographic quotes ({char}): JSON has only "', "quotes")
                break
            if char == "\\":
                self.escape(at, out, edits)
            elif char < " ":
                name = {"\t": "a tab", "\n": "a line break"}.get(char, f"a control character (U+{ord(char):04X})")
                self.problem(at, f"{name} inside a string", "control-character")
                edits.append(Edit(at, at + 1, ESCAPES.get(char, f"\\u{ord(char):04x}")))
                out.append(char)
            else:
                if char == '"':
                    edits.append(Edit(at, at + 1, '\\"'))
                out.append(char)
        if quote != '"' or self.text[self.pos - 1] != '"':
            edits += [Edit(start, start + 1, '"'), Edit(self.pos - 1, self.pos, '"')]
        self.edits += edits
        return Node(start, self.pos, "".join(out))

    def continues(self, closers: str) -> bool:
        """Tell whether a string goes on in the next line; a : or a second string there says that it should not."""
        rest = self.text[self.pos + 1 :]
        end = re.search(f"[{re.escape(closers)}\n]", rest)
        return bool(end and end.group() != "\n" and re.match(r"\s*[,}\]]", rest[end.end() :]) and end.start())

    def closes(self) -> bool:
        """Tell whether what follows the position follows a string."""
        return bool(re.match(r"\s*([,:}\]]|$)", self.text[self.pos :]))

    def escape(self, at: int, out: list[str], edits: list[Edit]) -> None:
        char = self.peek()
        self.pos += 1
        if char and char in '"\\/bfnrt':
            out.append(json.loads(f'"\\{char}"'))
        elif char == "u" and re.match(r"[0-9a-fA-F]{4}", self.text[self.pos :]):
            out.append(json.loads(f'"{self.text[at : at + 6]}"'))
            self.pos += 4
        elif char == "'":
            self.problem(at, "\\' in a string: JSON knows no such escape", "escape")
            edits.append(Edit(at, at + 1, ""))
            out.append(char)
        else:
            self.problem(at, f"\\{char} in a string: JSON knows no such escape; a backslash is written \\\\", "escape")
            edits.append(Edit(at, at + 1, "\\\\"))
            out.append(f"\\{char}")

    def word(self) -> Node:
        start = self.pos
        match = WORD.match(self.text, start)
        if not match:
            raise self.lost(start, f"{self.peek()!r} where a value is expected")
        word = match.group()
        self.pos = match.end()
        if word in {"true", "false", "null"}:
            return Node(start, self.pos, json.loads(word))
        if NUMBER.fullmatch(word):
            return Node(start, self.pos, json.loads(word))
        new = LITERALS.get(word.lower())
        if new is not None:
            self.problem(start, f"{word} where JSON has only {new}", "literal")
        elif word.lower().lstrip("+-") in {"nan", "inf", "infinity"}:
            self.problem(start, f"{word}: JSON has no such number", "literal")
            self.sure = False
            return Node(start, self.pos, word)
        elif re.fullmatch(r"\+\d+", word):
            self.problem(start, f"the number {word} with a plus sign", "number")
            new = word[1:]
        elif re.fullmatch(r"-?0\d+", word):
            self.problem(start, f"the number {word} with a zero in front", "number")
            new = str(int(word))
        elif re.fullmatch(r"-?0[xX][0-9a-fA-F]+", word):
            self.problem(start, f"the hexadecimal number {word}", "number")
            new = str(int(word, 16))
        else:
            tail = re.compile(r"(:[^\s,:{}\[\]\"']+)*").match(self.text, self.pos)
            word += tail.group() if tail else ""
            self.pos = start + len(word)
            if re.match(r"[\"']", self.text[self.pos :]):
                raise self.lost(start, f"the value {word} has no quote at its beginning", "unclosed-string")
            self.problem(start, f"the value {word} without quotes", "unquoted")
            new = json.dumps(word)
        self.correct(start, self.pos, new)
        return Node(start, self.pos, json.loads(new))


def _kind(value: Any) -> str:
    """What JSON calls a value."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
