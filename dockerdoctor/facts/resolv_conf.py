"""How resolv.conf(5) is read: by the C library, which is strict, and by dockerd, which is less so. Pure."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

# What glibc, musl or a BSD resolver may find at the beginning of a line.
KEYWORDS = frozenset({"nameserver", "search", "domain", "options", "sortlist", "lookup", "family"})
ADDRESS = re.compile(r"[0-9a-fA-F]*:[0-9a-fA-F:.]+|\d+\.\d+\.\d+\.\d+")


@dataclass(frozen=True, slots=True)
class Overlooked:
    """A line that was meant to name a nameserver, and that a C library passes over."""

    number: int
    text: str
    reason: str  # "it ends in a carriage return"
    address: str = ""  # the nameserver that was meant, where that can be told

    @property
    def read_by_dockerd(self) -> bool:
        """Whether dockerd takes it all the same: it does not mind white space around, and a carriage return is that."""
        return bool(nameserver_of(self.text.strip()))


def is_address(word: str) -> bool:
    """Whether it is an IP address, perhaps with a zone."""
    try:
        ipaddress.ip_address(word.split("%", maxsplit=1)[0])
    except ValueError:
        return False
    return True


def nameserver_of(line: str) -> str:
    """
    The nameserver that a C library takes from a line; empty where it takes none.

    The keyword must be at the very beginning, and white space behind it; what follows the address is ignored
    (glibc, resolv/res_init.c; musl, resolvconf.c).
    """
    match = re.match(r"nameserver[ \t]+([^ \t]+)", line)
    return match.group(1) if match and is_address(match.group(1)) else ""


def overlooked(text: str) -> tuple[Overlooked, ...]:
    """Find the lines that were meant to name a nameserver and do not."""
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        words = re.split(r"[#;]", line, maxsplit=1)[0].split()
        if not words or nameserver_of(line):
            continue
        keyword = words[0].lower()
        if keyword in KEYWORDS - {"nameserver"}:
            continue
        meant = next((m for m in ADDRESS.findall(line) if is_address(m)), "")
        if meant or "server" in keyword:
            found.append(Overlooked(number, line, _reason(line, words), meant))
    return tuple(found)


def _reason(line: str, words: list[str]) -> str:
    if nameserver_of(line.rstrip("\r")):
        return "it ends in a carriage return, as files from Windows do"
    if nameserver_of(line.strip()):
        return "it begins with white space"
    if words[0] != "nameserver":
        return f"“{words[0]}” is no keyword of that file"
    return f"“{words[1]}” is no address" if len(words) > 1 else "no address follows"
