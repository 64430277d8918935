"""What kind of file a container's program is, read through the engine, and whether what runs it is there."""

from __future__ import annotations

import http.client
import struct
from dataclasses import dataclass
from urllib.parse import quote

from dockerdoctor.facts.endpoint import ChosenEndpoint, DaemonPing
from dockerdoctor.facts.engine import fetch
from dockerdoctor.host import Host
from dockerdoctor.measure import Unmeasured

TIMEOUT = 2.0
BLOCK = 512  # of a tar archive
# A program's headers, and the name of its loader, lie in its first pages.
HEAD = 16 << 10
# Of e_machine (elf(5)), in the words of Go and of image manifests.
MACHINES = {3: "386", 21: "ppc64le", 22: "s390x", 40: "arm", 62: "amd64", 183: "arm64", 243: "riscv64", 258: "loong64"}
PT_INTERP = 3


@dataclass(frozen=True, slots=True)
class Program:
    """One file of a container's tree, by its first bytes."""

    path: str
    kind: str  # "elf", "script" (begins with "#!"), "text", "other", "empty", "folder", "missing"
    mode: int = 0
    owner: int = 0
    machine: str = ""  # of an ELF file: "arm64"
    interpreter: str = ""  # of a script, or the loader of an ELF file
    argument: str = ""  # of a script's first line: "bash" of "#!/usr/bin/env bash"
    carriage_return: bool = False  # a script's first line ends in one
    interpreter_there: bool | None = None  # None: not looked for


def program(host: Host, endpoint: ChosenEndpoint, ping: DaemonPing, container: str, path: str) -> Program | None:
    """Read a file's kind, links followed; None where it could not be read."""
    for _ in range(5):  # a chain of links longer than this is a loop
        found = _file(host, endpoint, ping, container, path)
        if found is None:
            return None
        if not found:
            return Program(path, "missing")
        target = link(found)
        if not target:
            break
        path = target if target.startswith("/") else f"{path.rpartition('/')[0]}/{target}"
    else:
        return None
    read = judge(path, found)
    if not read.interpreter or read.carriage_return:
        return read
    there = _file(host, endpoint, ping, container, read.interpreter)
    fields = {name: getattr(read, name) for name in Program.__slots__}
    return Program(**{**fields, "interpreter_there": None if there is None else bool(there)})


def _file(host: Host, endpoint: ChosenEndpoint, ping: DaemonPing, container: str, path: str) -> bytes | None:
    """Take the beginning of a file as the tar archive that `docker cp` gets: empty where there is none."""
    target = f"/containers/{container}/archive?path={quote(path)}"
    try:
        status, _, body = fetch(host, endpoint, ping, target, TIMEOUT, HEAD)
    except Unmeasured:
        return None
    if status == http.client.NOT_FOUND:
        return b""
    return member(body) if status == http.client.OK else None


def member(archive: bytes) -> bytes | None:
    """Find the first real member of an archive: its header and its bytes, without what extends the header (pax)."""
    while len(archive) >= BLOCK:
        if archive[156:157] not in {b"x", b"g", b"L", b"K"}:
            return archive
        archive = archive[BLOCK + (_number(archive[124:136]) + BLOCK - 1) // BLOCK * BLOCK :]
    return None


def _number(octal: bytes) -> int:
    digits = octal.strip(b" \0")
    return int(digits, 8) if digits.isdigit() else 0


def link(entry: bytes) -> str:
    """Give the target of a symbolic link."""
    return entry[157:257].rstrip(b"\0").decode("utf-8", "replace") if entry[156:157] == b"2" else ""


def judge(path: str, entry: bytes) -> Program:
    """Tell the kind of a file by its first bytes."""
    mode, owner = _number(entry[100:108]) & 0o7777, _number(entry[108:116])
    size, head = _number(entry[124:136]), entry[BLOCK:]
    if entry[156:157] == b"5":
        return Program(path, "folder", mode, owner)
    if not size:
        return Program(path, "empty", mode, owner)
    if head.startswith(b"\x7fELF"):
        order = ">" if head[5:6] == b"\2" else "<"
        machine = int.from_bytes(head[18:20], "big" if order == ">" else "little")
        return Program(path, "elf", mode, owner, MACHINES.get(machine, f"machine {machine}"), loader(head, order))
    if head.startswith(b"#!"):
        first = head[2:].partition(b"\n")[0][:256].decode("utf-8", "replace")
        words = first.split(maxsplit=1)
        return Program(
            path,
            "script",
            mode,
            owner,
            "",
            words[0] if words else "",
            words[1].strip() if len(words) > 1 else "",
            carriage_return=first.endswith("\r"),
        )
    return Program(path, "other" if b"\0" in head[:size] else "text", mode, owner)


def loader(head: bytes, order: str) -> str:
    """Find the program interpreter among the headers of an ELF file (elf(5)); empty for a static one."""
    wide = head[4:5] == b"\2"
    try:
        start = struct.unpack_from(order + ("Q" if wide else "I"), head, 32 if wide else 28)[0]
        size, number = struct.unpack_from(f"{order}HH", head, 54 if wide else 42)
        for n in range(min(number, 64)):
            at = start + n * size
            if struct.unpack_from(f"{order}I", head, at)[0] == PT_INTERP:
                offset = struct.unpack_from(order + ("Q" if wide else "I"), head, at + (8 if wide else 4))[0]
                return head[offset:].partition(b"\0")[0][:256].decode("utf-8", "replace")
    except struct.error:
        pass
    return ""
