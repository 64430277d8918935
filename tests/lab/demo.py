"""Show the doctor at work on a private machine: `make demo`. Dead DNS in daemon.json, examined, cured, proven."""

import contextlib
import shlex
import subprocess
import sys
from collections.abc import Iterator

from tests.lab.machine import Machine
from tests.lab.store import LabError

# Nobody's address (RFC 5737); the gateway drops what goes there.
DEAD = "192.0.2.53"
TERMINAL = {"TERM": "xterm-256color", "COLUMNS": "100"}


def say(text: str) -> None:
    """Tell what comes next."""
    mark = ("\x1b[1;36m", "\x1b[0m") if sys.stdout.isatty() else ("", "")
    print(f"\n{mark[0]}── {text}{mark[1]}\n", flush=True)


def show(machine: Machine, *command: str) -> int:
    """Run a command in the machine, in front of the user."""
    print(f"# {shlex.join(command)}", flush=True)
    return subprocess.run(machine.enter([*command], env=TERMINAL), stdin=subprocess.DEVNULL, check=False).returncode


@contextlib.contextmanager
def sick_machine() -> Iterator[Machine]:
    """Boot a machine whose containers are given a nameserver that has died."""
    with Machine.boot(daemon_json={"dns": [DEAD]}) as machine:
        machine.firewall("PREROUTING", "-i", machine.slot.link, "-d", DEAD, "-j", "DROP", table="raw")
        yield machine


def main() -> int:
    """Break, check, fix, prove; exit 1 if any of it goes otherwise than it should."""
    say("A machine of its own boots: systemd, Docker Engine, a registry and a nameserver beside it")
    with sick_machine() as machine:
        say(f'Somebody wrote "dns": ["{DEAD}"] into its daemon.json; that server has since died')
        sick = show(machine, "doctor", "check")
        say("The fix: shown, applied, proven from new containers, or else put back")
        fixed = show(machine, "doctor", "fix-dns", "--write", "--yes")
        say("The tutorial's container, built and run from end to end")
        proven = show(machine, "doctor", "run-sample")
        say("And the host as a whole")
        well = show(machine, "doctor", "check")
    if (sick, fixed, proven, well) == (1, 0, 0, 0):
        say("As it should be: found (exit 1), cured, proven and well (exit 0). The machine is gone.")
        return 0
    say(f"Not as it should be: check {sick}, fix-dns {fixed}, run-sample {proven}, check {well}")
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LabError as reason:
        print(f"The demo cannot run: {reason}", file=sys.stderr)
        sys.exit(3)
