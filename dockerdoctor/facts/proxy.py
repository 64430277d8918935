"""Proxies: what each place sets, what is really in force, and whether each of them answers from where it is used."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from dockerdoctor.facts.containers import Networks
from dockerdoctor.facts.daemon_json import DaemonJson, flag_values
from dockerdoctor.facts.endpoint import ChosenEndpoint, ClientConfig, mask_url
from dockerdoctor.facts.engine import PROXY_VARIABLES, DaemonProcess, EngineInfo, Units
from dockerdoctor.host import Host
from dockerdoctor.measure import Unmeasured, probe
from dockerdoctor.web import HUB, PATIENCE, Attempt, Proxy, ask, at_once, is_loopback_host, parse_proxy

UNIT_FOLDERS = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
)
# Files that init systems other than systemd read, and people edit all the same.
OLD_FILES = ("/etc/default/docker", "/etc/sysconfig/docker")
NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
CLIENT_KEYS = {"httpProxy": "HTTP_PROXY", "httpsProxy": "HTTPS_PROXY", "noProxy": "NO_PROXY"}


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

    def effective(self, settings: tuple[Setting, ...]) -> dict[str, Setting]:
        """What Go programs use of them: upper case before lower."""
        found: dict[str, Setting] = {}
        for setting in sorted(settings, key=lambda s: s.name.isupper()):
            if setting.value:
                found[setting.kind] = setting
        return found

    @property
    def in_daemon(self) -> dict[str, Setting]:
        """What the daemon uses, by variable."""
        return self.effective(self.daemon)

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


# -- reading, passwords included; nothing of this is kept ---------------------------------------------------------


def proxy_variables(env: Mapping[str, str]) -> dict[str, str]:
    """The proxy variables of an environment, as they are."""
    return {k: v for k, v in env.items() if k.lower() in PROXY_VARIABLES and k.lower() != "all_proxy"}


def raw_daemon(
    host: Host, process: DaemonProcess | None, info: EngineInfo | None, config: DaemonJson | None
) -> tuple[dict[str, str], str]:
    """
    The running daemon's proxy variables with their passwords as far as they can be read, and where from.

    daemon.json's "proxies" and the flags (Engine 23 and newer) override the environment; GET /info shows what came of
    it, with "xxxxx" for user names and passwords.
    """
    told = dict(zip(NAMES, (info.http_proxy, info.https_proxy, info.no_proxy), strict=True)) if info else {}
    env: dict[str, str] = {}
    source = "GET /info"
    if process and process.environment_read:
        raw = host.text(f"/proc/{process.pid}/environ")
        env = proxy_variables(dict(item.partition("=")[::2] for item in raw.split("\0") if "=" in item))
        source = f"/proc/{process.pid}/environ"
    for name in NAMES:
        has = env.get(name) or env.get(name.lower()) or ""
        if info and _address(has) != _address(told[name]):
            env.pop(name.lower(), None)
            env[name] = _configured(host, config, name, told[name], process.pid if process else 0)
            in_file = config and env[name] != told[name] and HIDDEN not in told[name]
            source = config.path if config and in_file else "GET /info"
    return {k: v for k, v in env.items() if v}, source


def _address(value: str) -> str:
    return value.rpartition("://")[2].rpartition("@")[2].strip("/")


def _configured(host: Host, config: DaemonJson | None, name: str, told: str, pid: int) -> str:
    """What a file or a flag says, if it is what the engine reports; else that, without the user that it hides."""
    key = name.lower().replace("_", "-")
    values: list[str] = []
    if config:
        # Not those of the fact: they are masked.
        values = list(flag_values(host.cmdline(pid) if pid else (), key))
        with contextlib.suppress(OSError, ValueError, AttributeError):
            values.insert(0, str((json.loads(host.read(config.path)).get("proxies") or {}).get(key, "")))
    if HIDDEN in told:
        values += [raw for unit, raw in raw_units(host, None) if unit.name.upper() == name and not unit.ignored]
    same = [v for v in values if v and _address(v) == _address(told)]
    return same[-1] if same else re.sub(rf"{HIDDEN}:[^@]*@", "", told)


# What GET /info shows in place of a user name and a password.
HIDDEN = "xxxxx"


def hidden_secrets(info: EngineInfo | None, env: Mapping[str, str]) -> frozenset[str]:
    """Proxies in force whose password is not known to us: that they refuse us says nothing."""
    told = [t for t in (info.http_proxy, info.https_proxy) if HIDDEN in t] if info else []
    return frozenset(v for v in env.values() if "@" not in v and any(_address(t) == _address(v) for t in told))


def raw_client(host: Host, client: ClientConfig | None, endpoint: ChosenEndpoint) -> dict[str, str]:
    """The proxies that the client puts into containers: those of this engine's address, or else the default ones."""
    if client is None or client.problem or not client.exists:
        return {}
    try:
        table = json.loads(host.read(client.path)).get("proxies") or {}
        chosen = table.get(endpoint.url) or table.get("default") or {}
        return {k: v for k, v in chosen.items() if k in CLIENT_KEYS and isinstance(v, str) and v}
    except (OSError, ValueError, AttributeError):
        return {}


def raw_known(host: Host) -> list[tuple[str, str, str]]:
    """Proxies that this host knows and the daemon may not: (variable, value, source), the shell's first."""
    found = [(k, v, f"environment of {host.user}") for k, v in sorted(proxy_variables(host.env).items())]
    for n, line in enumerate(host.text("/etc/environment").splitlines(), 1):
        name, equals, value = line.removeprefix("export ").strip().partition("=")
        if equals and name.lower() in PROXY_VARIABLES:
            found.append((name, value.strip("\"' "), f"/etc/environment:{n}"))
    apt = ["/etc/apt/apt.conf", *(f"/etc/apt/apt.conf.d/{f}" for f in host.listdir("/etc/apt/apt.conf.d"))]
    for path in apt:
        for n, line in enumerate(host.text(path).splitlines(), 1):
            match = re.match(r"\s*Acquire::(https?)::Proxy\s+\"([^\"]+)\"", line, re.IGNORECASE)
            if match and match[2].upper() != "DIRECT":
                found.append((f"{match[1].upper()}_PROXY", match[2], f"{path}:{n}"))
    return [item for item in found if item[1]]


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def unit_lines(text: str) -> Iterator[tuple[int, str, str]]:
    """The assignments of a unit file: line number, section, and "Key=value" with continued lines joined."""
    section, pending, began = "", "", 0
    for n, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if not pending and (not bare or bare[0] in "#;"):
            continue
        if pending and bare[:1] in {"#", ";"}:
            continue
        began = began if pending else n
        pending += bare
        if pending.endswith("\\"):
            pending = pending[:-1] + " "
            continue
        if pending.startswith("["):
            section = pending.strip("[]")
        elif "=" in pending:
            yield began, section, pending
        pending = ""


def _percent(value: str) -> tuple[str, bool]:
    """What systemd makes of a value's percent signs, and whether there is one that it takes for a specifier."""
    lone = re.search(r"%[0-9A-Fa-f]{2}", value.replace("%%", "")) is not None
    return value.replace("%%", "%"), lone


def _environment(path: str, text: str, ignored: str) -> Iterator[tuple[UnitSetting, str]]:
    """The proxy variables that one unit file sets, each with its raw value."""
    for n, section, line in unit_lines(text):
        key, _, value = line.partition("=")
        if key.strip() != "Environment":
            continue
        for word in _words(value):
            name, equals, raw = word.partition("=")
            if equals and name.lower() in PROXY_VARIABLES and name.lower() != "all_proxy":
                said, lone = _percent(raw)
                why = ignored or ("" if section == "Service" else f"it stands {_place(section)}, not under [Service]")
                yield UnitSetting(path, n, name, mask_url(said), why, lone), said


def _place(section: str) -> str:
    return f"under [{section}]" if section else "before any section"


def _environment_file(path: str, text: str, ignored: str) -> Iterator[tuple[UnitSetting, str]]:
    for n, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        exported = bare.startswith("export ")
        name, equals, value = bare.removeprefix("export ").strip().partition("=")
        if not equals or bare.startswith("#") or name.lower() not in PROXY_VARIABLES or name.lower() == "all_proxy":
            continue
        value = value.strip().strip("\"'")
        why = ignored or ("systemd does not know “export”" if exported else "")
        yield UnitSetting(path, n, name, mask_url(value), why), value


def raw_units(host: Host, units: Units | None) -> list[tuple[UnitSetting, str]]:
    """
    Every file that sets a proxy for the daemon: the unit, its drop-ins in systemd's order, files that look like ones.

    Later ones override earlier ones, as systemd reads them; those it does not read come first.
    """
    found: list[tuple[UnitSetting, str]] = []
    read: dict[str, str] = {}  # basename → path: a folder of higher rank hides the same name in the others
    for folder in reversed(UNIT_FOLDERS):
        for name in host.listdir(f"{folder}/docker.service.d"):
            path = f"{folder}/docker.service.d/{name}"
            if name.endswith(".conf"):
                read[name] = path
            else:
                found += _environment(path, host.text(path), "systemd reads only files whose names end in .conf")
    for path, why in _strays(host):
        found += _environment(path, host.text(path), why)
    fragment = (units.docker.fragment if units else "") or next(
        (f"{f}/docker.service" for f in UNIT_FOLDERS if host.exists(f"{f}/docker.service")), ""
    )
    paths = [p for p in (fragment, *(read[name] for name in sorted(read))) if p]
    texts = [(p, host.text(p)) for p in paths]
    listed = [
        value.strip().lstrip("-")
        for _, text in texts
        for _, _, line in unit_lines(text)
        for key, _, value in [line.partition("=")]
        if key.strip() == "EnvironmentFile"
    ]
    for path in OLD_FILES:
        if path not in listed:
            found += _environment_file(path, host.text(path), "no unit of Docker's names it as EnvironmentFile=")
    for path, text in texts:
        found += _environment(path, text, "")
    for path in listed:
        found += _environment_file(path, host.text(path), "")
    return found


def _strays(host: Host) -> Iterator[tuple[str, str]]:
    """Drop-ins in folders that systemd does not read for docker.service."""
    known = {"docker.service.d", "docker.socket.d", "docker.service", "docker.socket"}
    for parent in ("/etc/systemd/system", "/etc/systemd", "/etc/system", "/etc/systemd/user"):
        for folder in host.listdir(parent, "*docker*"):
            if parent == "/etc/systemd/system" and folder in known:
                continue
            for name in host.listdir(f"{parent}/{folder}", "*"):
                yield f"{parent}/{folder}/{name}", f"systemd reads no {parent}/{folder} for docker.service"


def dockerfile_settings(text: str) -> tuple[Setting, ...]:
    """The proxy variables that a Dockerfile bakes into the image, if a RUN after them uses them."""
    joined = re.sub(r"\\\s*\n", " ", text)
    found: list[Setting] = []
    last_run = max(
        (n for n, line in enumerate(joined.splitlines()) if re.match(r"\s*RUN\b", line, re.IGNORECASE)), default=-1
    )
    for n, line in enumerate(joined.splitlines()):
        match = re.match(r"\s*ENV\s+(.*)", line, re.IGNORECASE)
        if not match or n > last_run:
            continue
        words = _words(match[1])
        pairs = (
            [w.partition("=")[::2] for w in words]
            if words and "=" in words[0]
            else [(words[0], " ".join(words[1:]))]
            if words
            else []
        )
        number = next((k for k, t in enumerate(text.splitlines(), 1) if t.strip() == line.strip()), 0)
        found += [
            Setting(name, mask_url(value), f"./Dockerfile:{number}")
            for name, value in pairs
            if name.lower() in PROXY_VARIABLES and name.lower() != "all_proxy" and "$" not in value
        ]
    return tuple(found)


# -- probes -----------------------------------------------------------------------------------------------------


@probe(deadline=4)
def proxy_settings(
    host: Host,
    endpoint: ChosenEndpoint,
    client: ClientConfig | None,
    process: DaemonProcess | None,
    units: Units | None,
    info: EngineInfo | None,
    config: DaemonJson | None,
) -> ProxySettings:
    """Read every place; only what is in force comes from the running daemon."""
    daemon, source = raw_daemon(host, process, info, config)
    seen = bool(info) or bool(process and process.environment_read)
    unit = tuple(
        UnitSetting(u.path, u.line, u.name, u.value, u.ignored, u.lone_percent, _in_force(raw, u, daemon, seen=seen))
        for u, raw in raw_units(host, units)
    )
    known = raw_known(host)
    return ProxySettings(
        shell=tuple(Setting(k, mask_url(v), s) for k, v, s in known if s.startswith("environment")),
        host=tuple(Setting(k, mask_url(v), s) for k, v, s in known if not s.startswith("environment")),
        daemon=tuple(Setting(k, mask_url(v), source) for k, v in sorted(daemon.items())),
        daemon_seen=seen,
        unit=unit if endpoint.local else (),
        client=tuple(
            Setting(k, mask_url(v), client.path if client else "")
            for k, v in raw_client(host, client, endpoint).items()
        ),
        dockerfile=dockerfile_settings(host.text(f"{host.cwd}/Dockerfile")) if host.cwd else (),
    )


def _in_force(raw: str, setting: UnitSetting, daemon: Mapping[str, str], *, seen: bool) -> bool | None:
    if not seen:
        return None
    # GET /info does not tell the spelling, nor the password.
    has = daemon.get(setting.name) or daemon.get(setting.name.upper()) or ""
    return has == raw or (_address(has) == _address(raw) and "@" not in has)


# A proxy answers a bad question at once, however slow the servers behind it are.
MANNERS = 1.0  # seconds


@probe(deadline=PATIENCE + MANNERS + 1)
def proxy_trials(
    host: Host,
    endpoint: ChosenEndpoint,
    settings: ProxySettings,
    process: DaemonProcess | None,
    info: EngineInfo | None,
    config: DaemonJson | None,
    client: ClientConfig | None,
    networks: Networks | None,
) -> ProxyTrials:
    """Try each proxy from the host, as it is set; containers try theirs from inside (see `Wanted`)."""
    if not endpoint.local:
        raise Unmeasured("the engine is on another host", skipped=True)
    raw = [v for k, v in raw_daemon(host, process, info, config)[0].items() if k.upper() != "NO_PROXY"]
    raw += [v for k, v in raw_client(host, client, endpoint).items() if k != "noProxy"]
    raw += [s.value for s in settings.dockerfile if s.kind != "NO_PROXY"]
    gateway = next((g for n in (networks.all if networks else ()) if n.name == "bridge" for g in n.gateways), "")
    values = list(dict.fromkeys(raw))
    hidden = hidden_secrets(info, raw_daemon(host, process, info, config)[0])
    tried = at_once([partial(try_proxy, host, v, gateway, hidden=v in hidden) for v in values], PATIENCE + MANNERS)
    return ProxyTrials(
        tuple(
            done or Trial(mask_url(v), asked=Attempt("", mask_url(v), "proxy", "timeout"))
            for v, done in zip(values, tried, strict=True)
        )
    )


def try_proxy(host: Host, value: str, gateway: str = "", *, hidden: bool = False) -> Trial:
    """Ask one proxy for a tunnel."""
    proxy = parse_proxy(value)
    if isinstance(proxy, str):
        return Trial(mask_url(value), problem=proxy)
    target = f"https://{HUB}/v2/"
    asked = ask(target, proxy, patience=PATIENCE - 0.2)
    plainly = None
    if proxy.scheme == "https" and asked.layer == "proxy" and not asked.status:
        plainly = ask(target, Proxy("http", proxy.host, proxy.port, proxy.userinfo), patience=PATIENCE - 0.2)
        if plainly.layer != "proxy":
            plainly = Attempt(plainly.url, plainly.via, "proxy", "ok", 200)
    speaks = None
    if asked.outcome == "silent" and proxy.scheme == "http":
        reply = host.exchange(proxy.host, proxy.port, b"GET / HTTP/1.0\r\n\r\n", MANNERS)
        speaks = isinstance(reply, bytes) and reply.startswith(b"HTTP/")
    at_gateway = ""
    if gateway and is_loopback_host(proxy.host):
        at_gateway = f"{gateway}:{proxy.port} {host.dial(gateway, proxy.port, 1.0).outcome}"
    return Trial(
        mask_url(value),
        "",
        proxy.scheme,
        proxy.has_scheme,
        proxy.host,
        proxy.port,
        asked,
        plainly,
        bool(proxy.userinfo),
        hidden,
        speaks,
        at_gateway,
    )
