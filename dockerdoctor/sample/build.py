"""The image: what it is made from is packed and sent, the engine goes through the Dockerfile, and it gets its name."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

from dockerdoctor.diagnose import examine_host
from dockerdoctor.examine import passed
from dockerdoctor.facts.endpoint import ClientConfig
from dockerdoctor.model import Finding
from dockerdoctor.sample import source
from dockerdoctor.sample.judge import build_failed, hopeless
from dockerdoctor.sample.model import stage
from dockerdoctor.sample.scene import IMAGE_LABEL, Scene
from dockerdoctor.sample.stream import Stream, TooLate
from dockerdoctor.sample.surroundings import public_authorities, surroundings


@stage("build", title="The image can be built", doing="Building the image", needs=("base-image",))
def build(scene: Scene) -> Finding:
    """Build with what this host's network demands."""
    api = scene.api()
    with contextlib.suppress(scene.missing):
        scene.previous = api.inspect_image(source.IMAGE)["Id"]
    scene.given = surroundings(scene.host, scene.facts.of(ClientConfig), public_authorities())
    for note in scene.given.notes:
        scene.progress.say(f"given to the build: {note}")
    with source.folder() as folder, source.archive(folder, scene.given.files) as context:
        return classic(scene, context)


def classic(scene: Scene, context: Any) -> Finding:
    """Build with the engine's own builder, through its API."""
    stream = scene.stream(
        lambda own: own.build(
            fileobj=context,
            custom_context=True,
            tag=source.IMAGE,
            buildargs=scene.given.arguments,
            labels={IMAGE_LABEL: ""},
            rm=True,
            forcerm=True,
            decode=True,
        )
    )
    # pip tries again for a minute and more, and then says that there is no such package: look ourselves meanwhile.
    asked = threading.Thread(target=_examine_meanwhile, args=(scene, stream), daemon=True)
    try:
        for event in stream.events(scene.wishes.timeout):
            for line in scene.build.hear(event):
                scene.progress.say(line)
            if scene.build.retrying and not asked.ident:
                scene.progress.say("examining this host meanwhile ...")
                asked.start()
            if "diagnosis" in event and (why := hopeless(event["diagnosis"])):
                scene.diagnosis = event["diagnosis"]
                end_build(scene, stream)
                return build_failed(scene.build, late=f"given up while pip was trying again, since {why}")
    except TooLate:
        end_build(scene, stream)
        return build_failed(scene.build, late=f"not done within {scene.wishes.timeout:g} s")
    if scene.build.error or not scene.build.image:
        scene.build.error = scene.build.error or "the engine ended the build without a word"
        return build_failed(scene.build)
    scene.image = scene.build.image
    short = scene.image.removeprefix("sha256:")[:12]
    cached = f", {scene.build.cached} of {scene.build.steps} steps from the cache" if scene.build.cached else ""
    return passed(f"{source.IMAGE} is {short}{cached}")


def _examine_meanwhile(scene: Scene, stream: Stream) -> None:
    stream.interject({"diagnosis": examine_host(scene.host, scene.settings)})


def end_build(scene: Scene, stream: Stream) -> None:
    """Hang up, and hear what the engine still said."""
    for event in stream.hang_up():
        scene.build.hear(event)
