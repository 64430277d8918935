"""Files in one .tar.gz: made and read in memory, never unpacked to disk. Pure."""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterable, Mapping
from datetime import datetime

from dockerdoctor.redact import redact_member

# An archive is some hundred kilobytes; what somebody sends must not fill our memory.
MAX_BYTES = 64 << 20
MAGIC = b"\x1f\x8b"


class NoArchive(Exception):  # noqa: N818 - a message for the user
    """Bytes that are no archive of ours; says why."""


def pack(members: Mapping[str, str], folder: str, made: datetime, secrets: Iterable[str] = ()) -> bytes:
    """Put texts into a folder of an archive. There is no way in but through the filter for secrets."""
    secrets, raw = tuple(secrets), io.BytesIO()
    with (
        gzip.GzipFile(fileobj=raw, mode="wb", mtime=made.timestamp()) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name, text in members.items():
            # A lone surrogate, of a name that is no UTF-8, becomes an escape.
            data = redact_member(name, text, secrets).encode("utf-8", "backslashreplace")
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size, entry.mode, entry.mtime = len(data), 0o600, int(made.timestamp())
            tar.addfile(entry, io.BytesIO(data))
    return raw.getvalue()


def unpack(data: bytes) -> dict[str, str]:
    """Read the texts of an archive, by their names without the folder; raises NoArchive."""
    found: dict[str, str] = {}
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            plain = stream.read(MAX_BYTES + 1)
        if len(plain) > MAX_BYTES:
            raise NoArchive(f"it holds more than {MAX_BYTES >> 20} MiB")
        with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as tar:
            for entry in tar:
                file = tar.extractfile(entry) if entry.isfile() else None
                if file:
                    found[entry.name.rpartition("/")[2]] = file.read().decode("utf-8", "replace")
    except (OSError, EOFError, tarfile.TarError, zlib.error) as no:
        raise NoArchive(f"not an archive of doctor report: {no}") from None
    return found
