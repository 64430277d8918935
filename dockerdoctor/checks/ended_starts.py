"""Why the engine could not start a container: its own message (State.Error), told apart. Pure."""

from __future__ import annotations

import re
import shlex

from dockerdoctor.checks.endings import COMPOSE_SERVICE, Case, Scene, anew, mended
from dockerdoctor.facts.containers import Attachment, Container
from dockerdoctor.facts.endings import LATELY
from dockerdoctor.model import Evidence

NO_COMMAND = re.compile(
    r'exec: "(?P<file>[^"]+)": (?:executable file not found|stat [^:]+: no such file)'
    r"|executable file `(?P<crun>[^`]+)` not found",
    re.IGNORECASE,
)
NO_RIGHT = re.compile(
    r'exec: "(?P<file>[^"]+)": (?:permission denied|is a directory)|open executable: Permission denied', re.IGNORECASE
)
FORMAT = re.compile(r"exec format error", re.IGNORECASE)
MOUNTED = re.compile(r'error mounting "(?P<source>[^"]+)" to rootfs at "(?P<place>[^"]+)"')
KINDS_DIFFER = re.compile(r"not a directory|Are you trying to mount a directory onto a file", re.IGNORECASE)
NO_NETWORK = re.compile(r"network (?P<network>\S+) not found|could not find a network", re.IGNORECASE)
NO_CONTAINER = re.compile(
    r"No such container: (?P<other>\S+)|cannot join network of a non[- ]running container", re.IGNORECASE
)
NO_SOURCE = re.compile(
    r"error evaluating symlinks from mount source|error while mounting volume|bind source path does not exist"
    r"|failed to mount local volume|no such volume|VolumeDriver\.|error while checking if volume",
    re.IGNORECASE,
)
LOG_DRIVER = re.compile(r"failed to initialize logging driver: (?P<why>.*)|logger: no log driver named", re.IGNORECASE)
# What other areas measure themselves, and so know whether it still is so: ports, the firewall, the disk.
ELSEWHERE = re.compile(
    r"already allocated|already in use|external connectivity|iptables|nftables|no space left|no available"
    r"|read-only file system|privileged port|bind: permission denied|apparmor|pair interfaces|containerd|endpoint with name|failed to set up container networking",
    re.IGNORECASE,
)
# containerd and runc say what they were about to do before they say what went wrong.
PREAMBLE = re.compile(
    r"^(?:failed to create (?:shim )?task(?: for container)?: |OCI runtime create failed: |runc create failed: "
    r"|unable to start container process: |error during container init: )+",
    re.IGNORECASE,
)
MESSAGE = 300


def message_of(container: Container) -> Evidence:
    """Show what the engine said."""
    return Evidence(f"docker inspect {container.name}: State.Error", PREAMBLE.sub("", container.error)[:MESSAGE])


def not_started(container: Container, scene: Scene) -> Case | None:
    """Judge a container by the engine's message about its last start."""
    error = container.error
    if match := NO_COMMAND.search(error):
        # It was typed and refused at once, before somebody's eyes.
        typed = scene.wanted(container, LATELY)
        return no_command(container, match["file"] or match["crun"], message_of(container)) if typed else None
    if not scene.wanted(container):
        return None
    seen = message_of(container)
    if match := NO_RIGHT.search(error):
        return no_right(container, match["file"] or container.command[0], seen)
    if FORMAT.search(error):
        return Case(
            "exec-format",
            container,
            f"{container.name} cannot start: its program is not one of this machine's kind",
            f"The kernel cannot execute {container.command[0]}: it is of another architecture, or no program at all.",
            (seen,),
            (f"docker image inspect --format '{{{{.Architecture}}}}' {shlex.quote(container.image)}",),
        )
    if match := NO_NETWORK.search(error):
        return no_network(container, scene, seen)
    if NO_CONTAINER.search(error):
        return no_companion(container, scene, seen)
    if (match := MOUNTED.search(error)) and KINDS_DIFFER.search(error):
        return unlike(container, match["source"], match["place"], scene, seen)
    if NO_SOURCE.search(error):
        return no_source(container, seen)
    if match := LOG_DRIVER.search(error):
        return no_logging(container, scene, match["why"] or error, seen)
    if ELSEWHERE.search(error):
        return None
    return Case(
        "start-failed",
        container,
        f"{container.name} could not be started: {seen.saw}",
        "The engine tried to start it, and this is what it met.",
        (seen,),
        ("# mend what the message names, then:", f"docker start {container.name}"),
    )


def no_command(container: Container, file: str, *seen: Evidence) -> Case:
    """Its program is not in the image."""
    mount = container.details.mount_of(file) if container.details else None
    if mount:
        cause = (
            f"{mount.source} is mounted at {mount.destination} and hides what the image has there; {file} is not in it."
        )
        fix = anew(container, f"-v without {mount.destination}, or put {file} into {mount.source}")
        seen = (*seen, Evidence(f"docker inspect {container.name}: Mounts", f"{mount.source} -> {mount.destination}"))
    elif " " in file:
        cause = f"“{file}” was given as one word, so a program of that very name is looked for."
        fix = anew(container, f"{shlex.join(container.image.split())} {file}: each word by itself")
    else:
        path = ":".join(container.details.path) if container.details else ""
        cause = f"The image {container.image} has no {file}" + (
            f" in {path or 'its PATH'}." if "/" not in file else "."
        )
        fix = anew(container, "a command that the image has, or build the image with it")
    return Case(
        "command-found", container, f"{container.name} cannot start: {file} is not in its image", cause, seen, (fix,)
    )


def no_right(container: Container, file: str, *seen: Evidence) -> Case:
    """Its program may not be executed."""
    folder = "is a directory" in container.error
    cause = (
        f"{file} is a folder, not a program."
        if folder
        else f"{file} lacks the right to be executed, for the user whom {container.name} runs as."
    )
    fix: tuple[str, ...] = (
        mended(container, file, "chmod a+rx"),
        f"docker start {container.name}",
        "# so that it lasts: chmod +x where the image is built (RUN chmod, or COPY --chmod=755), and build it again",
    )
    if folder or not file.startswith("/"):
        fix = (anew(container, "the program itself for its command"),)
    return Case(
        "command-executable", container, f"{container.name} cannot start: {file} may not be executed", cause, seen, fix
    )


def network_named(container: Container) -> str:
    """The user-defined network that it was made for."""
    names = [n.network for n in container.networks if n.network not in {"bridge", "host", "none"}]
    return names[0] if names else container.network_mode


PREDEFINED = frozenset({"bridge", "host", "none"})


def gone(container: Container, scene: Scene) -> list[str]:
    """The networks that a container refers to and that are not there, by their names."""
    if scene.networks is None or container.network_mode.startswith("container:"):
        return []
    ids, names = {n.id for n in scene.networks.all}, {n.name for n in scene.networks.all}

    def lost(attached: Attachment) -> bool:
        # The engine makes the default bridge anew at each start, with another id, and finds it by its name.
        by_id = attached.network_id and attached.network not in PREDEFINED
        return attached.network_id not in ids if by_id else attached.network not in names

    return [attached.network for attached in container.networks if lost(attached)]


def no_network(container: Container, scene: Scene, *seen: Evidence) -> Case | None:
    """The network it is to be connected to is not there (any more)."""
    lost = gone(container, scene)
    if not lost and scene.networks is not None:
        return None  # it is there by now
    name = lost[0] if lost else network_named(container)
    there = scene.networks is not None and any(n.name == name for n in scene.networks.all)
    again = (
        "another network of that name was made since" if there else "it was removed (docker network prune does that)"
    )
    quoted = shlex.quote(name)
    fix = (
        *(() if there else (f"docker network create {quoted}",)),
        f"docker network disconnect --force {quoted} {container.name}",
        f"docker network connect {quoted} {container.name}",
        f"docker start {container.name}",
    )
    if COMPOSE_SERVICE in dict(container.labels):
        fix = (*fix, "# or, where its compose file is: docker compose up -d --force-recreate")
    listed = ", ".join(n.name for n in scene.networks.all) if scene.networks else ""
    return Case(
        "network-gone",
        container,
        f"{container.name} cannot start: its network {name} is gone",
        f"A container keeps the id of its network, and that network does not exist any more: {again}.",
        (*seen, *((Evidence("GET /networks", listed),) if listed else ())),
        fix,
    )


def no_companion(container: Container, scene: Scene, *seen: Evidence) -> Case:
    """It shares another container's network, and that one is not there."""
    other = container.network_mode.partition("container:")[2]
    stopped = next((c for c in scene.containers.all if other and other in {c.id, c.name}), None)
    if stopped:
        return Case(
            "network-gone",
            container,
            f"{container.name} cannot start: {stopped.name}, whose network it shares, does not run",
            "With --network container:… a container has no network of its own.",
            (*seen, Evidence("docker ps -a", f"{stopped.name}: {stopped.status}")),
            (f"docker start {stopped.name}", f"docker start {container.name}"),
        )
    return Case(
        "network-gone",
        container,
        f"{container.name} cannot start: the container whose network it shares is gone",
        "With --network container:… a container keeps the other one's id: whoever makes that one anew must make this one anew.",
        (*seen, Evidence(f"docker inspect {container.name}: NetworkMode", container.network_mode)),
        (anew(container, "--network container:NAME, of the one that is there now"),),
    )


def unlike(container: Container, source: str, place: str, scene: Scene, *seen: Evidence) -> Case:
    """A folder is mounted onto a file, or a file onto a folder."""
    found = scene.endings.source(source)
    shown = Evidence(source, f"a {'empty ' if found.empty else ''}{found.kind}") if found else None
    folder = not found or found.kind == "folder"
    name = shlex.quote(source)
    if folder:
        cause = (
            f"{source} is a folder, and {place} is a file in the image. "
            "With -v Docker makes a folder of a source that is not there."
        )
        fix = (
            *((f"rmdir {name}",) if found and found.empty else ()),
            f"# put the file at {source}",
            f"docker start {container.name}",
        )
    else:
        cause = f"{source} is a file, and {place} is a folder in the image."
        fix = (anew(container, f"-v {name}:{place.rstrip('/')}/{source.rpartition('/')[2]}"),)
    kinds = ("folder", "file") if folder else ("file", "folder")
    return Case(
        "mount-kinds",
        container,
        f"{container.name} cannot start: the {kinds[0]} {source} cannot be mounted over the {kinds[1]} {place}",
        cause,
        (*seen, *((shown,) if shown else ())),
        fix,
    )


def no_source(container: Container, *seen: Evidence) -> Case:
    """What a mount or a volume leads to is not there."""
    mounts = container.details.mounts if container.details else ()
    lost = next(
        (m for m in mounts if (m.source and m.source in container.error) or (m.name and m.name in container.error)),
        None,
    )
    what = f"volume {lost.name}" if lost and lost.name else lost.source if lost else "what it mounts"
    fix: tuple[str, ...] = ("# bring back what the message names, then:", f"docker start {container.name}")
    if lost and lost.kind == "volume" and "no such file" in container.error:
        fix = (
            f"mkdir -p {shlex.quote(lost.source)}",
            f"docker start {container.name}",
            f"# what was in volume {lost.name} is lost, unless there is a copy of it to put back",
        )
    return Case(
        "mount-source",
        container,
        f"{container.name} cannot start: {what} is not there",
        "A container's mounts are made anew at each start, from what they lead to.",
        seen,
        fix,
    )


def no_logging(container: Container, scene: Scene, why: str, *seen: Evidence) -> Case:
    """Its log driver does not begin."""
    driver = container.log_driver or scene.logging
    own = driver != scene.logging
    elsewhere = (
        anew(container, "--log-driver json-file")
        if own
        else '# or let containers log on this host: "log-driver": "json-file" in /etc/docker/daemon.json'
    )
    return Case(
        "log-driver",
        container,
        f"{container.name} cannot start: its log driver {driver} fails ({why[:120]})",
        "A container does not start without its log; this driver must reach its server first.",
        seen,
        (
            f"# start the server to which {driver} sends, or correct its address; then:",
            f"docker start {container.name}",
            elsewhere,
        ),
    )
