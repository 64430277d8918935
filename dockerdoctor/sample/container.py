"""The container: started as `docker run -p` does, and published."""

from __future__ import annotations

from dockerdoctor.examine import failed, passed
from dockerdoctor.model import Evidence, Finding
from dockerdoctor.sample import ports
from dockerdoctor.sample.judge import meaning, no_network, page_missing
from dockerdoctor.sample.model import stage
from dockerdoctor.sample.scene import CONTAINER_PORT, Scene, held_back


@stage("start", title="The container starts", doing="Starting the container", needs=("port", "build"))
def start(scene: Scene) -> Finding:
    """Create and start."""
    api, network = scene.api(), scene.wishes.network
    bindings = {CONTAINER_PORT: scene.port}
    config = api.create_host_config(port_bindings=bindings, network_mode=network or "default")
    try:
        with held_back():
            scene.container = api.create_container(
                scene.image,
                name=f"dockerdoctor-sample-{scene.id}",
                host_config=config,
                ports=[CONTAINER_PORT],
                labels=scene.labels,
                # Python as a container's first process heeds this one, and not SIGTERM.
                stop_signal="SIGINT",
            )["Id"]
        api.start(scene.container)
    except scene.refusals as no:
        said = scene.said(no)
        if "already" in said and (taken := ports.taken(scene)):
            return taken
        if f"network {network} not found" in said:
            return no_network(network)
        otherwise = "The engine could not start the container, for the reason that it gives."
        return failed(f"the container did not start: {said}", cause=meaning([said], otherwise))
    return passed(f"{scene.container[:12]} on {network or 'the default bridge'}")


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
        return passed(f"{', '.join(bound)} → {CONTAINER_PORT}", seen)
    state, logs = scene.state()
    if not state.startswith("running"):
        return page_missing(scene.url, "not asked", 0, 0, state, logs)
    return failed(
        f"the engine does not publish port {CONTAINER_PORT} of the container",
        seen,
        cause=f"The network {scene.wishes.network or 'bridge'} publishes no ports.",
    )
