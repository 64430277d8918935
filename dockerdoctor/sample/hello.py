"""The tutorial's first test: `docker run hello-world`, beside the other stages."""

from __future__ import annotations

from collections.abc import Sequence

from dockerdoctor.examine import failed, passed, skipped
from dockerdoctor.model import Evidence, Finding
from dockerdoctor.sample.judge import meaning
from dockerdoctor.sample.model import stage
from dockerdoctor.sample.pull import had
from dockerdoctor.sample.scene import Scene

IMAGE = "hello-world:latest"
HELLO = "Hello from Docker!"
# It has two kilobytes; the base image tells what is wrong with the registry, if this takes longer.
PULL_PATIENCE = 20.0  # seconds
RUN_PATIENCE = 20.0


@stage(
    "hello-world",
    title="The engine runs `hello-world`",
    doing="Running hello-world",
    needs=("endpoint",),
    aside=True,
)
def hello_world(scene: Scene) -> Finding:
    """Run it, where it can be had."""
    image, failure = had(scene, (IMAGE,), min(PULL_PATIENCE, scene.wishes.timeout), quietly=True)
    if failure:
        return skipped(failure.summary)
    status, said = once(scene, image, "hello", RUN_PATIENCE)
    seen = Evidence(f"docker run {IMAGE}", said.strip()[:200] or "nothing")
    if not status and HELLO in said:
        return passed(HELLO, seen)
    return failed(
        f"{IMAGE} ended with status {status}, and did not say {HELLO!r}",
        seen,
        cause=meaning([said], "The engine does not run the smallest of programs."),
    )


def once(
    scene: Scene,
    image: str,
    name: str,
    patience: float,
    command: tuple[str, ...] = (),
    network: str = "",
    binds: Sequence[str] = (),
) -> tuple[int, str]:
    """Run a container to its end, as `docker run --rm` does: its exit status, and what it said."""
    api = scene.api(patience)
    # Read again afterwards, which not every logging driver allows.
    config = api.create_host_config(
        network_mode=network or "default",
        binds=list(binds) or None,
        security_opt=["label=disable"] if binds else None,
        log_config={"type": "json-file", "config": {}},
    )
    with scene.created():
        container = api.create_container(
            image, list(command) or None, name=scene.name(name), host_config=config, labels=scene.labels
        )["Id"]
    try:
        api.start(container)
        status = api.wait(container)["StatusCode"]
        return int(status), str(api.logs(container).decode("utf-8", "replace"))
    finally:
        api.remove_container(container, force=True)
