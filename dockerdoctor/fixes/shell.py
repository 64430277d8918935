"""Take the commands of a fix apart, as a shell would: the few forms that findings are written in, and no others. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass


class NotOurs(Exception):  # noqa: N818 - it is an answer, not an error
    """A command is not one that the doctor carries out itself; says why."""


@dataclass(frozen=True, slots=True)
class Simple:
    """One command without a shell: its words, what it is fed, and the file that its output goes to."""

    words: tuple[str, ...]
    fed: str | None = None
    output: str = ""
    append: bool = False


# install -D -m 644 /dev/stdin PATH <<'END'
HEREDOC = re.compile(r"(?P<head>[^\n]*) <<'(?P<word>[A-Z]+)'\n(?P<text>(?:.*\n)*?)(?P=word)\n?")
SINGLE_QUOTED = re.compile(r"'[^']*'")
DOUBLE_QUOTED = re.compile(r'"[^"$`\\]*"')
# What a shell would expand, or treat in a way that is not told here.
EXPANDED = re.compile(r"[$`*?\[\]~{}\\()#\n]")
OPERATORS = "();<>|&"
SPEAKERS = ("echo", "printf")


def commands(line: str) -> Iterator[Simple]:
    """Give the simple commands of a line in order; raises NotOurs."""
    if heredoc := HEREDOC.fullmatch(line):
        if f"\n{heredoc['word']}\n" in f"\n{heredoc['text']}":
            raise NotOurs("its text ends where nobody meant it to")
        (one,) = commands(heredoc["head"])
        yield Simple(one.words, heredoc["text"])
        return
    if EXPANDED.search(DOUBLE_QUOTED.sub("", SINGLE_QUOTED.sub("", line.replace("'\\''", "")))):
        raise NotOurs("a shell would have to expand it")
    lexer = shlex.shlex(line, posix=True, punctuation_chars=OPERATORS)
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        words = list(lexer)
    except ValueError as no:
        raise NotOurs(str(no)) from no
    part: list[str] = []
    for word in [*words, ";"]:
        if word in {";", "&&"}:
            if part:
                yield _simple(part)
            part = []
        else:
            part.append(word)


def _simple(words: list[str]) -> Simple:
    """Take the redirections off."""
    if "|" in words:
        feeder, eater = words[: words.index("|")], words[words.index("|") + 1 :]
        return Simple(_plain(eater), said(_plain(feeder)))
    for operator in ("<<<", ">>", ">"):
        if operator in words[:-1] and words.index(operator) == len(words) - 2:
            head, tail = _plain(words[:-2]), words[-1]
            if operator == "<<<":
                return Simple(head, tail + "\n")
            if head[0] not in SPEAKERS:
                raise NotOurs(f"what {head[0]} says is not known before it is run")
            return Simple(head, None, tail, operator == ">>")
    return Simple(_plain(words))


def _plain(words: list[str]) -> tuple[str, ...]:
    if not words or any(set(word) <= set(OPERATORS) for word in words):
        raise NotOurs("only a shell knows what it means")
    return tuple(words)


ESCAPES = {"n": "\n", "t": "\t", "\\": "\\"}


def said(words: tuple[str, ...]) -> str:
    """What echo and printf write; raises NotOurs for other programs, and where shells differ."""
    # An option, or what some shells' echo expands.
    if words[0] == "echo" and words[1:] and not words[1].startswith("-") and "\\" not in "".join(words):
        return " ".join(words[1:]) + "\n"
    if words[0] == "printf" and len(words) == 2 and "%" not in words[1].replace("%%", ""):
        text = words[1].replace("%%", "%")
        if set(re.findall(r"\\(.?)", text, re.DOTALL)) <= set(ESCAPES):
            return re.sub(r"\\(.)", lambda m: ESCAPES[m[1]], text)
    raise NotOurs(f"what {words[0]} says is not known before it is run")
