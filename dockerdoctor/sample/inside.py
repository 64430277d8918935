"""What is seen from inside of a container: what listens there, what a program says, what a page is like from there."""

from __future__ import annotations

import contextlib

from dockerdoctor.facts.listeners import EMBEDDED_DNS, OPAQUE_RUNTIME, Listener, container_of, parse, tcp_of
from dockerdoctor.sample.scene import Scene

# A whole answer of a web server, as it comes; all that it needs of Python is loaded already.
ASK = """
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)
s.settimeout(30)
s.sendall(b"GET / HTTP/1.0\\r\\nHost: sample\\r\\n\\r\\n")
while True:
    b = s.recv(65536)
    if not b:
        break
    sys.stdout.buffer.write(b)
"""


def asking(python: str, host: str, port: int) -> tuple[str, ...]:
    """Give the command that asks for a page inside of a container."""
    return (python, "-I", "-S", "-c", ASK, host, str(port))


def body_of(answer: str) -> tuple[str, str]:
    """Take an answer apart: the page, and what came instead of one."""
    head, _, body = answer.replace("\r\n", "\n").partition("\n\n")
    status, _, _ = head.partition("\n")
    return (body, "") if " 200 " in f"{status} " and status.startswith("HTTP/") else ("", answer.strip()[-200:])


def run(scene: Scene, container: str, *argv: str) -> str:
    """Run a program in a container, and give what it says."""
    api = scene.api()
    said: bytes = api.exec_start(api.exec_create(container, argv)["Id"])
    return said.decode("utf-8", "replace")


def listeners(scene: Scene, container: str) -> tuple[Listener, ...]:
    """Say what listens in a container: by its process where that is this host's, else by asking inside."""
    data = scene.api().inspect_container(container)
    pid, runtime = int(data["State"].get("Pid") or 0), str(data["HostConfig"].get("Runtime") or "")
    found: tuple[Listener, ...] = ()
    if not pid:
        return ()
    if scene.local and not OPAQUE_RUNTIME.search(runtime) and container_of(scene.host, pid) == container:
        with contextlib.suppress(OSError):
            found = tcp_of(scene.host, f"/proc/{pid}/net")
    else:
        with contextlib.suppress(*scene.refusals):
            found = tuple(parse("tcp", run(scene, container, "cat", "/proc/net/tcp", "/proc/net/tcp6")))
    return tuple(x for x in found if x.address != EMBEDDED_DNS)
