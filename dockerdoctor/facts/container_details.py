"""How a container was made and how it fares, beyond its name and network; read out of one inspection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dockerdoctor.facts.endpoint import mask_arguments, mask_words
from dockerdoctor.facts.engine import count, listed, table, texts

# A health check's output is shown, not kept for the record.
SHOWN = 300


@dataclass(frozen=True, slots=True)
class Mount:
    """One place of a container's tree that lies elsewhere."""

    kind: str  # "bind", "volume", "tmpfs", ...
    source: str  # on the engine's host
    destination: str
    writable: bool = True
    name: str = ""  # of a volume
    strict: bool = False  # `--mount type=bind`, which wants its source to exist; `-v` makes a folder of it

    def holds(self, path: str) -> bool:
        """Whether a path of the container lies in it."""
        return path == self.destination or path.startswith(self.destination.rstrip("/") + "/")

    def behind(self, path: str) -> str:
        """Where on the host a path of the container lies."""
        return self.source.rstrip("/") + path[len(self.destination.rstrip("/")) :]


@dataclass(frozen=True, slots=True)
class Health:
    """What the container's own health check says."""

    status: str  # "starting", "healthy", "unhealthy"
    streak: int  # failures in a row
    test: tuple[str, ...]  # ("CMD-SHELL", "curl -f http://localhost/"), passwords masked
    exit_code: int = 0  # of the last one: -1 when it was given up
    output: str = ""  # of the last one, passwords masked


@dataclass(frozen=True, slots=True)
class Details:
    """What one container was given, and what its health check said."""

    image_id: str = ""
    user: str = ""  # "1000:1000", "node"; empty is root
    mounts: tuple[Mount, ...] = ()
    read_only: bool = False  # --read-only
    memory: int = 0  # bytes; 0: no limit of its own
    pids_limit: int = 0  # 0: none
    max_retries: int = 0  # of --restart on-failure:N
    detached: bool = False  # `docker run -d`
    interactive: bool = False  # -i or -t
    path: tuple[str, ...] = ()  # its PATH
    health: Health | None = None
    log_limit: str = ""  # max-size of its log driver's options: "10m"
    auto_remove: bool = False  # --rm

    @property
    def root(self) -> bool:
        """Whether it was not told to be somebody else."""
        return self.user.partition(":")[0] in {"", "0", "root"}

    def mount_of(self, path: str) -> Mount | None:
        """The mount in which a path lies, if it lies in one."""
        return max((m for m in self.mounts if m.holds(path)), key=lambda m: len(m.destination), default=None)


def details(data: dict[str, Any]) -> Details:
    """Take them out of `GET /containers/ID/json`."""
    config, hostc = table(data.get("Config")), table(data.get("HostConfig"))
    policy = table(hostc.get("RestartPolicy"))
    search = next((e.partition("=")[2] for e in texts(config.get("Env")) if e.startswith("PATH=")), "")
    return Details(
        str(data.get("Image") or ""),
        str(config.get("User") or ""),
        _mounts(data, hostc),
        bool(hostc.get("ReadonlyRootfs")),
        count(hostc.get("Memory")),
        max(0, count(hostc.get("PidsLimit"))),
        count(policy.get("MaximumRetryCount")),
        not (config.get("AttachStdout") or config.get("AttachStderr") or config.get("AttachStdin")),
        bool(config.get("Tty") or config.get("OpenStdin")),
        tuple(p for p in search.split(":") if p.startswith("/")),
        _health(table(data.get("State")), table(config.get("Healthcheck"))),
        str(table(table(hostc.get("LogConfig")).get("Config")).get("max-size") or ""),
        hostc.get("AutoRemove") is True,
    )


def _mounts(data: dict[str, Any], hostc: dict[str, Any]) -> tuple[Mount, ...]:
    strict = {
        str(m.get("Target"))
        for m in listed(hostc.get("Mounts"))
        if isinstance(m, dict) and not table(m.get("BindOptions")).get("CreateMountpoint")
    }
    return tuple(
        Mount(
            str(m.get("Type") or ""),
            str(m.get("Source") or ""),
            str(m.get("Destination") or ""),
            bool(m.get("RW", True)),
            str(m.get("Name") or ""),
            m.get("Type") == "bind" and str(m.get("Destination")) in strict,
        )
        for m in listed(data.get("Mounts"))
        if isinstance(m, dict)
    )


def _health(state: dict[str, Any], check: dict[str, Any]) -> Health | None:
    said = table(state.get("Health"))
    if not said or said.get("Status") == "none":
        return None
    ends = [e for e in listed(said.get("Log")) if isinstance(e, dict)]
    last = ends[-1] if ends else {}
    return Health(
        str(said.get("Status") or ""),
        count(said.get("FailingStreak")),
        mask_arguments(texts(check.get("Test"))),
        count(last.get("ExitCode")),
        mask_words(str(last.get("Output") or "").strip())[:SHOWN],
    )
