"""What `docker build .` would be given here: the Dockerfile of the working directory, and the context around it."""

from __future__ import annotations

import json
import posixpath
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from dockerdoctor.host import Host
from dockerdoctor.measure import Unmeasured, probe

# Enough to see gigabytes and to meet what cannot be read; a folder of sources may have any number of files.
MAX_ENTRIES = 4000
MAX_SHOWN = 5
# The first two are known to the oldest BuildKit, the others came with later ones (docker/docs, Dockerfile reference).
_NEEDS = re.compile(r"RUN\s.*?--(?:mount|network|security)=|(?:COPY|ADD)\s.*?--chmod=", re.IGNORECASE)
_NEEDS_NEWER = re.compile(
    r"(?:COPY|ADD)\s.*?--(?:link|parents|exclude|checksum)\b|(?:RUN|COPY|ADD)\s.*?<<-?[\"']?[A-Za-z_]", re.IGNORECASE
)


_MOUNT = re.compile(r"\s--mount=(\S+)")


@dataclass(frozen=True, slots=True)
class Copied:
    """One source of a COPY or ADD."""

    line: int
    source: str  # relative to the context, "." for all of it


@dataclass(frozen=True, slots=True)
class BuildFile:
    """./Dockerfile."""

    path: str
    needs: tuple[tuple[int, str], ...] = ()  # lines that only BuildKit understands
    needs_newer: tuple[tuple[int, str], ...] = ()  # and those that its first versions do not
    copies: tuple[Copied, ...] = ()
    mounts: bool = False  # a RUN mounts the context, or a part of it

    @property
    def wants_all(self) -> bool:
        """Whether it asks for the whole context."""
        return self.mounts or any(c.source == "." for c in self.copies)


@dataclass(frozen=True, slots=True)
class Excluded:
    """A source that is there, and that .dockerignore keeps out."""

    line: int
    source: str
    rule: str  # "/srv/app/.dockerignore:3 dist"


@dataclass(frozen=True, slots=True)
class Context:
    """The folder that is sent to the builder, as far as it was looked at."""

    folder: str
    ignore_file: str  # empty where there is none
    size: int  # bytes, of what is not kept out
    complete: bool
    largest: tuple[tuple[str, int], ...] = ()  # what lies at the top, and how much of it there is
    unreadable: tuple[str, ...] = ()  # of what is sent
    closed: tuple[str, ...] = ()  # folders that are kept out, and that cannot be read either
    excluded: tuple[Excluded, ...] = ()
    other_case: tuple[tuple[int, str, str], ...] = ()  # (line, source, what is there in other letters)


@probe()
def build_file(host: Host) -> BuildFile:
    """Read ./Dockerfile, instruction by instruction."""
    path = f"{host.cwd}/Dockerfile"
    text = host.text(path) if host.cwd else ""
    if not re.search(r"^\s*FROM\s", text, re.IGNORECASE | re.MULTILINE):
        raise Unmeasured("there is no Dockerfile here", skipped=True)
    lines = list(instructions(text))
    return BuildFile(
        path,
        tuple((n, line[:120]) for n, line in lines if _NEEDS.match(line)),
        tuple((n, line[:120]) for n, line in lines if _NEEDS_NEWER.match(line)),
        tuple(Copied(n, source) for n, line in lines for source in _sources(line)),
        any(_of_context(mount) for _, line in lines for mount in _MOUNT.findall(line)),
    )


def _of_context(mount: str) -> bool:
    """Whether a RUN's mount is of the context: a bind, which is what it is without a type, and of no other stage."""
    options = dict(option.partition("=")[::2] for option in mount.split(","))
    return options.get("type", "bind") == "bind" and "from" not in options


def instructions(text: str) -> Iterator[tuple[int, str]]:
    """Join the lines of each instruction; comments and what a heredoc holds are none."""
    number, joined, ends = 0, "", deque[str]()
    for n, line in enumerate(text.splitlines(), 1):
        if ends:
            if line.strip() == ends[0]:
                ends.popleft()
            continue
        if line.lstrip().startswith("#") or (joined and not line.strip()):
            continue
        number = number if joined else n
        if line.rstrip().endswith("\\"):
            joined += line.strip()[:-1] + " "
            continue
        whole, joined = (joined + line.strip()).strip(), ""
        if whole:
            if re.match(r"(?:RUN|COPY|ADD)\s", whole, re.IGNORECASE):
                ends.extend(re.findall(r"<<-?[\"']?([A-Za-z_]\w*)", whole))
            yield number, whole


def _sources(line: str) -> Iterator[str]:
    """What a COPY or ADD takes from the context: no variables, patterns, URLs, heredocs or other stages."""
    match = re.match(r"(?:COPY|ADD)\s+((?:--\S+\s+)*)(.*)", line, re.IGNORECASE)
    if not match or "--from=" in match[1]:
        return
    words = match[2].split()
    if match[2].startswith("["):
        try:
            words = [str(word) for word in json.loads(match[2])]
        except ValueError:
            return
    for word in words[:-1]:
        if not re.search(r"[$*?\[\\\"']|://|^<<|^git@", word):
            yield posixpath.normpath(word.lstrip("/") or ".")


def rules_of(text: str) -> tuple[tuple[int, str, bool, re.Pattern[str]], ...]:
    """Read a .dockerignore: its line, the rule, whether it lets in, and what it matches (moby/patternmatcher)."""
    found = []
    for n, line in enumerate(text.splitlines(), 1):
        rule = line.strip()
        if not rule or line.startswith("#"):
            continue
        lets_in = rule.startswith("!")
        path = posixpath.normpath(rule.lstrip("!").strip()).lstrip("/")
        if path not in {"", "."}:
            found.append((n, rule, lets_in, re.compile(_regex(path))))
    return tuple(found)


def _regex(pattern: str) -> str:
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]*\]|\\.)", pattern)
    known = {"**/": r"(?:.*/)?", "**": r".*", "*": r"[^/]*", "?": r"[^/]"}
    escaped = (known.get(p) or (p if p.startswith(("[", "\\")) and len(p) > 1 else re.escape(p)) for p in parts)
    # A rule holds for all that lies in what it matches.
    return "".join(escaped) + r"(?:/.*)?\Z"


def kept_out(path: str, rules: tuple[tuple[int, str, bool, re.Pattern[str]], ...]) -> str:
    """The rule that keeps a path out: the last that matches decides; empty where none does."""
    for n, rule, lets_in, pattern in reversed(rules):
        if pattern.match(path):
            return "" if lets_in else f"{n} {rule}"
    return ""


@probe()
def context(host: Host, file: BuildFile) -> Context:
    """Walk through the folder, level by level and no further than a few thousand names."""
    folder = file.path.rpartition("/")[0] or "/"
    names = (f"{file.path}.dockerignore", f"{folder}/.dockerignore")
    ignore = next((name for name in names if host.exists(name)), "")
    rules = rules_of(host.text(ignore)) if ignore else ()
    sizes: dict[str, int] = {}
    unreadable: list[str] = []
    closed: list[str] = []
    seen = 0
    queue = deque([""])
    while queue and seen < MAX_ENTRIES:
        below = queue.popleft()
        try:
            for name, is_folder, size in host.scan(f"{folder}/{below}"):
                path = f"{below}{name}"
                seen += 1
                # Something in a folder that is kept out may be let in again: only then it is looked into.
                out = bool(kept_out(path, rules))
                if is_folder and out and not (host.is_root or host.readable(f"{folder}/{path}")):
                    closed.append(path)
                elif is_folder and not (out and not any(lets_in for _, _, lets_in, _ in rules)):
                    queue.append(f"{path}/")
                elif not is_folder and not out:
                    top = path.partition("/")[0]
                    sizes[top] = sizes.get(top, 0) + size
                    if not host.is_root and not host.readable(f"{folder}/{path}"):
                        unreadable.append(path)
                if seen >= MAX_ENTRIES:
                    break
        except OSError:
            if not kept_out(below.rstrip("/"), rules):
                unreadable.append(below.rstrip("/") or ".")
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:3]
    excluded = [
        Excluded(c.line, c.source, f"{ignore}:{rule}")
        for c in file.copies
        if (rule := kept_out(c.source, rules)) and not any(lets_in for _, _, lets_in, _ in rules)
        if host.exists(f"{folder}/{c.source}")
    ]
    return Context(
        folder,
        ignore,
        sum(sizes.values()),
        not queue and seen < MAX_ENTRIES,
        tuple(largest),
        tuple(unreadable[:MAX_SHOWN]),
        tuple(closed[:MAX_SHOWN]),
        tuple(excluded),
        tuple(_other_case(host, folder, file)),
    )


def _other_case(host: Host, folder: str, file: BuildFile) -> Iterator[tuple[int, str, str]]:
    """Sources that are not there, while something is whose name differs in nothing but capital letters."""
    for copied in file.copies:
        if host.exists(f"{folder}/{copied.source}"):
            continue
        above, _, name = copied.source.rpartition("/")
        for there in host.listdir(f"{folder}/{above}"):
            if there != name and there.lower() == name.lower():
                yield copied.line, copied.source, posixpath.join(above, there)
