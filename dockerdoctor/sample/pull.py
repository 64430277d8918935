"""The base image: here already, or pulled from its registry."""

from __future__ import annotations

import contextlib
import time

from dockerdoctor.examine import failed, passed
from dockerdoctor.facts.endpoint import mask_text
from dockerdoctor.model import Evidence, Finding
from dockerdoctor.sample import source
from dockerdoctor.sample.base import on_host, use_host
from dockerdoctor.sample.hostpython import NoPython
from dockerdoctor.sample.judge import Layers, meaning
from dockerdoctor.sample.model import BaseWish, stage
from dockerdoctor.sample.scene import Scene
from dockerdoctor.sample.stream import TooLate


@stage(
    "base-image",
    title="The base image is there",
    doing="Pulling the base image",
    needs=("endpoint",),
    otherwise=on_host,
)
def base_image(scene: Scene) -> Finding:
    """Pull what the Dockerfile starts from, unless it is here, or this host's own Python is wanted."""
    if scene.wishes.base is BaseWish.HOST:
        return own(scene)
    with source.folder() as folder:
        written = (folder / "Dockerfile").read_text(encoding="utf-8")
    base = scene.wishes.base_image or source.base_image(written)
    scene.base = base
    if short := present(scene, base):
        return passed(f"{base} is here ({short})")
    layers = Layers()
    failure = pulled(scene, base, scene.wishes.timeout, layers)
    scene.parts += layers.parts
    many = f", {len(layers.parts)} layers" if layers.parts else ""
    return failure or passed(f"{base} was pulled{many}")


def own(scene: Scene) -> Finding:
    """Make a base image of this host's Python, and bring the packages along."""
    try:
        words = use_host(scene, wheels=True)
    except NoPython as no:
        return failed(str(no), cause="An image of this host's Python cannot be made.", because=())
    return passed(f"{scene.base}: {words}; nothing was pulled")


def present(scene: Scene, image: str) -> str:
    """Give the short id of an image that the engine has; empty if it has not."""
    with contextlib.suppress(scene.missing):
        return str(scene.api().inspect_image(image)["Id"]).removeprefix("sha256:")[:12]
    return ""


def pulled(scene: Scene, image: str, patience: float, layers: Layers, *, quietly: bool = False) -> Finding | None:
    """Pull an image, and say what went wrong, if something did."""
    stream = scene.stream(lambda own: own.pull(image, stream=True, decode=True))
    try:
        for event in stream.events(patience):
            if "error" in event:
                return not_pulled(image, mask_text(str(event["error"])))
            if (line := layers.hear(event, time.monotonic())) and not quietly:
                scene.progress.say(line)
    except TooLate:
        stream.hang_up()
        return not_pulled(image, f"not pulled within {patience:g} s", layers.last)
    except scene.refusals as no:
        return not_pulled(image, scene.said(no))
    return None


def had(scene: Scene, images: tuple[str, ...], patience: float, *, quietly: bool = False) -> tuple[str, Finding | None]:
    """Find the first of some images that is here, or else pull the first of all."""
    if here := next((image for image in images if present(scene, image)), ""):
        return here, None
    return images[0], pulled(scene, images[0], patience, Layers(), quietly=quietly)


def not_pulled(image: str, said: str, last: str = "") -> Finding:
    """Say why an image could not be had."""
    return failed(
        f"{image} could not be pulled: {said}",
        Evidence(f"docker pull {image}", last or said),
        cause=meaning([said], "The registry, or what is between it and the engine, did not give the image."),
    )
