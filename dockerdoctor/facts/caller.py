"""Who runs the doctor, and how the doctor is called again."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from dockerdoctor.host import Host
from dockerdoctor.measure import probe


@dataclass(frozen=True, slots=True)
class Caller:
    """The user for whom commands are made ready to paste."""

    user: str
    root: bool
    home: str
    doctor: str  # absolute path of this program


@probe()
def caller(host: Host) -> Caller:
    """Ask the system, not the environment: USER may say anything."""
    return Caller(host.user, host.is_root, host.home, str(host.which(sys.argv[0]) or sys.argv[0]))
