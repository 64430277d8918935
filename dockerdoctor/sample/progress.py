"""What is shown while the stages are under way, on standard error: standard output is the report's."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext, suppress
from io import StringIO
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from dockerdoctor.model import Severity, Status
from dockerdoctor.render.terminal import FAIL_MARKS, MARKS
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
    """The stages as they come to an end, and under them what is being done, for terminals; it leaves nothing behind."""

    def __init__(self, file: TextIO) -> None:
        super().__init__(file)
        self.console = Console(file=file, highlight=False, markup=False, emoji=False)
        self.ended: list[Verdict] = []
        self.spinner = Spinner("dots")
        self.doing = self.said = ""
        self.live = Live(console=self.console, transient=True, get_renderable=self._view, refresh_per_second=8)

    def shown(self) -> AbstractContextManager[object]:
        """Show them while the stages run."""
        return self.live

    def begin(self, stage: Stage) -> None:
        """Change what is being done."""
        self.doing, self.said = stage.doing, ""

    def end(self, verdict: Verdict) -> None:
        """Add a line to those that have ended."""
        self.ended.append(verdict)
        self.doing = self.said = ""

    def say(self, line: str) -> None:
        """Show the newest line of output."""
        self.said = tame(line.strip())

    def _view(self) -> RenderableType:
        # The last line of the terminal is the cursor's.
        lines = [self._ended(verdict) for verdict in self.ended][-max(1, self.console.height - 3) :]
        text = Text.assemble((self.doing or "...", "bold"), "  ", (self.said, "dim"), no_wrap=True, overflow="ellipsis")
        # A spinner wraps what does not fit.
        text.truncate(max(20, self.console.width - 4), overflow="ellipsis")
        self.spinner.update(text=text)
        return Group(*lines, self.spinner)

    def _ended(self, verdict: Verdict) -> Text:
        finding = verdict.finding
        mark, style = (FAIL_MARKS[Severity.ERROR][0], "bold red") if verdict.failed else MARKS[finding.status][::2]
        dim = "dim" if finding.status is Status.SKIP else ""
        return Text.assemble(
            (mark, style),
            " ",
            (f"{verdict.stage.id:11} ", dim or "bold"),
            (tame(finding.summary), dim),
            no_wrap=True,
            overflow="ellipsis",
        )


def progress_on(file: TextIO | None) -> Progress:
    """Choose how to show progress there; Python has no standard error where the caller closed it."""
    if file is None:
        return Progress(StringIO())
    return LiveProgress(file) if file.isatty() else Progress(file)
