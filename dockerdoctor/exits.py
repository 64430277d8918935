"""The documented exit codes: what a script may rely on."""

from enum import IntEnum


class ExitStatus(IntEnum):
    """Exit codes of every `doctor` command."""

    WELL = 0  # well, nothing to do, or nothing at or above --fail-on
    FINDINGS = 1  # findings at or above --fail-on; a sample stage failed; a fix was refused
    USAGE = 2  # wrong usage; --write without a terminal and without --yes
    UNEXAMINED = 3  # could not examine: not Linux, or nothing measurable
    ROLLED_BACK = 4  # a fix failed and was rolled back
    STRANDED = 5  # the roll-back failed: hands needed
    BUG = 70  # our own bug (EX_SOFTWARE of sysexits.h)
    INTERRUPTED = 130  # nothing left behind
