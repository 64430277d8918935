"""What the image is built from: the sample's files, and what a build on this host needs besides."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import IO, cast

IMAGE = "friendlyhello:latest"  # as the tutorial names it
PACKAGE = Path(__file__).resolve().parent.parent


def folder() -> Path:
    """Find the build context: the copy in an installed package, or else the checkout that we run from."""
    packaged = PACKAGE / "_sample"
    return packaged if packaged.is_dir() else PACKAGE.parent


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
