"""Proxies: what each place sets, what is really in force, and whether each of them answers from where it is used."""

from __future__ import annotations

from dataclasses import dataclass

from dockerdoctor.web import Attempt, is_loopback_host

CLIENT_KEYS = {
    "httpProxy": "HTTP_PROXY",
    "httpsProxy": "HTTPS_PROXY",
    "noProxy": "NO_PROXY",
    "allProxy": "ALL_PROXY",  # by clients since 23.0; 20.10's passes over it
}


@dataclass(frozen=True, slots=True)
class Setting:
    """One proxy variable as one place sets it, without its password."""

    name: str  # as it is spelt there: "HTTPS_PROXY", "http_proxy", "httpProxy"
    value: str
    source: str  # "environment of alice", "/root/.docker/config.json", "/etc/environment:3"

    @property
    def kind(self) -> str:
        """The variable whatever its spelling: "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"."""
        return CLIENT_KEYS.get(self.name, self.name.upper())


@dataclass(frozen=True, slots=True)
class UnitSetting:
    """One proxy variable that a file sets for the daemon, whether anybody reads that file or not."""

    path: str
    line: int
    name: str
    value: str  # masked; "%%" already read as "%"
    ignored: str = ""  # why systemd does not read it
    lone_percent: bool = False  # a "%" that systemd takes for a specifier
    in_force: bool | None = None  # whether the running daemon has just this; None: it could not be seen

    @property
    def source(self) -> str:
        """File and line."""
        return f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """Every place that sets a proxy, side by side; passwords masked."""

    shell: tuple[Setting, ...] = ()  # of the user who runs the doctor
    host: tuple[Setting, ...] = ()  # /etc/environment, apt's configuration: what else knows a proxy here
    daemon: tuple[Setting, ...] = ()  # in force in the running daemon
    daemon_seen: bool = False  # False when neither the engine nor its process told
    unit: tuple[UnitSetting, ...] = ()
    client: tuple[Setting, ...] = ()  # config.json: what the client puts into containers and builds
    dockerfile: tuple[Setting, ...] = ()  # ENV and ARG of ./Dockerfile
    containers: tuple[Setting, ...] = ()  # of running containers, where config.json does not say the same

    def effective(self, settings: tuple[Setting, ...]) -> dict[str, Setting]:
        """What Go programs use of them: upper case before lower."""
        found: dict[str, Setting] = {}
        for setting in sorted(settings, key=lambda s: s.name.isupper()):
            if setting.value:
                found[setting.kind] = setting
        return found

    @property
    def in_daemon(self) -> dict[str, Setting]:
        """What the daemon uses, by variable: ALL_PROXY is none of them (20.10, 26.1 and 28.5 pass over it)."""
        return self.effective(tuple(s for s in self.daemon if s.kind != "ALL_PROXY"))

    @property
    def inside(self) -> tuple[Setting, ...]:
        """What is set for programs in containers and builds, but for NO_PROXY."""
        return tuple(s for s in (*self.client, *self.dockerfile, *self.containers) if s.kind != "NO_PROXY")

    def daemon_source(self, kind: str) -> UnitSetting | None:
        """The line that gives the daemon a variable."""
        return next((u for u in reversed(self.unit) if u.name.upper() == kind and u.in_force and not u.ignored), None)


@dataclass(frozen=True, slots=True)
class Trial:
    """One proxy, asked from the host for a tunnel to Docker Hub; any HTTP answer shows that it is a proxy."""

    value: str  # as set, masked
    problem: str = ""  # why it is no proxy URL
    scheme: str = ""
    has_scheme: bool = True
    host: str = ""
    port: int = 0
    asked: Attempt | None = None  # as set
    plainly: Attempt | None = None  # over plain HTTP, where it is set with https:// and failed
    credentials: bool = False  # whether it was asked with a user name
    secret_hidden: bool = False  # it has a password that could not be read, so that 407 says nothing
    speaks: bool | None = None  # where it accepted a question and kept silent: whether it answers any HTTP at all
    at_gateway: str = ""  # for loopback ones: what a connection to the bridge's gateway came to: "172.17.0.1:3128 ok"

    @property
    def loopback(self) -> bool:
        """Whether a container takes it for itself."""
        return is_loopback_host(self.host)

    @property
    def dead(self) -> bool:
        """Whether nothing accepts a connection there."""
        asked = self.asked
        return (
            bool(asked and asked.layer == "proxy" and not asked.status and asked.outcome != "silent")
            and not self.not_tls
        )

    @property
    def mute(self) -> bool:
        """Whether something accepts connections there that is no proxy: a proxy answers a bad question at once."""
        return self.speaks is False

    @property
    def not_tls(self) -> bool:
        """Whether it was asked over TLS and speaks plain HTTP."""
        return bool(self.plainly and self.plainly.status)

    @property
    def denied(self) -> bool:
        """Whether it wants a (different) user name and password."""
        return (
            bool(self.asked and self.asked.layer == "proxy" and self.asked.status in {401, 407})
            and not self.secret_hidden
        )


@dataclass(frozen=True, slots=True)
class ProxyTrials:
    """Every proxy that the daemon or its containers are told to use, tried once."""

    all: tuple[Trial, ...] = ()

    def of(self, value: str) -> Trial | None:
        """The trial of one setting."""
        return next((t for t in self.all if t.value == value), None)
