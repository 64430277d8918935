"""Whether the engine is reached, and answers as an engine should."""

from __future__ import annotations

from shlex import quote

from dockerdoctor.checks.endpoint import OF_THE_WAY, exported
from dockerdoctor.checks.prerequisites import INSTALL, TROUBLE, of_this_host
from dockerdoctor.checks.startup import CONFIG_ERRORS, NO_TRY
from dockerdoctor.examine import check, failed, passed, skipped, unknown
from dockerdoctor.facts.containers import Containers
from dockerdoctor.facts.endpoint import DEFAULT_SOCKET, ChosenEndpoint, DaemonPing, Exports
from dockerdoctor.facts.engine import DaemonProcess, EngineApi, EngineVersion, Installed, Units, version_parts
from dockerdoctor.facts.ping import OtherEngines
from dockerdoctor.model import Evidence, Finding, Severity

# The tutorial's commands (`docker container`, `docker image`) came with this version, and nothing older gets repairs.
OLDEST = (1, 13)


@check(
    "engine.frozen",
    title="The daemon's process is neither stopped nor stuck",
    severity=Severity.ERROR,
    docs=TROUBLE,
)
def frozen(endpoint: ChosenEndpoint, process: DaemonProcess, ping: DaemonPing) -> Finding:
    """
    A stopped process keeps its sockets open: the kernel accepts connections for it, and nobody answers.

    Why it matters: every docker command hangs, without a message.
    How to fix: let it go on, or find what it waits for in the kernel.
    """
    if not of_this_host(endpoint) or not process.pid:
        return skipped("no dockerd of this host to look at")
    seen = Evidence(f"/proc/{process.pid}/stat", f"dockerd, state {process.state}")
    if process.state in {"T", "t"}:
        return failed(
            f"dockerd (process {process.pid}) is stopped by a signal",
            seen,
            cause="A process in state T was sent SIGSTOP, or a debugger holds it.",
            fix=(f"kill -CONT {process.pid}",),
        )
    if process.state == "D" and not ping.answered:
        return failed(
            f"dockerd (process {process.pid}) is stuck in the kernel",
            seen,
            cause="State D is a system call that does not come back, most often for a disk or a network file system.",
            fix=(
                f"cat /proc/{process.pid}/wchan",
                "journalctl -k -b -n 30 --no-pager",
                "# repair the file system or mount that hangs; a process in state D cannot be killed",
            ),
        )
    return passed(f"dockerd (process {process.pid}) is in state {process.state or 'unknown'}", seen)


@check(
    "engine.reachable",
    title="The engine's endpoint accepts connections",
    severity=Severity.ERROR,
    docs=TROUBLE,
    upstream=(
        *NO_TRY,
        *(
            "engine.listening",
            "engine.started",
            "engine.start-limit",
            "engine.running",
            "engine.docker-host",
            "engine.context",
        ),
        # Without its files the client connects to nothing; and by itself TLS sends it to another place.
        *("engine.tls-files", "engine.tls", "engine.ssh"),
        *("engine.socket-permission", "engine.session-group", "engine.frozen"),
        *CONFIG_ERRORS,
    ),
)
def reachable(endpoint: ChosenEndpoint, ping: DaemonPing, exports: Exports | None) -> Finding:
    """
    Every docker command begins by connecting to the engine's endpoint.

    Why it matters: nothing works without it.
    How to fix: start the engine, or point the client at the right one.
    """
    seen = (Evidence(f"connect {endpoint.url}", ping.connect), Evidence("chosen by", endpoint.source))
    if ping.connect == "ok":
        return passed(f"{endpoint.url} accepts connections", *seen)
    if endpoint.problem:
        return failed(
            f"there is no endpoint: {endpoint.problem}", *seen, cause="The client cannot tell where to connect."
        )
    cause, fix = (
        {
            "ENOENT": "There is no such socket: no engine was started there.",
            "ECONNREFUSED": "Nobody listens there: the engine that did has ended.",
            "EAGAIN": "Its queue of connections is full: whoever listens has stopped accepting.",
            "timeout": "Nothing came back: a firewall drops the packets, or the host is off.",
            "EAI_NONAME": "The name in it does not exist.",
            "EHOSTUNREACH": "There is no way to that host.",
        }.get(ping.connect, "The connection was refused."),
        _to_reach(endpoint, ping.connect, exports),
    )
    return failed(f"{endpoint.url} does not accept connections ({ping.connect})", *seen, cause=cause, fix=fix)


def _to_reach(endpoint: ChosenEndpoint, outcome: str, exports: Exports | None) -> tuple[str, ...]:
    if endpoint.source == "DOCKER_HOST":
        return ("# start the engine there, or use the one of this host:", *exported(exports, "DOCKER_HOST")[1])
    if endpoint.socket_path.startswith("/run/user/"):
        return ("systemctl --user start docker",)
    if endpoint.source.startswith("context "):
        return ("# start the engine there, or use the one of this host:", "docker context use default")
    silent = endpoint.socket_path == DEFAULT_SOCKET and outcome in {"ENOENT", "ECONNREFUSED"}
    return ("systemctl start docker.service",) if silent else ()


@check(
    "engine.responsive",
    title="The engine answers a ping",
    severity=Severity.ERROR,
    docs=TROUBLE,
    upstream=(
        *NO_TRY,
        *("engine.reachable", "engine.listening", "engine.started"),
        *("engine.start-limit", "engine.running", "engine.docker-host", "engine.context", *OF_THE_WAY),
        *("engine.frozen", "engine.containerd", "resources.open-files"),
        *CONFIG_ERRORS,
    ),
)
def responsive(
    endpoint: ChosenEndpoint, ping: DaemonPing, process: DaemonProcess | None, units: Units | None
) -> Finding:
    """
    A socket may accept connections while nothing behind it answers, or something that is no engine.

    Why it matters: every docker command hangs, or ends with a message about HTTP.
    How to fix: look at what the daemon waits for, then restart it.
    """
    seen = [Evidence(f"GET {endpoint.url}/_ping", ping.outcome)]
    if ping.answered:
        return passed(f"{ping.server or 'the engine'} answered in {ping.seconds * 1000:.0f} ms", *seen)
    if ping.connect != "ok":
        return failed(f"{endpoint.url} was not reached ({ping.connect})", *seen, cause="There was nobody to ask.")
    if units and units.docker.active == "activating":
        seen.append(Evidence("systemctl show docker.service", f"activating ({units.docker.sub})"))
        return failed(
            f"{endpoint.url} does not answer: dockerd is still starting",
            *seen,
            cause="It has not finished its start; the log says what it waits for.",
            fix=("journalctl -u docker.service -b -n 20 --no-pager",),
        )
    if ping.outcome != "timeout":
        return failed(
            f"{endpoint.url} answers, but not as an engine does: {ping.outcome}",
            *seen,
            cause="Something else listens there, or a proxy stands between.",
            fix=(f"ss -xlpn src {quote(endpoint.socket_path)}",)
            if endpoint.local
            else (f"curl -v {quote(f'{endpoint.url}/_ping')}",),
        )
    own = process is not None and process.pid and of_this_host(endpoint)
    return failed(
        f"{endpoint.url} accepts connections and does not answer ({ping.seconds:g} s waited)",
        *seen,
        cause="The daemon hangs: it waits for a lock, a plugin, or its storage."
        if own
        else "Whoever listens there does not answer.",
        fix=(
            f"kill -USR1 {process.pid}",
            "journalctl -u docker.service -b -n 20 --no-pager",
            "systemctl restart docker.service",
        )
        if own and process
        else (f"ss -xlpn src {quote(endpoint.socket_path)}",)
        if endpoint.local
        else (),
        impact="restarts dockerd; containers stop unless live-restore is on" if own else "",
    )


@check(
    "engine.api",
    title="The engine answers what it is asked",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/reference/api/engine/",
    upstream=("engine.reachable", "engine.responsive", "engine.frozen", "engine.containerd", "resources.open-files"),
)
def api(endpoint: ChosenEndpoint, answers: EngineApi) -> Finding:
    """
    A ping is answered from memory; /version and /info need the daemon's parts.

    Why it matters: `docker info`, `docker run` and most programs ask these first, and hang or fail with them.
    How to fix: see what the daemon's log says; restart it if it hangs.
    """
    wrong = [outcome for outcome in (answers.version, answers.info) if outcome != "ok"]
    seen = (Evidence("GET /version", answers.version), Evidence("GET /info", answers.info))
    if not wrong:
        return passed("/version and /info are answered", *seen)
    return failed(
        f"{endpoint.url} answers a ping, but not more: {wrong[0]}",
        *seen,
        cause="A part of the daemon hangs or fails, or what listens there only resembles an engine.",
        fix=("journalctl -u docker.service -b -n 20 --no-pager", "systemctl restart docker.service")
        if of_this_host(endpoint)
        else (),
        impact="restarts dockerd; containers stop unless live-restore is on" if of_this_host(endpoint) else "",
    )


@check(
    "engine.version",
    title="The engine is 1.13 or newer",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/engine/release-notes/",
)
def version(engine: EngineVersion) -> Finding:
    """
    Engine 1.13 brought the commands and the API that today's programs use.

    Why it matters: older engines fail with messages about unknown commands and API versions.
    How to fix: install a current engine.
    """
    seen = Evidence(
        "GET /version", f"Version {engine.version}, ApiVersion {engine.api}, MinAPIVersion {engine.min_api}"
    )
    if not engine.parts:
        return unknown(f"the engine calls its version {engine.version!r}", seen)
    if engine.parts >= OLDEST:
        return passed(f"the engine is {engine.version}", seen)
    return failed(
        f"the engine is {engine.version}, older than 1.13",
        seen,
        cause="It was released before 2017.",
        fix=("# install a current engine: https://docs.docker.com/engine/install/",),
    )


@check(
    "engine.client-api",
    title="The client is not held to an API version that the engine does not speak",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/reference/api/engine/#versioned-api-and-sdk",
)
def client_api(engine: EngineVersion, exports: Exports) -> Finding:
    """
    Client and engine agree on an API version by themselves, unless DOCKER_API_VERSION forbids it.

    Why it matters: "client version 1.45 is too new" or "too old", for every command.
    How to fix: unset the variable, and take out the line that sets it.
    """
    asked = exports.env.get("DOCKER_API_VERSION", "")
    spoken = Evidence("GET /version", f"ApiVersion {engine.api}, MinAPIVersion {engine.min_api or 'not said'}")
    if not asked:
        return passed("DOCKER_API_VERSION is not set: client and engine agree by themselves", spoken)
    parts, newest, oldest = (version_parts(v) for v in (asked, engine.api, engine.min_api))
    if not parts or (newest and parts > newest):
        side = "newer than the engine speaks"
    elif oldest and parts < oldest:
        side = "older than the engine speaks"
    else:
        return passed(f"the engine speaks API {asked}, which DOCKER_API_VERSION asks for", spoken)
    where, unset = exported(exports, "DOCKER_API_VERSION")
    return failed(
        f"DOCKER_API_VERSION is {asked}, {side} ({engine.min_api} to {engine.api})",
        Evidence("environment", f"DOCKER_API_VERSION={asked}"),
        spoken,
        *where,
        cause="The variable forbids the client to agree with the engine on a version.",
        fix=unset,
    )


@check(
    "engine.cli",
    title="The docker command is the engine's own client",
    severity=Severity.WARNING,
    docs="https://docs.docker.com/engine/install/",
    upstream=("engine.installed",),
)
def cli(programs: Installed, ping: DaemonPing) -> Finding:
    """
    Some distributions ship the client in a package of its own, and podman-docker takes its name.

    Why it matters: "docker: command not found", or commands that go to podman while the engine has the containers.
    How to fix: install the client.
    """
    if not programs.dockerd and not ping.answered:
        return skipped("there is no engine for it")
    command = INSTALL.get(programs.package_manager, ("", "# install the docker client"))[1]
    if programs.podman_shim:
        return failed(
            f"{programs.docker} is podman, and an engine is installed beside it",
            Evidence(programs.docker, "podman under docker's name"),
            cause="The package podman-docker took the command's name: docker commands do not reach the engine.",
            fix=("# remove the package podman-docker, then:", command),
        )
    if not programs.docker:
        return failed(
            "the docker command is not installed",
            Evidence("docker in PATH and the system folders", "not found"),
            cause="The engine is here, its client is not.",
            fix=(command,),
        )
    return passed(f"{programs.docker} is the client")


@check(
    "engine.same-engine",
    title="The containers are with the engine that the client talks to",
    severity=Severity.WARNING,
    docs="https://docs.docker.com/engine/manage-resources/contexts/",
)
def same_engine(endpoint: ChosenEndpoint, containers: Containers, others: OtherEngines) -> Finding:
    """
    Docker Desktop, a rootless engine and the system's each have images and containers of their own.

    Why it matters: with the wrong one chosen, everything seems to have disappeared.
    How to fix: choose the engine that has the containers.
    """
    seen = [Evidence(f"GET {endpoint.url}/containers/json", f"{len(containers.all)} containers")]
    seen += [
        Evidence(f"GET {url}/containers/json", f"{number} containers")
        for url, number in zip(others.answering, others.containers, strict=False)
        if number >= 0
    ]
    full = [url for url, number in zip(others.answering, others.containers, strict=False) if number > 0]
    if containers.all or not full:
        return passed(f"{endpoint.url} has {len(containers.all)} containers, and no other engine looks fuller", *seen)
    return failed(
        f"{endpoint.url} has no containers, and another engine at {full[0]} has some",
        *seen,
        cause=f"Two engines run here, and {endpoint.source} chooses the empty one.",
        fix=(f"# to use the other one for now: export DOCKER_HOST={quote(full[0])}",),
    )
