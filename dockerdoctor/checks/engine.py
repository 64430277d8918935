"""Which engine the client talks to, whether this user may, and whether it answers as an engine should."""

from __future__ import annotations

from dockerdoctor.checks.startup import CONFIG_ERRORS, INSTALL, TROUBLE, of_this_host
from dockerdoctor.examine import check, failed, passed, skipped, unknown
from dockerdoctor.facts.endpoint import (
    DEFAULT_SOCKET,
    ChosenEndpoint,
    ClientConfig,
    DaemonPing,
    Exports,
    OtherEngines,
    SocketAccess,
    SocketFile,
)
from dockerdoctor.facts.engine import (
    DaemonProcess,
    EngineApi,
    EngineVersion,
    Installed,
    Units,
    version_parts,
)
from dockerdoctor.model import Evidence, Finding, Severity

CONTEXTS = "https://docs.docker.com/engine/manage-resources/contexts/"
GROUPS = "https://docs.docker.com/engine/install/linux-postinstall/"
# The tutorial's commands (`docker container`, `docker image`) came with this version, and nothing older gets repairs.
OLDEST = (1, 13)


@check(
    "engine.client-config",
    title="The client's configuration can be read",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/reference/cli/docker/#docker-cli-configuration-file-configjson-properties",
)
def client_config(config: ClientConfig) -> Finding:
    """
    ~/.docker/config.json holds logins, proxies and the current context.

    Why it matters: a client that cannot read it goes on without any of them, and programs that use the API do so silently.
    How to fix: correct the file where it breaks off, or give it back to its user.
    """
    if not config.exists:
        return passed(f"there is no {config.path}, which is fine")
    if not config.problem:
        return passed(f"{config.path} is well-formed")
    seen = Evidence(config.path, config.problem)
    folder = config.path.rpartition("/")[0]
    if config.problem.lower() == "permission denied":
        return failed(
            f"{config.path}: permission denied",
            seen,
            cause="The file belongs to another user, most often to root since docker was once run with sudo.",
            fix=(f"chown -R $(stat -c %u:%g $(dirname {folder})) {folder}",),
        )
    return failed(
        f"{config.path} is no valid JSON: {config.problem}",
        seen,
        cause="The client takes a broken file for an empty one: logins, proxies and the current context are gone.",
        fix=(
            f"python3 -m json.tool {config.path}",
            "# correct the line that it names; or start afresh, and log in again:",
            f"mv {config.path} {config.path}.broken",
        ),
    )


def _exported(exports: Exports | None, name: str) -> tuple[tuple[Evidence, ...], tuple[str, ...]]:
    """Where a variable comes from, and how to be rid of it."""
    lines = exports.of(name) if exports else ()
    evidence = tuple(Evidence(line.where, f"{name}={line.value}") for line in lines)
    steps = []
    for line in lines:
        path, _, number = line.where.rpartition(":")
        steps.append(f"sed -i '{number}s/^/# /' {path}")
    return evidence, (*steps, f"unset {name}")


@check(
    "engine.docker-host",
    title="DOCKER_HOST names an engine that answers",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/reference/cli/docker/#environment-variables",
)
def docker_host(
    endpoint: ChosenEndpoint, ping: DaemonPing, exports: Exports | None, others: OtherEngines | None
) -> Finding:
    """
    DOCKER_HOST goes before every context; one that was exported long ago sends the client nowhere.

    Why it matters: the engine is well, and yet nothing works; restarting it does not help.
    How to fix: unset the variable, and take out the line that sets it.
    """
    if endpoint.source not in {"DOCKER_HOST", "--host"}:
        return passed(f"DOCKER_HOST does not choose the engine: {endpoint.source} does")
    if ping.answered:
        return passed(f"the engine at {endpoint.url} answers")
    where, unset = _exported(exports, "DOCKER_HOST")
    given = endpoint.source == "--host"
    seen = (Evidence(endpoint.source, endpoint.url), *(() if given else where))
    if endpoint.problem:
        return failed(
            f"{endpoint.source} cannot be used: {endpoint.problem}",
            *seen,
            cause="The client does not get as far as connecting.",
            fix=("# give an address such as unix:///var/run/docker.sock",) if given else unset,
        )
    if not others or not others.answering:
        return passed(f"{endpoint.url} does not answer, and no other engine was found that does")
    return failed(
        f"{endpoint.source} points at {endpoint.url}, which does not answer ({ping.outcome})",
        *seen,
        *(Evidence(f"GET {other}/_ping", "an engine answers") for other in others.answering),
        cause=f"The engine of this host is well; {endpoint.source} makes the client look elsewhere.",
        fix=(f"docker -H {others.answering[0]} version",) if given else unset,
    )


@check(
    "engine.context",
    title="The current context leads to an engine",
    severity=Severity.ERROR,
    docs=CONTEXTS,
    upstream=("engine.client-config",),
)
def context(
    endpoint: ChosenEndpoint,
    ping: DaemonPing,
    config: ClientConfig,
    exports: Exports | None,
    others: OtherEngines | None,
) -> Finding:
    """
    `docker context use` is remembered in ~/.docker/config.json, and outlives the engine that it names.

    Why it matters: after Docker Desktop or a rootless engine is removed, the client still looks for it.
    How to fix: go back to the default context.
    """
    if not endpoint.source.startswith("context "):
        return passed(f"no context chooses the engine: {endpoint.source} does")
    if ping.answered:
        return passed(f"{endpoint.source} leads to {endpoint.url}, which answers")
    seen = [Evidence(endpoint.source, endpoint.url or endpoint.problem)]
    name = endpoint.source.split()[1]
    from_file = f"({config.path})" in endpoint.source
    # --context: with one that does not exist, the client refuses even to leave it.
    fix = ("docker --context default context use default",) if from_file else _exported(exports, "DOCKER_CONTEXT")[1]
    if endpoint.problem:
        return failed(
            endpoint.problem,
            *seen,
            cause=f"The context {name} was removed, or never made, and is still the one in use.",
            fix=fix,
        )
    if not others or not others.answering:
        return passed(f"{endpoint.url} does not answer, and no other engine was found that does")
    seen += [Evidence(f"GET {other}/_ping", "an engine answers") for other in others.answering]
    return failed(
        f"the context {name} points at {endpoint.url}, which does not answer ({ping.outcome})",
        *seen,
        cause="Another engine of this host is well; the context makes the client look elsewhere.",
        fix=fix,
    )


@check(
    "engine.tls",
    title="Client and engine agree on TLS",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/engine/security/protect-access/",
)
def tls(endpoint: ChosenEndpoint, ping: DaemonPing, exports: Exports | None) -> Finding:
    """
    An engine's TCP port speaks either plain HTTP (2375 by custom) or TLS (2376), and the client must be told which.

    Why it matters: the connection is made and then breaks with a message that names neither side's setting.
    How to fix: set or unset DOCKER_TLS_VERIFY and DOCKER_CERT_PATH to match, or use the other port.
    """
    if not endpoint.url.startswith(("tcp://", "http://", "https://")):
        return skipped("the endpoint is not reached over TCP")
    seen = Evidence(f"GET {endpoint.url}/_ping", ping.outcome)
    told = Evidence("DOCKER_TLS_VERIFY", "set" if endpoint.tls else "not set")
    if "HTTP request to an HTTPS server" in ping.outcome:
        return failed(
            f"{endpoint.url} speaks TLS, and the client plain HTTP",
            seen,
            told,
            cause="The engine wants TLS, and nothing tells the client to use it.",
            fix=(
                "export DOCKER_TLS_VERIFY=1",
                "# the folder with ca.pem, cert.pem and key.pem, if it is not ~/.docker: export DOCKER_CERT_PATH=FOLDER",
            ),
        )
    if endpoint.tls and ("WRONG_VERSION_NUMBER" in ping.outcome or "wrong version number" in ping.outcome):
        where, unset = _exported(exports, "DOCKER_TLS_VERIFY")
        return failed(
            f"{endpoint.url} speaks plain HTTP, and the client TLS",
            seen,
            told,
            *where,
            cause="DOCKER_TLS_VERIFY makes the client use TLS on a port that does not.",
            fix=unset,
        )
    if endpoint.tls and any(word in ping.outcome for word in ("SSLError", "CERTIFICATE", "TLS", "certificate")):
        return failed(
            f"{endpoint.url}: {ping.outcome}",
            seen,
            told,
            Evidence("DOCKER_CERT_PATH", endpoint.cert_path),
            cause="The certificates of client and engine do not fit each other, or are not where the client looks.",
            fix=(
                f"openssl x509 -noout -subject -issuer -enddate -in {endpoint.cert_path}/cert.pem",
                "# renew what has expired; ca.pem must have signed the engine's certificate",
            ),
        )
    return passed(f"{endpoint.url} and the client agree", seen)


@check(
    "engine.socket-permission",
    title="This user may use the engine's socket",
    severity=Severity.ERROR,
    docs=GROUPS,
    upstream=("engine.socket-group",),
)
def socket_permission(ping: DaemonPing, file: SocketFile, access: SocketAccess) -> Finding:
    """
    Only root and the members of the socket's group may connect to it.

    Why it matters: every docker command is refused.
    How to fix: add the user to the group, which makes them as mighty as root on this host; then log in anew.
    """
    if not file.path:
        return skipped("the endpoint is no Unix socket")
    if ping.connect != "EACCES":
        return passed(f"{access.user} may connect to {file.path}")
    seen = (
        Evidence(f"connect {file.path} as {access.user}", "EACCES"),
        Evidence(f"stat {file.path}", f"mode {file.mode:04o}, owner {file.uid}, group {file.group}"),
    )
    if file.kind == "denied":
        return failed(
            f"{access.user} may not look into the folder of {file.path}",
            seen[0],
            cause="The socket lies in a folder of another user.",
            fix=("# run docker as the user whose engine this is, or use another endpoint: unset DOCKER_HOST",),
        )
    if not file.mode & 0o020:
        return failed(
            f"{file.path} is closed to its group {file.group} (mode {file.mode:04o})",
            *seen,
            cause="Somebody changed the socket's mode; dockerd gives it 0660.",
            fix=(f"chmod 660 {file.path}",),
        )
    if not file.gid and access.docker_group:
        return failed(
            f"{file.path} belongs to the group root, not docker",
            *seen,
            cause="Somebody changed the socket's group, or dockerd was started with another one.",
            fix=(f"chgrp docker {file.path}",),
        )
    if access.in_session:
        return failed(
            f"{access.user} is in the group {file.group}, and {file.path} still refuses",
            *seen,
            cause="The permissions of the file allow it: a security module (SELinux, AppArmor) forbids it.",
            fix=("journalctl -k -b --grep 'apparmor|avc' -n 20 --no-pager",),
        )
    if access.in_database:
        return passed(f"{access.user} is in the group {file.group}, though not in this session")
    return failed(
        f"{access.user} is not in the group {file.group}, which alone may use {file.path}",
        *seen,
        Evidence(f"getent group {file.group}", f"members: {', '.join(access.members) or 'none'}"),
        cause=f"{access.user} was not added to the group {file.group}.",
        fix=(
            f"usermod -aG {file.group} {access.user}",
            f"# log out and in again, or go on in a shell that has the group: newgrp {file.group}",
            "# note that who may use the engine can become root on this host",
        ),
    )


@check(
    "engine.session-group",
    title="This session has the socket's group",
    severity=Severity.ERROR,
    docs=GROUPS,
    upstream=("engine.socket-group",),
)
def session_group(ping: DaemonPing, file: SocketFile, access: SocketAccess) -> Finding:
    """
    A process gets its groups at login and keeps them; adding the user to a group later does not reach it.

    Why it matters: after `usermod -aG docker` the same permission is denied as before, in every shell, IDE and agent
    that ran already.
    How to fix: log in anew, or restart the agent.
    """
    if ping.connect != "EACCES" or access.in_session or not access.in_database:
        return passed(f"the groups of this session suffice, or {access.user} lacks the group altogether")
    return failed(
        f"{access.user} is in the group {file.group} by now, but this session is not",
        Evidence(f"connect {file.path} as {access.user}", "EACCES"),
        Evidence(f"getent group {file.group}", f"members: {', '.join(access.members) or access.user}"),
        Evidence("/proc/self/status, Groups", f"without {file.gid}"),
        cause=f"{access.user} was added to the group {file.group} after this session began.",
        fix=(
            "# log out and in again, or restart the service that runs docker; in this terminal:",
            f"newgrp {file.group}",
        ),
    )


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
        *("engine.installed", "engine.unit-masked", "engine.unit-valid", "engine.socket-group", "engine.socket-file"),
        *("engine.started", "engine.start-limit", "engine.running", "engine.docker-host", "engine.context"),
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
        return ("# start the engine there, or use the one of this host:", *_exported(exports, "DOCKER_HOST")[1])
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
        *("engine.reachable", "engine.installed", "engine.unit-masked", "engine.unit-valid", "engine.started"),
        *("engine.start-limit", "engine.running", "engine.docker-host", "engine.context", "engine.tls"),
        *("engine.frozen", "engine.containerd"),
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
            fix=(f"ss -xlpn src {endpoint.socket_path}",) if endpoint.local else (f"curl -v {endpoint.url}/_ping",),
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
        else (f"ss -xlpn src {endpoint.socket_path}",)
        if endpoint.local
        else (),
        impact="restarts dockerd; containers stop unless live-restore is on" if own else "",
    )


@check(
    "engine.api",
    title="The engine answers what it is asked",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/reference/api/engine/",
    upstream=("engine.reachable", "engine.responsive", "engine.frozen", "engine.containerd"),
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
    where, unset = _exported(exports, "DOCKER_API_VERSION")
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
