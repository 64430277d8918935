"""What a container wrote last, as the engine keeps it."""

from __future__ import annotations

import http.client

from dockerdoctor.facts.api import frames
from dockerdoctor.facts.endpoint import ChosenEndpoint, DaemonPing, mask_words
from dockerdoctor.facts.engine import fetch
from dockerdoctor.host import Host
from dockerdoctor.measure import Unmeasured

# A line longer than this is data, or a stack's frame; what matters stands at its beginning.
SHOWN = 300
TIMEOUT = 1.0
# Twenty lines of a program that writes no line ends.
LIMIT = 256 << 10


def lines_of(text: str) -> tuple[str, ...]:
    """Split into lines, without passwords; a terminal's carriage returns go, one that a script has in it stays."""
    lines = [line for line in text.split("\n") if line.strip()]
    if all(line.endswith("\r") for line in lines):
        lines = [line[:-1] for line in lines]
    return tuple(mask_words(line.strip(" \t"))[:SHOWN] for line in lines)


def tail(
    host: Host, endpoint: ChosenEndpoint, ping: DaemonPing, container: str, lines: int, since: float = 0.0
) -> tuple[str, ...]:
    """Read the last lines that a container wrote; none where its log cannot be read."""
    target = f"/containers/{container}/logs?stdout=1&stderr=1&tail={lines}&since={int(since)}"
    try:
        status, _, body = fetch(host, endpoint, ping, target, TIMEOUT, LIMIT)
    except Unmeasured:
        return ()
    return lines_of(frames(body)) if status == http.client.OK else ()
