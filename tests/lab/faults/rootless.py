"""Faults of an engine without root."""

from tests.lab.fault import Fault
from tests.lab.machine import Machine
from tests.lab.rootless import ENV, rootless


def published(port: int) -> str:
    """Publish a port of a container."""
    return f"docker run -d --name web -p {port}:80 busybox sleep 1000"


def setup(machine: Machine) -> None:
    """One container, with a port above 1024."""
    rootless(machine)
    machine.run(published(8081), user="alice", env=ENV)


def low_port(machine: Machine) -> None:
    """Want another port for it."""
    machine.run(f"docker rm -f web; {published(81)} || true", user="alice", env=ENV)


FAULTS = (
    Fault(
        "port-rootless-privileged",
        "ports.rootless-privileged",
        setup=setup,
        inject=low_port,
        broken="docker ps | grep web",
        user="alice",
        env=ENV,
        verify_fix=True,
        engines=("20.10",),
    ),
)
