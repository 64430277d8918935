"""The configuration file, /etc/dockerdoctor.toml: what it may say, and where in it something is wrong."""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dockerdoctor.facts.preferences import Ignored, Preferences, Target, Thresholds, target_of
from dockerdoctor.nearest import nearest

DEFAULT_PATH = "/etc/dockerdoctor.toml"
VARIABLE = "DOCKERDOCTOR_CONFIG"
KEYS = ("host", "context", "targets", "redis", "images", "ignore", "thresholds")


class Misconfigured(Exception):  # noqa: N818 - a message for the user
    """A file that cannot be used; says where and why: "/etc/dockerdoctor.toml:3:1: …"."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """What the file says."""

    preferences: Preferences = field(default=Preferences())
    host: str = ""
    context: str = ""


def read_configuration(path: str, text: str, checks: Iterable[str]) -> Configuration:
    """Read the file's text; raises Misconfigured for what is no TOML, and for what nobody would heed."""
    if sys.version_info >= (3, 11):
        import tomllib  # noqa: PLC0415 - most hosts have no such file
    else:
        import tomli as tomllib  # noqa: PLC0415
    try:
        said = tomllib.loads(text)
    except tomllib.TOMLDecodeError as no:
        where = re.search(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", str(no))
        lines = text.splitlines() or [""]
        end = (len(lines), len(lines[-1]) + 1)
        line, column = (where[2], where[3]) if where and where[2] else end
        raise Misconfigured(f"{path}:{line}:{column}: {where[1] if where else no}") from None
    return Reading(path, text, tuple(checks)).of(said)


@dataclass(frozen=True, slots=True)
class Reading:
    """One file, as it is read."""

    path: str
    text: str
    checks: tuple[str, ...]

    def wrong(self, key: str, reason: str) -> Misconfigured:
        """Say where a key, or a value, stands that is not as it should be."""
        spelt = re.escape(key)
        found = re.search(
            rf"^[ \t]*(?:\[[ \t]*)?[\"']?(?={spelt}\b)|(?<=[\"'])(?={spelt}[\"'])", self.text, re.MULTILINE
        )
        before = self.text[: found.end()] if found else ""
        column = len(before) - before.rfind("\n")
        return Misconfigured(f"{self.path}:{before.count(chr(10)) + 1}:{column}: {reason}")

    def of(self, said: Mapping[str, Any]) -> Configuration:
        """Take it apart."""
        self.known(said, KEYS)
        targets = (*self.targets(said, "targets", "tcp"), *self.targets(said, "redis", "redis"))
        preferences = Preferences(
            self.path, self.ignored(said), self.thresholds(said), targets, self.strings(said, "images")
        )
        host, context = self.string(said, "host"), self.string(said, "context")
        if host and context:
            raise self.wrong("context", "host and context both say which engine to examine; only one can")
        return Configuration(preferences, host, context)

    def known(self, said: Mapping[str, Any], keys: Iterable[str]) -> None:
        """Take no word for granted that means nothing: it was meant to be heeded."""
        keys = tuple(keys)
        for key in said:
            if key not in keys:
                near = nearest(key, keys)
                raise self.wrong(
                    key,
                    f"{key!r} means nothing here; {'nearest: ' + ', '.join(near) if near else 'known: ' + ', '.join(keys)}",
                )

    def string(self, said: Mapping[str, Any], key: str) -> str:
        """One text."""
        return str(self.typed(key, said.get(key, ""), lambda v: isinstance(v, str), "a string"))

    def strings(self, said: Mapping[str, Any], key: str) -> tuple[str, ...]:
        """Several."""

        def all_texts(value: object) -> bool:
            return isinstance(value, list) and all(isinstance(one, str) and one for one in value)

        return tuple(self.typed(key, said.get(key, []), all_texts, 'a list of strings, as ["one", "two"]'))

    def table(self, said: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        """A section."""
        return dict(self.typed(key, said.get(key, {}), lambda v: isinstance(v, dict), f"a section, [{key}]"))

    def typed(self, key: str, value: Any, fits: Callable[[Any], bool], what: str) -> Any:
        """Insist on a type."""
        if not fits(value):
            raise self.wrong(key, f"{key} is not {what}")
        return value

    def targets(self, said: Mapping[str, Any], key: str, kind: str) -> tuple[Target, ...]:
        """Targets of one kind."""
        found = []
        for one in self.strings(said, key):
            target = target_of(one, kind)
            if isinstance(target, str):
                raise self.wrong(one, f"{key}: {one!r}: {target}")
            found.append(target)
        return tuple(found)

    def ignored(self, said: Mapping[str, Any]) -> tuple[Ignored, ...]:
        """Checks that are ignored, each with its reason: whoever reads the report wants to know why."""
        section = self.table(said, "ignore")
        for check, reason in section.items():
            if isinstance(reason, dict):
                raise self.wrong(check, f'an id with a dot is quoted: "{check}.{next(iter(reason), "…")}" = "why"')
            if check not in self.checks:
                near = nearest(check, self.checks)
                raise self.wrong(
                    check,
                    f"there is no check {check!r}; {'nearest: ' + ', '.join(near) if near else '`doctor checks` lists them all'}",
                )
            if not isinstance(reason, str) or not reason.strip():
                raise self.wrong(check, f'{check} is ignored without a reason: "{check}" = "why"')
        return tuple(Ignored(check, reason.strip()) for check, reason in section.items())

    def thresholds(self, said: Mapping[str, Any]) -> Thresholds:
        """Numbers above nought; percents to a hundred."""
        section = self.table(said, "thresholds")
        self.known(section, [f.name for f in dataclasses.fields(Thresholds)])
        for key, value in section.items():
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not 0 < value < float("inf") or (key.endswith("_percent") and value > 100):
                raise self.wrong(key, f"{key} is not a number above 0" + (" and up to 100" if "percent" in key else ""))
        return Thresholds(**{key: float(value) for key, value in section.items()})
