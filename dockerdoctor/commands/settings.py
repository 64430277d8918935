"""What every examination is told: the engine, and what the configuration file and the command line want of the doctor."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, NoReturn

import typer

from dockerdoctor.checks import CATALOGUE
from dockerdoctor.configuration import DEFAULT_PATH, VARIABLE, Configuration, Misconfigured, read_configuration
from dockerdoctor.exits import ExitStatus
from dockerdoctor.facts.endpoint import Settings
from dockerdoctor.facts.preferences import Target, target_of
from dockerdoctor.host import Host, failure_name

ConfigOption = Annotated[
    str, typer.Option("--config", metavar="FILE", envvar=VARIABLE, help=f"Configuration, instead of {DEFAULT_PATH}.")
]
TargetOption = Annotated[
    list[str] | None,
    typer.Option("--target", metavar="HOST:PORT", help="Must be reached from containers, too; may be repeated."),
]
RedisOption = Annotated[
    list[str] | None,
    typer.Option("--redis", metavar="HOST[:PORT]", help="The same, and must reply as Redis; may be repeated."),
]
ImageOption = Annotated[
    list[str] | None,
    typer.Option("--image", metavar="NAME", help="Must be here, or be there to pull; may be repeated."),
]


def settings_for(host_url: str, context: str, config: str = "") -> Settings:
    """Put together what the options and the configuration file say; a file that cannot be used ends the command."""
    said = _read(config)
    return Settings(host_url, context, said.preferences, said.host, said.context)


def with_targets(
    settings: Settings, targets: Iterable[str] | None, redis: Iterable[str] | None, images: Iterable[str] | None
) -> Settings:
    """Add what the command line names to what the file does."""
    named = [*(_target(one, "tcp") for one in targets or ()), *(_target(one, "redis") for one in redis or ())]
    known = settings.preferences
    known = replace(
        known,
        targets=tuple(dict.fromkeys((*known.targets, *named))),
        images=tuple(dict.fromkeys((*known.images, *(images or ())))),
    )
    return replace(settings, preferences=known)


def _target(said: str, kind: str) -> Target:
    target = target_of(said, kind)
    if isinstance(target, str):
        raise typer.BadParameter(f"{said!r}: {target}")
    return target


def _read(config: str) -> Configuration:
    path = config or DEFAULT_PATH
    try:
        return read_configuration(path, Host().read(path), (one.id for one in CATALOGUE))
    except FileNotFoundError:
        if not config:
            return Configuration()
        _no(f"{path}: there is no such file")
    except UnicodeDecodeError:
        _no(f"{path}: it is not UTF-8, as TOML must be")
    except OSError as no:
        _no(f"{path}: {no.strerror or failure_name(no)}")
    except Misconfigured as no:
        _no(str(no))


def _no(reason: str) -> NoReturn:
    typer.echo(f"{reason}; nothing was examined", err=True)
    raise typer.Exit(ExitStatus.USAGE)
