"""The Dockerfile that a run really builds: the tutorial's, with what this host's situation demands of it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

FROM = re.compile(r"^(\s*FROM\s+(?:--\S+\s+)*)(\S+)", re.IGNORECASE | re.MULTILINE)
FROM_LINE = re.compile(r"^(\s*FROM\s.*)$", re.IGNORECASE | re.MULTILINE)
INSTALL = re.compile(r"^RUN (pip install .*)$", re.MULTILINE)
# What only the installation may see is here, while it runs.
HIDDEN = "/run/dockerdoctor"
# The same in the context, for the engine's own builder, which knows no secrets.
CONTEXT = "dockerdoctor"
REQUIREMENTS = "sample_app/requirements.txt"
PACKAGES = "/packages"


class Packages(Enum):
    """Where the application's packages come from."""

    INDEX = "index"  # pip fetches them in the build, as in the tutorial
    WHEELS = "wheels"  # the base image brings them
    NONE = "none"  # nowhere: a page of the standard library stands in


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a Dockerfile must do besides what is written in it."""

    base: str = ""  # the image to start from; empty: the one that is written there
    packages: Packages = Packages.INDEX
    hidden: tuple[str, ...] = ()  # names of files that pip needs, and that must not stay in the image
    secrets: bool = False  # whether the builder knows secrets (BuildKit), or must be outwitted

    def labelled(self, written: str, label: str) -> str:
        """The same with a label on every layer, by which those are found that a build leaves which was cut short."""
        return FROM_LINE.sub(rf'\1\nLABEL {label}=""', self.dockerfile(written))

    def dockerfile(self, written: str) -> str:
        """Give the Dockerfile for this recipe; where nothing is demanded, it is the one that is written."""
        text = FROM.sub(lambda found: f"{found[1]}{self.base}", written) if self.base else written
        if self.packages is Packages.NONE:
            # A RUN all the same: that a container can be run while building is part of the proof.
            return INSTALL.sub("RUN python -m py_compile app.py", text)
        if not self.hidden:
            return text
        return _mounting(text, self.hidden) if self.secrets else _two_stages(text)


def _mounting(text: str, hidden: Iterable[str]) -> str:
    """Show the files to the installation alone, as secrets (https://docs.docker.com/build/building/secrets/)."""
    mounts = " ".join(f"--mount=type=secret,id={name},target={HIDDEN}/{name}" for name in hidden)
    return INSTALL.sub(rf"RUN {mounts} \1", text)


def _two_stages(text: str) -> str:
    """Install in an image of its own, which is thrown away, and take the packages out of it."""
    first = FROM.search(text)
    base = first[2] if first else ""
    install = INSTALL.search(text)
    command = install[1].replace("-r requirements.txt", "-r /tmp/requirements.txt") if install else ""
    before = f"""\
FROM {base} AS packages
COPY {CONTEXT} {HIDDEN}
COPY {REQUIREMENTS} /tmp/
ARG PIP_CONFIG_FILE
RUN {command} --target {PACKAGES}

"""
    # Where the packages are, any Python finds them, wherever its own lie.
    after = f"COPY --from=packages {PACKAGES} {PACKAGES}\nENV PYTHONPATH {PACKAGES}"
    rest = re.sub(r"^ARG PIP_CONFIG_FILE\n", "", text, flags=re.MULTILINE)
    return before + INSTALL.sub(after, rest)


def installs(step: str) -> bool:
    """Whether a step of the Dockerfile is the one that fetches the packages."""
    return "pip install" in step
