"""The last stage, whatever came before it: what was started is stopped and removed."""

from __future__ import annotations

import contextlib
from typing import Any

from dockerdoctor.examine import failed, passed, skipped
from dockerdoctor.facts.endpoint import DaemonPing
from dockerdoctor.model import Finding
from dockerdoctor.sample.base import remove_bases
from dockerdoctor.sample.build import discard_layers, end_build
from dockerdoctor.sample.model import stage
from dockerdoctor.sample.scene import IMAGE_LABEL, LABEL, Scene

STOP_PATIENCE = 3
# A person waits for this at Ctrl-C; a frozen engine must not keep them.
CLEANUP_PATIENCE = 10.0


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
    if not (ping := scene.facts.of(DaemonPing)) or not ping.answered:
        return skipped("nothing was started")
    api = scene.api(CLEANUP_PATIENCE)
    gone: list[str] = []
    for one in api.containers(all=True, filters={"label": f"{LABEL}={scene.id}"}):
        with contextlib.suppress(*scene.refusals):
            api.stop(one["Id"], timeout=STOP_PATIENCE)
        with contextlib.suppress(scene.missing):
            api.remove_container(one["Id"], force=True)
        gone.append(f"container {one['Id'][:12]}")
    gone += [f"image {tag}" for tag in remove_bases(scene, api)]
    if kept_by := _remove_images(scene, api):
        return kept_by
    if left := api.containers(all=True, filters={"label": f"{LABEL}={scene.id}"}):
        return failed(f"{len(left)} container is still there", cause="The engine did not remove it.", because=())
    keeps = scene.image and not scene.wishes.remove_image and not scene.own_base
    if scene.image and scene.wishes.remove_image and not scene.own_base:
        gone.append(f"image {scene.image_name}")
    kept = f"; {scene.image_name} is kept" if keeps else ""
    return passed(f"removed {', '.join(gone) or 'nothing: nothing was started'}{kept}")


def _remove_images(scene: Scene, api: Any) -> Finding | None:
    """Remove the image if it is not wanted, what it replaced if that was ours, and what a failed build leaves."""
    if scene.image and scene.wishes.remove_image and not scene.own_base:
        try:
            api.remove_image(scene.image_name)
        except scene.refusals as no:
            cause = "Somebody else's container uses the image."
            return failed(f"{scene.image_name} was not removed: {scene.said(no)}", cause=cause, because=())
    if scene.image and scene.previous not in {"", scene.image}:
        # Ours of an earlier run, untagged by this one's; refused where it is in use or has another tag.
        with contextlib.suppress(*scene.refusals):
            image = api.inspect_image(scene.previous)
            if IMAGE_LABEL in (image["Config"].get("Labels") or {}) and not image.get("RepoTags"):
                api.remove_image(scene.previous)
    if not scene.image:
        discard_layers(scene)
    return None
