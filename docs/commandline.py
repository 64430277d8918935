"""Every command of the doctor, as it describes itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from dockerdoctor.cli import app

# Wide enough for the help to be read in a document.
WIDTH = 100


def commands() -> Iterator[tuple[str, Any, typer.Context]]:
    """Give each command that does something: its whole name, itself, and the context that its help is made in."""
    yield from _below("doctor", typer.main.get_command(app))


def _below(name: str, command: Any) -> Iterator[tuple[str, Any, typer.Context]]:
    context = typer.Context(command, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH)
    if not hasattr(command, "list_commands"):
        yield name, command, context
        return
    for inner in command.list_commands(context):
        yield from _below(f"{name} {inner}", command.get_command(context, inner))
