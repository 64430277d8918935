"""Ask the dockerd that is installed whether it would start with a configuration, without starting anything."""

from __future__ import annotations

from dockerdoctor.facts.engine import Installed, version_parts
from dockerdoctor.fixes.daemon_json import blank, decode, layout
from dockerdoctor.host import Host

# `dockerd --validate` came with 23.0 (moby/moby#42393).
VALIDATES_SINCE = (23,)
# Before, dockerd reads and checks its file first and its log level next: one that does not exist stops it right there,
# before it touches anything.
NO_LEVEL = "none-so-that-dockerd-stops-here"


def refusal(host: Host, installed: Installed, flags: tuple[str, ...], data: bytes) -> str:
    """Say why dockerd would not start with this file and its flags; empty when it would, or cannot be asked."""
    version = version_parts(installed.dockerd_version)
    if not installed.dockerd or not version:
        return ""
    argv = [installed.dockerd, *without_file(flags), "--config-file", "/dev/stdin"]
    if version >= VALIDATES_SINCE:
        done = host.run(*argv, "--validate", timeout=10, stdin=data)
        return "" if done.ok else _reason(done.err or done.out)
    guarded = with_no_level(data)
    done = host.run(*argv, *(() if guarded else ("--log-level", NO_LEVEL)), timeout=10, stdin=guarded or data)
    said = done.err or done.out
    return "" if NO_LEVEL in said else _reason(said)


def with_no_level(data: bytes) -> bytes:
    """Put the impossible log level into a file that sets one: there a flag would conflict; empty for other files."""
    text, encoding, bom = decode(data)
    levels = () if blank(text) else [m for m in layout(text).items if m.key == "log-level"]
    if not levels:
        return b""
    last = levels[-1]
    return bom + f'{text[: last.value]}"{NO_LEVEL}"{text[last.end :]}'.encode(encoding, "surrogateescape")


def without_file(flags: tuple[str, ...]) -> tuple[str, ...]:
    """Leave out --config-file, in both spellings."""
    kept: list[str] = []
    skip = False
    for flag in flags:
        if skip or flag.startswith("--config-file="):
            skip = False
        elif flag == "--config-file":
            skip = True
        else:
            kept.append(flag)
    return tuple(kept)


def _reason(said: str) -> str:
    lines = [line for line in said.strip().splitlines() if line.strip()]
    return lines[-1].replace("/dev/stdin", "the file") if lines else "dockerd said nothing"
