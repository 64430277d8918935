"""Apply a change to the daemon's configuration, prove it, or put everything back: whatever happens, and whenever."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from dockerdoctor.facts.changes import LOCK
from dockerdoctor.facts.ping import ping_unix
from dockerdoctor.host import FileState, Host

# Stopping may take the containers' own stop timeouts (TimeoutStopSec is 90 s by default), starting as long again.
RESTART_TIMEOUT = 200.0  # seconds
# A daemon that systemd calls ready answers at once; one that a script started needs a moment.
PING_DEADLINE = 30.0
PING_PAUSE = 0.2
LOG_LINES = 3  # of the daemon's own log, when it does not start


class Refused(Exception):  # noqa: N818 - it is an answer, not an error
    """Nothing was changed, why, and how a person can do it."""

    def __init__(self, reason: str, *manual: str) -> None:
        super().__init__(reason)
        self.reason, self.manual = reason, manual


class NotRestarted(Exception):  # noqa: N818 - as above
    """The daemon did not come back."""


class StillSick(Exception):  # noqa: N818 - as above
    """The change was made, and did not help."""


class RollbackFailed(Exception):  # noqa: N818 - as above
    """Hands are needed: the commands to type."""

    def __init__(self, reason: str, backup: str, commands: tuple[str, ...]) -> None:
        super().__init__(reason)
        self.reason, self.backup, self.commands = reason, backup, commands


@dataclass(frozen=True, slots=True)
class Change:
    """One file, as it was when the change was planned and as it shall be."""

    path: str  # links followed
    before: FileState | None  # None: there was no such file
    after: FileState

    @property
    def needed(self) -> bool:
        """Whether the file is not as it should be already."""
        return self.before is None or self.before.data != self.after.data


@dataclass(frozen=True, slots=True)
class Daemon:
    """How the daemon is reached, and how it is started anew."""

    socket: str
    forget: tuple[str, ...]  # the command that makes the service manager forget earlier starts; may fail
    restart: tuple[str, ...]

    @property
    def commands(self) -> tuple[str, ...]:
        """As a person would type them."""
        return tuple(shlex.join(argv) for argv in (self.forget, self.restart) if argv)


@dataclass(slots=True)
class Journal:
    """What has been done so far, written before it is done."""

    backup: str = ""
    daemon_touched: bool = False


Observe = Callable[[str], None]


def apply(
    change: Change, host: Host, daemon: Daemon | None, verify: Callable[[], None], observe: Observe = lambda _: None
) -> str:
    """
    Write, restart, verify; any way out but the last line puts everything back. Without `daemon`, only write.

    Returns the backup's path, empty when there was nothing to keep. Raises Refused (nothing was touched), RollbackFailed,
    or, after putting back, whatever went wrong.
    """
    journal = Journal()
    with ExitStack() as held, ExitStack() as undo:
        try:
            held.enter_context(host.lock(LOCK))
        except BlockingIOError:
            raise Refused("another doctor is changing this host", "# wait until it has ended") from None
        _guard(change, host)
        undo.callback(put_back, change, host, daemon, journal, observe)
        if change.needed:
            observe(f"writing {change.path}")
            _back_up(change, host, journal)
            host.put_file(change.path, change.after)
        if daemon:
            journal.daemon_touched = True
            observe("restarting dockerd")
            restart(host, daemon)
            observe("asking from new containers")
            verify()
        undo.pop_all()
    return journal.backup


def _data(state: FileState | None) -> bytes | None:
    return state.data if state else None


def _guard(change: Change, host: Host) -> None:
    """Nobody may have changed the file since the plan was made and shown."""
    if _data(host.file_state(change.path)) != _data(change.before):
        raise Refused(f"{change.path} was changed by somebody else in the meantime", "doctor fix-dns")


def _back_up(change: Change, host: Host, journal: Journal) -> None:
    if change.before is None:
        return
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(host.clock()))
    name = f"{change.path}.{stamp}.bak"
    if host.lstat(name):
        raise FileExistsError(f"{name} is there already")
    journal.backup = name
    host.put_file(name, change.before)


def restart(host: Host, daemon: Daemon) -> None:
    """Restart and wait until it answers; earlier starts do not count against the start limit. Raises NotRestarted."""
    if daemon.forget:
        host.run(*daemon.forget, timeout=30)
    done = host.run(*daemon.restart, timeout=RESTART_TIMEOUT)
    if not done.ok:
        log = host.run("journalctl", "-u", "docker.service", "-n", str(LOG_LINES), "-o", "cat", "--no-pager")
        said = "\n".join(filter(None, (done.err.strip(), log.out.strip())))
        raise NotRestarted(f"{shlex.join(daemon.restart)} failed with status {done.code}\n{said}".strip())
    end = host.clock() + PING_DEADLINE
    while not ping_unix(host, daemon.socket, 2.0).answered:
        if host.clock() > end:
            raise NotRestarted(f"dockerd does not answer within {PING_DEADLINE:g} s of its restart")
        host.sleep(PING_PAUSE)


def put_back(change: Change, host: Host, daemon: Daemon | None, journal: Journal, observe: Observe) -> None:
    """Restore the file, and the daemon if it may have read the new one; raises RollbackFailed."""
    with host.uninterrupted():
        observe("putting everything back")
        try:
            if change.needed:
                _restore(change, host)
            if daemon and journal.daemon_touched:
                restart(host, daemon)
            if journal.backup:
                host.remove_file(journal.backup)
        except (OSError, NotRestarted) as no:
            raise RollbackFailed(str(no), journal.backup, _by_hand(change, daemon, journal)) from no


def _restore(change: Change, host: Host) -> None:
    now = _data(host.file_state(change.path))
    if now == _data(change.before):
        return
    if now != change.after.data:
        raise OSError(f"{change.path} was changed by somebody else in the meantime")
    if change.before:
        host.put_file(change.path, change.before)
    else:
        host.remove_file(change.path)


def _by_hand(change: Change, daemon: Daemon | None, journal: Journal) -> tuple[str, ...]:
    """Tell what `put_back` would have done, as commands."""
    commands: list[str] = []
    if journal.backup:
        commands.append(shlex.join(("cp", "-p", journal.backup, change.path)))
    elif change.before is None:
        commands.append(shlex.join(("rm", "-f", change.path)))
    if daemon and journal.daemon_touched:
        commands += daemon.commands
    return tuple(commands)
