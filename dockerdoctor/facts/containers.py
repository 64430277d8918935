"""The containers and networks of this engine, read in one pass over its API."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import Any

from dockerdoctor.facts.container_details import Details, details
from dockerdoctor.facts.daemon_json import rootless
from dockerdoctor.facts.endpoint import ChosenEndpoint, DaemonPing, mask_arguments, mask_url, mask_words
from dockerdoctor.facts.engine import DaemonProcess, ask, ask_list
from dockerdoctor.host import Host
from dockerdoctor.measure import Unmeasured, probe

# Everything the doctor starts carries this label, so that whatever a kill leaves behind can be found and removed.
LABEL = "io.dockerdoctor.probe"
# The list is one call, and an inspection one more each, of some milliseconds: of a host with thousands of containers those
# are looked at that may be in trouble, then those that run, then the newest of the rest.
MAX_INSPECTED = 200
MAX_AT_REST = 50
SECRET_NAME = re.compile(r"pass|[_.-]pwd|secret|token|key|credential|auth", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PortBinding:
    """One published port."""

    container_port: int
    protocol: str
    host_ip: str
    host_port: int  # 0 where Docker chooses it


@dataclass(frozen=True, slots=True)
class Attachment:
    """One container on one network."""

    network: str
    network_id: str
    ip: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Container:
    """A container, without secrets: values of variables whose names suggest one are masked."""

    id: str
    name: str
    image: str
    state: str  # "running", "exited", "restarting", "paused", "created", "dead"
    status: str  # "Up 3 minutes", "Exited (1) 5 seconds ago"
    labels: tuple[tuple[str, str], ...] = ()
    ports: tuple[PortBinding, ...] = ()
    networks: tuple[Attachment, ...] = ()
    network_mode: str = ""  # "default", "bridge", "host", "none", "container:ID", or a network's name
    # The rest is known for inspected containers only.
    inspected: bool = False
    pid: int = 0
    started: str = ""
    exit_code: int = 0
    oom_killed: bool = False
    error: str = ""
    restart_policy: str = ""
    restart_count: int = 0
    command: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    dns: tuple[str, ...] = ()  # --dns
    exposed: tuple[str, ...] = ()  # "80/tcp"
    links: tuple[str, ...] = ()
    extra_hosts: tuple[str, ...] = ()
    wanted_ports: tuple[PortBinding, ...] = ()  # HostConfig.PortBindings: what it asks for, running or not
    log_driver: str = ""
    resolv_conf_path: str = ""  # Docker's own copy, which the container cannot turn into a link to elsewhere
    runtime: str = ""  # "runc", "nvidia"; one with a network stack of its own is "runsc"
    created: str = ""
    finished: str = ""  # when it last ended
    details: Details | None = None

    @property
    def running(self) -> bool:
        """Whether its process runs now."""
        return self.state == "running"

    @property
    def short_id(self) -> str:
        """As `docker ps` shows it."""
        return self.id[:12]


@dataclass(frozen=True, slots=True)
class Containers:
    """Every container but the doctor's own."""

    all: tuple[Container, ...]

    @property
    def running(self) -> tuple[Container, ...]:
        """Those whose process runs now."""
        return tuple(c for c in self.all if c.running)


@dataclass(frozen=True, slots=True)
class Network:
    """A Docker network."""

    id: str
    name: str
    driver: str
    internal: bool
    ipv6: bool
    subnets: tuple[str, ...]  # CIDR
    gateways: tuple[str, ...]
    options: tuple[tuple[str, str], ...]
    labels: tuple[tuple[str, str], ...]

    @property
    def bridge(self) -> str:
        """Name of the Linux bridge; empty for other drivers."""
        if self.driver != "bridge":
            return ""
        return dict(self.options).get("com.docker.network.bridge.name") or f"br-{self.id[:12]}"


@dataclass(frozen=True, slots=True)
class Networks:
    """Every network but the doctor's own."""

    all: tuple[Network, ...]
    elsewhere: str = ""  # why their bridges, routes and rules are not among this host's own; empty when they are

    @property
    def bridges(self) -> tuple[Network, ...]:
        """Those of the bridge driver."""
        return tuple(n for n in self.all if n.driver == "bridge")

    @property
    def not_here(self) -> str:
        """Why this host need have no bridge of Docker's; empty when it must."""
        return self.elsewhere or ("" if self.bridges else "no network of the bridge driver")


def mask_env(name: str, value: str) -> str:
    """Hide what may be a secret: by the variable's name, and passwords in URLs whatever the name."""
    return "***" if value and SECRET_NAME.search(name) else mask_url(mask_words(value))


def _labels(table: Any) -> tuple[tuple[str, str], ...]:
    """Labels hold secrets as variables do: those of a reverse proxy, its users' passwords."""
    return tuple(sorted((name, mask_env(name, value)) for name, value in (table or {}).items()))


def _number(port: Any) -> int:
    """A wanted port may be a range ("8000-8010") or empty: any will do, as 0 says."""
    return int(port) if str(port).isdigit() else 0


def _bindings(table: Any) -> tuple[PortBinding, ...]:
    found: list[PortBinding] = []
    for key, hosts in (table or {}).items():
        port, _, protocol = str(key).partition("/")
        found.extend(
            PortBinding(int(port), protocol or "tcp", b.get("HostIp") or "", _number(b.get("HostPort")))
            for b in hosts or ()
        )
    return tuple(found)


def _attachments(table: Any) -> tuple[Attachment, ...]:
    return tuple(
        Attachment(name, str(n.get("NetworkID") or ""), str(n.get("IPAddress") or ""), tuple(n.get("Aliases") or ()))
        for name, n in (table or {}).items()
    )


def command_of(data: dict[str, Any]) -> tuple[str, ...]:
    """What a container runs, passwords and all; of an inspection."""
    return (str(data.get("Path") or ""), *(data.get("Args") or ()))


def _inspected(data: dict[str, Any], status: str) -> Container:
    state, config, hostc = data.get("State") or {}, data.get("Config") or {}, data.get("HostConfig") or {}
    network = data.get("NetworkSettings") or {}
    env = tuple(
        (name, mask_env(name, value)) for name, _, value in (item.partition("=") for item in config.get("Env") or ())
    )
    return Container(
        str(data.get("Id")),
        str(data.get("Name") or "").lstrip("/"),
        str(config.get("Image") or ""),
        str(state.get("Status") or ""),
        status,
        _labels(config.get("Labels")),
        _bindings(network.get("Ports")),
        _attachments(network.get("Networks")),
        str(hostc.get("NetworkMode") or ""),
        inspected=True,
        pid=int(state.get("Pid") or 0),
        started=str(state.get("StartedAt") or ""),
        exit_code=int(state.get("ExitCode") or 0),
        oom_killed=bool(state.get("OOMKilled")),
        error=str(state.get("Error") or ""),
        restart_policy=str((hostc.get("RestartPolicy") or {}).get("Name") or ""),
        restart_count=int(data.get("RestartCount") or 0),
        command=mask_arguments(command_of(data)),
        env=env,
        dns=tuple(hostc.get("Dns") or ()),
        exposed=tuple(config.get("ExposedPorts") or ()),
        links=tuple(hostc.get("Links") or ()),
        extra_hosts=tuple(hostc.get("ExtraHosts") or ()),
        wanted_ports=_bindings(hostc.get("PortBindings")),
        log_driver=str((hostc.get("LogConfig") or {}).get("Type") or ""),
        resolv_conf_path=str(data.get("ResolvConfPath") or ""),
        runtime=str(hostc.get("Runtime") or ""),
        created=str(data.get("Created") or ""),
        finished=str(state.get("FinishedAt") or ""),
        details=details(data),
    )


def _listed(data: dict[str, Any]) -> Container:
    ports = tuple(
        PortBinding(int(p["PrivatePort"]), p.get("Type") or "tcp", p.get("IP") or "", int(p["PublicPort"]))
        for p in data.get("Ports") or ()
        if p.get("PublicPort")
    )
    return Container(
        str(data.get("Id")),
        str((data.get("Names") or ["/"])[0]).lstrip("/"),
        str(data.get("Image") or ""),
        str(data.get("State") or ""),
        str(data.get("Status") or ""),
        _labels(data.get("Labels")),
        ports,
        _attachments((data.get("NetworkSettings") or {}).get("Networks")),
        str((data.get("HostConfig") or {}).get("NetworkMode") or ""),
    )


def worth_a_look(listed: list[Container]) -> frozenset[str]:
    """Choose whom to inspect: who is in trouble, who runs, and of those at rest the newest, the failed ones first."""

    def rank(container: Container) -> int:
        if container.state in {"restarting", "dead"} or "(unhealthy)" in container.status:
            return 0
        if container.state not in {"exited", "created"}:
            return 1
        return 3 if container.status.startswith("Exited (0)") else 2

    ordered = sorted(listed, key=rank)  # the engine lists the newest first, and a sort keeps that
    active = [c.id for c in ordered if rank(c) < 2]
    at_rest = [c.id for c in ordered if rank(c) >= 2]
    return frozenset([*active, *at_rest[:MAX_AT_REST]][:MAX_INSPECTED])


# Inspecting 200 containers takes about a second on a slow machine.
@probe(deadline=8, upstream=("engine.reachable", "engine.responsive"))
def containers(host: Host, endpoint: ChosenEndpoint, ping: DaemonPing) -> Containers:
    """List all containers, inspect those that may tell something: the running and the recently failed."""
    answer = ask_list(host, endpoint, ping, "/containers/json?all=1")
    listed = [_listed(data) for data in answer if LABEL not in (data.get("Labels") or {})]
    chosen = worth_a_look(listed)
    found: list[Container] = []
    for one in listed:
        container = one
        if container.id in chosen:
            # Gone between the list and the look: what the list said of it stands.
            with contextlib.suppress(Unmeasured):
                container = _inspected(ask(host, endpoint, ping, f"/containers/{container.id}/json"), container.status)
        found.append(container)
    return Containers(tuple(found))


def _elsewhere(host: Host, endpoint: ChosenEndpoint, process: DaemonProcess | None) -> str:
    """A local socket may lead to an engine that has its networks in another namespace, or in another machine."""
    if rootless(host, endpoint):
        return "a rootless engine keeps its networks in a namespace of its own"
    if "/.docker/desktop/" in endpoint.socket_path:
        return "Docker Desktop keeps its networks in a machine of its own"
    if process and not process.pid:
        # The doctor in a container that is given docker.sock; Docker Desktop's socket in WSL.
        return "dockerd is not among this host's processes: its networks are another machine's"
    return ""


@probe(deadline=5, upstream=("engine.reachable", "engine.responsive"))
def networks(host: Host, endpoint: ChosenEndpoint, ping: DaemonPing, process: DaemonProcess | None) -> Networks:
    """List all networks with their subnets and options."""
    found = []
    for data in ask_list(host, endpoint, ping, "/networks"):
        if LABEL in (data.get("Labels") or {}):
            continue
        pools = (data.get("IPAM") or {}).get("Config") or ()
        found.append(
            Network(
                str(data.get("Id")),
                str(data.get("Name")),
                str(data.get("Driver")),
                bool(data.get("Internal")),
                bool(data.get("EnableIPv6")),
                tuple(p["Subnet"] for p in pools if p.get("Subnet")),
                tuple(p["Gateway"].split("/")[0] for p in pools if p.get("Gateway")),
                tuple(sorted((data.get("Options") or {}).items())),
                tuple(sorted((data.get("Labels") or {}).items())),
            )
        )
    return Networks(tuple(found), _elsewhere(host, endpoint, process))
