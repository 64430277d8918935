"""A long answer of the engine, read as it comes, that a deadline or a signal can end."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

# How long the engine may take to notice that we hung up, and to kill what it ran for us.
SETTLE = 5.0  # seconds


@dataclass(frozen=True, slots=True)
class End:
    """No more events will come, and why where that was not to be."""

    failure: Exception | None = None


class TooLate(Exception):  # noqa: N818 - it is an answer, not an error
    """The deadline passed before the answer's end."""


class Stream(ABC):
    """
    One long answer.

    It is read by a thread of its own, since a blocked read can be ended neither by a deadline (docker-py's bounds each
    read, not the whole) nor, everywhere, by a signal. Hanging up is how an engine is told to stop a pull or a build.
    """

    def __init__(self, call: Callable[[], Iterable[dict[str, Any]]]) -> None:
        self._events: SimpleQueue[dict[str, Any] | End] = SimpleQueue()
        self._thread = threading.Thread(target=self._read, args=(call,), daemon=True)
        self._thread.start()

    def _read(self, call: Callable[[], Iterable[dict[str, Any]]]) -> None:
        import docker.errors  # noqa: PLC0415 - heavy
        import requests  # noqa: PLC0415
        import urllib3.exceptions  # noqa: PLC0415

        failure: Exception | None = None
        try:
            for event in call():
                self._events.put(event)
        except (
            docker.errors.DockerException,
            requests.RequestException,
            urllib3.exceptions.HTTPError,
            OSError,
            ValueError,
        ) as no:
            failure = no
        finally:
            self._events.put(End(failure))

    def interject(self, event: dict[str, Any]) -> None:
        """Add an event of our own; from any thread."""
        self._events.put(event)

    def events(self, within: float) -> Iterator[dict[str, Any]]:
        """Give the events; raises TooLate, or what went wrong with the call."""
        deadline = time.monotonic() + within
        while True:
            try:
                event = self._events.get(timeout=max(0.0, deadline - time.monotonic()))
            except Empty:
                raise TooLate from None
            if isinstance(event, End):
                if event.failure:
                    raise event.failure
                return
            yield event

    def hang_up(self) -> tuple[dict[str, Any], ...]:
        """End the call, and give what was said until that had been noticed: first politely, and then all the same."""
        for politely in (True, False):
            if self._thread.is_alive():
                self._thread.join(SETTLE if self.cut(politely=politely) else 0)
        said = []
        with contextlib.suppress(Empty):
            while not isinstance(event := self._events.get_nowait(), End):
                said.append(event)
        return tuple(said)

    @abstractmethod
    def cut(self, *, politely: bool) -> bool:
        """End the call; returns whether there was anything to end."""


class ApiStream(Stream):
    """One streaming call of the engine's API."""

    def __init__(self, api: Any, call: Callable[[], Iterable[dict[str, Any]]]) -> None:
        self.responses: list[Any] = []
        # The client is a requests.Session; a hook is its public way to the response behind a generator.
        api.hooks["response"].append(lambda response, **_: self.responses.append(response))
        super().__init__(call)

    def cut(self, *, politely: bool) -> bool:
        """
        Close our half of the connection: the engine cancels what it does for us, and says how that ends.

        For an engine that does not, the other half as well.
        """
        for response in self.responses:
            with contextlib.suppress(AttributeError, OSError):
                response.raw.connection.sock.shutdown(socket.SHUT_WR if politely else socket.SHUT_RDWR)
        return bool(self.responses)


class CommandStream(Stream):
    """A command's lines, and in the end its exit status: {"line": ...}, {"code": ...}."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        super().__init__(self._lines)

    def _lines(self) -> Iterator[dict[str, Any]]:
        for line in self.process.stdout or ():
            yield {"line": line.decode("utf-8", "replace").rstrip("\n")}
        yield {"code": self.process.wait()}

    def cut(self, *, politely: bool) -> bool:
        """Ask it to end, as Ctrl-C does, so that it tells the engine; or make it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGINT if politely else signal.SIGKILL)
        return True
