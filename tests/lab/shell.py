"""A shell in a machine, for people: `python3 -m tests.lab.shell [--fault ID | --healthy ID] [-- command ...]`."""

import argparse
import contextlib
import os
import shlex
import signal
import subprocess
import sys
from typing import Any

from tests.lab.base import SUITES
from tests.lab.fault import Fault, Healthy, at, do, engines
from tests.lab.faults import FAULTS
from tests.lab.healthy import HEALTHY
from tests.lab.machine import Machine
from tests.lab.store import LabError


def main() -> int:
    """Boot a machine, break it if told to, and give a shell or run a command; the exit status is the command's."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.lab.shell", description=__doc__)
    patient = parser.add_mutually_exclusive_group()
    patient.add_argument("--fault", metavar="ID", help="with this fault injected; `list` shows all")
    patient.add_argument("--healthy", metavar="ID", help="one of the healthy machines; `list` shows all")
    parser.add_argument("--suite", choices=SUITES, help="the Debian and its engine; the first that the patient is for")
    parser.add_argument("--user", help="as alice (who may use Docker) or bob (who may not), not root")
    parser.add_argument("--image", action="append", default=[], help="have this image from the start; repeatable")
    parser.add_argument("--daemon-json", help="the text of /etc/docker/daemon.json")
    parser.add_argument("--no-wait", action="store_true", help="do not wait for Docker")
    parser.add_argument("command", nargs="*", help="after --: run this instead of a shell")
    args = parser.parse_args()

    known: dict[str, Fault | Healthy] = {p.id: p for p in (FAULTS if args.fault else HEALTHY)}
    wanted = args.fault or args.healthy
    if wanted == "list":
        print("\n".join(sorted(known)))
        return 0
    if wanted and wanted not in known:
        parser.error(f"unknown: {wanted}; `list` shows all")
    chosen = known.get(wanted)
    if chosen:
        chosen = at(chosen, SUITES[args.suite].engine if args.suite else engines(chosen)[0])

    options: dict[str, Any] = dict(chosen.machine) if chosen else {}
    if args.suite:
        options["suite"] = args.suite
    if args.image:
        options["images"] = tuple(args.image)
    if args.daemon_json is not None:
        options["daemon_json"] = args.daemon_json
    if args.no_wait:
        options["wait"] = False
    try:
        with Machine.boot(**options) as machine:
            if chosen:
                do(machine, chosen.setup)
            if isinstance(chosen, Fault):
                do(machine, chosen.inject)
            return converse(machine, args.command, args.user, dict(chosen.env) if chosen else {})
    except LabError as error:
        print(error, file=sys.stderr)
        return 3


def converse(machine: Machine, command: list[str], user: str | None, env: dict[str, str]) -> int:
    """Give the terminal to a command, or a shell, in the machine."""
    env["TERM"] = os.environ.get("TERM", "dumb")
    if command:
        argv = ["bash", "-c", command[0] if len(command) == 1 else shlex.join(command)]
    else:
        print(f"{machine.name}: address {machine.address}, gateway {machine.gateway}; it ends with this shell")
        argv = ["bash", "-i"]
    # Ctrl-C is for what runs in the machine.
    with contextlib.ExitStack() as stack:
        stack.callback(signal.signal, signal.SIGINT, signal.signal(signal.SIGINT, signal.SIG_IGN))
        return subprocess.run(
            machine.enter(argv, user=user, env=env), check=False, preexec_fn=allow_interrupt
        ).returncode


def allow_interrupt() -> None:
    """In the child: let Ctrl-C through, which we ignore."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    sys.exit(main())
