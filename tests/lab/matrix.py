"""On which engines each declared machine is examined: `make test` takes the oldest and a sample, `make matrix` all."""

import os
import zlib
from collections.abc import Iterable

import pytest

from tests.lab.base import ENGINES, engine_of
from tests.lab.fault import Fault, Healthy, engines

# On all its engines every time: one fault or more of each area, those first whose verdict or cure depends on the engine.
SAMPLE = {
    "plain",
    "busy",
    "user-networks",
    "daemon-json-syntax:trailing-comma",
    "daemon-json-hosts-conflict",
    "dns-daemon-json-dead-server:silent",
    "dns-loopback-fallback-blocked",
    "net-docker-chains-flushed",
    "net-ip-forward-off",
}


def cases(patients: Iterable[Fault | Healthy]) -> list[object]:
    """Give a parameter set for each machine on each of its engines; what `make test` leaves out is marked `matrix`."""
    found = []
    for patient in patients:
        for engine in engines(patient):
            always = engine == engines(patient)[0] or patient.id in SAMPLE
            marks = () if always else (pytest.mark.matrix,)
            found.append(pytest.param(patient, engine, id=f"{patient.id}@{engine}", marks=marks))
    return found


def on_engines() -> list[object]:
    """Give every suite, by its engine: the oldest for `make test`, the others for `make matrix`."""
    first = min(ENGINES)
    return [pytest.param(s, id=e, marks=() if e == first else (pytest.mark.matrix,)) for e, s in ENGINES.items()]


def controlled(fault: Fault) -> bool:
    """
    Whether a machine is examined before it is broken, too: a quarter of a proof's time.

    With `make matrix` always; else every third, the same ones each time, since healthy machines are proven by themselves.
    """
    return "DOCKERDOCTOR_LAB_CONTROL" in os.environ or zlib.crc32(fault.id.encode()) % 3 == 0


def require(engine: str) -> None:
    """Skip where the suite has moved on to an engine that the declarations do not speak of."""
    version = engine_of(ENGINES[engine])
    if not version.startswith(f"{engine}."):
        pytest.skip(f"{ENGINES[engine]} has Docker {version} by now, not {engine}")
