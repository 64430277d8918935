"""Redis for the page's counter: one of our own on a network of its own, or the one that is there."""

from __future__ import annotations

import contextlib
import time

from dockerdoctor.examine import failed, passed, skipped
from dockerdoctor.model import Evidence, Finding
from dockerdoctor.sample.inside import listeners
from dockerdoctor.sample.judge import meaning, no_network
from dockerdoctor.sample.model import stage
from dockerdoctor.sample.pull import had
from dockerdoctor.sample.scene import Scene

# The first that is here; else the first of all is pulled.
IMAGES = ("redis:7-alpine", "redis:latest")
NAME = "redis"
PORT = 6379
# It listens within a tenth of a second; one that never does is for the page to show.
LISTEN_PATIENCE = 5.0  # seconds


@stage("redis", title="Redis runs under the name `redis`", doing="Starting Redis", needs=("endpoint",))
def redis(scene: Scene) -> Finding:
    """Start it on a network of its own, unless the network that is asked for has one."""
    if not scene.wishes.redis:
        return skipped("not asked for")
    if scene.wishes.network and (there := redis_on_network(scene)):
        scene.network, scene.redis = scene.wishes.network, there
        return passed(f"{there} on {scene.network}")
    image, failure = had(scene, IMAGES, scene.wishes.timeout)
    if failure:
        return failure
    api = scene.api()
    scene.network = scene.wishes.network
    if not scene.network:
        with scene.created():
            api.create_network(scene.name(), driver="bridge", check_duplicate=True, labels=scene.labels)
            scene.network, scene.made_network = scene.name(), True
    config = api.create_networking_config({scene.network: api.create_endpoint_config(aliases=[NAME])})
    host_config = api.create_host_config(network_mode=scene.network)
    try:
        with scene.created():
            container = api.create_container(
                image, name=scene.name(NAME), host_config=host_config, networking_config=config, labels=scene.labels
            )["Id"]
        api.start(container)
    except scene.refusals as no:
        said = scene.said(no)
        if f"network {scene.network} not found" in said:
            return no_network(scene.network)
        return failed(f"Redis did not start: {said}", cause=meaning([said], "The engine gives the reason."))
    return _listening(scene, image, container)


def _listening(scene: Scene, image: str, container: str) -> Finding:
    """Wait until it listens; where it never does, the page will show what that leads to."""
    api, until = scene.api(), time.monotonic() + LISTEN_PATIENCE
    while time.monotonic() < until:
        if found := listeners(scene, container):
            break
        state = api.inspect_container(container)["State"]
        if state["Status"] != "running":
            said = api.logs(container, tail=8).decode("utf-8", "replace").splitlines()
            return failed(
                f"Redis ended with status {state.get('ExitCode')}",
                *(Evidence("its log", line) for line in said if line.strip()),
                cause=f"Redis itself failed: {said[-1]}" if said else "Redis ended without a word.",
            )
        time.sleep(0.05)
    where = ", ".join(x.where for x in found) or "nowhere"
    scene.redis, scene.counts_from = f"{image}, started for this run", 1
    return passed(f"{image} on {scene.network}, listens on {where}", Evidence("/proc/net/tcp in its container", where))


def redis_on_network(scene: Scene) -> str:
    """Name the container that `redis` means on the sample's network; empty where nothing has that name."""
    network = scene.network or scene.wishes.network
    if not network:
        return ""  # the default bridge has no names
    with contextlib.suppress(*scene.refusals):
        api = scene.api()
        for listed in api.containers(filters={"network": network}):
            data = api.inspect_container(listed["Id"])
            attached = (data["NetworkSettings"].get("Networks") or {}).get(network) or {}
            if data["Name"] == "/redis" or NAME in (attached.get("Aliases") or ()):
                return f"{data['Name'].lstrip('/')} ({data['Config'].get('Image')}) has the name redis"
    return ""
