"""Ask the dockerd that is installed whether it would start with a configuration, without starting anything."""

from __future__ import annotations

from dockerdoctor import jsontext
from dockerdoctor.facts.daemon_json import Flag
from dockerdoctor.facts.engine import Installed, program_version, version_parts
from dockerdoctor.fixes.daemon_json import decode, outer
from dockerdoctor.host import Host
from dockerdoctor.jsontext import Edit

# `dockerd --validate` came with 23.0 (moby/moby#42393).
VALIDATES_SINCE = (23,)
# Before, dockerd reads and checks its file first and its log level next: one that does not exist stops it right there,
# before it touches anything.
NO_LEVEL = "none-so-that-dockerd-stops-here"


def refusal(host: Host, installed: Installed, flags: tuple[Flag, ...], data: bytes) -> str:
    """Say why dockerd would not start with this file and its flags; empty when it would, or cannot be asked."""
    if not installed.dockerd:
        return ""
    version = version_parts(installed.dockerd_version or program_version(host, installed.dockerd))
    if not version:
        return ""
    argv = [installed.dockerd, *arguments(flags), "--config-file", "/dev/stdin"]
    if version >= VALIDATES_SINCE:
        done = host.run(*argv, "--validate", timeout=10, stdin=data)
        return "" if done.ok else _reason(done.err or done.out)
    guarded = with_no_level(data)
    done = host.run(*argv, *(() if guarded else ("--log-level", NO_LEVEL)), timeout=10, stdin=guarded or data)
    said = done.err or done.out
    return "" if NO_LEVEL in said else _reason(said)


def with_no_level(data: bytes) -> bytes:
    """Put the impossible log level into a file that sets one: there a flag would conflict; empty for other files."""
    text, encoding, mark = decode(data)
    levels = [m.node for m in outer(text).members if m.key == "log-level"]
    if not levels:
        return b""
    changed = jsontext.edited(text, [Edit(levels[-1].start, levels[-1].end, f'"{NO_LEVEL}"')])
    return mark + changed.encode(encoding, "surrogateescape")


def arguments(flags: tuple[Flag, ...]) -> tuple[str, ...]:
    """Write the flags of the next start as arguments, all but the file."""
    words: list[str] = []
    for flag in flags:
        if flag.name == "--config-file":
            continue
        # Long ones with "=": a switch does not take its value from the next word.
        words += [f"{flag.name}={flag.value}"] if flag.value and flag.name.startswith("--") else [flag.name, flag.value]
    return tuple(filter(None, words))


def _reason(said: str) -> str:
    lines = [line for line in said.strip().splitlines() if line.strip()]
    return lines[-1].replace("/dev/stdin", "the file") if lines else "dockerd said nothing"
