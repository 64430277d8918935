"""
From inside a container, examine the host: its files become ours, its programs are run, and our own stay in reach.

The container shares the host's processes and network and has its files at some folder. Changing the root to there
(chroot(2)) makes every path, socket and program the host's own, as if nothing lay between. What we are made of, Python
and its libraries, is then found through a descriptor of the old root: /proc/self/fd/N leads out of any root (proc(5)).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

# Set in the image (deploy/Dockerfile): where the host's files are.
VARIABLE = "DOCKERDOCTOR_ROOT"
# Those of the host that can run what the doctor sends to other processes.
PYTHON = "/usr/bin/python3"


class NotAHost(Exception):  # noqa: N818 - a message for the user
    """The folder is not a host's root, or we may not make it ours; says what is missing."""


def enter(root: str) -> None:
    """Make a folder the root of this process, for good, and stay able to import; raises NotAHost."""
    if not (Path(root) / "etc").is_dir() or not (Path(root) / "proc/self/fd").is_dir():
        raise NotAHost(f"{root} is no host's root: run the container with -v /:{root}:ro")
    own = os.open("/", os.O_PATH | os.O_DIRECTORY)
    os.set_inheritable(own, False)
    try:
        os.chroot(root)
    except PermissionError:
        raise NotAHost("the container lacks the capability SYS_CHROOT") from None
    os.chdir("/")
    if not Path(f"/proc/self/fd/{own}").is_dir():
        raise NotAHost(f"run the container with --pid=host: /proc of {root} does not know this process")
    _move_imports(f"/proc/self/fd/{own}")
    # What is handed to other processes of the host must be there.
    sys.executable = PYTHON
    # Those of the image say nothing of the host.
    for name in [name for name in os.environ if name.startswith(("PYTHON", "GPG_KEY"))]:
        del os.environ[name]
    os.environ["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


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
