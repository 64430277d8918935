"""Files that a user names for reports and facts: proven to be writable before there is anything to write."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from pathlib import Path

from dockerdoctor.host import FileState, Host


def prove(path: Path) -> None:
    """Make sure that a file can be written there, and leave nothing behind; raises OSError."""
    status = _status(path)
    if status and stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if status and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    if not _in_place(path, status):
        with tempfile.TemporaryFile(dir=path.resolve().parent):
            pass


def put(path: Path, text: str) -> None:
    """
    Write a whole file or nothing: who reads it, as node_exporter does at any moment, never sees half of it.

    What is no file of ours, such as a pipe, /dev/null, or a file in a folder of somebody else, is written as it stands.
    """
    # A lone surrogate, of a name or a variable that is no UTF-8, becomes JSON's own escape.
    data = text.encode("utf-8", "backslashreplace")
    status = _status(path)
    if _in_place(path, status):
        path.write_bytes(data)
        return
    # As open(2) would have made it.
    mask = os.umask(0)
    os.umask(mask)
    mode = stat.S_IMODE(status.st_mode) if status else 0o666 & ~mask
    uid, gid = (status.st_uid, status.st_gid) if status else (os.geteuid(), os.getegid())
    host = Host()
    host.put_file(host.real_path(str(path.absolute())), FileState(data, mode, uid, gid))


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _in_place(path: Path, status: os.stat_result | None) -> bool:
    """Tell whether another file must not take its place: who owns it, and what it is, would change."""
    if status is None:
        return False
    if not stat.S_ISREG(status.st_mode):
        return True
    folder = path.resolve().parent
    return (os.geteuid() not in {0, status.st_uid}) or not os.access(folder, os.W_OK)
