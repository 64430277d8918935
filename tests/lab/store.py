"""Where the lab keeps what is slow to make: outside the repository, built once, never seen half done."""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

LAB = Path(os.environ.get("DOCKERDOCTOR_LAB", "/var/tmp/dockerdoctor-lab"))
REPO = Path(__file__).resolve().parents[2]


class LabError(Exception):
    """The lab cannot do it here; the message says what is missing and how to get it."""


def key(*parts: object) -> str:
    """Short name for a recipe: another recipe, another name, so that checkouts never share by mistake."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:10]


def hold(path: Path, how: int) -> IO[str] | None:
    """Lock `path` until the file is closed or this process ends, however it ends; None if another holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a+", encoding="utf-8")
    try:
        fcntl.flock(file, how)
    except BlockingIOError:
        file.close()
        return None
    return file


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait for `path` and keep it to ourselves."""
    file = hold(path, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if file:
            file.close()


def built(name: str, build: Callable[[Path], None]) -> Path:
    """Give the folder `name` of the cache, made by `build` if it is not there yet."""
    path = LAB / name
    if path.exists():
        return path
    with locked(LAB / "locks" / name):
        if path.exists():
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        # What a killed build left is rubbish: we hold the lock, so nobody is still writing it.
        for old in path.parent.glob(f".{path.name}.*"):
            shutil.rmtree(old, ignore_errors=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        draft.chmod(0o755)
        try:
            build(draft)
            draft.rename(path)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
    return path


def prune(folder: Path, keep: int) -> None:
    """Remove the entries of `folder` but the newest `keep`, and those whose `.in-use` somebody has locked."""
    entries = [entry for entry in folder.glob("[!.]*") if entry.is_dir()]
    for entry in sorted(entries, key=lambda e: e.stat().st_mtime, reverse=True)[keep:]:
        if file := hold(entry / ".in-use", fcntl.LOCK_EX | fcntl.LOCK_NB):
            shutil.rmtree(entry, ignore_errors=True)
            file.close()
