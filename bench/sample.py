"""
How long `doctor run-sample` takes, next to the same steps typed by hand, on one healthy machine in one run.

By hand: build, run, fetch the page until it comes, remove. They take turns, first with the build to be done anew, then
with all of it in the engine's cache; ratios of medians are reported. Nothing here is a test.
"""

import argparse
import statistics

from bench.ratios import seconds
from tests.lab.machine import Machine

# As the tutorial has it, with what this network demands of pip; the doctor finds that out by itself.
CONTEXT = """
    mkdir -p /srv/hand && cp -rL /opt/doctor/lib/python3*/site-packages/dockerdoctor/_sample/. /srv/hand/
    if [ -e /etc/pip.conf ]; then cp /etc/pip.conf /srv/hand/sample_app/; fi"""
BY_HAND = """sh -c 'cd /srv/hand && docker build -t byhand . && docker run -d --name byhand -p 4000:80 byhand
    until curl -fs localhost:4000; do sleep 0.1; done; docker rm -f byhand'"""
OURS = "doctor run-sample"
FRESH = "docker rmi -f byhand friendlyhello; docker image prune -f; docker builder prune -f"


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with Machine.boot(images=("busybox", "python:3.13-slim", "hello-world")) as machine:
        machine.run(CONTEXT)
        machine.settle()
        print(f"{'':12} {'doctor':>9} {'by hand':>9} {'ratio':>6}   ({rounds} rounds)")
        for title, before in (("built anew", FRESH), ("from cache", "true")):
            times = []
            for _ in range(rounds):
                pair = []
                for command in (OURS, BY_HAND):
                    machine.run(f"{before} >/dev/null 2>&1; true")
                    pair.append(seconds(machine, command))
                times.append(pair)
            mine, other = (statistics.median(column) for column in zip(*times, strict=True))
            print(f"{title:12} {mine:7.2f} s {other:7.2f} s {mine / other:6.2f}")


if __name__ == "__main__":
    main()
