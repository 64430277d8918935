"""The client's plugins: `docker compose` and `docker buildx` are programs of their own in folders that it looks through."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from dockerdoctor.facts.build import BuildFile
from dockerdoctor.facts.endpoint import ClientConfig
from dockerdoctor.facts.engine import Installed, version_parts
from dockerdoctor.facts.program import MACHINES
from dockerdoctor.facts.python_clients import shebang
from dockerdoctor.host import Host
from dockerdoctor.measure import Unmeasured, probe

# In its order, after those of the configuration and the user's own (docker/cli, cli-plugins/manager).
FOLDERS = (
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
)
COMPOSE_FILES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
HEAD = 8 << 10


@dataclass(frozen=True, slots=True)
class Plugin:
    """The file that the client takes for a plugin: the first of its name, whatever it is, but for links to nothing."""

    name: str
    path: str  # empty where there is none
    problem: str = ""  # why it cannot be run: "may not be executed", "is a link that leads nowhere"
    shadows: tuple[str, ...] = ()  # further ones, in later folders, that could be run
    link: str = ""  # one that leads nowhere, in an earlier folder

    @property
    def works(self) -> bool:
        """Whether there is one that can be run."""
        return bool(self.path) and not self.problem

    @property
    def dangling(self) -> bool:
        """Whether only a link is there: most often what Docker Desktop left behind."""
        return self.problem == DANGLING


DANGLING = "is a link that leads nowhere"


@dataclass(frozen=True, slots=True)
class Plugins:
    """The two that matter, the command docker-compose, and what makes somebody want them."""

    buildx: Plugin
    compose: Plugin
    docker_compose: str = ""  # path of the command docker-compose
    compose_v1: bool = False  # it is version 1, in Python
    compose_file: str = ""  # of the working directory
    distribution: str = ""  # "debian 13", of os-release
    docker_packages: bool = False  # the client came from Docker's own repository
    package_manager: str = ""


@probe()
def plugins(host: Host, config: ClientConfig, programs: Installed) -> Plugins:
    """Look at the files and run none of them."""
    own = f"{config.path.rpartition('/')[0]}/cli-plugins"
    folders = (*config.plugin_folders, own, *FOLDERS)
    command = host.which("docker-compose")
    release = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', host.text("/etc/os-release"), re.MULTILINE))
    return Plugins(
        _plugin(host, folders, "buildx"),
        _plugin(host, folders, "compose"),
        command,
        bool(command) and _is_v1(host, command),
        next((name for name in COMPOSE_FILES if host.cwd and host.exists(f"{host.cwd}/{name}")), ""),
        f"{release.get('ID', '')} {release.get('VERSION_ID', '')}".strip(),
        host.exists("/usr/share/doc/docker-ce-cli"),
        programs.package_manager,
    )


def _plugin(host: Host, folders: tuple[str, ...], name: str) -> Plugin:
    found = [path for folder in folders if _there(host, path := f"{folder}/docker-{name}")]
    real = [path for path in found if host.exists(path)]
    if not real:
        return Plugin(name, found[0], DANGLING) if found else Plugin(name, "")
    link = found[0] if found[0] != real[0] else ""
    return Plugin(name, real[0], problem(host, real[0]), tuple(p for p in real[1:] if not problem(host, p)), link)


def _there(host: Host, path: str) -> bool:
    try:
        return host.lstat(path) is not None
    except PermissionError:
        return False


def problem(host: Host, path: str) -> str:
    """What keeps a file from being run as a program on this host; empty where nothing does."""
    if not host.executable(path):
        return "may not be executed"
    try:
        head = host.read_bytes(path, 64)
    except OSError:
        return ""  # what may be run need not be readable
    if head.startswith(b"\x7fELF"):
        machine, ours = int.from_bytes(head[18:20], "little"), os.uname().machine
        built = MACHINES.get(machine, "")
        same = {"x86_64": "amd64", "aarch64": "arm64", "i686": "386", "armv7l": "arm"}.get(ours, ours)
        # A processor runs its smaller brother's programs.
        runs = {same, {"amd64": "386", "arm64": "arm"}.get(same, same)}
        return f"is a program for {built}, and this is {same}" if built and built not in runs else ""
    if head.startswith(b"#!"):
        return ""
    shown = head.partition(b"\n")[0][:30].decode("utf-8", "backslashreplace")
    return f"is no program: it begins with {shown!r}" if head else "is empty"


def _is_v1(host: Host, path: str) -> bool:
    """Version 1 is a script of Python's, or Python packed into a program; version 2 is a program of Go's."""
    try:
        head = host.read_bytes(path, HEAD)
    except OSError:
        return False
    if head.startswith(b"#!"):
        return bool(shebang(host, path))
    # Go marks what it builds, with a note among the headers (.note.go.buildid).
    return head.startswith(b"\x7fELF") and b"Go\0\0" not in head


@dataclass(frozen=True, slots=True)
class Cli:
    """The docker command's own version."""

    version: str  # "26.1.5+dfsg1"; empty where it did not say

    @property
    def delegates(self) -> bool:
        """Whether it leaves BuildKit to the plugin buildx: since 23.0."""
        return version_parts(self.version) >= (23,)


@probe(deadline=4)
def cli(host: Host, programs: Installed, config: ClientConfig, file: BuildFile | None) -> Cli:
    """Ask the program, where there is something to build or somebody chose a builder."""
    if not (file or config.builder or host.env.get("DOCKER_BUILDKIT")):
        raise Unmeasured("there is nothing to build here", skipped=True)
    done = host.run(programs.docker, "--version", timeout=3) if programs.docker and not programs.podman_shim else None
    match = re.search(r"version v?([^\s,]+)", done.out) if done else None
    return Cli(match[1] if match else "")
