"""Faults of the engine's being there at all."""

from tests.lab.fault import Fault

FAULTS: tuple[Fault, ...] = (
    Fault(
        id="daemon-not-running:stopped",
        check="engine.reachable",
        inject="systemctl stop docker.socket docker.service",
        broken="docker ps",
    ),
)
