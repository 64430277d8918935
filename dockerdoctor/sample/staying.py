"""What is left running on purpose: followed until Ctrl-C, opened in a browser, ended another time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from dockerdoctor.facts.endpoint import DaemonPing
from dockerdoctor.sample import engine
from dockerdoctor.sample.cleanup import remove_images, remove_nameless, remove_run
from dockerdoctor.sample.scene import LABEL, STAYS, Scene, held_back

# Of a log that has nothing to say for hours.
QUIET_PATIENCE = 24 * 3600.0


def follow(scene: Scene, show: Callable[[str], None]) -> None:
    """Show what the application says until it ends, or a signal ends us; then remove all of the run."""
    api = scene.api(QUIET_PATIENCE)
    try:
        with contextlib.suppress(*scene.refusals):
            rest = ""
            for piece in api.logs(scene.container, stream=True, follow=True):
                *lines, rest = (rest + piece.decode("utf-8", "replace")).split("\n")
                for line in lines:
                    show(line)
    finally:
        with held_back():
            remove_run(scene, scene.api(), scene.id)
            remove_images(scene, scene.api())


def stop(scene: Scene) -> tuple[list[str], str]:
    """End every sample that was left running: what has gone, and what went wrong."""
    finding = engine.endpoint.work(scene)
    ping = scene.facts.of(DaemonPing)
    if not ping or not ping.answered:
        return [], finding.summary
    try:
        api = scene.api()
        left = api.containers(all=True, filters={"label": STAYS})
        runs = dict.fromkeys(str(one["Labels"][LABEL]) for one in left)
        gone = [name for run in runs for name in remove_run(scene, api, run)]
        remove_nameless(scene, api)
        return gone, ""
    except scene.refusals as no:
        return [], scene.said(no)
