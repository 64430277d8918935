"""`doctor completion`: what a shell must read to complete the command line."""

from enum import Enum
from typing import Annotated

import typer


class Shell(str, Enum):
    """The shells that there is a script for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(shell: Annotated[Shell, typer.Argument(help="Whose script.")]) -> None:
    """
    Print the script with which a shell completes commands, options, checks and contexts.

    bash: eval "$(doctor completion bash)" in ~/.bashrc. zsh: the same in ~/.zshrc, after compinit.
    fish: doctor completion fish > ~/.config/fish/completions/doctor.fish
    """
    from dockerdoctor.completion import script  # noqa: PLC0415 - it reads the whole command line

    typer.echo(script(shell.value), nl=False)
