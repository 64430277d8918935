"""The daemon's configuration: its file, and what flags add to it."""

from __future__ import annotations

import codecs
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dockerdoctor.facts.endpoint import ChosenEndpoint, mask_text, mask_url
from dockerdoctor.facts.engine import DaemonProcess, Unit, Units
from dockerdoctor.host import Host, failure_name
from dockerdoctor.measure import Unmeasured, probe

DEFAULT_PATH = "/etc/docker/daemon.json"
# As the daemon's own decoder knows them (golang.org/x/text, unicode.BOMOverride).
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True, slots=True)
class DaemonJson:
    """The configuration file, passwords in URLs masked; the fixes read the bytes themselves."""

    path: str
    exists: bool
    problem: str = ""  # why it cannot be read: "EACCES", "EISDIR"; "EFBIG" where it is longer than anybody writes
    text: str = ""  # without the byte order mark
    settings: dict[str, Any] | None = None  # the first JSON value, when it is an object
    modified: float = 0.0  # seconds since the epoch
    flags: tuple[str, ...] = ()  # what dockerd is, or would be, started with, without the program itself
    bom: str = ""  # the encoding that a byte order mark announces: "utf-8", "utf-16-le", "utf-16-be"
    bad_byte: int = -1  # offset of the first byte that is no valid UTF-8 (or UTF-16)
    masked: bool = False  # `text` must not be written back: a password is masked in it, or a byte was no text
    absent: tuple[tuple[str, str], ...] = ()  # files that settings name and that do not exist: (key, path)

    @property
    def dns(self) -> tuple[str, ...]:
        """The nameservers that the file, or a flag, gives to containers."""
        listed = (self.settings or {}).get("dns")
        return tuple(str(s).strip() for s in listed) if isinstance(listed, list) else flag_values(self.flags, "dns")


@dataclass(frozen=True, slots=True)
class Flag:
    """One argument that dockerd will be started with, and the place where it is given."""

    name: str  # "--dns", "-H"
    value: str  # passwords masked
    source: str  # "/lib/systemd/system/docker.service", "DOCKER_OPTS in /etc/default/docker", "arguments of process 7"
    line: int = 0  # in the source, 0 where it has none


@dataclass(frozen=True, slots=True)
class StartFlags:
    """The flags of the next start: those of the unit as systemd has it loaded, else those of the running process."""

    flags: tuple[Flag, ...]
    unit: bool  # they come from docker.service

    @property
    def words(self) -> tuple[str, ...]:
        """The flags as arguments."""
        return tuple(word for flag in self.flags for word in ((flag.name, flag.value) if flag.value else (flag.name,)))

    def last(self, *names: str) -> str:
        """The value of a flag that is given once: the last one counts; empty when it is not there."""
        return next((flag.value for flag in reversed(self.flags) if flag.name in names), "")


def flag_values(arguments: tuple[str, ...], name: str) -> tuple[str, ...]:
    """Every value of a long flag, in both spellings ("--dns 1.1.1.1", "--dns=1.1.1.1")."""
    found = []
    for n, argument in enumerate(arguments):
        key, equals, value = argument.partition("=")
        if key == f"--{name}":
            found.append(value if equals else (arguments[n + 1] if n + 1 < len(arguments) else ""))
    return tuple(found)


def expand(command: str, environment: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Expand a command line as systemd does (systemd.service(5)): (word, the variable that it came from or "")."""
    words: list[tuple[str, str]] = []
    for word in command.split():
        if alone := re.fullmatch(r"\$(\w+)", word):  # a word of its own may become none or many
            value = environment.get(alone.group(1), "")
            try:
                parts = shlex.split(value)
            except ValueError:
                parts = value.split()
            words += [(part, alone.group(1)) for part in parts]
        else:
            names = re.findall(r"\$\{(\w+)\}", word)
            filled = re.sub(r"\$\{(\w+)\}", lambda m: environment.get(m.group(1), ""), word)
            words.append((filled, names[0] if names else ""))
    return tuple(words)


# Flags that take no value: after one of them the next word is a flag of its own.
SWITCHES = frozenset(
    [
        "cri-containerd",
        "debug",
        "experimental",
        "help",
        "icc",
        "init",
        "ip-forward",
        "ip-forward-no-drop",
        "ip-masq",
        "ip6tables",
        "iptables",
        "ipv6",
        "live-restore",
        "no-new-privileges",
        "raw-logs",
        "rootless",
        "selinux-enabled",
        "tls",
        "tlsverify",
        "userland-proxy",
        "version",
        "validate",
        "allow-direct-routing",
        "D",
        "v",
        "restart",
    ]
)


def parse_flags(words: Iterable[tuple[str, str]]) -> tuple[tuple[str, str, str], ...]:
    """Take arguments apart: (name, value, origin); both spellings, and letters with their value attached ("-Hfd://")."""
    found: list[tuple[str, str, str]] = []
    queue = list(words)
    while queue:
        word, origin = queue.pop(0)
        if word.startswith("--") and len(word) > 2:
            name, equals, value = word.partition("=")
        elif word.startswith("-") and len(word) > 1:
            name, value = word[:2], word[2:].removeprefix("=")
            equals = value
            if name[1:] in SWITCHES and value:  # letters may share a dash: "-DHfd://"
                queue.insert(0, (f"-{value}", origin))
                equals = value = ""
        else:
            continue
        if not equals and name.lstrip("-") not in SWITCHES and queue and not queue[0][0].startswith("--"):
            value = queue.pop(0)[0]
        found.append((name, value, origin))
    return tuple(found)


@probe()
def start_flags(host: Host, endpoint: ChosenEndpoint, process: DaemonProcess, units: Units | None) -> StartFlags:
    """Fill the unit's command line in with its environment, as systemd will."""
    if not endpoint.local:
        raise Unmeasured("the engine is on another host", skipped=True)
    # A user's own engine has a unit of the user's manager, which is not asked.
    unit = units.docker if units and not rootless(host, endpoint) else None
    if unit and unit.exec_start and (not process.pid or unit.active in {"active", "activating", "reloading"}):
        command = unit.exec_start[-1]
        environment, sources = _unit_environment(host, unit)
        found = parse_flags(expand(command, environment)[1:])
        files = (unit.fragment, *unit.drop_ins)
        return StartFlags(tuple(_placed(host, flag, files, sources) for flag in found), unit=True)
    arguments = parse_flags((word, "") for word in process.arguments[1:])
    source = f"arguments of process {process.pid}"
    return StartFlags(tuple(Flag(name, mask_url(value), source) for name, value, _ in arguments), unit=False)


def _unit_environment(host: Host, unit: Unit) -> tuple[dict[str, str], dict[str, str]]:
    """Read what the unit's command line can refer to, and the file that each variable comes from."""
    variables = dict(unit.referred)
    sources: dict[str, str] = {}
    for path in unit.environment_files:
        for line in host.text(path).splitlines():
            name, equals, value = line.strip().partition("=")
            if equals and not name.startswith(("#", ";")):
                variables[name.strip()], sources[name.strip()] = " ".join(_words(value)), path
    return variables, sources


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _placed(host: Host, flag: tuple[str, str, str], files: tuple[str, ...], sources: Mapping[str, str]) -> Flag:
    """Find the file and the line that give a flag: the last ExecStart= of the unit's files, or a variable's file."""
    name, value, variable = flag
    if variable and sources.get(variable):
        path = sources[variable]
        lines = [
            n for n, line in enumerate(host.text(path).splitlines(), 1) if line.lstrip().startswith(f"{variable}=")
        ]
        return Flag(name, mask_url(value), path, lines[-1] if lines else 0)
    wanted = "Environment=" if variable else "ExecStart="
    for path in reversed(files):
        for n, line in reversed(list(enumerate(host.text(path).splitlines(), 1))):
            if line.startswith(wanted) and line != wanted and (not variable or f"{variable}=" in line):
                return Flag(name, mask_url(value), path, n)
    return Flag(name, mask_url(value), "docker.service")


def decode(raw: bytes) -> tuple[str, str, int]:
    """Decode as newer engines do: (text, the encoding of a byte order mark or "", offset of the first bad byte or -1)."""
    for mark, encoding in BYTE_ORDER_MARKS:
        if raw.startswith(mark):
            bom, body = encoding, raw[len(mark) :]
            break
    else:
        bom, body = "", raw
    try:
        return body.decode(bom or "utf-8"), bom, -1
    except UnicodeDecodeError as no:
        return body.decode(bom or "utf-8", "replace"), bom, no.start  # as Go does inside a string


# Keys whose value is the path of a file.
PATHS = ("seccomp-profile", "tlscacert", "tlscert", "tlskey")


def rootless(host: Host, endpoint: ChosenEndpoint) -> bool:
    """Whether the engine is a user's own, with files of its own."""
    return endpoint.socket_path.startswith((host.env.get("XDG_RUNTIME_DIR") or "/run/user/", "/run/user/"))


def default_path(host: Host, endpoint: ChosenEndpoint) -> str:
    """The file that dockerd reads when no flag names one."""
    if not rootless(host, endpoint):
        return DEFAULT_PATH
    return f"{host.env.get('XDG_CONFIG_HOME') or f'{host.home}/.config'}/docker/daemon.json"


def absent_files(host: Host, settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Look for the files that settings name; a runtime may be a command of the PATH too."""
    for key in PATHS:
        path = settings.get(key)
        if isinstance(path, str) and path.startswith("/") and not host.exists(path):
            yield key, path
    runtimes = settings.get("runtimes")
    for name, runtime in runtimes.items() if isinstance(runtimes, dict) else ():
        path = runtime.get("path") if isinstance(runtime, dict) else None
        if isinstance(path, str) and path and not (host.exists(path) if "/" in path else host.which(path)):
            yield f"runtimes.{name}", path


# Its mistakes are looked for character by character; what people write has a tenth of this.
LOOKED_THROUGH = 64 << 10


def _settings(text: str) -> dict[str, Any] | None:
    try:
        first, _ = json.JSONDecoder().raw_decode(text.lstrip(" \t\r\n"))
    except (ValueError, RecursionError):
        return None
    return first if isinstance(first, dict) else None


@probe()
def daemon_json(host: Host, endpoint: ChosenEndpoint, process: DaemonProcess, start: StartFlags) -> DaemonJson:
    """Read the file that the running daemon, or else its unit, was told to use."""
    if not endpoint.local:
        raise Unmeasured("the engine is on another host", skipped=True)
    flags = process.arguments[1:] if process.pid else start.words
    path = (flag_values(flags, "config-file") or (default_path(host, endpoint),))[-1]
    try:
        raw = host.read_bytes(path)
    except FileNotFoundError:
        return DaemonJson(path, exists=False, flags=flags)
    except OSError as no:
        return DaemonJson(path, exists=True, problem=failure_name(no), flags=flags)
    plain, bom, bad_byte = decode(raw)
    if len(raw) > LOOKED_THROUGH:
        return DaemonJson(path, exists=True, problem="EFBIG", settings=_settings(plain), flags=flags)
    text = mask_text(plain)
    settings = _settings(text)
    return DaemonJson(
        path,
        exists=True,
        text=text,
        settings=settings,
        modified=host.path(path).stat().st_mtime,
        flags=flags,
        bom=bom,
        bad_byte=bad_byte,
        masked=text != plain or bad_byte >= 0,
        absent=tuple(absent_files(host, settings or {})),
    )
