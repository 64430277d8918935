"""The container: created, started and published as `docker run -p` does, and listening."""

from __future__ import annotations

import time

from dockerdoctor.examine import failed, passed
from dockerdoctor.model import Evidence, Finding
from dockerdoctor.sample import ports, standin
from dockerdoctor.sample.inside import listeners
from dockerdoctor.sample.judge import meaning, no_network, not_listening, page_missing
from dockerdoctor.sample.model import stage
from dockerdoctor.sample.scene import CONTAINER_PORT, Scene

# Flask needs a second on an idle host, and many on a busy one.
LISTEN_PATIENCE = 30.0  # seconds
# What listens elsewhere by now, and not where it should after this, will not begin to.
SETTLED = 2.0
AGAIN = 0.05


@stage(
    "container",
    title="The container is created",
    doing="Creating the container",
    needs=("port", "image"),
    otherwise=standin.created,
)
def container(scene: Scene) -> Finding:
    """Create it from the image that was built."""
    api = scene.api()
    network = scene.network or scene.wishes.network
    bindings = {CONTAINER_PORT: scene.port}
    config = api.create_host_config(port_bindings=bindings, network_mode=network or "default")
    try:
        with scene.created():
            scene.container = api.create_container(
                scene.image,
                name=scene.name(),
                host_config=config,
                ports=[CONTAINER_PORT],
                labels=scene.labels,
                # The page knows its Redis without, and an examination of this host would not know that it wants one.
                environment={"REDIS_HOST": "redis"} if scene.redis else None,
                # Python as a container's first process heeds this one, and not SIGTERM.
                stop_signal="SIGINT",
            )["Id"]
    except scene.refusals as no:
        said = scene.said(no)
        if f"network {network} not found" in said:
            return no_network(network)
        otherwise = "The engine could not create the container, for the reason that it gives."
        return failed(f"the container was not created: {said}", cause=meaning([said], otherwise))
    return passed(f"{scene.container[:12]} on {network or 'the default bridge'}")


@stage(
    "start",
    title="The container starts",
    doing="Starting the container",
    needs=("container",),
    otherwise=standin.started,
)
def start(scene: Scene) -> Finding:
    """Start it, with its port published."""
    try:
        scene.api().start(scene.container)
    except scene.refusals as no:
        said = scene.said(no)
        if "already" in said and (taken := ports.taken(scene)):
            return taken
        network = scene.network or scene.wishes.network
        if network and f"network {network} not found" in said:
            return no_network(network)
        otherwise = "The engine could not start the container, for the reason that it gives."
        return failed(f"the container did not start: {said}", cause=meaning([said], otherwise))
    return passed(f"{scene.container[:12]} runs")


@stage(
    "listening",
    title="The application listens on its port",
    doing="Waiting for the application",
    needs=("start",),
    otherwise=standin.listening,
)
def listening(scene: Scene) -> Finding:
    """Look into the container until something listens on its port where others can reach it."""
    began = time.monotonic()
    patience = min(LISTEN_PATIENCE, scene.wishes.timeout)
    elsewhere = 0.0  # since when it listens, and not there
    while True:
        inside = listeners(scene, scene.container)
        passes = time.monotonic() - began
        found = next((x for x in inside if x.port == CONTAINER_PORT and not x.loopback), None)
        if found:
            return passed(f"{found.where} in the container", Evidence("/proc/net/tcp in the container", found.where))
        elsewhere = elsewhere or (passes if inside else 0.0)
        state = scene.api().inspect_container(scene.container)["State"]["Status"]
        if state != "running" or passes > patience or (elsewhere and passes - elsewhere > SETTLED):
            return not_listening(inside, CONTAINER_PORT, passes, *scene.state())
        time.sleep(AGAIN)


@stage(
    "published",
    title="The engine publishes the container's port",
    doing="Looking for the published port",
    needs=("start",),
)
def published(scene: Scene) -> Finding:
    """Ask the engine where the container's port is."""
    data = scene.api().inspect_container(scene.container)
    table = (data["NetworkSettings"].get("Ports") or {}).get(f"{CONTAINER_PORT}/tcp") or ()
    bound = [f"{b['HostIp']}:{b['HostPort']}" for b in table]
    seen = Evidence(f"docker inspect {scene.container[:12]}", f"NetworkSettings.Ports 80/tcp: {bound or 'none'}")
    if any(b["HostPort"] == str(scene.port) for b in table):
        scene.bound = tuple(dict.fromkeys(str(b["HostIp"]) for b in table))
        return passed(f"{', '.join(bound)} → {CONTAINER_PORT}", seen)
    state, logs = scene.state()
    if not state.startswith("running"):
        return page_missing(scene.url, "not asked", 0, 0, state, logs)
    return failed(
        f"the engine does not publish port {CONTAINER_PORT} of the container",
        seen,
        cause=f"The network {scene.network or scene.wishes.network or 'bridge'} publishes no ports.",
    )
