"""Which engine the client would talk to and why, and whether anything answers there."""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
import stat as stat_
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from dockerdoctor import jsontext
from dockerdoctor.facts.preferences import Preferences
from dockerdoctor.host import Host, failure_name
from dockerdoctor.measure import probe

DEFAULT_SOCKET = "/var/run/docker.sock"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the caller asked for; given, never measured."""

    host: str = ""  # --host, without the user and password that nobody needs there
    context: str = ""  # --context
    preferences: Preferences = field(default=Preferences())
    host_in_file: str = ""  # of the configuration file, for which environment variables go before it
    context_in_file: str = ""

    def __post_init__(self) -> None:
        """Keep no password: facts are saved."""
        object.__setattr__(self, "host", without_user(self.host))
        object.__setattr__(self, "host_in_file", without_user(self.host_in_file))


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """`~/.docker/config.json`, without its secrets; the client and docker-py both read it."""

    path: str
    exists: bool
    problem: str = ""  # why it cannot be used: "line 3 column 5: Expecting ',' delimiter", "permission denied"
    current_context: str = ""
    creds_store: str = ""
    cred_helpers: tuple[tuple[str, str], ...] = ()  # (registry, helper)
    auths: tuple[str, ...] = ()  # registries only
    proxies: tuple[tuple[str, str, str], ...] = ()  # ("default" or an engine's URL, "httpProxy", URL without password)
    builder: str = ""  # the plugin that `docker build` is made to be, by `docker buildx install`
    plugin_folders: tuple[str, ...] = ()  # where to look for plugins first
    corrections: tuple[
        str, ...
    ] = ()  # of a broken file: scripts for sed that move marks and show nothing of what it holds
    empty: bool = False  # an object with nothing in it


@dataclass(frozen=True, slots=True)
class ChosenEndpoint:
    """The engine that a client of this user talks to: flag, then DOCKER_HOST, then context, then the default."""

    url: str
    source: str  # "--host", "DOCKER_HOST", "context NAME (file)", "DOCKER_TLS_VERIFY", "default"
    problem: str = ""  # why no endpoint could be told: "context x has no metadata file"
    tls: bool = False
    cert_path: str = ""  # the folder with ca.pem, cert.pem and key.pem that it was told to use
    verify: bool = True  # False: any certificate of the engine's will do

    @property
    def socket_path(self) -> str:
        """Path of the Unix socket; empty for other transports."""
        return self.url.removeprefix("unix://") if self.url.startswith("unix://") else ""

    @property
    def local(self) -> bool:
        """Whether files, processes and firewall of this host are the engine's own."""
        return bool(self.socket_path)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of a TCP endpoint; ("", 0) otherwise."""
        if self.local:
            return "", 0
        try:
            parts = urlsplit(self.url)
            # The client fills in what is left out (docker/cli, opts.ParseTCPAddr).
            return (parts.hostname or "localhost", parts.port or (2376 if self.tls else 2375))
        except ValueError:
            return "", 0


@dataclass(frozen=True, slots=True)
class SocketFile:
    """The endpoint's socket as a file."""

    path: str
    kind: str  # "socket", "directory", "file", "missing", "denied" (a parent folder cannot be searched)
    mode: int = 0
    uid: int = 0
    gid: int = 0
    group: str = ""
    empty_directory: bool = False
    closed: str = ""  # the folder on the way that cannot be searched


@dataclass(frozen=True, slots=True)
class DaemonPing:
    """`GET /_ping`: unreachable is a measurement, not a failure to measure."""

    connect: str  # "ok", or an errno's name, or "timeout"
    answered: bool  # HTTP 200 with an API version
    status: int = 0
    outcome: str = ""  # "ok", "timeout", "closed", "malformed: …", "HTTP 500: …"
    api_version: str = ""  # the newest the engine speaks
    server: str = ""  # "Docker/20.10.24 (linux)"
    seconds: float = 0.0
    builder: str = ""  # "2" where the engine would rather build with BuildKit


@dataclass(frozen=True, slots=True)
class Export:
    """A line of a start-up file that sets a variable the client reads."""

    where: str  # "/home/alice/.bashrc:7"
    name: str  # "DOCKER_HOST"
    value: str


@dataclass(frozen=True, slots=True)
class Exports:
    """What this process's environment tells the client, and the start-up files that may have put it there."""

    environment: tuple[tuple[str, str], ...]  # the DOCKER_ variables set here and now
    lines: tuple[Export, ...]

    @property
    def env(self) -> dict[str, str]:
        """The environment as a mapping."""
        return dict(self.environment)

    def of(self, name: str) -> tuple[Export, ...]:
        """The lines that set one variable."""
        return tuple(line for line in self.lines if line.name == name)


@dataclass(frozen=True, slots=True)
class SocketAccess:
    """How this user stands to the group that may use the socket; groups are given at login and stay as they were."""

    user: str
    root: bool
    in_session: bool  # this very process is in the socket's group
    in_database: bool  # a new login would be
    docker_group: bool  # a group called "docker" exists
    members: tuple[str, ...] = ()  # of the socket's group


def _client_config(host: Host) -> tuple[str, dict[str, object], str, bool]:
    folder = posixpath.join(host.cwd, host.env.get("DOCKER_CONFIG") or f"{host.home}/.docker")
    path = f"{folder}/config.json"
    try:
        text = host.read(path)
    except (FileNotFoundError, NotADirectoryError):
        return path, {}, "", False
    except OSError as no:
        return path, {}, no.strerror or failure_name(no), True
    try:
        data = json.loads(text)
    except ValueError as no:
        reason = f"line {no.lineno} column {no.colno}: {no.msg}" if isinstance(no, json.JSONDecodeError) else str(no)
        return path, {}, reason, True
    if not isinstance(data, dict):
        return path, {}, f"holds a {type(data).__name__}, not an object", True
    return path, data, "", True


# What a correction may add: marks, never text of the file's own.
MARKS = re.compile(r"[\s,:{}\[\]\"]*")


def corrections(text: str) -> tuple[str, ...]:
    """Say as scripts for sed, by places alone, what makes broken JSON whole; nothing where that would be a guess."""
    scripts: list[str] = []
    # Nothing to go by is nothing to correct, and sed has no line of it.
    for edit in jsontext.corrections(text) if text else ():
        line, column = jsontext.place(text, edit.start)
        before, gone = text[edit.start - column + 1 : edit.start], text[edit.start : edit.end]
        if not before and gone.endswith("\n") and gone.count("\n") == 1:
            scripts.append(f"{line}d")
            continue
        if not MARKS.fullmatch(edit.new) or "\n" in gone or not (before + gone).isascii():
            return ()
        new = edit.new.replace("\n", "\\n")
        if edit.start == len(text) and not before:
            scripts.append(f"$s/$/\\n{new.strip()}/")
        elif gone or new:
            scripts.append(f"{line}s/^(.{{{len(before)}}}).{{{len(gone)}}}/\\1{new}/")
    return tuple(scripts)


def mask_url(url: str) -> str:
    """Take the password out of a URL, and out of anything that looks like one without a scheme."""
    head, at, tail = url.rpartition("@")
    if not at:
        return url
    # At the first "://": where there are several URLs, or one in the password, too much is hidden and not too little.
    scheme, sep, userinfo = head.partition("://") if "://" in head else ("", "", head)
    user = userinfo.split(":", 1)[0]
    return f"{scheme}{sep}{user}:***@{tail}" if ":" in userinfo else f"{scheme}{sep}***@{tail}"


def mask_text(text: str) -> str:
    """Mask passwords in URLs inside a longer text, with or without their scheme, and without moving a line."""
    return _WORD.sub(lambda m: _mask_word(m[0]), text) if "@" in text else text


# What no URL goes beyond. Whoever writes the text must not make us search it again and again: each word is read once.
_WORD = re.compile(r"[^\s\"]+")


def _mask_word(word: str) -> str:
    head, at, tail = word.rpartition("@")
    digest = ""
    if tail.startswith("sha256:"):  # of an image, and no host
        word, digest = head, at + tail
        head, at, _ = word.rpartition("@")
    _, sep, rest = head.partition("://")
    # Without a ":" there is no password but a token's: "https://TOKEN@host", and not "https://host/path@version".
    hides = ":" in rest or "/" not in rest if sep else ":" in head
    return (mask_url(word) if at and hides else word) + digest


# "--requirepass x", "--token=x", "DB_PASSWORD=x", "\"password\": \"x\"", and redis-cli's "-a x".
_TELLING = re.compile(r"pass|[_.-]pwd|secret|token|credential|auth|key", re.IGNORECASE)
_GIVEN = re.compile(r"(?<![\w.-])([\w.-]+)(=|[\"']\s*:\s*|\s+)")
_VALUE = re.compile(r"\"[^\"]*\"|'[^']*'|[^\s\"]+")


def mask_words(text: str) -> str:
    """Mask what may be a secret in a command line or a setting: passwords in URLs, and what is named like one."""
    kept, done, client = [], 0, text.find("-cli")
    for given in _GIVEN.finditer(text):
        name, gap = given.groups()
        telling = _TELLING.search(name) and (gap.strip() or name.startswith("-"))
        if given.start() < done or not (telling or (name == "-a" and 0 <= client < given.start())):
            continue
        value = _VALUE.match(text, given.end())
        if value and (gap.strip() or not value[0].startswith("-")):
            kept += [text[done : given.end()], "***"]
            done = value.end()
    return mask_logins(mask_text("".join([*kept, text[done:]])))


# "curl -u al:x", but not "docker run -u 1000:1000".
_LOGIN = re.compile(r"(?<!\S)((?:-u|-U|--user|--proxy-user)[\s=]+[\"']?(?!\d+:\d)[^\s:\"'/]+:)(?!//)[^\s\"']+")
# Programs of which one letter is the password; mysql takes it without a blank only. "-p 80:80" is a port of docker run's.
_WITHIN = r"[^|;&\r\n]{0,200}?\s"
_LETTER = re.compile(
    rf"((?:(?:mysql|maria){_WITHIN}-p|(?:(?:mongo|sshpass){_WITHIN}-p|ldap{_WITHIN}-w|redis-cli{_WITHIN}-a|sqlcmd{_WITHIN}-P)\s*)"
    r"[\"']?)(?![\s-]|\d+:\d)[^\s\"'|;&]+"
)


def mask_logins(text: str) -> str:
    """Mask passwords that a command is given without being called so."""
    return _LETTER.sub(r"\1***", _LOGIN.sub(r"\1***", text))


# Between arguments, a blank that none of them has.
_BETWEEN = "\x1e"
_FLAG = re.compile(r"--?[\w.-]+")


def mask_arguments(arguments: Iterable[str]) -> tuple[str, ...]:
    """Mask what may be a secret among a program's arguments; as many as before, each in its place."""
    words: list[str] = []
    of_secret = cli = False
    for word in arguments:
        words.append("***" if of_secret and not word.startswith("-") else mask_words(word))
        cli = cli or word.endswith("-cli")
        of_secret = bool(_FLAG.fullmatch(word) and _TELLING.search(word)) or (cli and word == "-a")
    return tuple(mask_logins(_BETWEEN.join(words)).split(_BETWEEN)) if words else ()


@probe()
def client_config(host: Host) -> ClientConfig:
    """Read the client's configuration ourselves: docker-py takes a broken one for an empty one."""
    path, data, problem, exists = _client_config(host)

    def table(key: str) -> dict[str, object]:
        value = data.get(key)
        return value if isinstance(value, dict) else {}

    proxies = tuple(
        (where, key, mask_url(str(value)))
        for where, entries in table("proxies").items()
        if isinstance(entries, dict)
        for key, value in entries.items()
    )
    extra = data.get("cliPluginsExtraDirs")
    broken = problem.startswith("line ")
    return ClientConfig(
        path,
        exists,
        problem,
        str(data.get("currentContext") or ""),
        str(data.get("credsStore") or ""),
        tuple((registry, str(helper)) for registry, helper in table("credHelpers").items()),
        tuple(table("auths")),
        proxies,
        str(table("aliases").get("builder") or ""),
        tuple(str(folder) for folder in extra) if isinstance(extra, list) else (),
        corrections(host.text(path)) if broken else (),
        empty=exists and not problem and not data,
    )


@probe()
def chosen_endpoint(host: Host, settings: Settings, config: ClientConfig) -> ChosenEndpoint:
    """
    Follow the client's own order: flag, DOCKER_HOST, DOCKER_CONTEXT, the current context, the default.

    Our configuration file stands in for the current context: it is this host's word, and the variables the user's.
    """
    asked = next((name for name in ("DOCKER_TLS_VERIFY", "DOCKER_TLS") if host.env.get(name)), "")
    folder = posixpath.join(host.cwd, host.env.get("DOCKER_CERT_PATH") or config.path.rpartition("/")[0])
    tls = Tls(bool(asked), folder if asked else "", verify=asked != "DOCKER_TLS")
    if settings.host:
        return _normal(_spelt_out(settings.host), "--host", tls)
    context, source = settings.context, "--context"
    # It goes before the context's own variable, whatever the documentation says (docker/cli, resolveContextName).
    if not context and host.env.get("DOCKER_HOST"):
        return _normal(host.env["DOCKER_HOST"], "DOCKER_HOST", tls)
    if not context:
        context, source = host.env.get("DOCKER_CONTEXT", ""), "DOCKER_CONTEXT"
    if not context and settings.host_in_file:
        return _normal(_spelt_out(settings.host_in_file), settings.preferences.path, tls)
    if not context:
        context, source = settings.context_in_file, settings.preferences.path
    if not context:
        context, source = config.current_context, config.path
    if context and context != "default":
        return _from_context(host, config, context, source)
    if asked:
        # Told to use TLS and not where, the client looks for it at a port of this host (docker/cli, opts.ParseHost).
        return _normal("tcp://localhost:2376", asked, tls)
    return ChosenEndpoint(f"unix://{DEFAULT_SOCKET}", "default")


def _spelt_out(given: str) -> str:
    """Take a path for a socket's: that is ours, and not the docker command's."""
    return f"unix://{given}" if given.startswith("/") else given


def without_user(url: str) -> str:
    """Take the user and the password off an address: the client heeds the user for ssh alone, and no password."""
    scheme, sep, rest = url.partition("://") if "://" in url else ("", "", url)
    user, at, where = rest.rpartition("@")
    if not at or scheme.strip() == "unix" or rest.startswith("/"):
        return url
    return f"{scheme}{sep}{user.partition(':')[0]}@{where}" if scheme.strip() == "ssh" else f"{scheme}{sep}{where}"


# What each scheme is to the docker command (docker/cli, opts.ParseHost); libraries are less strict.
SPOKEN = frozenset({"unix", "tcp", "ssh"})


@dataclass(frozen=True, slots=True)
class Tls:
    """What the client was told of TLS."""

    asked: bool
    folder: str = ""
    verify: bool = True


def _normal(given: str, source: str, tls: Tls) -> ChosenEndpoint:
    """Take an address as the docker command does: blanks fall off, and what has no scheme is TCP."""
    url = without_user(given.strip())
    problem = ""
    if "://" not in url:
        if url.startswith("/"):
            problem = f"unable to use {url!r}: unix:// is missing in front of the path"
        url = f"tcp://{url}"
    scheme, _, rest = url.partition("://")
    if scheme not in SPOKEN:
        problem = f"unable to parse {url!r}: the scheme {scheme!r} is none of unix, tcp, ssh"
    elif scheme == "unix" and not rest.startswith("/"):
        problem = f"unable to parse {url!r}: a unix:// address needs an absolute path"
    elif scheme == "unix" and rest.endswith("/"):
        problem = f"unable to use {url!r}: it ends in a slash, as a folder's path does"
    # On a Unix socket nothing is encrypted, and yet the client wants its files (docker/cli, context/docker/load.go).
    chosen = ChosenEndpoint(url, source, problem, tls.asked and scheme == "tcp", tls.folder, tls.verify)
    if not problem and scheme == "tcp" and not chosen.address[1]:
        return replace(chosen, problem=f"unable to parse {url!r}: the port is no number from 1 to 65535")
    return chosen


def _from_context(host: Host, config: ClientConfig, name: str, source: str) -> ChosenEndpoint:
    folder = config.path.rsplit("/", 1)[0]
    # The folder's name is the SHA-256 of the context's (docker/cli, context/store).
    meta = f"{folder}/contexts/meta/{hashlib.sha256(name.encode()).hexdigest()}/meta.json"
    why = f"context {name} ({source})"
    try:
        data = json.loads(host.read(meta))
        meta_of = data["Endpoints"]["docker"]
        url, verify = str(meta_of.get("Host") or ""), not meta_of.get("SkipTLSVerify")
    except OSError:
        return ChosenEndpoint("", why, f"context {name!r} does not exist: there is no {meta}")
    except (ValueError, KeyError, TypeError, AttributeError):
        return ChosenEndpoint("", why, f"context {name!r} cannot be read: {meta} is not a context")
    # What a context has for TLS lies apart from what it says (docker/cli, context/store/tlsstore.go).
    keys = f"{folder}/contexts/tls/{hashlib.sha256(name.encode()).hexdigest()}/docker"
    tls = Tls(bool(host.listdir(keys)) or not verify, keys, verify)
    return _normal(url or f"unix://{DEFAULT_SOCKET}", why, tls)


# Where login shells, desktops and administrators set variables; bash(1), zsh(1), environment.d(5), pam_env(8).
STARTUP_FILES = (
    *("/etc/environment", "/etc/profile", "/etc/bash.bashrc", "/etc/bashrc", "/etc/zsh/zshenv", "/etc/zsh/zshrc"),
    *("~/.profile", "~/.bash_profile", "~/.bash_login", "~/.bashrc", "~/.bash_aliases", "~/.zshenv", "~/.zprofile"),
    *("~/.zshrc", "~/.config/fish/config.fish", "~/.pam_environment"),
)
STARTUP_FOLDERS = ("/etc/profile.d", "/etc/environment.d", "~/.config/environment.d", "~/.config/fish/conf.d")
CLIENT_VARIABLES = (
    *("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_API_VERSION", "DOCKER_TLS_VERIFY", "DOCKER_TLS", "DOCKER_CERT_PATH"),
    *("DOCKER_CONFIG", "DOCKER_BUILDKIT"),
)
_SETS = re.compile(rf"^[^#]*?\b({'|'.join(CLIENT_VARIABLES)})(?:=|\s+)[\"']*([^\"'\s;]+)")


@probe()
def exports(host: Host) -> Exports:
    """Look through the files that set variables at login."""
    files = [
        *STARTUP_FILES,
        *(f"{folder}/{name}" for folder in STARTUP_FOLDERS for name in host.listdir(folder.replace("~", host.home))),
    ]
    lines = []
    for file in files:
        path = file.replace("~", host.home, 1)
        for number, line in enumerate(host.text(path).splitlines(), 1):
            if match := _SETS.match(line):
                lines.append(Export(f"{path}:{number}", match.group(1), mask_url(match.group(2))))
    environment = tuple((name, mask_url(host.env[name])) for name in CLIENT_VARIABLES if host.env.get(name))
    return Exports(environment, tuple(lines))


@probe()
def socket_access(host: Host, file: SocketFile) -> SocketAccess:
    """Compare the groups of this process with those of the database: a change there needs a new login."""
    return SocketAccess(
        host.user,
        host.is_root,
        file.gid in host.groups,
        file.gid in host.database_groups(host.user),
        host.group_id("docker") is not None,
        host.group_members(file.gid),
    )


@probe()
def socket_file(host: Host, endpoint: ChosenEndpoint) -> SocketFile:
    """Look at the socket as a file, links followed."""
    path = endpoint.socket_path
    if not path:
        return SocketFile("", "missing")
    try:
        status = host.path(path).stat()
    except PermissionError:
        return SocketFile(path, "denied", closed=_closed(host, path))
    except OSError:
        return SocketFile(path, "missing")
    kind = "file"
    if stat_.S_ISSOCK(status.st_mode):
        kind = "socket"
    elif stat_.S_ISDIR(status.st_mode):
        kind = "directory"
    return SocketFile(
        path,
        kind,
        stat_.S_IMODE(status.st_mode),
        status.st_uid,
        status.st_gid,
        host.group_name(status.st_gid),
        kind == "directory" and not host.listdir(path),
    )


def _closed(host: Host, path: str) -> str:
    """The first folder on the way to a path that this user may not search, links followed."""
    for folder in reversed(Path(host.real(path)).parents):
        if host.exists(folder) and not host.searchable(folder):
            return str(folder)
    return ""
