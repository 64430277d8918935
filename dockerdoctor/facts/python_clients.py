"""Python's library for Docker (docker-py), in each interpreter that is likely to use it; none of them is run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from dockerdoctor.facts.engine import version_parts
from dockerdoctor.host import Host
from dockerdoctor.measure import probe

# docker-py's own transport for Unix sockets: what it overrides must be what requests calls.
TRANSPORT = ("unixconn", "basehttpadapter")
# Since requests 2.32 adapters are asked for a connection by another name (psf/requests#6655, docker/docker-py#3256).
NEW_NAME = "get_connection_with_tls_context"
FIRST_NAME = "_get_connection"  # 2.32.0 and 2.32.1
# urllib3 2 hands over more than http.client takes; docker-py inherits from urllib3's own since 6.1 (docker/docker-py#3113).
OLD_BASE = re.compile(r"class UnixHTTPConnection\((?:httplib|http\.client)\.")


@dataclass(frozen=True, slots=True)
class PythonClient:
    """docker-py and what it rests on, as one interpreter would find them."""

    program: str  # who uses the interpreter: "/usr/local/bin/docker-compose", or itself
    interpreter: str
    folder: str  # where docker-py lies
    docker: str  # its version; empty where nothing tells
    requests: str = ""
    urllib3: str = ""
    problem: str = ""  # "requests" or "urllib3": what it does not fit
    problem_folder: str = ""  # where that lies
    own: bool = False  # a virtual environment
    managed: bool = False  # pip leaves it alone unless told otherwise (PEP 668)

    @property
    def compose(self) -> bool:
        """Whether it is Compose version 1, which needs an old docker-py."""
        return self.program.endswith("/docker-compose")


@dataclass(frozen=True, slots=True)
class PythonClients:
    """All of them."""

    all: tuple[PythonClient, ...]


@probe()
def python_clients(host: Host) -> PythonClients:
    """Look where each interpreter would look, in its order, and read the sources: distributions mend theirs."""
    found = (_client(host, program, interpreter) for program, interpreter in _interpreters(host).items())
    return PythonClients(tuple(client for client in found if client))


def _interpreters(host: Host) -> dict[str, str]:
    """Who uses which: Compose version 1, the virtual environments at hand, and what `python3` means here."""
    chosen: dict[str, str] = {}
    compose = host.which("docker-compose")
    if compose and (script := shebang(host, compose)):
        chosen[compose] = script
    environments = [host.env.get("VIRTUAL_ENV", ""), host.env.get("CONDA_PREFIX", "")]
    environments += [f"{host.cwd}/{name}" for name in (".venv", "venv", "env") if host.cwd]
    named = [f"{place}/bin/python3" for place in environments if place]
    named += [path for path in (host.which("python3"), host.which("python")) if path]
    for path in named:
        if host.exists(path) and path not in chosen.values():
            chosen.setdefault(path, path)
    return chosen


def shebang(host: Host, path: str) -> str:
    """The Python interpreter that a script names in its first line; empty for anything else."""
    try:
        first = host.read_bytes(path, 256).partition(b"\n")[0].decode("utf-8", "replace")
    except OSError:
        return ""
    words = first.removeprefix("#!").split() if first.startswith("#!") else []
    if words and words[0].endswith("/env"):
        words = [host.which(words[1])] if len(words) > 1 else []
    return words[0] if words and "python" in words[0].rpartition("/")[2] else ""


def _client(host: Host, program: str, interpreter: str) -> PythonClient | None:
    prefix = interpreter.rpartition("/bin/")[0]
    own = host.exists(f"{prefix}/pyvenv.cfg")
    folders = tuple(_folders(host, interpreter, prefix, own=own))
    folder = next((f for f in folders if host.exists(f"{f}/docker/transport/{TRANSPORT[0]}.py")), "")
    requests = next((f for f in folders if host.exists(f"{f}/requests/adapters.py")), "")
    if not folder or not requests:
        return None
    urllib3 = next((f for f in folders if host.exists(f"{f}/urllib3/connection.py")), "")
    places = {"docker": folder, "requests": requests, "urllib3": urllib3}
    versions = {name: _version(host, place, name) for name, place in places.items()}
    transport = "".join(host.text(f"{folder}/docker/transport/{name}.py") for name in TRANSPORT)
    adapters = host.text(f"{requests}/requests/adapters.py")
    called = next((name for name in (NEW_NAME, FIRST_NAME) if f"def {name}(" in adapters), "")
    problem = ""
    if called and f"def {called}(" not in transport:
        problem = "requests"
    elif OLD_BASE.search(transport) and version_parts(versions["urllib3"]) >= (2,):
        problem = "urllib3"
    managed = not own and any(
        host.exists(f"{prefix}/lib/{name}/EXTERNALLY-MANAGED") for name in host.listdir(f"{prefix}/lib", "python3*")
    )
    return PythonClient(
        program,
        interpreter,
        folder,
        **versions,
        problem=problem,
        problem_folder=places.get(problem, ""),
        own=own,
        managed=managed,
    )


def _folders(host: Host, interpreter: str, prefix: str, *, own: bool) -> Iterator[str]:
    """Where an interpreter looks for packages, in its order (site module, and Debian's dist-packages)."""
    yield from (f for f in host.env.get("PYTHONPATH", "").split(":") if f)
    if own:
        yield from (f"{prefix}/lib/{name}/site-packages" for name in host.listdir(f"{prefix}/lib", "python3*"))
        if "include-system-site-packages = true" not in host.text(f"{prefix}/pyvenv.cfg"):
            return
    real = host.real(interpreter)
    prefix, _, name = real.rpartition("/bin/")
    if not re.fullmatch(r"python3\.\d+", name):
        return
    yield f"{host.home}/.local/lib/{name}/site-packages"
    if prefix == "/usr":
        yield f"/usr/local/lib/{name}/dist-packages"
        yield f"/usr/local/lib/{name}/site-packages"
        yield "/usr/lib/python3/dist-packages"
    yield from (f"{prefix}/{lib}/{name}/site-packages" for lib in ("lib", "lib64"))


def _version(host: Host, folder: str, name: str) -> str:
    for found in host.listdir(folder, f"{name}-*") if folder else ():
        if match := re.fullmatch(rf"{name}-(\d[^-]*?)(?:-py[\d.]+)?\.(?:dist|egg)-info", found):
            return match[1]
    return ""
