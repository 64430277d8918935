"""What runs where the sample does not: this host's own Python with a page of its own, so that all after it is examined."""

from __future__ import annotations

import contextlib
import inspect
import time

from dockerdoctor.facts.endpoint import ChosenEndpoint, DaemonPing
from dockerdoctor.facts.probe_container import open_lab
from dockerdoctor.incontainer import page
from dockerdoctor.measure import Unmeasured
from dockerdoctor.sample import ports
from dockerdoctor.sample.inside import listeners
from dockerdoctor.sample.scene import CONTAINER_PORT, Scene

STOP_PATIENCE = 2
# The standard library's server listens within half a second.
LISTEN_PATIENCE = 10.0  # seconds
WORDS = "a stand-in: this host's own Python"


def created(scene: Scene) -> str:
    """Create it in the place of the sample's own container."""
    endpoint, ping = scene.facts.of(ChosenEndpoint), scene.facts.of(DaemonPing)
    if not scene.local or not endpoint or not ping or scene.stand_in:
        return ""
    api = scene.api()
    if scene.container:
        # Its port is needed; what it said has been read.
        with contextlib.suppress(*scene.refusals):
            api.stop(scene.container, timeout=STOP_PATIENCE)
    if not scene.port or ports.taken(scene):
        scene.port = ports.next_free(scene.port or scene.wishes.port)
    scene.stand_in = open_lab(scene.host, endpoint, ping)
    try:
        image, scene.python, folders = scene.stand_in.body()
    except Unmeasured:
        return ""
    config = api.create_host_config(
        port_bindings={CONTAINER_PORT: scene.port},
        network_mode=scene.network or scene.wishes.network or "default",
        binds=[f"{folder}:{folder}:ro" for folder in folders],
        security_opt=["label=disable"],
    )
    with scene.created():
        scene.container = api.create_container(
            image,
            [scene.python, "-I", "-S", "-c", inspect.getsource(page)],
            name=scene.name("stand-in"),
            host_config=config,
            ports=[CONTAINER_PORT],
            labels=scene.labels,
            environment={"NAME": "World"},
            stop_signal="SIGINT",
        )["Id"]
    return WORDS


def started(scene: Scene) -> str:
    """Create and start it."""
    if not created(scene):
        return ""
    scene.api().start(scene.container)
    return WORDS


def listening(scene: Scene) -> str:
    """Create and start it, and wait until it listens."""
    if not started(scene):
        return ""
    until = time.monotonic() + LISTEN_PATIENCE
    while time.monotonic() < until:
        if any(x.port == CONTAINER_PORT for x in listeners(scene, scene.container)):
            return WORDS
        time.sleep(0.05)
    return ""
