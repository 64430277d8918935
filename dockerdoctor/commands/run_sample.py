"""What `doctor run-sample` does around a run: its report, and what comes after it where the container is to stay."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

import typer

from dockerdoctor.exits import ExitStatus
from dockerdoctor.facts.endpoint import Settings
from dockerdoctor.host import Host
from dockerdoctor.render import Format
from dockerdoctor.render.sample import SAMPLE_FORMATS
from dockerdoctor.render.terminal import Options
from dockerdoctor.render.words import tame
from dockerdoctor.sample import staying
from dockerdoctor.sample.model import Wishes
from dockerdoctor.sample.progress import progress_on
from dockerdoctor.sample.run import SampleRun
from dockerdoctor.sample.scene import Scene, held_back


@dataclass(frozen=True, slots=True)
class Manner:
    """What is to happen once the sample runs; nothing of it: it is removed."""

    foreground: bool = False  # shown until Ctrl-C
    detach: bool = False
    opens: bool = False  # in a browser

    def wishes(self, wishes: Wishes) -> Wishes:
        """What that means for the run; a page that a browser is to show must be there for it."""
        follows = self.foreground or (self.opens and not self.detach and not wishes.keep)
        return replace(wishes, stay=follows or self.detach, detached=self.detach)


def perform(
    host: Host,
    settings: Settings,
    wishes: Wishes,
    manner: Manner,
    form: Format,
    options: Options,
    say: Callable[[str], None],
) -> ExitStatus:
    """Run the sample, report, and stay as long as is wanted."""
    wishes = manner.wishes(wishes)
    run = SampleRun(host, settings, wishes, progress_on(sys.stderr))
    report = run.run()
    alone = manner.detach and form is Format.TEXT
    # As `docker run -d`: what a script takes is the id alone.
    typer.echo(SAMPLE_FORMATS[form](report, options), nl=False, err=alone)
    if alone and report.stays:
        typer.echo(report.container)
    sys.stdout.flush()
    if report.stays and manner.opens:
        _open(report.url, say)
    if report.stays and not wishes.detached and not wishes.keep:
        say(f"{report.url} is there until Ctrl-C; the container says:")
        try:
            staying.follow(run.scene, lambda line: typer.echo(tame(line), err=form is not Format.TEXT))
        except (SystemExit, KeyboardInterrupt):
            # That is how it is meant to end.
            say("stopped and removed")
    return report.exit_status


def _open(url: str, say: Callable[[str], None]) -> None:
    import webbrowser  # noqa: PLC0415 - seldom asked for

    if not webbrowser.open(url):
        say(f"no browser is to be found here; open {url} in yours")


def stop(host: Host, settings: Settings, say: Callable[[str], None]) -> ExitStatus:
    """End what runs were told to leave."""
    with held_back():
        gone, trouble = staying.stop(Scene(host, settings, Wishes(), progress_on(None)))
    if trouble:
        say(tame(trouble))
        return ExitStatus.FINDINGS
    typer.echo(f"removed {', '.join(gone)}" if gone else "no sample was left running")
    return ExitStatus.WELL
