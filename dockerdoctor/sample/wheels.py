"""Packages for an image, as wheels: fetched by this host's own pip, as it is set up here, or found in its cache."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path

from dockerdoctor.facts.endpoint import mask_text
from dockerdoctor.host import Host
from dockerdoctor.sample.hostpython import HostPython

# An index that answers does so within a second; ten small files follow.
PIP_PATIENCE = 45.0  # seconds
PIP_OPTIONS = ("--disable-pip-version-check", "--no-input", "--retries=0", "--timeout=5")
# What a hello page needs is below a megabyte; caches hold compilers and models too.
MAX_WHEEL = 16 << 20
MAX_FILES = 20_000
VERSION = re.compile(r"^pip (\S+) from (.+?) \(python (\d+\.\d+)\)", re.MULTILINE)
# Where pip itself lies as a wheel, for making virtual environments: CPython's own, Debian's, Fedora's.
BUNDLED = ("{library}/ensurepip/_bundled", "/usr/share/python-wheels", "/usr/share/python3-wheels")
TAIL = 64 << 10  # bytes; the table of contents is announced at a zip file's end
END_OF_ZIP = b"PK\5\6"


@dataclass(frozen=True, slots=True)
class Pip:
    """A pip of this host."""

    command: tuple[str, ...]
    version: str
    path: str  # of the package: "/usr/lib/python3/dist-packages/pip", "/.../pip-25.0-py3-none-any.whl/pip"
    python: str  # "3.11": the one that it runs with


@dataclass(frozen=True, slots=True)
class Wheel:
    """A package in a cache, whatever its file is called there."""

    path: Path
    project: str  # as PEP 503 writes names
    name: str  # as the file must be called
    needs: tuple[str, ...]  # projects

    def write(self, folder: Path) -> None:
        """Copy what belongs to it, without what pip wrote before and after it; raises OSError or BadZipFile."""
        with zipfile.ZipFile(self.path) as source, zipfile.ZipFile(folder / self.name, "w") as target:
            for info in source.infolist():
                target.writestr(info, source.read(info))


def find_pip(host: Host, python: HostPython) -> Pip | None:
    """Find a pip that runs: ours, the base interpreter's, one of PATH, or the one that virtual environments are made with."""
    bundled = (f"{folder}/{name}/pip" for folder in _bundles(python) for name in host.listdir(folder, "pip-*.whl"))
    commands = [
        (sys.executable, "-m", "pip"),
        (python.program, "-m", "pip"),
        *((found,) for name in ("pip3", "pip") if (found := host.which(name))),
        *((python.program, path) for path in bundled),
    ]
    for command in dict.fromkeys(commands):
        done = host.run(*command, "--version", timeout=15)
        if done.ok and (said := VERSION.search(done.out)):
            return Pip(command, said[1], said[2], said[3])
    return None


def _bundles(python: HostPython) -> Iterator[str]:
    for pattern in BUNDLED:
        yield from (pattern.format(library=folder) for folder in python.library)


def fetch_wheels(
    host: Host, pip: Pip, python: HostPython, requirements: Path, folder: Path, env: Mapping[str, str]
) -> str:
    """
    Let pip put into `folder` what `requirements` names, from where it gets things here, or else from its cache.

    Returns why there is nothing; empty where there is. `env` says more to pip, and may hold passwords.
    """
    said = _download(host, pip, python, requirements, folder, env)
    if not said:
        return ""
    found = folder / "found"
    found.mkdir()
    wanted = requirements.read_text(encoding="utf-8")
    names = cached_wheels(host, pip, found, _names(wanted))
    if names:
        no = _download(host, pip, python, requirements, folder, {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(found)})
        return f"{said}; of its cache: {no}" if no else ""
    return f"{said}; and its cache holds none of them"


def _download(
    host: Host, pip: Pip, python: HostPython, requirements: Path, folder: Path, env: Mapping[str, str]
) -> str:
    """Run pip; returns its last complaint."""
    minor = ".".join(python.version.split(".")[:2])
    other = () if pip.python == minor else (f"--python-version={minor}",)
    command = (*pip.command, "download", "--quiet", *PIP_OPTIONS, "--only-binary=:all:", *other)
    where = (f"--dest={folder}", f"--requirement={requirements}")
    done = host.run(*command, *where, timeout=PIP_PATIENCE, env=env)
    if done.ok:
        return ""
    errors = [line for line in done.err.splitlines() if "ERROR" in line or "WARNING" in line]
    # The first says what happened, and the last that the package is therefore not to be had.
    return mask_text((errors or [done.err.strip()[-200:] or f"status {done.code}"])[0].strip())[:400]


def cached_wheels(host: Host, pip: Pip, folder: Path, names: Iterable[str]) -> tuple[str, ...]:
    """Take out of pip's cache what bears these names, and what that needs; pip itself will choose among them."""
    done = host.run(*pip.command, "cache", "dir", timeout=15)
    cache = done.out.strip()
    if not done.ok or not cache:
        return ()
    held = [wheel for path in _files(cache) if (wheel := read_wheel(path))]
    wanted, taken = set(names), []
    while more := [w for w in held if w.project in wanted and w not in taken]:
        taken += more
        wanted |= {need for wheel in more for need in wheel.needs}
    for wheel in taken:
        with contextlib.suppress(OSError, zipfile.BadZipFile):
            wheel.write(folder)
    return tuple(wheel.name for wheel in taken)


def _files(cache: str) -> Iterator[Path]:
    """Go through what pip keeps of answers (http, http-v2) and of what it has built (wheels)."""
    seen = 0
    for part in ("http-v2", "http", "wheels"):
        for above, _, names in os.walk(f"{cache}/{part}"):
            for name in names:
                seen += 1
                if seen > MAX_FILES:
                    return
                yield Path(above, name)


def read_wheel(path: Path) -> Wheel | None:
    """Find out whether a file is a wheel, or an answer of HTTP with one in it, by what the wheel says of itself."""
    try:
        size = path.stat().st_size
        if not 0 < size <= MAX_WHEEL:
            return None
        with path.open("rb") as file:
            file.seek(max(0, size - TAIL))
            if END_OF_ZIP not in file.read():
                return None
        with zipfile.ZipFile(path) as packed:
            about = next((n for n in packed.namelist() if re.fullmatch(r"[^/]+\.dist-info/WHEEL", n)), "")
            if not about:
                return None
            tags = HeaderParser().parse(io.TextIOWrapper(packed.open(about), "utf-8")).get_all("Tag") or []
            metadata = packed.open(about.replace("/WHEEL", "/METADATA"))
            said = HeaderParser().parse(io.TextIOWrapper(metadata, "utf-8", "replace"))
    except (OSError, KeyError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return None
    name = about.partition(".dist-info")[0]
    if not tags or "-" not in name:
        return None
    needs = [need for need in said.get_all("Requires-Dist") or [] if "extra ==" not in need]
    return Wheel(
        path, normal(name.partition("-")[0]), f"{name}-{compressed(tags)}.whl", tuple(_names("\n".join(needs)))
    )


def compressed(tags: Iterable[str]) -> str:
    """Write tags as the names of files have them: "py2.py3-none-any" (PEP 425)."""
    columns = zip(*(tag.split("-") for tag in tags), strict=True)
    return "-".join(".".join(dict.fromkeys(column)) for column in columns)


def normal(name: str) -> str:
    """Write a project's name as it is compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _names(requirements: str) -> list[str]:
    """Read the projects that lines of requirements name."""
    lines = (re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", line) for line in requirements.splitlines())
    return [normal(line[1]) for line in lines if line]
