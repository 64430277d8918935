"""Take the steps of a fix, one by one and each noted before; prove it, or put everything back: whatever happens, and whenever."""

from __future__ import annotations

import errno
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from dockerdoctor.facts.changes import JOURNAL as FOLDER
from dockerdoctor.facts.changes import LOCK
from dockerdoctor.facts.ping import ping_unix
from dockerdoctor.fixes.journal import Ended, Entry, Journal, boot_id, entries, entry_of, open_entry, unfinished
from dockerdoctor.fixes.steps import HANDLE, Back, Folder, Put, Run, Running, State, Step, restarts_dockerd
from dockerdoctor.host import TIMED_OUT, FileState, Host, Linked

# nft(8): at the end of a rule's line.
RULE = re.compile(r"^\t\t(.*) # handle (\d+)$", re.MULTILINE)
# The kernel sorts what is in braces, and takes them off a single one.
RULE_WORDS = re.compile(r'[^\s{},"]+')
# A test that ends so has told nothing: it was killed, could not be run or is missing, or did not get iptables' lock.
UNTOLD = frozenset({TIMED_OUT, 126, 127, 4})

Observe = Callable[[str], None]
LAST_WORDS = 300  # characters of what a command that failed has said
LOG_LINES = 3  # of the daemon's own log, when it does not start
# Stopping may take the containers' own stop timeouts (TimeoutStopSec is 90 s by default), starting as long again.
COMMAND_TIMEOUT = 200.0  # seconds
# A daemon that systemd calls ready answers at once; one that a script started needs a moment.
PING_DEADLINE = 30.0
PING_PAUSE = 0.2


# Why a file is not to be replaced even by root, where the system's own words do not say it.
HINTS = {
    errno.EPERM: "it or its folder may be immutable, as lsattr shows",
    errno.EBUSY: "something is mounted on it",
}


def why(no: Exception) -> str:
    """Say in a line what went wrong."""
    if not isinstance(no, OSError) or not no.strerror:
        return str(no)
    place = f"{no.filename}: " if no.filename else ""
    hint = HINTS.get(no.errno or 0)
    return f"{place}{no.strerror}" + (f" ({hint})" if hint else "")


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
    tell = _quietly(observe)
    with ExitStack() as held, ExitStack() as undo:
        _alone(held, host)
        for path, states in files(treatment.steps).items():
            # Nobody may have changed it since the plan was made and shown, nor its owner or mode.
            if _now(path, host) != states[0]:
                raise Refused(f"{path} was changed by somebody else in the meantime", "# run doctor fix again")
            if isinstance(states[0], FileState) and host.hard_linked(path):
                raise Refused(f"{path} has another name (a hard link), and would be cut off from it")
        try:
            if halves := [entry.id for entry in unfinished(host) if entry.meets(treatment.steps)]:
                raise Refused(
                    f"{halves[0]} was begun and has not ended, and is about the same", f"doctor undo {halves[0]}"
                )
            journal = open_entry(host, treatment.check, treatment.summary, treatment.steps)
        except OSError as no:
            raise Refused(f"nothing is changed without a journal of it: {why(no)}") from no
        progress = _Progress(journal.steps)
        undo.callback(_roll_back, progress, host, journal, tell)
        for number, step in enumerate(treatment.steps):
            journal.begin(number)
            progress.begun = number + 1
            tell(words(step))
            _take(step, host)
            journal.done(number)
        start(running(treatment.steps), host, tell)
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
    tell = _quietly(observe)
    with ExitStack() as held:
        _alone(held, host)
        _still(entry, host)
        if entry.problem:
            # And not an older one in its place: nobody knows what this one has done.
            raise Refused(
                f"the journal's {entry.id} cannot be read: {entry.problem}",
                f"# see {FOLDER}/{entry.id}; if all is to stay as it is now:",
                f"doctor undo {entry.id} --leave",
            )
        steps = to_take_back(entry)
        later = [one for one in entries(host) if one.id > entry.id and one.stands and one.meets(steps)]
        if later:
            raise Refused(
                f"{later[-1].id} came later and is about the same: it must be taken back first",
                *(f"doctor undo {one.id}" for one in (*reversed(later), entry)),
            )
        for path, states in files(steps).items():
            if not _is(_now(path, host), *states):
                raise Refused(
                    f"{path} was changed by somebody else since",
                    f"# see {path}, and the journal's {entry.id}; if all is to stay as it is now:",
                    f"doctor undo {entry.id} --leave",
                )
        journal = Journal(host, entry.id, entry.steps)
        # What runs now is what the services' restart must not stop for good; after a kill, what ran before it does.
        cut_short = entry.ended is not Ended.APPLIED
        names = running(entry.steps[: entry.begun]) if cut_short else _running_now(host) if _interrupts(steps) else ()
        try:
            journal.undoing()
        except OSError as no:
            raise Refused(f"nothing is changed without a journal of it: {why(no)}") from no
        _put_back(steps, host, journal, tell, names, same_boot=entry.boot == boot_id(host))
        with suppress(OSError):  # all is as it was; it stays open in the journal, and undoing it again does no harm
            journal.end(Ended.UNDONE if entry.applied else Ended.ROLLED_BACK)


def to_take_back(entry: Entry) -> tuple[Step, ...]:
    """
    Give the steps that undoing is about.

    None where a fix has only started something anew: another start would take nothing back, and interrupt what runs.
    """
    steps = entry.steps[: entry.begun]
    changes = any(isinstance(step, Put | Folder) or (isinstance(step, Run) and step.back) for step in steps)
    return steps if changes else ()


def leave(entry: Entry, host: Host) -> None:
    """Take nothing back, now or ever: all is right as it is. Raises Refused and OSError."""
    with ExitStack() as held:
        _alone(held, host)
        _still(entry, host)
        Journal(host, entry.id, entry.steps).end(Ended.LEFT)


def _alone(held: ExitStack, host: Host) -> None:
    """Keep other doctors away; raises Refused."""
    try:
        held.enter_context(host.lock(LOCK))
    except BlockingIOError:
        who = f" (process {number})" if (number := host.text(LOCK).strip()) else ""
        raise Refused(f"another doctor{who} is changing this host", "# wait until it has ended") from None
    except OSError as no:
        raise Refused(f"no other doctor could be kept away: {why(no)}") from no


def _still(entry: Entry, host: Host) -> None:
    """Make sure that nobody has taken it back since it was looked up; raises Refused."""
    now = entry_of(host, entry.id)
    if (now.begun, now.ended) != (entry.begun, entry.ended):
        raise Refused(f"another doctor has gone on with {entry.id} since", "doctor history")


def _quietly(observe: Observe) -> Observe:
    """Whoever was told may be gone, terminal and all: that must keep nothing from being done, or put back."""

    def tell(words: str) -> None:
        with suppress(OSError):
            observe(words)

    return tell


# -- forwards


@dataclass(slots=True)
class _Progress:
    steps: Sequence[Step]
    begun: int = 0


def _now(path: str, host: Host) -> State:
    """Read a file, or a link, where it was and nowhere else; raises Refused."""
    folder = path.rpartition("/")[0] or "/"
    try:
        if host.real_path(folder) != folder:
            raise Refused(f"{path} lies in a folder that is a link now")
        return host.link_state(path) or host.file_state(path)
    except OSError as no:
        raise Refused(f"{path}: {no.strerror}") from no


def _is(now: State, *states: State) -> bool:
    """Whether the content is one of these."""

    def content(state: State) -> bytes | State:
        return state.data if isinstance(state, FileState) else state

    return content(now) in map(content, states)


def _take(step: Step, host: Host) -> None:
    if isinstance(step, Put):
        _place(step.path, step.after, host)
    elif isinstance(step, Folder):
        host.make_folder(step.path)
    elif isinstance(step, Run):
        _run(step.argv, host, lenient=step.lenient)


def _place(path: str, state: State, host: Host) -> None:
    if state is None:
        host.remove_file(path)
    elif isinstance(state, Linked):
        host.put_link(path, state)
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


def running(steps: Sequence[Step]) -> tuple[str, ...]:
    """Name the containers that shall run in the end."""
    return tuple(name for step in steps if isinstance(step, Running) for name in step.names)


def _interrupts(steps: Sequence[Step]) -> bool:
    return any(restarts_dockerd(argv) for argv in _again(steps))


def _running_now(host: Host) -> tuple[str, ...]:
    """Name those that do; none where the engine does not say."""
    return tuple(reversed(host.run("docker", "ps", "--format", "{{.Names}}", timeout=10).out.split()))


def start(names: Sequence[str], host: Host, tell: Observe = lambda _: None) -> None:
    """Start containers; one that runs stays as it is, and one that removes itself does not come back."""
    if names:
        tell(shlex.join(starting(names)))
        host.run(*starting(names), timeout=COMMAND_TIMEOUT)


def starting(names: Sequence[str]) -> tuple[str, ...]:
    """Give the command that starts them."""
    return ("docker", "start", *names)


def _await_engine(host: Host, socket: str) -> None:
    """Wait until dockerd answers, as it does shortly after the service manager calls it ready."""
    silent = f"dockerd does not answer within {PING_DEADLINE:g} s"
    insist(lambda: "" if ping_unix(host, socket, 2.0).answered else silent, host, PING_DEADLINE, PING_PAUSE)


def insist(problem: Callable[[], str], host: Host, deadline: float, pause: float) -> None:
    """Ask, both times in seconds, until nothing is wrong any more; raises StillSick with what is."""
    end = host.monotonic() + deadline
    while said := problem():
        if host.monotonic() > end:
            raise StillSick(said)
        host.sleep(pause)


# -- backwards


def _roll_back(progress: _Progress, host: Host, journal: Journal, tell: Observe) -> None:
    steps = progress.steps[: progress.begun]
    with host.uninterrupted():
        tell("putting everything back")
        # A journal that cannot be written any more keeps nothing from being put back: it says still that this has no end.
        with suppress(OSError):
            journal.undoing()
        _put_back(steps, host, journal, tell, running(steps), same_boot=True)
        with suppress(OSError):
            journal.end(Ended.ROLLED_BACK)


def _put_back(
    steps: Sequence[Step], host: Host, journal: Journal, tell: Observe, names: Sequence[str], *, same_boot: bool
) -> None:
    """
    Files first and last steps first; then what must notice that they are as they were: services, in their order.

    After another boot, what the kernel was told is gone, and so is what ran.
    """
    known = files(steps)
    with host.uninterrupted():
        try:
            for step in reversed(steps):
                if isinstance(step, Put):
                    _restore(step.path, known[step.path], host)
                elif isinstance(step, Folder):
                    host.remove_folder(step.path)
                elif isinstance(step, Run):
                    for back in step.back:
                        if same_boot or back.lasting:
                            _take_back(back, host)
            for argv, lenient in _again(steps).items():
                # What was not started since is left alone.
                now = argv if same_boot or argv[1:2] != ("restart",) else (argv[0], "try-restart", *argv[2:])
                tell(shlex.join(now))
                _run(now, host, lenient=lenient)
            start(names, host, tell)
        except (OSError, StepFailed, Refused) as no:
            with suppress(OSError):
                journal.end(Ended.STRANDED)
            raise Stranded(why(no), tuple(by_hand(steps))) from no


def _again(steps: Sequence[Step]) -> dict[tuple[str, ...], bool]:
    """Give what must be done once all else is as it was, each once, and whether it may fail."""
    return {step.again: step.lenient for step in steps if isinstance(step, Run) and step.again}


def _restore(path: str, states: Sequence[State], host: Host) -> None:
    """Make it what it was first, from any state that it was given; it may be that already."""
    host.sweep_unfinished(path)
    now = _now(path, host)
    if not _is(now, *states):
        raise Refused(f"{path} was changed by somebody else in the meantime")
    # All of it: the bytes may be the same where owner or mode were what was changed.
    if now != states[0]:
        _place(path, states[0], host)


def _take_back(back: Back, host: Host) -> None:
    argv = back.argv
    if back.test:
        done = host.run(*back.test, timeout=10)
        if done.code in UNTOLD:
            raise StepFailed(f"{shlex.join(back.test)} told nothing: {done.err.strip()}")
        if back.handles is not None:
            ours = [
                handle
                for rule, handle in RULE.findall(done.out)
                if handle not in back.handles and _rule_words(rule) == _rule_words(back.text)
            ]
            if not ours:
                return
            # Handles grow: what others have added since comes later.
            argv = tuple(min(ours, key=int) if word == HANDLE else word for word in argv)
        elif (done.ok and done.out.count(back.text) > back.count) is not back.expected:
            return
    _run(argv, host, lenient=back.lenient)


def _rule_words(rule: str) -> list[str]:
    return sorted(RULE_WORDS.findall(rule))


def files(steps: Sequence[Step]) -> dict[str, list[State]]:
    """For each file, what it was, and what each step in turn makes of it."""
    found: dict[str, list[State]] = {}
    for step in steps:
        if isinstance(step, Put):
            found.setdefault(step.path, [step.before]).append(step.after)
    return found


def by_hand(steps: Sequence[Step]) -> Iterator[str]:
    """Tell what putting back does, or would have done, as commands."""
    first = {step.path: step for step in reversed(steps) if isinstance(step, Put)}
    for path, step in first.items():
        if isinstance(step.before, Linked):
            yield shlex.join(("ln", "-sfn", step.before.target, path))
        else:
            # A link would be written through.
            over = ("--remove-destination",) if isinstance(step.after, Linked) else ()
            yield shlex.join(("cp", "-a", *over, step.copy, path) if step.before else ("rm", "-f", path))
    for one in reversed(steps):
        if isinstance(one, Folder):
            yield shlex.join(("rmdir", one.path))
        elif isinstance(one, Run):
            yield from (shlex.join(back.argv) for back in one.back)
    yield from (shlex.join(argv) for argv in _again(steps))
    if names := running(steps):
        yield shlex.join(starting(names))


def words(step: Step) -> str:
    """Name a step in a line."""
    if isinstance(step, Put):
        if isinstance(step.after, Linked):
            return f"linking {step.path} to {step.after.target}"
        return f"{'writing' if step.after else 'removing'} {step.path}"
    if isinstance(step, Folder):
        return f"making {step.path}"
    return shlex.join(step.argv) if isinstance(step, Run) else f"noting what runs: {', '.join(step.names)}"
