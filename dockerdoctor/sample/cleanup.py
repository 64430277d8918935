"""The last stage, whatever came before it: what was started is stopped and removed; and what other runs left."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from dockerdoctor.examine import failed, passed, skipped
from dockerdoctor.facts.endpoint import DaemonPing
from dockerdoctor.host import Host
from dockerdoctor.model import Finding
from dockerdoctor.sample.base import remove_bases
from dockerdoctor.sample.build import discard_layers, end_build
from dockerdoctor.sample.model import stage
from dockerdoctor.sample.scene import IMAGE_LABEL, LABEL, STAYS, Scene

STOP_PATIENCE = 3
# A person waits for this at Ctrl-C; a frozen engine must not keep them.
CLEANUP_PATIENCE = 10.0


def alive(host: Host, labels: Mapping[str, Any] | None) -> bool:
    """Whether the run that made something is still at work."""
    pid = str((labels or {}).get(f"{LABEL}.pid", ""))
    return pid.isdigit() and "run-sample" in host.cmdline(int(pid))


def left_over(scene: Scene, api: Any) -> list[str]:
    """Remove what runs left that were killed, and give the names of it; what stays on purpose stays while it runs."""
    gone = []
    for one in api.containers(all=True, filters={"label": LABEL}):
        staying = STAYS in one["Labels"] and one["State"] == "running"
        if staying or alive(scene.host, one["Labels"]):
            continue
        with contextlib.suppress(scene.missing):
            api.remove_container(one["Id"], v=True, force=True)
        gone.append(str(one["Names"][0]).lstrip("/"))
    for network in api.networks(filters={"label": LABEL}):
        if not alive(scene.host, network.get("Labels")):
            # Refused where what stays on purpose is on it.
            with contextlib.suppress(*scene.refusals):
                api.remove_network(network["Id"])
                gone.append(f"network {network['Name']}")
    return gone


@stage("cleanup", title="What was started is gone again", doing="Removing what was started")
def cleanup(scene: Scene) -> Finding:
    """Clean up, or say what may be left and how it goes away."""
    try:
        return _cleanup(scene)
    except scene.refusals as no:
        return failed(
            f"could not remove what was started: {scene.said(no)}",
            cause="The engine does not answer now. The next `doctor run-sample` removes what is left.",
            fix=(f"docker ps -aq --filter label={LABEL} | xargs -r docker rm -f",),
            because=(),
        )


def _cleanup(scene: Scene) -> Finding:
    """Stop and remove what this run started; the image stays unless it is not wanted."""
    for stream in scene.streams:
        end_build(scene, stream)
    # What another thread is making now is waited for, and removed with the rest.
    locked = scene.making.acquire(timeout=CLEANUP_PATIENCE)
    scene.over = True
    if locked:
        scene.making.release()
    if not (ping := scene.facts.of(DaemonPing)) or not ping.answered:
        return skipped("nothing was started")
    if scene.stays:
        until = "`doctor run-sample --stop`" if scene.wishes.detached or scene.wishes.keep else "Ctrl-C"
        return skipped(f"{scene.container[:12]} runs until {until}")
    api = scene.api(CLEANUP_PATIENCE)
    gone = remove_run(scene, api, scene.id)
    if scene.stand_in:
        scene.stand_in.close()
    gone += [f"image {tag}" for tag in remove_bases(scene, api)]
    if kept_by := remove_images(scene, api):
        return kept_by
    if left := api.containers(all=True, filters={"label": f"{LABEL}={scene.id}"}):
        return failed(f"{len(left)} container is still there", cause="The engine did not remove it.", because=())
    keeps = scene.image and not scene.wishes.remove_image and not scene.own_base
    if scene.image and scene.wishes.remove_image and not scene.own_base:
        gone.append(f"image {scene.image_name}")
    kept = f"; {scene.image_name} is kept" if keeps else ""
    return passed(f"removed {', '.join(gone) or 'nothing: nothing was started'}{kept}")


def remove_run(scene: Scene, api: Any, run: str) -> list[str]:
    """Stop and remove containers and network of a run, and give the names of them."""
    gone: list[str] = []
    for one in api.containers(all=True, filters={"label": f"{LABEL}={run}"}):
        if one["State"] == "running":
            with contextlib.suppress(*scene.refusals):
                api.stop(one["Id"], timeout=STOP_PATIENCE)
        with contextlib.suppress(scene.missing):
            api.remove_container(one["Id"], v=True, force=True)
        gone.append(f"container {one['Id'][:12]}")
    for network in api.networks(filters={"label": f"{LABEL}={run}"}):
        with contextlib.suppress(scene.missing):
            api.remove_network(network["Id"])
        gone.append(f"network {network['Name']}")
    return gone


def remove_images(scene: Scene, api: Any) -> Finding | None:
    """Remove the image if it is not wanted, those of ours that lost their name, and what a failed build leaves."""
    if scene.image and scene.wishes.remove_image and not scene.own_base:
        try:
            api.remove_image(scene.image_name)
        except scene.refusals as no:
            cause = "Somebody else's container uses the image."
            return failed(f"{scene.image_name} was not removed: {scene.said(no)}", cause=cause, because=())
    remove_nameless(scene, api)
    if not scene.image:
        discard_layers(scene)
    return None


def remove_nameless(scene: Scene, api: Any) -> None:
    """Remove images of ours that a later build has taken the name of; refused where a container needs one."""
    for one in api.images(filters={"dangling": True, "label": IMAGE_LABEL}):
        with contextlib.suppress(*scene.refusals):
            api.remove_image(one["Id"])
