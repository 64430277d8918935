"""Requests to the engine's API that change something, and answers that come piece by piece."""

from __future__ import annotations

import http.client
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from dockerdoctor.facts.endpoint import ChosenEndpoint, DaemonPing, mask_text
from dockerdoctor.facts.engine import api_version, client
from dockerdoctor.host import Host


class Refused(Exception):  # noqa: N818 - it is an answer, not an error
    """The engine said no; the text is its own message, or why none came."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status  # of HTTP; 0 when there was no answer


@dataclass(frozen=True, slots=True)
class Api:
    """
    One engine's API, for any number of threads: each request has a connection of its own.

    A Unix socket is spoken to with the standard library: docker-py alone takes longer to import than a container takes
    to answer, and an examination starts two. Engines elsewhere are reached through docker-py, which knows TLS and ssh.
    """

    host: Host
    endpoint: ChosenEndpoint
    ping: DaemonPing
    timeout: float  # seconds for one request

    def call(self, method: str, target: str, *, query: dict[str, Any] | None = None, body: Any = None) -> Any:
        """
        Send one request, with JSON or with bytes for a body, and give the JSON of its answer; None for an empty one.

        Raises Refused.
        """
        status, data = self._answer(method, _url(self._path(target), query), body)
        return _judged(status, data)

    def attach(self, container: str) -> Iterator[bytes]:
        """Give all that a container will say, in the frames of `frames`; connected once this returns; raises Refused."""
        url = _url(self._path(f"/containers/{container}/attach"), {"stream": 1, "stdout": 1, "stderr": 1})
        try:
            if self.endpoint.socket_path:
                status, pieces = self.host.unix_stream(self.endpoint.socket_path, url, self.timeout)
            else:
                api = client(self.host, self.endpoint, self.ping, self.timeout)
                reply = api.post(f"{api.base_url}{url}", stream=True, timeout=self.timeout)
                status, pieces = reply.status_code, reply.iter_content(None)
        except (OSError, http.client.HTTPException) as no:
            raise self._unanswered(no) from None
        if status != http.client.OK:
            _judged(status, b"".join(pieces))
        return pieces

    def _path(self, target: str) -> str:
        return f"/v{api_version(self.ping)}{target}"

    def _answer(self, method: str, url: str, body: Any) -> tuple[int, bytes]:
        kind = "application/x-tar" if isinstance(body, bytes) else "application/json"
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        headers = {"Content-Type": kind} if data else {}
        try:
            if self.endpoint.socket_path:
                status, _, said = self.host.unix_http(
                    self.endpoint.socket_path, url, self.timeout, method=method, body=data, headers=headers
                )
                return status, said
            api = client(self.host, self.endpoint, self.ping, self.timeout)
            reply = api.request(method, f"{api.base_url}{url}", data=data, headers=headers, timeout=self.timeout)
        # requests' exceptions are OSErrors too
        except (OSError, http.client.HTTPException) as no:
            raise self._unanswered(no) from None
        return int(reply.status_code), bytes(reply.content)

    def _unanswered(self, no: Exception) -> Refused:
        late = isinstance(no, TimeoutError)
        return Refused(0, f"no answer within {self.timeout:g} s" if late else mask_text(f"{type(no).__name__}: {no}"))


def _url(path: str, query: dict[str, Any] | None) -> str:
    return f"{path}?{urlencode(query, doseq=True)}" if query else path


def _judged(status: int, data: bytes) -> Any:
    try:
        said = json.loads(data) if data.strip() else None
    except (ValueError, RecursionError):
        said = data.decode("utf-8", "replace")
    if status >= http.client.BAD_REQUEST or not status:
        message = said.get("message", said) if isinstance(said, dict) else said
        raise Refused(status, mask_text(f"{message or f'HTTP {status}'}".strip()))
    return said


def frames(stream: bytes) -> str:
    """Take the text out of what a container said: each frame has eight bytes before it, but a terminal's has none."""
    text = b""
    while len(stream) >= 8 and stream[0] in {0, 1, 2} and stream[1:4] == b"\0\0\0":
        (size,) = struct.unpack(">I", stream[4:8])
        text, stream = text + stream[8 : 8 + size], stream[8 + size :]
    return (text + stream).decode("utf-8", "replace")
