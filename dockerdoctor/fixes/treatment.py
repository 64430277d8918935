"""Take the steps of a fix, one by one and each noted before; prove it, or put everything back: whatever happens, and whenever."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from dockerdoctor.facts.changes import LOCK
from dockerdoctor.facts.endpoint import ping_unix
from dockerdoctor.fixes.journal import Ended, Entry, Journal, boot_id, open_entry
from dockerdoctor.fixes.steps import Back, Folder, Put, Run, Step
from dockerdoctor.fixes.transaction import PING_DEADLINE, PING_PAUSE, RESTART_TIMEOUT, Refused, StillSick
from dockerdoctor.host import FileState, Host

Observe = Callable[[str], None]
LAST_WORDS = 300  # characters of what a command that failed has said


class StepFailed(Exception):  # noqa: N818 - it is an answer, not an error
    """A step could not be taken."""


class Stranded(Exception):  # noqa: N818 - as above
    """What was done could not be taken back: the commands to type."""

    def __init__(self, reason: str, commands: tuple[str, ...]) -> None:
        super().__init__(reason)
        self.reason, self.commands = reason, commands


@dataclass(frozen=True, slots=True)
class Treatment:
    """A fix that is ready to be carried out."""

    check: str
    summary: str
    steps: tuple[Step, ...]
    remains: tuple[str, ...] = ()  # for a person, afterwards
    socket: str = ""  # of the engine, which must answer once it was started anew


def carry_out(treatment: Treatment, host: Host, verify: Callable[[], None], observe: Observe = lambda _: None) -> str:
    """
    Take every step and verify; any way out but the last line puts everything back.

    Returns the journal's id of it. Raises Refused (nothing was touched), Stranded, or, after putting back, whatever went wrong.
    """
    with ExitStack() as held, ExitStack() as undo:
        try:
            held.enter_context(host.lock(LOCK))
        except BlockingIOError:
            raise Refused("another doctor is changing this host", "# wait until it has ended") from None
        for path, states in files(treatment.steps).items():
            # Nobody may have changed it since the plan was made and shown.
            if not _is(host.file_state(path), states[0]):
                raise Refused(f"{path} was changed by somebody else in the meantime", "# run doctor fix again")
        try:
            journal = open_entry(host, treatment.check, treatment.summary, treatment.steps)
        except OSError as no:
            raise Refused(f"nothing is changed without a journal of it: {no}") from no
        progress = _Progress(treatment.steps)
        undo.callback(_roll_back, progress, host, journal, observe)
        for number, step in enumerate(treatment.steps):
            journal.begin(number)
            progress.begun = number + 1
            observe(words(step))
            _take(step, host)
            journal.done(number)
        if treatment.socket and any(isinstance(step, Run) and step.argv[0] == "systemctl" for step in treatment.steps):
            _await_engine(host, treatment.socket)
        verify()
        journal.end(Ended.APPLIED)
        undo.pop_all()
    return journal.id


def undo(entry: Entry, host: Host, observe: Observe = lambda _: None) -> None:
    """
    Take back a treatment, finished or cut short; raises Refused, nothing touched, where somebody has gone on from there.

    Raises Stranded when it could not be taken back whole.
    """
    with ExitStack() as held:
        try:
            held.enter_context(host.lock(LOCK))
        except BlockingIOError:
            raise Refused("another doctor is changing this host", "# wait until it has ended") from None
        steps = entry.steps[: entry.begun]
        for path, states in files(steps).items():
            if not _is(host.file_state(path), *states):
                raise Refused(
                    f"{path} was changed by somebody else since", f"# see {path}, and the journal's {entry.id}"
                )
        journal = Journal(host, entry.id)
        _put_back(steps, host, journal, observe, same_boot=entry.boot == boot_id(host))
        journal.end(Ended.UNDONE if entry.ended else Ended.ROLLED_BACK)


# -- forwards


@dataclass(slots=True)
class _Progress:
    steps: Sequence[Step]
    begun: int = 0


def _is(now: FileState | None, *states: FileState | None) -> bool:
    """Whether the content is one of these."""
    return (now.data if now else None) in [state.data if state else None for state in states]


def _take(step: Step, host: Host) -> None:
    if isinstance(step, Put):
        _place(step.path, step.after, host)
    elif isinstance(step, Folder):
        host.make_folder(step.path)
    else:
        _run(step.argv, host, lenient=step.lenient)


def _place(path: str, state: FileState | None, host: Host) -> None:
    if state is None:
        host.remove_file(path)
    else:
        host.put_file(path, state)


def _run(argv: Sequence[str], host: Host, *, lenient: bool = False) -> None:
    done = host.run(*argv, timeout=RESTART_TIMEOUT)
    if not done.ok and not lenient:
        said = (done.err.strip() or done.out.strip())[-LAST_WORDS:]
        raise StepFailed(f"{shlex.join(argv)} failed with status {done.code}\n{said}".strip())


def _await_engine(host: Host, socket: str) -> None:
    """Wait until dockerd answers, as it does shortly after the service manager calls it ready."""
    end = host.clock() + PING_DEADLINE
    while not ping_unix(host, socket, 2.0).answered:
        if host.clock() > end:
            raise StillSick(f"dockerd does not answer within {PING_DEADLINE:g} s")
        host.sleep(PING_PAUSE)


# -- backwards


def _roll_back(progress: _Progress, host: Host, journal: Journal, observe: Observe) -> None:
    observe("putting everything back")
    _put_back(progress.steps[: progress.begun], host, journal, observe, same_boot=True)
    journal.end(Ended.ROLLED_BACK)


def _put_back(steps: Sequence[Step], host: Host, journal: Journal, observe: Observe, *, same_boot: bool) -> None:
    """Files first and last steps first; then what must notice that they are as they were: services, in their order."""
    known = files(steps)
    with host.uninterrupted():
        try:
            for step in reversed(steps):
                if isinstance(step, Put):
                    _restore(step.path, known[step.path], host)
                elif isinstance(step, Folder):
                    host.remove_folder(step.path)
                elif same_boot:
                    for back in step.back:
                        _take_back(back, host)
            for argv, lenient in _again(steps).items() if same_boot else ():
                observe(shlex.join(argv))
                _run(argv, host, lenient=lenient)
        except (OSError, StepFailed, Refused) as no:
            journal.end(Ended.STRANDED)
            raise Stranded(str(no), tuple(by_hand(steps))) from no


def _again(steps: Sequence[Step]) -> dict[tuple[str, ...], bool]:
    """Give what must be done once all else is as it was, each once, and whether it may fail."""
    return {step.again: step.lenient for step in steps if isinstance(step, Run) and step.again}


def _restore(path: str, states: Sequence[FileState | None], host: Host) -> None:
    """Make it what it was first, from any state that it was given; it may be that already."""
    host.sweep_unfinished(path)
    now = host.file_state(path)
    if not _is(now, *states):
        raise Refused(f"{path} was changed by somebody else in the meantime")
    if not _is(now, states[0]):
        _place(path, states[0], host)


def _take_back(back: Back, host: Host) -> None:
    if back.test:
        done = host.run(*back.test, timeout=10)
        if (done.ok and back.text in done.out) is not back.expected:
            return
    _run(back.argv, host, lenient=back.lenient)


def files(steps: Sequence[Step]) -> dict[str, list[FileState | None]]:
    """For each file, what it was, and what each step in turn makes of it."""
    found: dict[str, list[FileState | None]] = {}
    for step in steps:
        if isinstance(step, Put):
            found.setdefault(step.path, [step.before]).append(step.after)
    return found


def by_hand(steps: Sequence[Step]) -> Iterator[str]:
    """Tell what putting back would have done, as commands; the bytes of files are in the journal."""
    for step in reversed(steps):
        if isinstance(step, Put):
            yield f"# {step.path}: as it was{'' if step.before else ', not there'}"
        elif isinstance(step, Folder):
            yield shlex.join(("rmdir", step.path))
        else:
            yield from (shlex.join(back.argv) for back in step.back)
    yield from (shlex.join(argv) for argv in _again(steps))


def words(step: Step) -> str:
    """Name a step in a line."""
    if isinstance(step, Put):
        return f"{'writing' if step.after else 'removing'} {step.path}"
    return f"making {step.path}" if isinstance(step, Folder) else shlex.join(step.argv)
