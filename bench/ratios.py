"""
How long the doctor takes, next to commands that everybody knows, on one healthy machine in one run.

Machines are noisy, so commands take turns, and ratios of medians are reported. Nothing here is a test.
"""

import argparse
import statistics

from tests.lab.machine import Machine

# What an examination cannot do without, by Docker's own client: a container on each of two networks, one of them new.
BARE = (
    "sh -c 'docker run --rm busybox true & "
    "docker network create bare && docker run --rm --network bare busybox true; docker network rm bare; wait'"
)
PAIRS = (
    ("doctor check", "docker run --rm busybox true"),
    ("doctor check", BARE),
    ("doctor check --passive", "docker info"),
)


def seconds(machine: Machine, command: str) -> float:
    """Run a command in the machine and time it there."""
    done = machine.run(f"start=$(date +%s%N); {command} >/dev/null 2>&1; echo $(( $(date +%s%N) - start ))")
    return int(done.stdout) / 1e9


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    with Machine.boot() as machine:
        machine.settle()
        print(f"{'command':24} {'median':>8} {'median':>8} {'ratio':>6}  beside   ({rounds} rounds)")
        for ours, theirs in PAIRS:
            seconds(machine, ours), seconds(machine, theirs)  # the first of each fills caches
            times = [(seconds(machine, ours), seconds(machine, theirs)) for _ in range(rounds)]
            mine, other = (statistics.median(column) for column in zip(*times, strict=True))
            print(f"{ours:24} {mine:6.2f} s {other:6.2f} s {mine / other:6.2f}  {theirs}")


if __name__ == "__main__":
    main()
