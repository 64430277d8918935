"""Where proxies are set, read with their passwords: for asking only, nothing of this is kept."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
from collections.abc import Iterator, Mapping

from dockerdoctor.facts.daemon_json import DaemonJson, flag_values
from dockerdoctor.facts.endpoint import ChosenEndpoint, ClientConfig, mask_url
from dockerdoctor.facts.engine import PROXY_VARIABLES, DaemonProcess, EngineInfo, Units
from dockerdoctor.facts.proxy import CLIENT_KEYS, Setting, UnitSetting
from dockerdoctor.host import Host

UNIT_FOLDERS = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
)
# Files that init systems other than systemd read, and people edit all the same.
OLD_FILES = ("/etc/default/docker", "/etc/sysconfig/docker")
NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


def proxy_variables(env: Mapping[str, str]) -> dict[str, str]:
    """The proxy variables of an environment, as they are."""
    return {k: v for k, v in env.items() if k.lower() in PROXY_VARIABLES}


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
        if info and bare_address(has) != bare_address(told[name]):
            env.pop(name.lower(), None)
            env[name] = _configured(host, config, name, told[name], process.pid if process else 0)
            in_file = config and env[name] != told[name] and HIDDEN not in told[name]
            source = config.path if config and in_file else "GET /info"
    return {k: v for k, v in env.items() if v}, source


def bare_address(value: str) -> str:
    """A proxy without its scheme and its user."""
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
    same = [v for v in values if v and bare_address(v) == bare_address(told)]
    return same[-1] if same else re.sub(rf"{HIDDEN}:[^@]*@", "", told)


# What GET /info shows in place of a user name and a password.
HIDDEN = "xxxxx"


def hidden_secrets(info: EngineInfo | None, env: Mapping[str, str]) -> frozenset[str]:
    """Proxies in force whose password is not known to us: that they refuse us says nothing."""
    told = [t for t in (info.http_proxy, info.https_proxy) if HIDDEN in t] if info else []
    return frozenset(v for v in env.values() if "@" not in v and any(bare_address(t) == bare_address(v) for t in told))


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
            if equals and name.lower() in PROXY_VARIABLES:
                said, lone = _percent(raw)
                why = ignored or ("" if section == "Service" else f"it stands {_place(section)}, not under [Service]")
                yield UnitSetting(path, n, name, mask_url(said), why, lone), said


def _place(section: str) -> str:
    return f"under [{section}]" if section else "before any section"


def _environment_file(path: str, text: str, ignored: str) -> Iterator[tuple[UnitSetting, str]]:
    for n, key, value in assignments(text):
        exported = key.startswith("export ")
        name = key.removeprefix("export ").strip()
        if name.lower() in PROXY_VARIABLES:
            why = ignored or ("systemd does not know “export”" if exported else "")
            yield UnitSetting(path, n, name, mask_url(value), why), value


# A value in quotes may go on over lines, and what follows a closing quote belongs to it (systemd, env-file.c).
ASSIGNMENT = re.compile(
    r"""^[ \t]*(?P<key>[^\n#;=][^\n=]*?)[ \t]*=[ \t]*(?P<value>(?:"(?:[^"\\]|\\.)*(?:"|\Z)|'[^']*(?:'|\Z))*[^\n]*)""",
    re.MULTILINE | re.DOTALL,
)
QUOTED = re.compile(r"""(?:"((?:[^"\\]|\\.)*)(?:"|\Z)|'([^']*)(?:'|\Z))""", re.DOTALL)


def assignments(text: str) -> Iterator[tuple[int, str, str]]:
    """The lines of an EnvironmentFile= as systemd reads them: number, name, value without its outer quotes."""
    for match in ASSIGNMENT.finditer(text):
        rest, value = match["value"], ""
        while quoted := QUOTED.match(rest):
            value += quoted[1] if quoted[1] is not None else quoted[2]
            rest = rest[quoted.end() :]
        yield text.count("\n", 0, match.start("key")) + 1, match["key"], value + rest.rstrip()


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
            if name.lower() in PROXY_VARIABLES and "$" not in value
        ]
    return tuple(found)
