"""Another way to an image, where its base or its packages cannot be had: this host's own Python, imported as an image."""

from __future__ import annotations

import contextlib
import inspect
import os
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from dockerdoctor.facts.engine import EngineVersion
from dockerdoctor.facts.program import MACHINES
from dockerdoctor.host import Host
from dockerdoctor.incontainer import page
from dockerdoctor.sample import source
from dockerdoctor.sample.hostpython import (
    BIN,
    PATH,
    HostPython,
    NoPython,
    Tree,
    ca_bundle,
    host_python,
    interpreter,
    pack_python,
)
from dockerdoctor.sample.judge import hopeless
from dockerdoctor.sample.model import BaseWish, HostBase
from dockerdoctor.sample.recipe import Packages
from dockerdoctor.sample.scene import LABEL, Scene
from dockerdoctor.sample.surroundings import pip_settings
from dockerdoctor.sample.wheels import Pip, fetch_wheels, find_pip

REPOSITORY = "dockerdoctor-base"
# On the image and on all that is built from it: none of them is of use elsewhere.
BASE_LABEL = f"{LABEL}.base"
SHARE = "/usr/share/dockerdoctor"
WHEELS = f"{SHARE}/wheels"
TEMPORARY = "dockerdoctor-sample-"
# Fifty megabytes are imported within seconds, on a disk that has them.
IMPORT_PATIENCE = 120.0  # seconds
PIP = """\
#!{python}
import sys
sys.path.insert(0, {path!r})
from pip._internal.cli.main import main
sys.exit(main())
"""
PIP_CONF = "[global]\ndisable-pip-version-check = true\nroot-user-action = ignore\nbreak-system-packages = true\n"
OFFLINE = f"no-index = true\nfind-links = {WHEELS}\n"


def host_base(scene: Scene, *, wheels: bool) -> HostBase:
    """
    Import this host's Python, and with `wheels` the sample's packages, as far as they are to be had.

    Raises NoPython, and what an engine may refuse.
    """
    host = scene.host
    if reason := elsewhere(scene):
        raise NoPython(reason)
    scene.progress.say("making a base image of this host's own Python ...")
    python = host_python(host, interpreter())
    pip = find_pip(host, python)
    with temporary_folder(host) as folder, tempfile.TemporaryFile() as file:
        lacking = "there is no pip on this host" if wheels and not pip else ""
        if wheels and pip:
            scene.progress.say(f"fetching wheels with pip {pip.version} of this host ...")
            with source.folder() as context:
                wanted = context / "sample_app/requirements.txt"
                lacking = fetch_wheels(host, pip, python, wanted, folder, pip_environment(scene))
        fetched = () if lacking else tuple(sorted(folder.glob("*.whl")))
        image = f"{REPOSITORY}:{scene.id}{'-wheels' if wheels else ''}"
        pack(host, file, python, pip, fetched)
        file.seek(0)
        import_image(scene, image, file)
    return HostBase(image, python.version, pip.version if pip else "", tuple(f.name for f in fetched), lacking)


def pip_environment(scene: Scene) -> dict[str, str]:
    """Tell this host's pip what the caller wants, and the authorities that this host trusts: no command line may hold it."""
    host, asked = scene.host, scene.wishes.asked
    cert = asked.ca_bundle or ("" if "cert" in pip_settings(host) else ca_bundle(host))
    wanted = {"PIP_INDEX_URL": asked.index_url, "PIP_CERT": cert, "no_proxy": asked.no_proxy}
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), asked.proxy)
    return {name: value for name, value in {**wanted, **proxies}.items() if value}


def on_host(scene: Scene) -> str:
    """Go on with a base of our own in the place of one that cannot be pulled."""
    if scene.wishes.base is BaseWish.REGISTRY:
        return ""
    # Where containers reach something, pip in the build is given its chance.
    wheels = bool(scene.diagnosis and hopeless(scene.diagnosis))
    try:
        return use_host(scene, wheels=wheels)
    except NoPython as no:
        scene.progress.say(str(no))
        return ""


def use_host(scene: Scene, *, wheels: bool) -> str:
    """Make a base of our own the one to build from; raises NoPython, and what an engine may refuse."""
    scene.own_base = host_base(scene, wheels=wheels)
    scene.base, scene.packages = scene.own_base.image, Packages.WHEELS if wheels else Packages.INDEX
    return scene.own_base.words


def elsewhere(scene: Scene) -> str:
    """Say why this host's programs would not run where the engine is; empty where they do."""
    version = scene.facts.of(EngineVersion)
    if scene.local or not version:
        return ""
    ours = program_machine(scene.host, interpreter())
    if version.os == "linux" and version.arch == ours:
        return ""
    return f"the engine runs on {version.os}/{version.arch}, and this host's Python is for linux/{ours}"


def program_machine(host: Host, path: str) -> str:
    """Tell which processor a program is for, in the words of Go (elf(5))."""
    try:
        head = host.read_bytes(path, 64)
    except OSError:
        head = b""
    # The kernel runs no program of the other order of bytes.
    return MACHINES.get(int.from_bytes(head[18:20], sys.byteorder), "") if head.startswith(b"\x7fELF") else ""


def pack(host: Host, file: IO[bytes], python: HostPython, pip: Pip | None, wheels: Iterable[Path]) -> None:
    """Write the image's file system as a tar archive."""
    wheels = tuple(wheels)
    with tarfile.open(fileobj=file, mode="w") as tar:
        tree = Tree(host, tar)
        pack_python(tree, python)
        for wheel in wheels:
            tree.file(f"{WHEELS}/{wheel.name}", wheel.read_bytes())
        if pip:
            pack_pip(tree, python, pip)
        tree.file("/etc/pip.conf", (PIP_CONF + (OFFLINE if wheels else "")).encode())


def pack_pip(tree: Tree, python: HostPython, pip: Pip) -> None:
    """Pack a pip: a folder of modules, or a wheel, which Python reads as it is."""
    above, _, _ = pip.path.rpartition("/")
    if above.endswith(".whl"):
        place = f"{SHARE}/{above.rpartition('/')[2]}"
        tree.copy(above, place)
    else:
        place = f"{SHARE}/pip"
        tree.copy(pip.path, f"{place}/pip")
    tree.file(f"{BIN}/pip", PIP.format(python=python.program, path=place).encode(), 0o755)


def import_image(scene: Scene, image: str, file: IO[bytes]) -> None:
    """Give a file system to the engine as an image; raises what an engine may refuse."""
    labels = {BASE_LABEL: scene.id, f"{BASE_LABEL}.pid": str(os.getpid())}
    bundle = ca_bundle(scene.host)
    changes = [
        *(f"LABEL {name}={value}" for name, value in labels.items()),
        f"ENV PATH={PATH}",
        "ENV LANG=C.UTF-8",
        *([f"ENV SSL_CERT_FILE={bundle}"] if bundle else []),
        'CMD ["python"]',
    ]
    repository, _, tag = image.partition(":")
    said = scene.api(IMPORT_PATIENCE).import_image(src=file, repository=repository, tag=tag, changes=changes)
    # What goes wrong after its first byte, the engine says in its answer and not with the status.
    if "errorDetail" in said:
        raise OSError(f"the engine did not take the image: {said.strip()[-300:]}")


def stand_in() -> dict[str, str]:
    """Give the files of an application that needs no packages, for the build context."""
    return {"sample_app/app.py": inspect.getsource(page)}


def remove_bases(scene: Scene, api: Any) -> list[str]:
    """Remove this run's images on a base of ours, and those of runs that were killed; returns what has gone."""
    gone = []
    for image in api.images(filters={"label": BASE_LABEL}):
        labels = image.get("Labels") or {}
        pid = labels.get(f"{BASE_LABEL}.pid", "")
        alive = pid.isdigit() and "run-sample" in scene.host.cmdline(int(pid))
        if labels.get(BASE_LABEL) != scene.id and alive:
            continue
        with contextlib.suppress(*scene.refusals):
            api.remove_image(image["Id"], force=True)
            gone += [tag for tag in image.get("RepoTags") or () if not tag.startswith("<none>")]
    return gone


@contextlib.contextmanager
def temporary_folder(host: Host) -> Iterator[Path]:
    """Give a folder of our own, and remove it; and what a run left that was killed."""
    above = Path(tempfile.gettempdir())
    for left in above.glob(f"{TEMPORARY}*"):
        pid = left.name.removeprefix(TEMPORARY).partition("-")[0]
        if pid.isdigit() and "run-sample" not in host.cmdline(int(pid)):
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{TEMPORARY}{os.getpid()}-") as folder:
        yield Path(folder)
