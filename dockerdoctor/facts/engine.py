"""The engine itself: its process, its unit, what it says of itself, and what it is made of."""

from __future__ import annotations

import http.client
import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dockerdoctor.facts.client_tls import authorities, trust
from dockerdoctor.facts.endpoint import ChosenEndpoint, DaemonPing, mask_text, mask_url
from dockerdoctor.host import MAX_BODY_BYTES, USER_HZ, Host
from dockerdoctor.measure import Unmeasured, probe

# The newest API this doctor speaks: Engine 25's. Engine 29 serves nothing older; older engines are asked in their own.
OUR_API = "1.44"
INFO_TIMEOUT = 4.0


@dataclass(frozen=True, slots=True)
class Installed:
    """Which parts of Docker are installed; empty paths where they are not."""

    dockerd: str
    docker: str
    containerd: str
    dockerd_version: str = ""  # "20.10.24+dfsg1"; asked of the program, and only where no engine tells its own
    podman_shim: bool = False  # `docker` is podman in disguise
    closed: str = ""  # a dockerd that nobody may execute
    package_manager: str = ""  # "apt-get", "dnf", ...


@dataclass(frozen=True, slots=True)
class DaemonProcess:
    """The running dockerd: what it was started with is what counts, whatever the files say now."""

    pid: int  # 0 when none runs
    arguments: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()  # proxy variables and PATH only, passwords masked
    environment_read: bool = False  # False without root
    started: float = 0.0  # seconds since the epoch
    state: str = ""  # of proc(5): "S", "T" (stopped), "D" (uninterruptible), "Z"
    others: tuple[int, ...] = ()  # further dockerd processes

    @property
    def env(self) -> dict[str, str]:
        """The environment as a mapping."""
        return dict(self.environment)


@dataclass(frozen=True, slots=True)
class Unit:
    """A systemd unit, as `systemctl show` tells it."""

    name: str
    load: str = ""  # "loaded", "not-found", "masked", "bad-setting"
    active: str = ""  # "active", "inactive", "failed", "activating"
    sub: str = ""
    result: str = ""  # "success", "exit-code", "start-limit-hit"
    file_state: str = ""  # "enabled", "disabled", "masked"
    need_reload: bool = False
    exec_start: tuple[str, ...] = ()  # the command lines in force
    fragment: str = ""
    drop_ins: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()  # Environment= as systemd understood it, passwords masked
    load_error: str = ""
    environment_files: tuple[str, ...] = ()
    referred: tuple[tuple[str, str], ...] = ()  # the part of Environment= that the command line refers to
    requires: tuple[str, ...] = ()
    restarts: int = 0  # by systemd itself, since somebody started it
    socket_group: str = ""  # SocketGroup=, of a socket unit
    listens: tuple[str, ...] = ()  # the Unix sockets of a socket unit
    condition: bool = True  # False: it was asked to start, and a Condition*= or Assert*= of its was not met

    @property
    def failing(self) -> bool:
        """Whether its last start came to nothing, and systemd gave up or is about to try again."""
        return (
            self.active == "failed" or self.sub == "auto-restart" or (self.active == "activating" and self.restarts > 0)
        )


@dataclass(frozen=True, slots=True)
class Units:
    """The units that make up Docker on a systemd host."""

    systemd: bool  # PID 1 is systemd
    docker: Unit
    socket: Unit
    containerd: Unit
    required: tuple[
        Unit, ...
    ] = ()  # what else docker.service requires and is not there; asked for while it does not run


@dataclass(frozen=True, slots=True)
class EngineVersion:
    """`GET /version`."""

    version: str
    api: str
    min_api: str
    os: str
    arch: str
    kernel: str

    @property
    def parts(self) -> tuple[int, ...]:
        """The version as numbers, for comparing."""
        return version_parts(self.version)


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """`GET /info`, as far as a check needs it."""

    operating_system: str
    root_dir: str
    driver: str
    security_options: tuple[str, ...]
    http_proxy: str  # passwords masked
    https_proxy: str
    no_proxy: str
    mirrors: tuple[str, ...]
    insecure_registries: tuple[str, ...]  # CIDRs and host:port
    live_restore: bool
    debug: bool
    logging_driver: str
    cgroup_driver: str
    cgroup_version: str
    default_runtime: str
    runtimes: tuple[str, ...]
    labels: tuple[str, ...]
    warnings: tuple[str, ...]
    containers_running: int
    swarm: str
    experimental: bool
    address_pools: tuple[tuple[str, int], ...]  # (base, size); empty for the built-in ones

    @property
    def rootless(self) -> bool:
        """Whether the daemon runs without root."""
        return any("rootless" in option for option in self.security_options)


def version_parts(version: str) -> tuple[int, ...]:
    """Take the numbers out of a version: "20.10.24+dfsg1" → (20, 10, 24)."""
    match = re.match(r"v?(\d+(?:\.\d+)*)", version)
    parts = tuple(int(n) for n in match.group(1).split(".")) if match else ()
    # A nightly build calls itself "0.0.0-20240719…" and is new, not old.
    return parts if any(parts) else ()


# The most specific first: yum is there for old habits where dnf does the work.
PACKAGE_MANAGERS = ("apt-get", "dnf", "yum", "zypper", "apk", "pacman")


PROGRAM_FOLDERS = ("/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin")


# A second more than the program gets, so that the rest is known when that is slow.
@probe(deadline=4)
def installed(host: Host, ping: DaemonPing | None) -> Installed:
    """Find the programs; a hundred megabytes of dockerd are asked for their version only where no engine answers."""
    dockerd = host.which("dockerd")
    docker = host.which("docker")
    version = program_version(host, dockerd) if dockerd and not (ping and ping.answered) else ""
    # podman-docker installs a link, or a script of a few lines.
    podman = bool(docker) and (
        "podman" in host.path(docker).resolve().name
        or (host.read_bytes(docker, 2) == b"#!" and "podman" in host.text(docker))
    )
    return Installed(
        dockerd,
        docker,
        host.which("containerd"),
        version,
        podman,
        "" if dockerd else next((p for f in PROGRAM_FOLDERS if host.exists(p := f"{f}/dockerd")), ""),
        next((m for m in PACKAGE_MANAGERS if host.which(m)), ""),
    )


def program_version(host: Host, dockerd: str) -> str:
    """Ask dockerd for its version, which it tells without starting anything; empty when it does not."""
    match = re.search(r"version v?([^\s,]+)", host.run(dockerd, "--version").out)
    return match.group(1) if match else ""


PROXY_VARIABLES = frozenset({"http_proxy", "https_proxy", "no_proxy", "all_proxy"})


def proxy_environment(env: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Keep the proxy variables of an environment, without their passwords."""
    return tuple(sorted((k, mask_url(v)) for k, v in env.items() if k.lower() in PROXY_VARIABLES))


# After the ping, since connecting may be what starts the daemon (socket activation), or what makes it fail again.
@probe()
def daemon_process(host: Host, endpoint: ChosenEndpoint, ping: DaemonPing | None) -> DaemonProcess:  # noqa: ARG001
    """Find dockerd in /proc: the one that listens there, else the one of this host's PID file; more than one may run."""
    if not endpoint.local:
        raise Unmeasured("the engine is on another host", skipped=True)
    pids = [pid for pid in host.pids() if host.comm(pid) == "dockerd" and _is_daemon(host, pid)]
    if not pids:
        return DaemonProcess(0)
    listed = host.text("/var/run/docker.pid").strip()
    told = [pid for pid in pids if any(word.endswith(endpoint.url) for word in host.cmdline(pid))]
    if not told and len(pids) > 1 and endpoint.socket_path:
        # One without root is told nothing of its socket, and made it itself.
        told = [pid for pid in (host.peer_pid(endpoint.socket_path),) if pid in pids]
    pid = told[0] if told else int(listed) if listed.isdigit() and int(listed) in pids else pids[0]
    try:
        raw = host.read(f"/proc/{pid}/environ")
        pairs = dict(item.partition("=")[::2] for item in raw.split("\0") if "=" in item)
        environment = (*proxy_environment(pairs), ("PATH", pairs.get("PATH", "")))
        environment_read = True
    except OSError:
        environment, environment_read = (), False
    fields = host.process_stat(pid)
    started = 0.0
    if len(fields) > 19:
        boot = re.search(r"^btime (\d+)", host.text("/proc/stat"), re.MULTILINE)
        started = int(boot.group(1)) + int(fields[19]) / USER_HZ if boot else 0.0
    return DaemonProcess(
        pid,
        tuple(map(mask_text, host.cmdline(pid))),
        environment,
        environment_read,
        started,
        fields[0] if fields else "",
        tuple(p for p in pids if p != pid),
    )


# With any of these dockerd says something and ends; the doctor itself asks for the first.
NO_DAEMON = frozenset({"--version", "-v", "--validate", "--help", "-h"})


def _is_daemon(host: Host, pid: int) -> bool:
    arguments = host.cmdline(pid)  # none: it has ended meanwhile, or not begun
    return bool(arguments) and not NO_DAEMON & set(arguments) and host.ours(pid)


UNIT_PROPERTIES = (
    "LoadState,ActiveState,SubState,Result,UnitFileState,NeedDaemonReload,ExecStart,FragmentPath,DropInPaths,"
    "Environment,EnvironmentFiles,LoadError,Id,Requires,NRestarts,SocketGroup,Listen,"
    "ConditionResult,ConditionTimestampMonotonic,AssertResult,AssertTimestampMonotonic"
)


def _assignments(shown: str) -> Iterator[tuple[str, str]]:
    """Take apart what systemctl shows of Environment=: words, in shell quotes where they hold blanks."""
    try:
        words = shlex.split(shown)
    except ValueError:
        words = shown.split()
    for word in words:
        name, equals, value = word.partition("=")
        if equals:
            yield name, mask_text(value)


def _unit(name: str, block: Mapping[str, list[str]]) -> Unit:
    def one(key: str) -> str:
        return (block.get(key) or [""])[-1]

    commands = tuple(
        mask_text(match.group(1).strip())
        for line in block.get("ExecStart", ())
        for match in re.finditer(r"argv\[\]=(.*?) ;", line)
    )
    environment = dict(re.findall(r"(\w+)=((?:\"[^\"]*\"|\S)*)", one("Environment")))
    referred = {v for command in commands for v in re.findall(r"\$\{?(\w+)", command)}
    files = tuple(line.partition(" (")[0] for line in block.get("EnvironmentFiles", ()) if line)
    return Unit(
        name,
        one("LoadState"),
        one("ActiveState"),
        one("SubState"),
        one("Result"),
        one("UnitFileState"),
        one("NeedDaemonReload") == "yes",
        commands,
        one("FragmentPath"),
        tuple(one("DropInPaths").split()),
        proxy_environment(environment),
        load_error=one("LoadError"),
        environment_files=files,
        referred=tuple(sorted(x for x in _assignments(one("Environment")) if x[0] in referred)),
        requires=tuple(one("Requires").split()),
        restarts=int(one("NRestarts") or 0),
        socket_group=one("SocketGroup"),
        listens=tuple(line.removesuffix(" (Stream)") for line in block.get("Listen", ()) if line.startswith("/")),
        condition=not any(
            one(f"{kind}Result") == "no" and one(f"{kind}TimestampMonotonic") not in {"", "0"}
            for kind in ("Condition", "Assert")
        ),
    )


@probe(deadline=4)
def units(host: Host, endpoint: ChosenEndpoint, ping: DaemonPing | None) -> Units:  # noqa: ARG001 - for its order only
    """Ask systemd once for all three units, after the ping (see `daemon_process`)."""
    if not endpoint.local:
        raise Unmeasured("the engine is on another host", skipped=True)
    names = ("docker.service", "docker.socket", "containerd.service")
    empty = tuple(Unit(name) for name in names)
    if not host.exists("/run/systemd/system"):
        return Units(systemd=False, docker=empty[0], socket=empty[1], containerd=empty[2])
    docker, socket, containerd = _show(host, names)
    usual = {*names, "sysinit.target", "system.slice", "-.mount", "basic.target"}
    more = () if docker.active == "active" else tuple(name for name in docker.requires if name not in usual)
    required = tuple(unit for unit in _show(host, more) if unit.active != "active") if more else ()
    return Units(systemd=True, docker=docker, socket=socket, containerd=containerd, required=required)


def _show(host: Host, names: tuple[str, ...]) -> list[Unit]:
    done = host.run("systemctl", "show", "--property", UNIT_PROPERTIES, "--", *names)
    if not done.ok:
        raise Unmeasured(f"systemctl show: {done.err.strip() or done.code}")
    blocks: list[dict[str, list[str]]] = []
    for text in done.out.split("\n\n"):
        block: dict[str, list[str]] = {}
        for line in text.splitlines():
            key, _, value = line.partition("=")
            block.setdefault(key, []).append(value)
        blocks.append(block)
    return [_unit(name, block) for name, block in zip(names, blocks, strict=False)]


def api_version(ping: DaemonPing) -> str:
    """The API version to speak with this engine: ours, or its own newest when that is older."""
    return min(OUR_API, ping.api_version or OUR_API, key=version_parts)


BY_SSH = "an engine behind ssh is asked for its version alone"


def client(host: Host, endpoint: ChosenEndpoint, ping: DaemonPing, timeout: float) -> Any:
    """Build a docker-py client of the chosen engine; raises Unmeasured when it did not answer the ping."""
    if not ping.answered:
        raise Unmeasured("the engine does not answer")
    if endpoint.url.startswith("ssh://"):
        raise Unmeasured(BY_SSH, how="run the doctor on its own host")
    if not endpoint.tls:
        return host.docker(endpoint.url, api_version(ping), timeout)
    from requests.adapters import HTTPAdapter  # noqa: PLC0415 - only remote engines need it

    address, port = endpoint.address
    api = host.docker(f"https://{f'[{address}]' if ':' in address else address}:{port}", api_version(ping), timeout)
    adapter, context = HTTPAdapter(), trust(host, endpoint)
    # docker-py's own way has the ssl module's defaults; see `trust`.
    adapter.init_poolmanager(1, 1, ssl_context=context)
    api.mount("https://", adapter)
    api.verify = authorities(host, endpoint) if endpoint.verify else False
    return api


def fetch(
    host: Host, endpoint: ChosenEndpoint, ping: DaemonPing, target: str, timeout: float, limit: int = MAX_BODY_BYTES
) -> tuple[int, Mapping[str, str], bytes]:
    """
    GET anything of the API: status, headers and the first bytes; raises Unmeasured when the engine stalls or babbles.

    A Unix socket is asked with the standard library: what a lying or frozen daemon sends must be seen as it is, and
    docker-py takes longer to import than the answer takes to come.
    """
    if not ping.answered:
        raise Unmeasured("the engine does not answer")
    url = f"/v{api_version(ping)}{target}"
    try:
        if endpoint.socket_path:
            return host.unix_http(endpoint.socket_path, url, timeout, limit)
        api = client(host, endpoint, ping, timeout)
        reply = api.get(f"{api.base_url}{url}")
        return reply.status_code, reply.headers, reply.content[:limit]
    except TimeoutError:
        raise Unmeasured(f"GET {target}: no answer within {timeout:g} s") from None
    # requests' exceptions are OSErrors too
    except (http.client.HTTPException, ValueError, OSError) as no:
        raise Unmeasured(mask_text(f"GET {target}: {type(no).__name__}: {no}")[:300]) from None


def ask(host: Host, endpoint: ChosenEndpoint, ping: DaemonPing, target: str, timeout: float = INFO_TIMEOUT) -> Any:
    """GET one JSON document of the API; raises Unmeasured with the reason when the engine refuses, stalls or babbles."""
    status, _, body = fetch(host, endpoint, ping, target, timeout)
    try:
        document = json.loads(body)
    # a RecursionError is JSON's, of a liar's hundred thousand brackets
    except (ValueError, RecursionError) as no:
        raise Unmeasured(mask_text(f"GET {target}: {type(no).__name__}: {no}")[:300]) from None
    if status != http.client.OK:
        message = document.get("message", document) if isinstance(document, dict) else document
        raise Unmeasured(mask_text(f"GET {target}: HTTP {status}: {message}")[:300])
    return document


def ask_list(host: Host, endpoint: ChosenEndpoint, ping: DaemonPing, target: str) -> list[dict[str, Any]]:
    """GET an array of objects; raises Unmeasured when it is none, too."""
    document = ask(host, endpoint, ping, target)
    if not isinstance(document, list) or not all(isinstance(item, dict) for item in document):
        raise Unmeasured(f"GET {target}: no array of objects")
    return document


# An engine's JSON, or a liar's: what is not of the type that it should be counts as not said.
def table(value: Any) -> dict[str, Any]:
    """Take an object for an object, and anything else for an empty one."""
    return value if isinstance(value, dict) else {}


def listed(value: Any) -> list[Any]:
    """Take an array for an array, and anything else for an empty one."""
    return value if isinstance(value, list) else []


def texts(value: Any) -> tuple[str, ...]:
    """Take the strings of an array."""
    return tuple(item for item in listed(value) if isinstance(item, str))


def count(value: Any) -> int:
    """Take a number for a number, and anything else for zero."""
    return value if isinstance(value, int) else 0


# What must be well for the engine to answer more than a ping.
ANSWERS = ("engine.reachable", "engine.responsive", "engine.containerd", "engine.api")


@probe(deadline=INFO_TIMEOUT + 1, upstream=ANSWERS)
def engine_version(host: Host, endpoint: ChosenEndpoint, ping: DaemonPing) -> EngineVersion:
    """Note that engines to this day ask containerd before they answer, and stall with it."""
    return _version(ask(host, endpoint, ping, "/version"))


def _version(data: Any) -> EngineVersion:
    if not table(data).get("ApiVersion"):
        raise Unmeasured("GET /version: names no API version")
    return EngineVersion(
        *(str(data.get(k) or "") for k in ("Version", "ApiVersion", "MinAPIVersion", "Os", "Arch", "KernelVersion"))
    )


@probe(deadline=INFO_TIMEOUT + 1, upstream=ANSWERS)
def engine_info(host: Host, endpoint: ChosenEndpoint, ping: DaemonPing) -> EngineInfo:
    """Ask what the running daemon believes, which may differ from its files."""
    return _info(ask(host, endpoint, ping, "/info"))


def _info(data: Any) -> EngineInfo:
    if not isinstance(data, dict):
        raise Unmeasured("GET /info: not an object")
    registry = table(data.get("RegistryConfig"))
    insecure = (
        *texts(registry.get("InsecureRegistryCIDRs")),
        *(
            name
            for name, index in table(registry.get("IndexConfigs")).items()
            if isinstance(index, dict) and not index.get("Secure", True)
        ),
    )
    pools = tuple(
        (str(pool.get("Base")), count(pool.get("Size")))
        for pool in listed(data.get("DefaultAddressPools"))
        if isinstance(pool, dict)
    )

    def text(key: str) -> str:
        return str(data.get(key) or "")

    return EngineInfo(
        text("OperatingSystem"),
        text("DockerRootDir"),
        text("Driver"),
        texts(data.get("SecurityOptions")),
        mask_url(text("HttpProxy")),
        mask_url(text("HttpsProxy")),
        mask_url(text("NoProxy")),
        tuple(map(mask_text, texts(registry.get("Mirrors")))),
        insecure,
        bool(data.get("LiveRestoreEnabled")),
        bool(data.get("Debug")),
        text("LoggingDriver"),
        text("CgroupDriver"),
        text("CgroupVersion"),
        text("DefaultRuntime"),
        tuple(table(data.get("Runtimes"))),
        tuple(map(mask_text, texts(data.get("Labels")))),
        texts(data.get("Warnings")),
        count(data.get("ContainersRunning")),
        str(table(data.get("Swarm")).get("LocalNodeState") or ""),
        bool(data.get("ExperimentalBuild")),
        pools,
    )


# Asked a second time, and only for the reason: it has had its full time already.
REASON_TIMEOUT = 1.0


@dataclass(frozen=True, slots=True)
class EngineApi:
    """Whether the engine answers more than a ping: "ok", or why not, of the two questions that all else rests on."""

    version: str  # "ok", "GET /version: no answer within 1 s", "GET /version: HTTP 500: ..."
    info: str


@probe(deadline=2 * REASON_TIMEOUT + 1)
def engine_api(
    host: Host, endpoint: ChosenEndpoint, ping: DaemonPing, version: EngineVersion | None, info: EngineInfo | None
) -> EngineApi:
    """Take what has been answered for an answer, and ask again for what has not."""
    if endpoint.url.startswith("ssh://"):
        raise Unmeasured(BY_SSH)
    if not ping.answered:
        raise Unmeasured("the engine does not answer")

    def reason(target: str, read: Callable[[Any], object]) -> str:
        try:
            read(ask(host, endpoint, ping, target, REASON_TIMEOUT))
        except Unmeasured as no:
            return no.reason
        return "ok"

    return EngineApi("ok" if version else reason("/version", _version), "ok" if info else reason("/info", _info))
