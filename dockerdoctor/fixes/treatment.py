"""Take the steps of a fix, one by one and each noted before; prove it, or put everything back: whatever happens, and whenever."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from dockerdoctor.facts.changes import LOCK
from dockerdoctor.facts.ping import ping_unix
from dockerdoctor.fixes.journal import Ended, Entry, Journal, boot_id, open_entry
from dockerdoctor.fixes.steps import HANDLE, Back, Folder, Put, Run, Step
from dockerdoctor.host import FileState, Host

# nft(8): at the end of a rule's line.
HANDLE_OF = re.compile(r"^\t\t.* # handle (\d+)$", re.MULTILINE)

Observe = Callable[[str], None]
LAST_WORDS = 300  # characters of what a command that failed has said
LOG_LINES = 3  # of the daemon's own log, when it does not start
# Stopping may take the containers' own stop timeouts (TimeoutStopSec is 90 s by default), starting as long again.
COMMAND_TIMEOUT = 200.0  # seconds
# A daemon that systemd calls ready answers at once; one that a script started needs a moment.
PING_DEADLINE = 30.0
PING_PAUSE = 0.2


class Refused(Exception):  # noqa: N818 - it is an answer, not an error
    """Nothing was changed, why, and how a person can do it."""

    def __init__(self, reason: str, *manual: str) -> None:
        super().__init__(reason)
        self.reason, self.manual = reason, manual


class StillSick(Exception):  # noqa: N818 - as above
    """The change was made, and did not help."""


class StepFailed(Exception):  # noqa: N818 - as above
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
    socket: str = ""  # of the engine, which must answer before the proof begins; empty: it need not


def carry_out(
    treatment: Treatment, host: Host, verify: Callable[[], None], observe: Observe = lambda _: None
) -> Journal:
    """
    Take every step and verify; any way out but the last line puts everything back.

    Returns the journal of it. Raises Refused (nothing was touched), Stranded, or, after putting back, whatever went wrong.
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
        progress = _Progress(journal.steps)
        undo.callback(_roll_back, progress, host, journal, observe)
        for number, step in enumerate(treatment.steps):
            journal.begin(number)
            progress.begun = number + 1
            observe(words(step))
            _take(step, host)
            journal.done(number)
        if treatment.socket:
            _await_engine(host, treatment.socket)
        verify()
        journal.end(Ended.APPLIED)
        undo.pop_all()
    return journal


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
        journal = Journal(host, entry.id, entry.steps)
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
    done = host.run(*argv, timeout=COMMAND_TIMEOUT)
    if done.ok or lenient:
        return
    said = [(done.err.strip() or done.out.strip())[-LAST_WORDS:]]
    if argv[0] in {"systemctl", "service"}:
        unit = next((word for word in argv if word.startswith("docker")), "docker.service")
        said.append(host.run("journalctl", "-u", unit, "-n", str(LOG_LINES), "-o", "cat", "--no-pager").out.strip())
    raise StepFailed("\n".join(filter(None, (f"{shlex.join(argv)} failed with status {done.code}", *said))))


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
        if back.handles is not None:
            ours = sorted(set(HANDLE_OF.findall(done.out)) - set(back.handles), key=int)
            if ours:
                # Handles grow: what others have added since comes later.
                _run([ours[0] if word == HANDLE else word for word in back.argv], host, lenient=back.lenient)
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
    """Tell what putting back does, or would have done, as commands."""
    first = {step.path: step for step in reversed(steps) if isinstance(step, Put)}
    for path, step in first.items():
        yield shlex.join(("cp", "-a", step.copy, path) if step.before else ("rm", "-f", path))
    for one in reversed(steps):
        if isinstance(one, Folder):
            yield shlex.join(("rmdir", one.path))
        elif isinstance(one, Run):
            yield from (shlex.join(back.argv) for back in one.back)
    yield from (shlex.join(argv) for argv in _again(steps))


def words(step: Step) -> str:
    """Name a step in a line."""
    if isinstance(step, Put):
        return f"{'writing' if step.after else 'removing'} {step.path}"
    return f"making {step.path}" if isinstance(step, Folder) else shlex.join(step.argv)
