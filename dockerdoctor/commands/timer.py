"""`doctor timer`: examine this host again and again, and leave what was found to node_exporter."""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from dockerdoctor.exits import ExitStatus
from dockerdoctor.host import Completed, FileState, Host

timer = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Examine this host regularly, as metrics for Prometheus."
)

UNITS = "/etc/systemd/system"
SERVICE, TIMER = "dockerdoctor.service", "dockerdoctor.timer"
MARK = "# Made by `doctor timer install`."
# Where Debian's node_exporter looks without being told.
TEXTFILE = Path("/var/lib/prometheus/node-exporter/dockerdoctor.prom")


def service(program: str, textfile: str, *, passive: bool = False) -> str:
    """Give the unit that examines once."""
    words = [program, "check", "--quiet", *(["--passive"] if passive else []), "--report", f"prometheus={textfile}"]
    # systemd.service(5): "%" and "$" have meanings of their own, and so has a backslash.
    command = " ".join(_quoted(word) for word in words)
    return f"""{MARK}
[Unit]
Description=Examine Docker on this host
After=docker.service network-online.target

[Service]
Type=oneshot
ExecStart={command}
# That something was found is in the metrics, and no failure of this unit.
SuccessExitStatus=1
TimeoutStartSec=2min
Nice=10
"""


def schedule(every: str) -> str:
    """Give the unit that says when."""
    return f"""{MARK}
[Unit]
Description=Examine Docker on this host regularly

[Timer]
OnActiveSec=1min
OnUnitActiveSec={every}
# Many hosts shall not do it at the same moment.
RandomizedDelaySec=1min

[Install]
WantedBy=timers.target
"""


def _quoted(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace("%", "%%").replace("$", "$$").replace('"', '\\"')
    return escaped if re.fullmatch(r"[\w@%+=:,./$-]+", escaped) else f'"{escaped}"'


def _unescaped(word: str) -> str:
    return word.replace('\\"', '"').replace("$$", "$").replace("%%", "%").replace("\\\\", "\\")


@timer.command("install")
def install(
    every: Annotated[
        str, typer.Option(metavar="TIME", help="How often, as systemd writes it: 15min, 1h, 1d.")
    ] = "15min",
    textfile: Annotated[
        Path, typer.Option(metavar="FILE", help="Where node_exporter reads, with --collector.textfile.directory.")
    ] = TEXTFILE,
    passive: Annotated[
        bool, typer.Option("--passive", help="Start no probe container; change nothing at all.")
    ] = False,
) -> None:
    """Write dockerdoctor.service and dockerdoctor.timer, and start the timer."""
    host = Host()
    program = host.which(sys.argv[0])
    if not program:
        _no(f"{sys.argv[0]} is no program that systemd could run; install the doctor first")
    program = os.path.abspath(program)  # noqa: PTH100 - links stay: what they lead to changes
    _asked(host, "install")
    judged = host.run("systemd-analyze", "timespan", every)
    if judged.code and "Failed to parse" in judged.err:
        _no(f"--every {every}: systemd reads it as no time")
    for path in (f"{UNITS}/{SERVICE}", f"{UNITS}/{TIMER}"):
        if host.exists(path) and MARK not in host.text(path):
            _no(f"{path} is there already, and is none of ours")
    try:
        for folder in reversed(textfile.absolute().parents):
            host.make_folder(str(folder))
        units = {SERVICE: service(program, str(textfile.absolute()), passive=passive), TIMER: schedule(every)}
        for name, text in units.items():
            host.put_file(f"{UNITS}/{name}", FileState(text.encode()))
    except OSError as no:
        _no(f"{no.filename}: {no.strerror}")
    _told(host.run("systemctl", "daemon-reload", timeout=30))
    _told(host.run("systemctl", "enable", TIMER, timeout=30))
    # A timer that runs keeps its old time until it is started again.
    _told(host.run("systemctl", "restart", TIMER, timeout=30))
    typer.echo(f"every {every}: {shlex.join([program, 'check'])} → {textfile}")
    typer.echo(f"systemctl list-timers {TIMER}; at once: systemctl start {SERVICE}")


@timer.command("uninstall")
def uninstall() -> None:
    """Stop the timer, and remove both units and the metrics that they wrote."""
    host = Host()
    _asked(host, "uninstall")
    ours = [path for path in (f"{UNITS}/{TIMER}", f"{UNITS}/{SERVICE}") if MARK in host.text(path)]
    if not ours:
        typer.echo("there was no timer of ours")
        return
    # What it last measured would be taken for what is true now.
    written = re.search(r"prometheus=([^\"\n]+)", host.text(f"{UNITS}/{SERVICE}"))
    _told(host.run("systemctl", "disable", "--now", TIMER, timeout=30))
    metrics = [path] if written and host.exists(path := _unescaped(written[1])) else []
    try:
        for path in [*ours, *metrics]:
            host.remove_file(path)
            typer.echo(f"removed {path}")
    except OSError as no:
        _no(f"{no.filename}: {no.strerror}")
    _told(host.run("systemctl", "daemon-reload", timeout=30))


def _asked(host: Host, what: str) -> None:
    if not host.is_root:
        _no(f"timers are root's: sudo {sys.argv[0]} timer {what}")
    if not host.exists("/run/systemd/system"):
        _no("this host was not started by systemd; let cron call `doctor check --quiet --report prometheus=FILE`")


def _told(done: Completed) -> None:
    if not done.ok:
        _no(done.err.strip()[-300:] or f"systemctl ended with {done.code}")


def _no(reason: str) -> NoReturn:
    typer.echo(reason, err=True)
    raise typer.Exit(ExitStatus.USAGE)
