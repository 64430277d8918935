"""When fix-dns must keep its hands off, with the manual way; and how the daemon is restarted when it need not."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from dockerdoctor.facts.daemon_json import DaemonJson, StartFlags
from dockerdoctor.facts.endpoint import ChosenEndpoint
from dockerdoctor.facts.engine import DaemonProcess, EngineInfo, Units
from dockerdoctor.fixes.daemon_json import NotAnObject, decode, outer
from dockerdoctor.fixes.dns import Ending, Verdict
from dockerdoctor.fixes.steps import Run
from dockerdoctor.fixes.treatment import Refused
from dockerdoctor.host import Host
from dockerdoctor.measure import FactsView


@dataclass(frozen=True, slots=True)
class Daemon:
    """How the daemon is reached, and how it is started anew."""

    socket: str
    forget: tuple[str, ...]  # the command that makes the service manager forget earlier starts; may fail
    restart: tuple[str, ...]

    @property
    def steps(self) -> tuple[Run, ...]:
        """What starts it anew, and does so again once its files are as they were."""
        forget = (Run(self.forget, again=self.forget, lenient=True),) if self.forget else ()
        return (*forget, Run(self.restart, again=self.restart))

    @property
    def commands(self) -> tuple[str, ...]:
        """As a person would type them."""
        return tuple(shlex.join(argv) for argv in (self.forget, self.restart) if argv)


class Sick(Exception):  # noqa: N818 - it is an answer, not an error
    """Refused, and the checks are to say why."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.reason)
        self.verdict = verdict


def refuse_what_cannot_be_edited(host: Host, config: DaemonJson) -> None:
    """What cannot be read or parsed cannot be edited."""
    # One that is longer than anybody writes is not looked through by the checks, and can be edited all the same.
    if config.problem not in {"", "EFBIG"}:
        raise Refused(f"{config.path} cannot be read ({config.problem})", "# run as root")
    text = decode(host.read_bytes(config.path))[0] if config.exists else ""
    try:
        outer(text)
    except NotAnObject as no:
        raise Sick(
            Verdict(
                Ending.REFUSED,
                f"{config.path}:{no.line}:{no.column} is not JSON that could be edited: {no.reason}",
                path=config.path,
                next=(f"# correct {config.path}, then:", "doctor fix-dns --write"),
            )
        ) from None


def refuse_flags(host: Host, facts: FactsView, config: DaemonJson) -> None:
    """What a flag says, the file must not say too: dockerd would not start."""
    start = facts.of(StartFlags)
    given = [flag for flag in (start.flags if start else ()) if flag.name == "--dns"]
    if given:
        places = ", ".join(dict.fromkeys(f"{f.source}:{f.line}" if f.line else f.source for f in given))
        raise Refused(
            f"dockerd is given --dns {' '.join(f.value for f in given)} by {places}: "
            f"with “dns” in {config.path} too it would not start",
            f"# change or remove --dns in {places}, then:",
            *(("systemctl daemon-reload",) if start and start.unit else ()),
            *(daemon.commands if (daemon := daemon_of(host, facts)) else ("# restart dockerd",)),
        )


def refuse_another_engine(host: Host, facts: FactsView, endpoint: ChosenEndpoint, config: DaemonJson) -> None:
    """The file must be that of the engine which was asked."""
    info, process = facts.of(EngineInfo), facts.of(DaemonProcess)
    if info and "Docker Desktop" in info.operating_system:
        raise Refused("this engine runs in Docker Desktop's machine", '# set "dns" in Settings, Docker Engine')
    if info and info.rootless:
        raise Refused(
            "this engine runs rootless, with a configuration of its own",
            '# put "dns" into ~/.config/docker/daemon.json, then:',
            "systemctl --user restart docker",
        )
    listener = host.peer_pid(endpoint.socket_path)
    # 1 is systemd, which opens docker.socket for dockerd.
    if process and listener not in {0, 1, process.pid}:
        raise Refused(
            f"the engine at {endpoint.url} is process {listener}; {config.path} belongs to another, process {process.pid}",
            f"# put “dns” into the configuration of process {listener} and restart it",
        )


def daemon_of(host: Host, facts: FactsView) -> Daemon | None:
    """Find out how this daemon is restarted; None when it was not started by a service manager that we know."""
    endpoint, units = facts.of(ChosenEndpoint), facts.of(Units)
    if not endpoint:
        return None
    if units and units.systemd:
        if units.docker.load != "loaded" or units.docker.active not in {"active", "activating", "reloading"}:
            return None
        loaded = [u.name for u in (units.docker, units.socket) if u.load == "loaded"]
        return Daemon(
            endpoint.socket_path, ("systemctl", "reset-failed", *loaded), ("systemctl", "restart", units.docker.name)
        )
    if host.exists("/etc/init.d/docker") and host.which("service"):
        return Daemon(endpoint.socket_path, (), ("service", "docker", "restart"))
    return None
