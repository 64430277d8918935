"""
From inside a container, examine the host: its files become ours, its programs are run, and our own stay in reach.

The container shares the host's processes and network and has its files at some folder. Changing the root to there
(chroot(2)) makes every path, socket and program the host's own, as if nothing lay between. What we are made of, Python
and its libraries, is then found through a descriptor of the old root: /proc/self/fd/N leads out of any root (proc(5)).
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from pathlib import Path

# Set in the image (deploy/Dockerfile): where the host's files are.
VARIABLE = "DOCKERDOCTOR_ROOT"
# Modules that bring libraries of their own with them, which must be those of our own system.
BEFORE = ("ssl", "hashlib", "ctypes", "bz2", "lzma", "zlib", "uuid", "socket", "select", "readline")
# That of the host, for what the doctor asks from within other processes' networks.
PYTHON = "/usr/bin/python3"


class NotAHost(Exception):  # noqa: N818 - a message for the user
    """The folder is not a host's root, or we may not make it ours; says what is missing."""


def enter(root: str) -> None:
    """Make a folder the root of this process, for good, and stay able to import; raises NotAHost."""
    if not (Path(root) / "etc").is_dir() or not (Path(root) / "proc/self/fd").is_dir():
        raise NotAHost(f"{root} is no host's root: run the container with -v /:{root}:ro")
    for name in BEFORE:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    own = os.open("/", os.O_PATH | os.O_DIRECTORY)
    try:
        os.chroot(root)
    except PermissionError:
        raise NotAHost("the container lacks the capability SYS_CHROOT") from None
    os.chdir("/")
    if not Path(f"/proc/self/fd/{own}").is_dir():
        raise NotAHost(f"run the container with --pid=host: /proc of {root} does not know this process")
    _move_imports(f"/proc/self/fd/{own}")
    sys.executable = PYTHON
    # Commands that are shown are for a doctor on the host.
    sys.argv[0] = "doctor"
    # Those of the image say nothing of the host.
    for name in [name for name in os.environ if name.startswith(("PYTHON", "GPG_KEY"))]:
        del os.environ[name]
    os.environ["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def entered() -> bool:
    """Tell whether we examine from inside a container, which Docker's restart would end."""
    return VARIABLE in os.environ


def _move_imports(old: str) -> None:
    """Look for modules where they are now."""

    def moved(path: str) -> str:
        return f"{old}{path}" if path.startswith("/") else path

    sys.path[:] = [moved(path) for path in sys.path]
    sys.path_importer_cache.clear()
    for module in tuple(sys.modules.values()):
        places = getattr(module, "__path__", None)
        if isinstance(places, list):
            places[:] = [moved(path) for path in places]
