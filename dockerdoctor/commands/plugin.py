"""`doctor plugin`: make `docker doctor` work, or no more."""

from __future__ import annotations

import errno
import os
import sys
from dataclasses import dataclass
from pathlib import PurePath
from typing import Annotated, NoReturn

import typer

from dockerdoctor.exits import ExitStatus
from dockerdoctor.facts.endpoint import client_config
from dockerdoctor.facts.plugins import FOLDERS
from dockerdoctor.host import Host
from dockerdoctor.plugin import NAME, PROGRAM

plugin = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Make `docker doctor` work, or no more.")
SystemOption = Annotated[
    bool, typer.Option("--system", help=f"For all users, in {FOLDERS[0]}: root's default, if all can run this doctor.")
]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the docker command looks for us, and what lies there."""

    path: str
    target: str  # of the link that is there; empty where there is none
    there: bool

    @property
    def ours(self) -> bool:
        """Whether it is a link to a doctor, be it one that has gone."""
        return PurePath(self.target).name in {"doctor", "doctor.pyz"}


def place(host: Host, *, system: bool) -> Place:
    """Look at the place for one user, or for all."""
    folder = FOLDERS[0] if system else f"{client_config.measure(host).path.rpartition('/')[0]}/cli-plugins"
    path = f"{folder}/{PROGRAM}"
    return Place(path, host.readlink(path), host.lstat(path) is not None)


def closed_to_others(host: Host, program: str) -> str:
    """Name the first folder on the way to a program, or itself, that only some users may use; empty if all may."""
    for path in (*reversed(PurePath(program).parents), PurePath(program)):
        status = host.stat(str(path))
        if status and not status.st_mode & 0o001:
            return str(path)
    return ""


@plugin.command("install")
def install(*, system: SystemOption = False) -> None:
    """Link this doctor where the docker command looks for plugins: from then on there is `docker doctor check`."""
    host = Host()
    program = os.path.abspath(host.which(sys.argv[0]))  # noqa: PTH100 - links stay: what they lead to changes
    if not host.which(sys.argv[0]):
        _no(f"{sys.argv[0]} is no program that the docker command could run; install the doctor first")
    closed = closed_to_others(host, os.path.realpath(program)) or closed_to_others(host, program)
    if system and closed:
        _no(f"{closed} is closed to other users, so this doctor is not for all of them")
    where = place(host, system=system or (host.is_root and not closed))
    if where.there and not where.ours:
        _no(f"{where.path} is there already, and is none of ours")
    try:
        if where.target != program:
            host.link(where.path, program)
    except OSError as no:
        _no(f"{where.path}: {no.strerror}" + (f"; sudo {program} plugin install --system" if _denied(no) else ""))
    typer.echo(f"{where.path} → {program}")
    if closed and host.is_root:
        typer.echo(f"for root alone: {closed} is closed to other users", err=True)
    if not host.which("docker"):
        typer.echo("there is no docker command here yet", err=True)
        return
    proof = host.run("docker", NAME, "version", timeout=10)
    if not proof.ok:
        _no(f"but `docker {NAME} version` does not work: {(proof.err or proof.out).strip()[-300:]}")
    typer.echo(f"docker {NAME} works: {proof.out.strip()}")


@plugin.command("uninstall")
def uninstall(*, system: SystemOption = False) -> None:
    """Remove that link, this user's and, as root or with --system, that for all."""
    host, removed = Host(), False
    for where in [place(host, system=False), *([place(host, system=True)] if system or host.is_root else [])]:
        if not where.ours:
            continue
        try:
            host.remove_file(where.path)
        except OSError as no:
            _no(f"{where.path}: {no.strerror}" + ("; sudo doctor plugin uninstall --system" if _denied(no) else ""))
        typer.echo(f"removed {where.path}")
        removed = True
    if not removed:
        typer.echo("there was no plugin of ours")


def _denied(no: OSError) -> bool:
    return no.errno in {errno.EACCES, errno.EPERM}


def _no(reason: str) -> NoReturn:
    typer.echo(reason, err=True)
    raise typer.Exit(ExitStatus.USAGE)
