"""What the image is built from: the sample's files, and what a build on this host needs besides."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

if TYPE_CHECKING:
    from importlib.abc import Traversable

IMAGE = "friendlyhello:latest"  # as the tutorial names it
STAND_IN = "friendlyhello:host"  # on a base of this host's own Python
OTHER_IMAGE = "friendlyhello:dockerdoctor"  # where the first is somebody else's
PACKAGE = Path(__file__).resolve().parent.parent


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """Find the build context: the copy in an installed package, or else the checkout that we run from."""
    packaged = files("dockerdoctor") / "_sample"
    if not packaged.is_dir():
        yield PACKAGE.parent
    elif isinstance(packaged, Path):
        yield packaged
    else:  # in a zipapp, where no build can read it
        with tempfile.TemporaryDirectory(prefix="dockerdoctor-") as unpacked:
            _unpack(packaged, Path(unpacked))
            yield Path(unpacked)


def _unpack(source: Traversable, target: Path) -> None:
    for entry in source.iterdir():
        if entry.is_dir():
            (target / entry.name).mkdir()
            _unpack(entry, target / entry.name)
        else:
            (target / entry.name).write_bytes(entry.read_bytes())


def base_image(dockerfile: str) -> str:
    """Read which image a Dockerfile starts from."""
    found = re.search(r"^\s*FROM\s+(?:--\S+\s+)*(\S+)", dockerfile, re.IGNORECASE | re.MULTILINE)
    if not found:
        raise ValueError("the Dockerfile has no FROM")
    image = found.group(1)
    return image if "@" in image or ":" in image.rpartition("/")[2] else f"{image}:latest"


def ignored(dockerignore: str) -> list[str]:
    """Read the patterns of a .dockerignore."""
    lines = (line.strip() for line in dockerignore.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def archive(context: Path, extra: Mapping[str, str]) -> IO[bytes]:
    """Pack the context as `docker build` does, with `extra` files that are not on the disk."""
    from docker.utils.build import create_archive, exclude_paths  # noqa: PLC0415 - heavy, and only builds need it

    rules = context / ".dockerignore"
    patterns = ignored(rules.read_text(encoding="utf-8")) if rules.exists() else []
    files = sorted(exclude_paths(str(context), patterns, "Dockerfile"))
    packed = create_archive(str(context), files, extra_files=list(extra.items()))
    return cast("IO[bytes]", packed)
