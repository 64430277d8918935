"""The nameservers that builds are given: BuildKit goes its own way, inside dockerd and in buildx's builders."""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass

from dockerdoctor.facts.daemon_json import DaemonJson
from dockerdoctor.facts.dns import FALLBACK, HostResolver, is_loopback, parse_resolv_conf
from dockerdoctor.facts.endpoint import ClientConfig
from dockerdoctor.facts.engine import DaemonProcess, EngineInfo, listed, table, texts
from dockerdoctor.host import Host
from dockerdoctor.measure import Unmeasured, probe

# Below the data root: one file for all builds (moby/buildkit, executor/oci/resolvconf.go).
BUILD_RESOLV_CONF = "buildkit/executor/resolv.conf"


@dataclass(frozen=True, slots=True)
class BuildResolver:
    """What the next RUN of a build gets from dockerd's own BuildKit; only where something was built with it."""

    path: str = ""
    servers: tuple[str, ...] = ()
    kept: bool = False  # the file stays as it is; else it is made anew, from the configuration in force


@dataclass(frozen=True, slots=True)
class Builder:
    """The builder that `docker buildx` uses for this user."""

    name: str = ""  # empty: dockerd's own
    driver: str = ""  # "docker-container", "kubernetes", "remote"
    path: str = ""  # where that is said
    servers: tuple[str, ...] = ()  # nameservers of its buildkitd.toml
    registries: tuple[str, ...] = ()  # that its buildkitd.toml says something about


@probe()
def build_resolver(
    host: Host,
    info: EngineInfo,
    resolver: HostResolver,
    process: DaemonProcess | None,
    config: DaemonJson | None,
) -> BuildResolver:
    """
    Foretell the file, as BuildKit decides.

    It is written at the first step after dockerd's start, and again only when the host's is newer: a file that takes
    its place and is older goes unseen. Unlike for containers, IPv6 servers stay, and loopback ones of daemon.json go.
    """
    path = f"{info.root_dir.rstrip('/')}/{BUILD_RESOLV_CONF}"
    if not host.is_root:
        raise Unmeasured("Docker's data root is closed", how="run as root")
    try:
        written = host.path(path).stat().st_mtime
    except OSError:
        return BuildResolver()
    if process and process.started and written >= process.started and written >= resolver.given.modified:
        return BuildResolver(path, parse_resolv_conf(host.text(path))[0], kept=True)
    named = (config.dns if config else ()) or resolver.given.for_dockerd
    return BuildResolver(path, tuple(s for s in named if not is_loopback(s)) or FALLBACK)


@probe()
def builder(host: Host, client: ClientConfig) -> Builder:
    """Read what buildx keeps in the client's folder; a builder of its own knows nothing of daemon.json."""
    folder = host.env.get("BUILDX_CONFIG") or f"{client.path.rpartition('/')[0]}/buildx"
    name = host.env.get("BUILDX_BUILDER") or str(_json(host.text(f"{folder}/current")).get("Name") or "")
    path = f"{folder}/instances/{name}"
    if not name or "/" in name:
        return Builder()
    said = _json(host.text(path))
    toml = ""
    for node in listed(said.get("Nodes")):
        files = table(table(node).get("Files"))
        if content := files.get("buildkitd.toml"):
            toml = _decoded(str(content))
        elif before := table(node).get("ConfigFile"):  # until buildx 0.6
            toml = host.text(str(before))
    registries = tuple(re.findall(r"^\s*\[registry\.[\"']([^\"']+)[\"']", toml, re.MULTILINE))
    return Builder(name, str(said.get("Driver") or ""), path, dns_of(toml), registries) if said else Builder()


def _json(text: str) -> dict[str, object]:
    try:
        return table(json.loads(text or "{}"))
    except ValueError:
        return {}


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return ""


def dns_of(toml: str) -> tuple[str, ...]:
    """Take the nameservers out of a buildkitd.toml: `nameservers=["10.0.0.1"]` below `[dns]`."""
    section = re.search(r"^\s*\[dns\]\s*$(.*?)(?=^\s*\[|\Z)", toml, re.MULTILINE | re.DOTALL)
    values = (
        re.search(r"^\s*nameservers\s*=\s*\[(.*?)\]", section.group(1), re.MULTILINE | re.DOTALL) if section else None
    )
    return texts(re.findall(r"[\"']([^\"']+)[\"']", values.group(1))) if values else ()
