"""Which builder the image is built with: the one that `docker build` on this host would use, or the one that is wanted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from dockerdoctor.checks.build import FALSE, TRUE
from dockerdoctor.facts.plugins import Cli

# The client brings BuildKit along since 18.09, and leaves it to buildx since 23.0.
FIRST = (18, 9)


class BuilderWish(str, Enum):
    """What the caller may ask for."""

    AUTO = "auto"
    CLASSIC = "classic"
    BUILDKIT = "buildkit"


@dataclass(frozen=True, slots=True)
class Client:
    """The docker command of this host, as far as it can build."""

    program: str = ""  # empty: none, or none that builds with this engine
    version: str = ""
    buildx: bool = False  # a plugin that can be run
    driver: str = ""  # of the builder that buildx uses: empty for dockerd's own

    @property
    def delegates(self) -> bool:
        """Whether it leaves BuildKit to the plugin."""
        return Cli(self.version).delegates


@dataclass(frozen=True, slots=True)
class Builder:
    """The choice."""

    buildkit: bool
    why: str
    problem: str = ""  # why what is wanted cannot be had


def choose(wish: BuilderWish, client: Client, env: Mapping[str, str], engine_prefers: str) -> Builder:
    """
    Choose as the client does (docker/cli, processBuilder); `engine_prefers` is what a ping says: "2" for BuildKit.

    Without a docker command there is the engine's own builder, which its API has for everybody.
    """
    asked = env.get("DOCKER_BUILDKIT", "")
    if wish is BuilderWish.CLASSIC:
        return Builder(buildkit=False, why="--builder classic")
    lacks = _lacks(client)
    if wish is BuilderWish.BUILDKIT:
        return Builder(buildkit=not lacks, why="--builder buildkit", problem=lacks)
    if asked in FALSE:
        return Builder(buildkit=False, why=f"DOCKER_BUILDKIT={asked}")
    if lacks:
        return Builder(buildkit=False, why=lacks)
    if client.delegates:
        return Builder(buildkit=True, why=f"docker {_short(client.version)} builds with buildx")
    if asked in TRUE:
        return Builder(buildkit=True, why=f"DOCKER_BUILDKIT={asked}")
    if engine_prefers == "2":
        return Builder(buildkit=True, why="the engine prefers it")
    return Builder(buildkit=False, why=f"docker {_short(client.version)} does unless it is told otherwise")


def _lacks(client: Client) -> str:
    if not client.program:
        return "there is no docker command here"
    if client.delegates and not client.buildx:
        return f"docker {_short(client.version)} has no buildx here"
    if tuple(map(int, re.findall(r"\d+", client.version)[:2])) < FIRST:
        return f"docker {_short(client.version)} knows no BuildKit"
    return ""


def _short(version: str) -> str:
    found = re.match(r"\d+(?:\.\d+)*", version)
    return found[0] if found else version
