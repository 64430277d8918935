"""Which registries something on this host names: images, containers, build files, logins, configuration, failed pulls."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from dockerdoctor.facts.containers import Containers
from dockerdoctor.facts.daemon_json import DaemonJson
from dockerdoctor.facts.endpoint import ClientConfig
from dockerdoctor.facts.engine import EngineInfo, texts
from dockerdoctor.facts.pulls import FailedPulls
from dockerdoctor.facts.registry import HUB_NAMES, registry_of
from dockerdoctor.host import Host

CERTS_D = "/etc/docker/certs.d"
# Beyond this many registries, those named first are asked.
MAX_NAMED = 8
BUILD_FILES = ("Dockerfile", "compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
# A value that a variable completes is not known here.
_IMAGE = re.compile(
    r"^\s*(?:FROM\s+(?:--\S+\s+)*|image:\s*[\"']?)([^\s$\"']+)(?=[\s\"']|$)", re.IGNORECASE | re.MULTILINE
)


def build_images(host: Host) -> Iterator[tuple[str, str]]:
    """The images that build files in the working directory name, and the file."""
    for name in BUILD_FILES if host.cwd else ():
        text = host.text(f"{host.cwd}/{name}")
        stages = set(re.findall(r"^\s*FROM\s.*\sAS\s+(\S+)", text, re.IGNORECASE | re.MULTILINE))
        for image in _IMAGE.findall(text):
            if image not in stages and image != "scratch":
                yield image, f"./{name}"


def tags(images: Iterable[dict[str, Any]]) -> set[str]:
    """Every name of the local images."""
    return {tag for image in images for tag in texts(image.get("RepoTags"))}


def wants_hub(host: Host, images: Iterable[dict[str, Any]], pulls: FailedPulls | None) -> str:
    """What shows that Docker Hub is wanted here; empty when nothing does: a host may be meant to be without."""
    failed = next((p for p in reversed(pulls.all if pulls else ()) if p.of_hub), None)
    if failed:
        return f"a pull {ago(failed.ago)}"
    here = tags(images)
    for image, file in build_images(host):
        tagged = image if re.search(r"[:@][^/]*$", image) else f"{image}:latest"
        if not registry_of(image) and tagged not in here and "@" not in tagged:
            return f"{image} in {file}"
    return ""


def ago(seconds: int) -> str:
    """Say how long ago something was."""
    return f"{seconds // 60} minutes ago" if seconds >= 120 else f"{seconds} seconds ago"


def named(
    host: Host,
    client: ClientConfig | None,
    config: DaemonJson | None,
    containers: Containers | None,
    images: Iterable[dict[str, Any]],
    info: EngineInfo,
    pulls: FailedPulls | None,
) -> dict[str, tuple[str, str]]:
    """
    Every registry that something here names, with its role and who names it.

    A local image's name alone tells little: `docker tag` asks nobody. Its digest does: it has been there, or come from there.
    """
    found: dict[str, tuple[str, str]] = {}

    def add(name: str, by: str, role: str = "named") -> None:
        if name and name not in HUB_NAMES:
            found.setdefault(name, (role, by))

    mirrors = tuple(f"{mirror.rstrip('/')}/v2/" for mirror in info.mirrors)
    for pull in reversed(pulls.all if pulls else ()):
        # A mirror over plain HTTP is not also a registry over HTTPS.
        if mirrors and pull.url.startswith(mirrors):
            continue
        add(pull.host or registry_of(pull.image), f"a pull or push that failed {ago(pull.ago)}")
    for container in containers.all if containers else ():
        add(registry_of(container.image), f"image of {container.name}")
    for wanted, file in build_images(host):
        add(registry_of(wanted), file)
    for auth in client.auths if client else ():
        add(re.sub(r"^https?://", "", auth).split("/")[0], f"{client.path if client else ''} auths")
    for image in images:
        for digest in texts(image.get("RepoDigests")):
            add(registry_of(digest), f"image {digest.partition('@')[0]}")
    for folder in host.listdir(CERTS_D):
        add(folder, f"{CERTS_D}/{folder}", "listed")
    for entry in info.insecure_registries:
        if "/" not in entry:
            add(entry, "GET /info insecure registries", "listed")
    for entry in texts((config.settings or {}).get("insecure-registries")) if config else ():
        name = entry.partition("://")[2] or entry
        if "/" not in name:
            add(name, f"{config.path if config else ''} insecure-registries", "listed")
    for tag in sorted(tags(images)):
        add(registry_of(tag), f"image {tag}", "tagged")
    return dict(list(found.items())[:MAX_NAMED])
