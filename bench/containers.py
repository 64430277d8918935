"""
What an examination costs on a host with many containers: one of ten runs, the others have ended with an error.

Beside it stands `docker ps --all`, which looks at the same containers. Nothing here is a test.
"""

import argparse
import statistics

from bench.ratios import seconds
from tests.lab.machine import Machine

SIZES = (10, 100, 1000)
COMMANDS = ("doctor check", "doctor check --passive", "docker ps --all")
# Four at a time, in the machine: from outside, each would cost more than the container.
GROW = """
    one() {{ if [ $(($1 % 10)) = 0 ]
        then docker run -d --name c$1 --network none busybox sleep 100000
        else docker run --name c$1 --network none busybox sh -c 'echo no such file; exit 1' || true; fi; }} >/dev/null 2>&1
    export -f one
    seq {start} {end} | xargs -P 4 -I {{}} bash -c 'one {{}}'
    docker ps --all --quiet | wc -l
"""


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--most", type=int, default=SIZES[-1])
    options = parser.parse_args()
    there = 0
    print(f"{'containers':>10}" + "".join(f"{command:>25}" for command in COMMANDS) + f"   ({options.rounds} rounds)")
    with Machine.boot(images=("busybox",)) as machine:
        for size in (size for size in SIZES if size <= options.most):
            machine.run(GROW.format(start=there + 1, end=size), timeout=1800)
            there = size
            machine.settle()
            for command in COMMANDS:
                seconds(machine, command)  # the first fills caches
            rounds = [[seconds(machine, command) for command in COMMANDS] for _ in range(options.rounds)]
            medians = (statistics.median(column) for column in zip(*rounds, strict=True))
            print(f"{size:10}" + "".join(f"{median:23.2f} s" for median in medians))


if __name__ == "__main__":
    main()
