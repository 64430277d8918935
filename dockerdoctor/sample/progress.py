"""What is shown while the stages are under way, on standard error: standard output is the report's."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext, suppress
from io import StringIO
from typing import TextIO

from rich.console import Console
from rich.text import Text

from dockerdoctor.render.words import tame
from dockerdoctor.sample.model import Stage, Verdict


class Progress:
    """Plain lines, for files and pipes."""

    def __init__(self, file: TextIO) -> None:
        self.file = file

    def shown(self) -> AbstractContextManager[object]:
        """Be there while the stages are."""
        return nullcontext()

    def begin(self, stage: Stage) -> None:
        """Say what is being done."""
        self._line(f"{stage.doing} ...")

    def end(self, verdict: Verdict) -> None:
        """Know what a stage came to; the report will say it."""

    def say(self, line: str) -> None:
        """Show a line of the engine's own output."""
        self._line(f"  {tame(line)}")

    def _line(self, line: str) -> None:
        # Somebody who closed our standard error wants no progress, and still the report.
        with suppress(OSError):
            print(line, file=self.file, flush=True)


class LiveProgress(Progress):
    """One line that changes, for terminals; it leaves nothing behind."""

    def __init__(self, file: TextIO) -> None:
        super().__init__(file)
        self.console = Console(file=file, highlight=False, markup=False, emoji=False)
        self.status = self.console.status("")
        self.doing = ""

    def shown(self) -> AbstractContextManager[object]:
        """Show the line while the stages run."""
        return self.status

    def begin(self, stage: Stage) -> None:
        """Change the line."""
        self.doing = stage.doing
        self.status.update(Text(self.doing))

    def say(self, line: str) -> None:
        """Show the newest line of output, cut where the terminal ends."""
        text = Text.assemble((self.doing, "bold"), "  ", (tame(line.strip()), "dim"), no_wrap=True, overflow="ellipsis")
        text.truncate(max(20, self.console.width - 4), overflow="ellipsis")
        self.status.update(text)


def progress_on(file: TextIO | None) -> Progress:
    """Choose how to show progress there; Python has no standard error where the caller closed it."""
    if file is None:
        return Progress(StringIO())
    return LiveProgress(file) if file.isatty() else Progress(file)
