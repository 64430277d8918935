"""A build by BuildKit, through the docker command: what it is told, and what it says."""

from __future__ import annotations

import re
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO

from dockerdoctor.facts.endpoint import Settings, mask_text
from dockerdoctor.model import Status
from dockerdoctor.sample.judge import ESCAPES, BuildLog
from dockerdoctor.sample.model import Part

# "#8 [4/5] RUN pip install -r requirements.txt"; "#1 [internal] load build definition" is no step of the Dockerfile's.
STEP = re.compile(r"#(\d+) \[(?:\S+ )?(\d+)/(\d+)\] (.*)")
# "#8 1.234 Collecting Flask", "#8 DONE 2.1s", "#8 CACHED"
SAID = re.compile(r"#(\d+) (?:(\d+\.\d+) )?(.*)")
DONE = re.compile(r"DONE (\d+\.\d+)s")
CODE = re.compile(r"exit code: (\d+)")
# How its last line begins, with buildx and without.
LAST = ("ERROR: ", "error: ", "failed to solve")


@dataclass
class BuildKitLog(BuildLog):
    """What BuildKit said so far, as lines of `--progress plain`: steps may run side by side, each with a number."""

    names: dict[str, str] = field(default_factory=dict)  # of the Dockerfile's steps, by their numbers
    said: dict[str, list[str]] = field(default_factory=dict)
    took: dict[str, float] = field(default_factory=dict)
    from_cache: set[str] = field(default_factory=set)
    broken: str = ""  # the number of the step that failed

    @property
    def parts(self) -> list[Part]:
        """Every step that was begun."""
        return [
            Part(
                name,
                Status.FAIL if number == self.broken else Status.PASS,
                "from the cache" if number in self.from_cache else "",
                self.took.get(number, 0.0),
                tuple(self.said.get(number, ())),
            )
            for number, name in self.names.items()
        ]

    def hear(self, event: Mapping[str, object], clock: float = 0.0) -> tuple[str, ...]:
        """Note a line."""
        self.clock = clock
        line = mask_text(ESCAPES.sub("", str(event.get("line", ""))).rsplit("\r", 1)[-1].rstrip())
        if not line:
            return ()
        if step := STEP.fullmatch(line):
            number, at, of, command = step.groups()
            if number not in self.names:
                self.steps += 1
            # What is mounted is ours, and tells nobody anything.
            self.names[number] = f"Step {at}/{of} : {re.sub('--mount=[^ ]+ ', '', command)}"
            self._turn_to(number)
        elif more := SAID.fullmatch(line):
            self._hear_of(*more.groups())
        elif line.startswith(LAST):
            code = CODE.search(line)
            # As the engine's own builder says it, of whose words the verdict is made.
            self.error = f"The command returned a non-zero code: {code[1]}" if code else line.removeprefix("ERROR: ")
        return (line,)

    def _hear_of(self, number: str, when: str | None, text: str) -> None:
        if number not in self.names:
            return
        if when:  # what the step's own program says
            self.retrying = self.retrying or "Retrying (Retry(" in text
            self.said.setdefault(number, []).append(text)
            self._turn_to(number)
        elif done := DONE.fullmatch(text):
            self.took[number] = float(done[1])
        elif text == "CACHED":
            self.cached += 1
            self.from_cache.add(number)
        elif text.startswith("ERROR"):
            self.broken = number
            self._turn_to(number)

    def _turn_to(self, number: str) -> None:
        """Make a step the one that is spoken of; once one has failed, that is it."""
        if self.broken in {"", number}:
            self.step, self.lines = self.names[number], self.said.setdefault(number, [])


@dataclass(frozen=True, slots=True)
class BuildKitOrder:
    """One build."""

    tag: str
    labels: Mapping[str, str]
    arguments: Mapping[str, str]  # may hold passwords
    secrets: Mapping[str, str]  # name → the file that holds it
    buildx: bool
    builder: str = ""  # of buildx; empty: the one in use

    def argv(self, docker: str, settings: Settings) -> tuple[str, ...]:
        """Give the command; the context comes by standard input."""
        where = ("--context", settings.context) if settings.context else ()
        return (
            docker,
            *(("--host", settings.host) if settings.host else where),
            "build",
            "--progress=plain",
            f"--tag={self.tag}",
            *(f"--label={name}={value}" for name, value in self.labels.items()),
            # Their values are taken from the environment: a command line can be read by everybody on this host.
            *(word for name in self.arguments for word in ("--build-arg", name)),
            *(f"--secret=id={name},src={path}" for name, path in self.secrets.items()),
            # A builder of its own keeps what it has built, unless it is told to hand it over.
            *(("--load",) if self.buildx else ()),
            *((f"--builder={self.builder}",) if self.builder else ()),
            "-",
        )

    def env(self) -> dict[str, str]:
        """Give what is added to the environment."""
        return {**self.arguments, "DOCKER_BUILDKIT": "1"}


def plain_tar(context: IO[bytes]) -> IO[bytes]:
    """
    Give an archive in its oldest form.

    The client looks at its first 512 bytes, and what begins with a header that extends another is no archive to it
    (docker/cli, build.IsArchive).
    """
    plain = tempfile.TemporaryFile()  # noqa: SIM115 - it is the caller's
    context.seek(0)
    with (
        tarfile.open(fileobj=context) as source,
        tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as target,
    ):
        for entry in source:
            entry.mtime, entry.pax_headers = int(entry.mtime), {}
            target.addfile(entry, source.extractfile(entry) if entry.isfile() else None)
    plain.seek(0)
    return plain
