"""A shell on a terminal, and somebody who types."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Iterator, Mapping

# What moves the cursor or colours; what is left is what was written.
CONTROL = re.compile(r"\x1b\[[0-9;?<>=]*[A-Za-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()][A-Z0-9]|\x1b[=>78]")
# fish asks its terminal what it is, and waits for the answer.
DEVICE_ATTRIBUTES, ANSWER = "\x1b[0c", "\x1b[?62;c"


class Terminal:
    """A program that believes a person sits before it."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.raw = ""

    @property
    def shown(self) -> str:
        """All that was written, without colours and movements."""
        return CONTROL.sub("", self.raw).replace("\r", "")

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self.fd, keys.encode())

    def wait_for(self, pattern: str, timeout: float = 30, since: int = 0) -> str:
        """Wait until something is shown; returns all that is, from `since` on."""
        end = time.monotonic() + timeout
        while not re.search(pattern, self.shown[since:]):
            left = end - time.monotonic()
            if left <= 0 or not self._read(left):
                raise AssertionError(f"{pattern!r} was not shown within {timeout} s, but:\n{self.shown[since:]}")
        return self.shown[since:]

    def _read(self, patience: float) -> bool:
        ready, _, _ = select.select([self.fd], [], [], patience)
        if not ready:
            return False
        try:
            said = os.read(self.fd, 65536).decode(errors="replace")
        except OSError:  # the program has gone
            return False
        if DEVICE_ATTRIBUTES in said or "\x1b[c" in said:
            self.type(ANSWER)
        self.raw += said
        return bool(said)


@contextlib.contextmanager
def on_terminal(argv: list[str], env: Mapping[str, str], rows: int = 50, columns: int = 200) -> Iterator[Terminal]:
    """Run a program on a terminal of its own, and end it."""
    pid, fd = pty.fork()
    if not pid:
        os.execvpe(argv[0], argv, dict(env))
    try:
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        yield Terminal(fd)
    finally:
        os.close(fd)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
