"""The image: what it is made from is packed and sent, a builder goes through the Dockerfile, and it gets its name."""

from __future__ import annotations

import contextlib
import tarfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from dockerdoctor.diagnose import examine_host
from dockerdoctor.examine import failed, passed, skipped
from dockerdoctor.facts.builds import Builder as BuildxBuilder
from dockerdoctor.facts.endpoint import ClientConfig, DaemonPing
from dockerdoctor.facts.engine import Installed
from dockerdoctor.facts.plugins import Plugins
from dockerdoctor.facts.probes import PROBES
from dockerdoctor.measure import measure, required_probes
from dockerdoctor.model import Evidence, Finding, Status
from dockerdoctor.sample import source
from dockerdoctor.sample.base import host_base, stand_in, temporary_folder
from dockerdoctor.sample.builder import Client, choose
from dockerdoctor.sample.buildkit import BuildKitLog, BuildKitOrder, plain_tar
from dockerdoctor.sample.hostpython import NoPython
from dockerdoctor.sample.judge import BuildLog, build_failed, hopeless, meaning
from dockerdoctor.sample.judge import packages as judged_packages
from dockerdoctor.sample.model import BaseWish, stage
from dockerdoctor.sample.recipe import CONTEXT, Packages, Recipe, installs
from dockerdoctor.sample.scene import IMAGE_LABEL, Scene
from dockerdoctor.sample.signer import Signer, find_signer
from dockerdoctor.sample.stream import CommandStream, Stream, TooLate
from dockerdoctor.sample.surroundings import pip_settings, public_authorities, public_bundle, surroundings

# A builder of buildx's own has none of the engine's images, so none of ours.
ENGINES_OWN = "default"
# A build takes longer than this look; where it does not, nobody waits.
LOOK_PATIENCE = 3.0  # seconds


def another_way(scene: Scene) -> str:
    """Where the packages could not be had in a build, bring them along; and where they cannot be had at all, do without."""
    lacking = bool(scene.own_base and scene.own_base.lacking)
    if scene.wishes.base is BaseWish.REGISTRY or not (lacking or installs(scene.build.step)):
        return ""
    discard_layers(scene)
    try:
        if scene.packages is Packages.INDEX:
            scene.own_base = host_base(scene, wheels=True)
            scene.base, scene.packages = scene.own_base.image, Packages.WHEELS
            lacking = bool(scene.own_base.lacking)
    except NoPython as no:
        scene.progress.say(str(no))
        return ""
    if not lacking and attempt(scene).status is Status.PASS and scene.own_base:
        return f"{scene.own_base.words}, with the packages as wheels from this host"
    discard_layers(scene)
    scene.packages = Packages.NONE
    if attempt(scene).status is Status.PASS and scene.own_base:
        return f"{scene.own_base.words}, and a page of its standard library in the place of the application"
    return ""


@stage("context", title="What the image is made from is there", doing="Packing the build context", needs=("endpoint",))
def context(scene: Scene) -> Finding:
    """Read the sample's files, find out what this host's network demands besides, and what will build."""
    scene.given = surroundings(scene.host, scene.facts.of(ClientConfig), public_authorities(), scene.wishes.asked)
    choose_builder(scene)
    for note in scene.given.notes:
        scene.progress.say(f"given to the build: {note}")
    with source.folder() as folder, source.archive(folder, {}) as packed, tarfile.open(fileobj=packed) as tar:
        files = [member for member in tar.getmembers() if member.isfile()]
        size = sum(member.size for member in files)
    return passed(
        f"{len(files)} files, {size} bytes", Evidence("build context", ", ".join(file.name for file in files))
    )


@stage(
    "build",
    title="The image can be built",
    doing="Building the image",
    needs=("base-image", "context"),
    otherwise=another_way,
)
def build(scene: Scene) -> Finding:
    """Build with what this host's network demands."""
    with contextlib.suppress(scene.missing):
        there = scene.api().inspect_image(source.IMAGE)
        scene.name_taken = IMAGE_LABEL not in (there["Config"].get("Labels") or {})
    if scene.builder.problem:
        return failed(
            f"no build by BuildKit: {scene.builder.problem}",
            cause="The docker command builds with BuildKit by itself until 22, and by its plugin buildx from 23.0 on.",
            fix=("doctor run-sample --builder classic",),
            because=(),
        )
    if scene.own_base and scene.own_base.lacking and scene.packages is Packages.WHEELS:
        lacking = scene.own_base.lacking
        return failed(
            f"Flask and Redis could not be had on this host: {lacking}",
            Evidence("pip download on this host", lacking),
            cause=meaning([lacking], "This host's pip neither reaches its index nor holds the packages in its cache."),
        )
    # Where this host trusts more than the world does, there is a reason: it is looked for while the build goes on.
    found: list[Signer | None] = []
    looking = threading.Thread(target=lambda: found.append(look(scene)), daemon=True)
    if scene.given.bundle and scene.packages is Packages.INDEX:
        looking.start()
    finding = attempt(scene)
    scene.parts += scene.build.parts
    if looking.ident:
        looking.join(LOOK_PATIENCE)
    elif "certificate" in finding.cause:
        found.append(look(scene))
    return with_signer(finding, found[0] if found else None)


def attempt(scene: Scene) -> Finding:
    """Build once, from where base and packages come now."""
    kit = scene.builder.buildkit
    hidden = scene.given.hidden if scene.packages is Packages.INDEX else {}
    recipe = Recipe(scene.base, scene.packages, tuple(hidden), secrets=kit)
    files = stand_in() if recipe.packages is Packages.NONE else {}
    if not kit:
        files |= {f"{CONTEXT}/{name}": text for name, text in hidden.items()}
    scene.build = BuildKitLog() if kit else BuildLog()
    arguments = {name: value for name, value in scene.given.arguments.items() if hidden or name != "PIP_CONFIG_FILE"}
    with source.folder() as folder, secret_files(scene, hidden if kit else {}) as secrets:
        files["Dockerfile"] = recipe.labelled((folder / "Dockerfile").read_text(encoding="utf-8"), IMAGE_LABEL)
        with source.archive(folder, files) as context:
            start = buildkit if kit else classic
            finding = follow(scene, start(scene, context, arguments, secrets))
    if hidden and not kit and finding.status is Status.PASS:
        discard_layers(scene)
    return finding


def classic(scene: Scene, context: Any, arguments: Mapping[str, str], _: Mapping[str, str]) -> Stream:
    """Build with the engine's own builder, through its API."""
    return scene.stream(
        lambda own: own.build(
            fileobj=context,
            custom_context=True,
            tag=scene.image_name,
            buildargs=dict(arguments),
            rm=True,
            forcerm=True,
            decode=True,
        )
    )


def buildkit(scene: Scene, context: Any, arguments: Mapping[str, str], secrets: Mapping[str, str]) -> Stream:
    """Build with BuildKit, through the docker command."""
    client = scene.client
    own = ENGINES_OWN if scene.own_base and client.delegates and client.driver else ""
    order = BuildKitOrder(scene.image_name, {IMAGE_LABEL: ""}, arguments, secrets, client.delegates, own)
    argv = order.argv(client.program, scene.settings)
    with plain_tar(context) as plain:
        stream = CommandStream(scene.host.start(*argv, stdin=plain, env=order.env()))
    scene.streams.append(stream)
    return stream


def follow(scene: Scene, stream: Stream) -> Finding:
    """Hear a build to its end, or to where waiting is of no use."""
    # pip tries again for a minute and more, and then says that there is no such package: look ourselves meanwhile.
    asked = threading.Thread(target=_examine_meanwhile, args=(scene, stream), daemon=True)
    try:
        for event in stream.events(scene.wishes.timeout):
            for line in scene.build.hear(event, time.monotonic()):
                scene.progress.say(line)
            if scene.build.retrying and not asked.ident:
                scene.progress.say("examining this host meanwhile ...")
                asked.start()
            if "diagnosis" in event and (why := hopeless(event["diagnosis"])):
                scene.diagnosis = event["diagnosis"]
                end_build(scene, stream)
                return build_failed(scene.build, late=f"given up while pip was trying again, since {why}")
            if event.get("code") == 0:
                scene.build.image = scene.api().inspect_image(scene.image_name)["Id"]
    except TooLate:
        end_build(scene, stream)
        return build_failed(scene.build, late=f"not done within {scene.wishes.timeout:g} s")
    if scene.build.error or not scene.build.image:
        scene.build.error = scene.build.error or "the builder ended without a word"
        return build_failed(scene.build)
    scene.image = scene.build.image
    short = scene.image.removeprefix("sha256:")[:12]
    cached = f", {scene.build.cached} of {scene.build.steps} steps from the cache" if scene.build.cached else ""
    name = "BuildKit" if scene.builder.buildkit else "the classic builder"
    return passed(
        f"{scene.image_name} is {short}{cached}, by {name}", Evidence("builder", f"{name}: {scene.builder.why}")
    )


def _examine_meanwhile(scene: Scene, stream: Stream) -> None:
    stream.interject({"diagnosis": examine_host(scene.host, scene.settings)})


def end_build(scene: Scene, stream: Stream) -> None:
    """Hang up, and hear what the engine still said."""
    for event in stream.hang_up():
        scene.build.hear(event, time.monotonic())


def discard_layers(scene: Scene) -> None:
    """Remove what a build made on its way and no image needs: the engine refuses to remove what one does."""
    made = scene.build.image.removeprefix("sha256:")
    for layer in (one for one in reversed(scene.build.layers) if not made or not made.startswith(one)):
        with contextlib.suppress(*scene.refusals):
            scene.api().remove_image(layer, noprune=True)


def choose_builder(scene: Scene) -> None:
    """Look at the docker command, and at what it would build with."""
    wanted = (Installed, Plugins, BuildxBuilder)
    facts, _ = measure(required_probes(PROBES, wanted), scene.host, scene.facts)
    programs, plugins, current = facts.of(Installed), facts.of(Plugins), facts.of(BuildxBuilder)
    program = programs.docker if programs and not programs.podman_shim else ""
    # "Docker version 28.5.2, build ecc6942"
    said = scene.host.run(program, "--version", timeout=5).out.split(",")[0].split() if program else []
    ping = scene.facts.of(DaemonPing)
    scene.client = Client(
        program if said else "",
        said[-1] if said else "",
        bool(plugins and plugins.buildx.works),
        current.driver if current else "",
    )
    scene.builder = choose(scene.wishes.builder, scene.client, scene.host.env, ping.builder if ping else "")


@contextlib.contextmanager
def secret_files(scene: Scene, hidden: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Lay out what the docker command is to show to the build, for as long as that takes."""
    if not hidden:
        yield {}
        return
    with temporary_folder(scene.host) as folder:
        for name, text in hidden.items():
            (folder / name).write_text(text, encoding="utf-8")
        yield {name: str(folder / name) for name in hidden}


def look(scene: Scene) -> Signer | None:
    """Look at who signs for the index that pip asks."""
    index = scene.wishes.asked.index_url or pip_settings(scene.host).get("index-url", "")
    return find_signer(scene.host, index, dict(scene.given.proxies), public_bundle())


def with_signer(finding: Finding, signer: Signer | None) -> Finding:
    """Say who signs, where that is nobody public: it is well where the build was given the authority, and the cause where not."""
    if not signer:
        return finding
    seen = (
        *finding.evidence,
        Evidence(f"certificate of {signer.server}, as this host is shown it", f"issuer {signer.issuer}"),
    )
    if finding.status is Status.PASS:
        return replace(finding, summary=f"{finding.summary}; {signer.words}", evidence=seen)
    if "certificate" not in finding.cause:
        return replace(finding, evidence=seen)
    return replace(
        finding,
        evidence=seen,
        cause=f"{signer.words}, and nothing that the build was given vouches for it.",
        fix=(
            "# get the authority's certificate from who runs that network, and then:",
            "doctor run-sample --ca-bundle FILE.pem",
        ),
    )


@stage("packages", title="The application's packages are installed", doing="Reading the build", needs=("build",))
def packages(scene: Scene) -> Finding:
    """See what pip installed."""
    if scene.packages is Packages.NONE:
        return skipped("a page of the standard library stands in for the application")
    return judged_packages(scene.build.parts)


@stage("image", title="The image has its name and is listed", doing="Looking for the image", needs=("build",))
def image(scene: Scene) -> Finding:
    """Find it in the list of images, under the name that the tutorial gives it, unless that is somebody else's."""
    api, name = scene.api(), scene.image_name
    listed = next((one for one in api.images(name.partition(":")[0]) if name in (one.get("RepoTags") or ())), None)
    if not listed:
        return failed(f"docker images does not list {name}", cause="The engine took the name, and does not know it.")
    note = f": {source.IMAGE} is an image of yours, and is left alone" if scene.name_taken else ""
    return passed(f"{name}, {listed['Size'] / 1e6:.0f} MB{note}", Evidence(f"docker images {name}", listed["Id"]))
