"""The daemon's own log, read for the line that says why it did not start; and its end, for whoever reads on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from dockerdoctor.facts.endpoint import ChosenEndpoint, DaemonPing, mask_text, mask_words
from dockerdoctor.facts.engine import Units
from dockerdoctor.host import MISSING_COMMAND, Host
from dockerdoctor.measure import Unmeasured, probe

# A failing start writes a dozen lines, with debugging on some hundred.
TAIL = 400
# Of these, what a saved fact keeps.
KEPT = 40
# Of a line; a stack of goroutines may come as one.
LONGEST = 1000
# "Starting docker.service", whatever the language (sd-messages(3)).
UNIT_STARTING = "7d4958e842da4a758f6c1cdc7b36dcc5"
# Hosts without a journal: OpenRC and sysvinit, upstart.
FILES = ("/var/log/docker.log", "/var/log/upstart/docker.log")


@dataclass(frozen=True, slots=True)
class StartLog:
    """What dockerd, and systemd about it, said at the last start; read only while the daemon does not answer."""

    source: str  # "journalctl -u docker.service", or a file
    lines: tuple[str, ...]  # passwords in URLs masked
    complaint: str = ""  # the daemon's last word: "failed to start daemon: pid file found, ..."
    failed: bool = False  # it complained and never got as far as serving


@dataclass(frozen=True, slots=True)
class RecentLog:
    """The newest lines of dockerd's and containerd's log, for whoever reads on; no check rests on it."""

    source: str  # "journalctl -u docker.service", or a file
    lines: tuple[str, ...]  # "2026-11-24T02:43:05Z dockerd: …", passwords masked


@probe(deadline=4)
def start_log(host: Host, endpoint: ChosenEndpoint, ping: DaemonPing, units: Units | None) -> StartLog:
    """Read the lines of the last start at which dockerd itself said something."""
    if not endpoint.local:
        raise Unmeasured("the engine is on another host", skipped=True)
    if ping.answered:
        raise Unmeasured("the daemon answers: its log was not read", skipped=True)
    if units and units.systemd:
        return _journal(host)
    for path in FILES:
        if text := host.text(path):
            lines = text[-100_000:].splitlines()[-TAIL:]
            start = max((n for n, line in enumerate(lines) if "Starting up" in line), default=0)
            return _start_log(path, [(line, "dockerd") for line in lines[start:]])
    raise Unmeasured(f"no log of the daemon was found: neither a journal nor {' nor '.join(FILES)}")


def _journal(host: Host) -> StartLog:
    command = ("journalctl", "-u", "docker.service", "-u", "docker.socket", "-b", "-n", str(TAIL), "-o", "json")
    done = host.run(*command, "--no-pager", "--quiet", timeout=3)
    if not done.ok or (not done.out and not host.is_root):
        why = "the journal is not readable for this user" if done.code != MISSING_COMMAND else done.err
        raise Unmeasured(f"{why}: the daemon's own words are not known", how="run as root")
    return _start_log("journalctl -u docker.service", last_start(done.out))


@probe(deadline=5)
def recent_log(host: Host, endpoint: ChosenEndpoint, units: Units | None) -> RecentLog:
    """Read the end of the log, also while the daemon answers; what containers say is theirs, and left out."""
    if not endpoint.local:
        raise Unmeasured("the engine is on another host", skipped=True)
    if units and units.systemd:
        names = ("docker.service", "docker.socket", "containerd.service")
        command = ("journalctl", *(word for name in names for word in ("-u", name)), "-n", str(TAIL), "-o", "json")
        done = host.run(*command, "--no-pager", "--quiet", timeout=4)
        if not done.ok or (not done.out and not host.is_root):
            why = "the journal is not readable for this user" if done.code != MISSING_COMMAND else done.err.strip()
            raise Unmeasured(f"{why}: the daemon's log was not read", how="run as root")
        return RecentLog("journalctl -u docker.service", tuple(_bounded(recent(done.out))))
    for path in FILES:
        if text := host.text(path):
            return RecentLog(path, tuple(_bounded(text[-100_000:].splitlines()[-TAIL:])))
    raise Unmeasured(f"no log of the daemon was found: neither a journal nor {' nor '.join(FILES)}")


def recent(journal: str) -> list[str]:
    """Give each entry of the journal a line: when, who, and what was said."""
    return [
        f"{_when(entry.get('__REALTIME_TIMESTAMP'))} {entry.get('SYSLOG_IDENTIFIER') or '?'}: {_text(entry.get('MESSAGE'))}"
        for entry in _entries(journal)
    ]


def _when(microseconds: object) -> str:
    told = str(microseconds)
    seconds = int(told) // 1_000_000 if told.isdigit() else 0
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ") if seconds else "?"


def _bounded(lines: Iterable[str]) -> Iterator[str]:
    return (mask_words(line)[:LONGEST] for line in lines)


def _entries(journal: str) -> Iterator[dict[str, Any]]:
    for line in journal.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        # What a container says under --log-driver journald counts as docker.service's too (docs: journald logging driver).
        if isinstance(entry, dict) and "CONTAINER_ID" not in entry:
            yield entry


def last_start(journal: str) -> list[tuple[str, str]]:
    """Take the lines since the unit was last started, as (text, speaker)."""
    said: list[tuple[str, str]] = []
    for entry in _entries(journal):
        if entry.get("MESSAGE_ID") == UNIT_STARTING and entry.get("UNIT") == "docker.service":
            said.clear()
        said.append((_text(entry.get("MESSAGE")), str(entry.get("SYSLOG_IDENTIFIER") or "")))
    return said


def _text(message: object) -> str:
    # A message with bytes that are no text comes as a list of numbers.
    if isinstance(message, list):
        return bytes(b for b in message if isinstance(b, int) and 0 <= b < 256).decode("utf-8", "backslashreplace")
    return str(message or "")


def _start_log(source: str, said: list[tuple[str, str]]) -> StartLog:
    masked = [(mask_text(text)[:LONGEST], speaker) for text, speaker in said]
    # "(dockerd)" is systemd's child on its way to becoming dockerd.
    last_word = complaint([text for text, speaker in masked if speaker != "systemd"])
    if not last_word:
        refusals = [text for text, speaker in masked if speaker == "systemd" and _REFUSED.match(text)]
        # The first names the cause, the others what it led to: "Failed to load environment files", "to run 'start' task".
        last_word = refusals[0] if refusals else ""
    served = any(SERVES in text for text, _ in masked)
    return StartLog(source, tuple(text for text, _ in masked[-KEPT:]), last_word, bool(last_word) and not served)


SERVES = "Daemon has completed initialization"
# What systemd itself could not do for the service: load an environment file, change a folder.
_REFUSED = re.compile(r"docker\.service: (?:Failed (?!with result|to schedule)|Control process exited)")
# dockerd's last words are no log lines but plain text (cmd/dockerd/docker.go); a panic is Go's own.
_FATAL = re.compile(r"^(?!time=)\S|level=fatal|^panic:|^fatal error:")
_MESSAGE = re.compile(r'msg="((?:[^"\\]|\\.)*)"(?:.*? error="((?:[^"\\]|\\.)*)")?')
# Continuations and routine of plain text that are not why it ended.
_STACK = re.compile(
    r"^(?:goroutine \d|\t|created by |main\.|runtime\.|github\.com/|[{}]|See 'dockerd --help'|Usage:|Options:|A self-sufficient runtime)"
)


def complaint(lines: Sequence[str]) -> str:
    """Find the line with which dockerd gave up: its last plain or fatal one, or else the last error before it served."""
    fatal = [line for line in lines if _FATAL.search(line) and not _STACK.search(line)]
    panics = [line for line in fatal if line.startswith(("panic:", "fatal error:"))]
    errors = [line for line in lines if "level=error" in line] if not any(SERVES in line for line in lines) else []
    chosen = (panics or fatal[-1:] or errors[-1:] or [""])[0]
    match = _MESSAGE.search(chosen) if chosen.startswith("time=") else None
    text = ": ".join(part.replace('\\"', '"') for part in match.groups() if part) if match else chosen
    # What is wrong with its arguments it says in a form of its own (docker/cli, StatusError).
    return text.strip().removeprefix("Status: ")
