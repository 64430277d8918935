"""
`docker doctor`: what the docker command calls a plugin (docker/cli, docs/extend/cli_plugins.md).

It calls `docker-doctor [its own options] doctor …`, with all that was written, and before that once for the metadata.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dockerdoctor import __version__
from dockerdoctor.exits import ExitStatus

NAME = "doctor"
PROGRAM = f"docker-{NAME}"
METADATA = "docker-cli-plugin-metadata"

# The docker command's own options (docker/cli, cli/flags), and whether a value follows.
OPTIONS = {
    "config": True,
    "context": True,
    "debug": False,
    "help": False,
    "host": True,
    "log-level": True,
    "tls": False,
    "tlscacert": True,
    "tlscert": True,
    "tlskey": True,
    "tlsverify": False,
    "version": False,
}
SHORT = {"c": "context", "D": "debug", "h": "help", "H": "host", "l": "log-level", "v": "version"}
# What of a complete set of these each file must be called, for the folder to say it all.
TLS_FILES = {"tlscacert": "ca.pem", "tlscert": "cert.pem", "tlskey": "key.pem"}
COMPLETE = ("__complete", "__completeNoDesc")


class Unsupported(Exception):  # noqa: N818 - a message for the user
    """An option of the docker command that the doctor cannot heed; says which."""


@dataclass(frozen=True, slots=True)
class Call:
    """What the docker command was told, as the doctor understands it."""

    arguments: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()


def metadata() -> str:
    """What `docker --help` and `docker info` show of us."""
    about = {
        "SchemaVersion": "0.1.0",
        "Vendor": "dockerdoctor",
        "Version": __version__,
        "ShortDescription": "Find out why Docker misbehaves, and repair it",
    }
    return json.dumps(about)


def begin() -> str:
    """Make our own arguments of the docker command's; returns how we are called."""
    try:
        call = understood(sys.argv[1:])
    except Unsupported as no:
        sys.stderr.write(f"docker doctor: {no}\n")
        sys.exit(ExitStatus.USAGE)
    os.environ.update(call.environment)
    # What is told to be pasted must work without the docker command, too.
    link = Path(sys.argv[0])
    sys.argv = [str(link.readlink()) if link.is_symlink() else sys.argv[0], *call.arguments]
    if address := os.environ.pop("DOCKER_CLI_PLUGIN_SOCKET", ""):
        _end_with(address)
    return f"docker {NAME}"


def understood(words: Sequence[str]) -> Call:
    """Split the docker command's own options from ours, and say them in our words; raises Unsupported."""
    given, rest = _options(words)
    completing = [rest.pop(0)] if rest[:1] and rest[0] in COMPLETE else []
    if rest[:1] == ["help"]:  # `docker help doctor check`
        given, rest = {**given, "help": "true"}, rest[1:]
    ours = rest[1:]
    if completing:
        return Call(("__complete", *ours))
    if "host" in given or "context" in given:
        asked = [word for name in ("host", "context") if name in given for word in (f"--{name}", given[name])]
        # After the command: its own --host, if there is one, comes later and wins.
        ours[1:1] = asked if ours and not ours[0].startswith("-") and ours[0] in ASKING else []
    if given.get("help", "false") != "false":
        ours.append("--help")
    return Call(tuple(ours), tuple(_environment(given).items()))


# The commands that talk to an engine, and so know --host and --context.
ASKING = frozenset({"check", "fix", "fix-dns", "fix-proxy", "report", "run-sample"})


def _options(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Read options as the docker command does (spf13/pflag), up to the first word that is none."""
    given: dict[str, str] = {}
    left = list(words)
    while left and left[0].startswith("-") and left[0] != "-":
        word = left.pop(0)
        if word == "--":
            break
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            if OPTIONS.get(name) and not equals:
                value = left.pop(0) if left else ""
            given[name] = value or "true"
            continue
        letters = word[1:]
        while letters:
            name, letters = SHORT.get(letters[0], letters[0]), letters[1:]
            if OPTIONS.get(name):
                given[name] = letters.removeprefix("=") or (left.pop(0) if left else "")
                break
            given[name] = "true"
    return given, left


def _environment(given: dict[str, str]) -> dict[str, str]:
    """Say in variables what we have no options for."""
    said = {"DOCKER_CONFIG": given["config"]} if "config" in given else {}
    for name in ("tls", "tlsverify"):
        if given.get(name, "false") != "false":
            said[f"DOCKER_{'TLS' if name == 'tls' else 'TLS_VERIFY'}"] = "1"
    files = [Path(given[name]).absolute() for name in TLS_FILES if name in given]
    if files:
        folder = files[0].parent
        if [*files] != [folder / TLS_FILES[name] for name in TLS_FILES if name in given]:
            raise Unsupported(
                f"the files of --{', --'.join(TLS_FILES)} must be called {', '.join(TLS_FILES.values())} "
                f"and lie in one folder; nothing was done"
            )
        said["DOCKER_CERT_PATH"] = str(folder)
    return said


def _end_with(address: str) -> None:
    """
    End politely when the docker command has been told to: it closes this socket, and sends no signal.

    Since 25.0 (docker/cli, cli-plugins/socket); "@" stands for the abstract namespace.
    """
    line = socket.socket(socket.AF_UNIX)
    try:
        line.connect(address.replace("@", "\0", 1) if address.startswith("@") else address)
    except OSError:
        line.close()
        return

    def listen() -> None:
        with line, contextlib.suppress(OSError):
            line.recv(1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=listen, daemon=True).start()
