"""A root file system of nothing but this host's Python: the interpreter, its standard library, and what they load."""

from __future__ import annotations

import errno
import io
import json
import re
import sys
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from dockerdoctor.host import MISSING_COMMAND, Host
from dockerdoctor.sample.surroundings import SYSTEM_BUNDLES

# Of the interpreter itself, without what its users added (-I, -S): Debian's own answers differ from CPython's.
LAYOUT = """
import json, os, sys, sysconfig
paths = sysconfig.get_paths()
print(json.dumps([os.path.realpath(sys.executable), sys.version.split()[0], paths["stdlib"], paths["platstdlib"], paths["purelib"]]))
"""
# Tests, desktop tools, the parts for building extensions; and what forbids pip to install beside a package manager (PEP 668).
LEFT_OUT = re.compile(
    r"/(?:__pycache__|test|tests|idlelib|turtledemo|tkinter|lib2to3|ensurepip|site-packages|dist-packages|config-\d[^/]*|"
    r"EXTERNALLY-MANAGED|_tkinter\.[^/]*|_test[^/]*\.so|_ctypes_test\.[^/]*|xxlimited[^/]*)$"
)
# Loaded by name while a program runs, so no list of what it needs has them (dlopen(3)): names of hosts, ends of threads.
BY_NAME = ("libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2", "libgcc_s.so.1")
# "libssl.so.3 => /lib/x86_64-linux-gnu/libssl.so.3 (0x...)", and the loader itself, which has no arrow.
LOADED = re.compile(r"^\s+(?:\S+ => )?(/\S+) \(0x", re.MULTILINE)
MAX_LINKS = 40  # as the kernel has it (path_resolution(7))
SHELL = "/bin/sh"
BIN = "/usr/local/bin"
PATH = f"{BIN}:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
FILES = {
    "/etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
    "/etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}


class NoPython(Exception):  # noqa: N818 - an answer, not an error
    """Nothing can be made of this host's Python, and why."""


@dataclass(frozen=True, slots=True)
class HostPython:
    """Where an interpreter and its library lie."""

    program: str  # no link
    version: str
    library: tuple[str, ...]  # one folder, or two where programs and text lie apart
    packages: str  # where pip puts packages


def interpreter() -> str:
    """Name the interpreter that runs us, or the one that our virtual environment was made of."""
    return str(getattr(sys, "_base_executable", "") or sys.executable)


def host_python(host: Host, program: str) -> HostPython:
    """Ask an interpreter for its own layout."""
    done = host.run(program, "-I", "-S", "-c", LAYOUT, timeout=10)
    try:
        real, version, text, binary, packages = json.loads(done.out)
    except ValueError:
        said = done.err.strip().splitlines()
        raise NoPython(f"{program} does not say where it lies: {said[-1] if said else f'status {done.code}'}") from None
    return HostPython(real, version, tuple(dict.fromkeys((text, binary))), packages)


def libraries(host: Host, programs: Sequence[str]) -> tuple[str, ...]:
    """Ask the loader what programs and extensions need, as paths; what is missing here is left out."""
    done = host.run("ldd", *programs, timeout=30)
    if done.code == MISSING_COMMAND:
        raise NoPython("there is no ldd, which knows what a program loads")
    said = done.out
    if len(programs) > 1 and f"{programs[-1]}:" not in said:
        # musl's takes one at a time.
        said = "\n".join(host.run("ldd", program, timeout=5).out for program in programs)
    found = dict.fromkeys(LOADED.findall(said))
    libc = next((path for path in found if path.rpartition("/")[2].startswith("libc.so")), "")
    beside = (f"{libc.rpartition('/')[0]}/{name}" for name in BY_NAME) if libc else ()
    return (*found, *(path for path in beside if host.exists(path) and path not in found))


class Tree:
    """A file system being packed: every name once, after the folders and the links that lead to it."""

    def __init__(self, host: Host, tar: tarfile.TarFile) -> None:
        self.host, self.tar = host, tar
        self.packed: set[str] = set()

    def add(self, path: str) -> None:
        """Pack what a path leads to, with all that lies in it, and every link on the way; raises OSError."""
        steps, at, links = _steps(path), "", 0
        while steps:
            step = steps.pop(0)
            if step == "..":
                at = at.rpartition("/")[0]
                continue
            name = f"{at}/{step}"
            if target := self.host.readlink(name):
                links += 1
                if links > MAX_LINKS:
                    raise OSError(errno.ELOOP, "too many links", path)
                self.link(name, target)
                at, steps = ("" if target.startswith("/") else at), [*_steps(target), *steps]
                continue
            at = name
            if steps:
                self.folder(at)
        self._whole(at)

    def folder(self, path: str, mode: int = 0o755) -> None:
        """Pack an empty folder."""
        self._entry(path, tarfile.DIRTYPE, mode)

    def link(self, path: str, target: str) -> None:
        """Pack a link."""
        self._entry(path, tarfile.SYMTYPE, 0o777, target)

    def file(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Pack bytes under a name, with the folders that lead there."""
        above = _steps(path)[:-1]
        for depth in range(len(above)):
            self.folder("/" + "/".join(above[: depth + 1]))
        self._entry(path, tarfile.REGTYPE, mode, data=data)

    def copy(self, source: str, path: str) -> None:
        """Pack a file or a folder of this host under another name."""
        for inner, data, mode in self._files(source):
            self.file(path + inner.removeprefix(source), data, mode)

    def _files(self, path: str) -> Iterator[tuple[str, bytes, int]]:
        real = self.host.path(path)
        if real.is_dir():
            for name in self.host.listdir(path):
                if not LEFT_OUT.search(f"{path}/{name}"):
                    yield from self._files(f"{path}/{name}")
        elif real.is_file():
            yield path, real.read_bytes(), 0o755 if real.stat().st_mode & 0o100 else 0o644

    def _whole(self, path: str) -> None:
        """Pack a file as it is, or a folder and all in it but what is of no use."""
        real = self.host.path(path)
        if real.is_dir():
            self.folder(path)
            for name in self.host.listdir(path):
                inner = f"{path}/{name}"
                # A link to nothing is as good as nothing, and so is what only others may read.
                if not LEFT_OUT.search(inner) and self.host.exists(inner) and self.host.readable(inner):
                    self.add(inner)
        elif real.is_file() and path not in self.packed:
            self.file(path, real.read_bytes(), 0o755 if real.stat().st_mode & 0o100 else 0o644)

    def _entry(self, path: str, kind: bytes, mode: int, target: str = "", data: bytes = b"") -> None:
        if path in self.packed or not path.strip("/"):
            return
        self.packed.add(path)
        entry = tarfile.TarInfo(path.lstrip("/"))
        entry.type, entry.mode, entry.linkname, entry.size = kind, mode, target, len(data)
        self.tar.addfile(entry, io.BytesIO(data))


def _steps(path: str) -> list[str]:
    return [step for step in path.split("/") if step not in {"", "."}]


def pack_python(tree: Tree, python: HostPython) -> None:
    """Pack an interpreter so that it runs: all at the places where it looks for it."""
    host = tree.host
    extensions = [path for folder in python.library for path in _extensions(host, folder)]
    for path in (python.program, SHELL, *python.library, *libraries(host, (python.program, SHELL, *extensions))):
        tree.add(path)
    for name in ("python", "python3"):
        if not host.exists(f"{BIN}/{name}") or f"{BIN}/{name}" not in tree.packed:
            tree.link(f"{BIN}/{name}", python.program)
    for path, text in FILES.items():
        tree.file(path, text.encode())
    tree.folder("/root", 0o700)
    tree.folder("/tmp", 0o1777)  # noqa: S108 - the container's, as every system has it
    if bundle := ca_bundle(host):
        tree.add(bundle)


def ca_bundle(host: Host) -> str:
    """Name the file of certificate authorities that this host's programs trust; empty where there is none."""
    return next((path for path in SYSTEM_BUNDLES if host.exists(path)), "")


def _extensions(host: Host, folder: str) -> Iterable[str]:
    """Name the parts of the standard library that are no Python."""
    found = (f"{folder}/lib-dynload/{name}" for name in host.listdir(f"{folder}/lib-dynload", "*.so"))
    return (path for path in found if not LEFT_OUT.search(path))
