"""Why a container that was started ended: what its last words tell, and the order in which reasons are looked for. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import replace

from dockerdoctor.checks.ended_bounds import READ_ONLY, denied, no_forks, no_write, starved, starved_earlier, unwritable
from dockerdoctor.checks.ended_programs import (
    no_interpreter,
    no_library,
    no_right_inside,
    no_tool,
    wrong_format,
    wrong_line_ends,
)
from dockerdoctor.checks.ended_starts import not_started
from dockerdoctor.checks.endings import (
    SETTLED,
    SIGNALS,
    Case,
    Scene,
    Trouble,
    anew,
    begin,
    does,
    ended,
    lifetime,
    meanwhile,
    state_of,
    trouble,
    words,
)
from dockerdoctor.facts.containers import Container
from dockerdoctor.facts.endings import LATELY, Ending, kept
from dockerdoctor.facts.redis import named, peers
from dockerdoctor.model import Evidence

NO_SPACE = re.compile(r"no space left on device|ENOSPC|disk quota exceeded", re.IGNORECASE)
UNREACHED = re.compile(
    r"network is unreachable|no route to host|timed out|i/o timeout|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH", re.IGNORECASE
)
REFUSED = re.compile(r"connection refused|ECONNREFUSED|Can't connect to MySQL server on", re.IGNORECASE)
# The words of resolvers: libc's (ping, curl, psql, Python), Go's, Java's, Node's, MySQL's, nginx'.
UNRESOLVED = re.compile(
    r"could not translate host name \"(?P<psql>[^\"]+)\""
    r"|(?:getaddrinfo )?(?:ENOTFOUND|EAI_AGAIN) (?P<node>[\w.-]+)"
    r"|lookup (?P<go>[\w.-]+)(?: on \S+)?: (?:no such host|server misbehaving|Temporary failure|i/o timeout)"
    r"|Unknown (?:MySQL )?server host '(?P<mysql>[^']+)'"
    r"|bad address '(?P<busybox>[^']+)'"
    r"|could not resolve host(?:name)?:? [\"']?(?P<curl>[\w.-]+)"
    r"|UnknownHostException: (?P<java>[\w.-]+)"
    r"|host not found in upstream \"(?P<nginx>[^\":]+)"
    r"|(?P<libc>[\w.-]+)(?::\d+)?[:.]? (?:Name or service not known|Temporary failure in name resolution|Name does not resolve)",
    re.IGNORECASE,
)
# A shell or an interpreter that is given nothing to do ends as soon as there is nobody to type.
SHELLS = re.compile(r"(?:^|/)(?:sh|bash|ash|dash|zsh|fish|ksh|python[\d.]*|node|irb|php|lua|perl)$")
# What goes into the background by itself, or is sent there, and leaves nobody behind.
DAEMONS = re.compile(
    r"\bservice \S+ (?:re)?start\b|/etc/init\.d/\S+ (?:re)?start|\bapache2?ctl (?:-k )?(?:re)?start\b"
    r"|--daemonize[= ](?:yes|true)|\s&\s*$|(?:^|[\s/])(?:nginx|sshd|httpd|apache2|crond|supervisord|memcached -d)$"
    r"|\bnohup\b.*&\s*$|\bpostfix start$|\bpg_ctl\b.*\bstart\b"
)
CRASHES = {code: what for code, what in SIGNALS.items() if code not in {130, 131, 137, 143}}
DNS = ("dns.containers-resolve",)
REACH = (
    "network.ip-forward",
    "network.bridge",
    "network.bridge-address",
    "network.managed-interfaces",
    "network.bridge-filter",
    "network.docker-chains",
    "network.masquerade",
    "network.forward-drop",
    "network.docker-user",
    "network.nft-drop",
    "network.egress",
)
SPACE = ("storage.space", "storage.inodes")
# What an application may end over that is no fault of its own.
SURROUNDINGS = (*DNS, *REACH, *SPACE, "storage.read-only")

Rule = Callable[[Container, Ending, Trouble, Scene], Case | None]


def case_of(container: Container, scene: Scene) -> Case | None:
    """Find why one container does not run, or None where it does, or was meant to end."""
    if not container.details:
        return None
    if container.error and container.state in {"created", "exited"}:
        return not_started(container, scene)
    ending, now = scene.endings.of(container), scene.endings.now
    how = trouble(container, ending, now)
    if not how:
        return denied(container, ending, None) or starved_earlier(container, scene) or left_at_once(container, scene)
    if not kept(container) and scene.replaced(container):
        return None
    for rule in RULES:
        if case := rule(container, ending, how, scene):
            return case
    return endless(container, ending, how, scene) if how.loops else None


def lonely(container: Container, ending: Ending, how: Trouble, scene: Scene) -> Case | None:
    """Another container that it waits for is not there for it."""
    line, host = next(
        ((x, next(v for v in m.groups() if v)) for x in reversed(ending.lines) if (m := UNRESOLVED.search(x))), ("", "")
    )
    refused = False
    if not host:
        line = next((x for x in reversed(ending.lines) if REFUSED.search(x)), "")
        refused = bool(line)
    if not line or not how.loops:
        return None
    others = [c for c in scene.containers.all if c.id != container.id]
    if refused:
        words_ = set(re.findall(r"[\w.-]+", line))
        meant = next(
            (c for c in others if any(n.ip and n.ip in words_ for n in c.networks) or any(named(w, c) for w in words_)),
            None,
        )
        host = meant.name if meant else ""
    else:
        same = [c for c in others if named(host, c)]
        meant = next((c for c in same if c.running), same[0] if same else None)
    if not host or ("." in host and not meant):
        return None
    seen = (state_of(container, how), *words(container, ending, 2))
    what = f"{does(container, how)}: it waits for {host}"
    if not meant:
        cause = f"No container is called {host}."
        fix: tuple[str, ...] = (f"# start the container that is to be {host}, on a network of {container.name}",)
        if not peers(container):
            cause += " On the default bridge no name would be resolved, either."
        return Case(
            "dependency",
            container,
            f"{what}, and there is no such container",
            cause,
            seen,
            (*fix, *meanwhile(container, how)),
        )
    seen = (*seen, Evidence("docker ps -a", f"{meant.name}: {meant.status}"))
    if not meant.running:
        # Two that wait for each other explain nothing.
        asked = replace(scene, asking=scene.asking | {container.id})
        why = case_of(meant, asked) if meant.id not in scene.asking else None
        return Case(
            "restart-loop" if why and why.kind == "restart-loop" else "dependency",
            container,
            f"{what}, which does not run ({meant.status})",
            f"Container {meant.name} is {meant.state}: its name and address exist only while it runs.",
            seen,
            (
                f"docker {'unpause' if meant.state == 'paused' else 'start'} {meant.name}",
                f"docker restart {container.name}",
            ),
            because=(f"containers.{why.kind}",) if why and why.kind != "restart-loop" else (),
            follows=bool(why),
        )
    shared = peers(container) & peers(meant)
    if not shared:
        net = next(iter(sorted(peers(meant))), "")
        fix = (f"docker network connect {shlex.quote(net)} {container.name}", f"docker restart {container.name}")
        if not net:
            net = f"{host}-net"
            fix = (
                f"docker network create {net}",
                f"docker network connect --alias {host} {net} {meant.name}",
                *(f.replace(shlex.quote(""), net) for f in fix),
            )
        return Case(
            "dependency",
            container,
            f"{what}, with which it has no network in common",
            "Containers find each other by name on a user-defined network that both are connected to, and nowhere else.",
            (
                *seen,
                Evidence(
                    f"docker inspect {container.name}: networks",
                    ", ".join(n.network for n in container.networks) or "none",
                ),
            ),
            fix,
        )
    if refused:
        return Case(
            "dependency",
            container,
            f"{what}, which refuses connections",
            f"Container {meant.name} runs, but nothing in it listens where {container.name} connects to.",
            seen,
            (f"docker logs --tail 20 {meant.name}", f"# let {container.name} wait until {meant.name} is ready"),
        )
    return None


def left(container: Container, _ending: Ending, how: Trouble, _: Scene) -> Case | None:
    """Its program ended in peace, at once, since nothing of it stays in the foreground."""
    if how.code != 0 or not container.command:
        return None
    line = " ".join(container.command)
    shell = SHELLS.search(container.command[0]) and all(
        w.startswith("-") and "c" not in w for w in container.command[1:]
    )
    interactive = bool(container.details and container.details.interactive)
    if shell and not interactive:
        cause = f"{container.command[0]} reads what it shall do from a terminal, and with -d there is none: it ends."
        fix = anew(container, "-it, or with a command that goes on")
    elif DAEMONS.search(line):
        cause = f"“{line[:100]}” sends the program into the background, and a container ends with its first process."
        fix = anew(container, "a command that keeps the program in the foreground")
    else:
        return None
    return Case(
        "foreground",
        container,
        f"{does(container, how)} at once without an error: nothing keeps it running",
        cause,
        (state_of(container, how), Evidence(f"docker inspect {container.name}: Path, Args", line[:200])),
        (fix, *meanwhile(container, how)),
    )


def left_at_once(container: Container, scene: Scene) -> Case | None:
    """As `left`, of one that Docker does not restart, and that was sent off to run by itself a short while ago."""
    lived = lifetime(container)
    detached = container.details and container.details.detached and not container.details.interactive
    gone = container.state == "exited" and not container.exit_code and not kept(container) and 0 <= lived < SETTLED
    if not detached or not gone or not scene.wanted(container, LATELY):
        return None
    return left(container, scene.endings.of(container), Trouble(False, 0, lived=lived), scene)


def endless(container: Container, ending: Ending, how: Trouble, _: Scene) -> Case:
    """It keeps ending, for a reason of its program's own."""
    said = ending.lines[-1][:160] if ending.lines else ""
    known = "\n".join(ending.lines)
    because: tuple[str, ...] = ()
    if UNRESOLVED.search(known):
        because = (*because, *DNS)
    if UNREACHED.search(known) or REFUSED.search(known):
        because = (*because, *REACH)
    if NO_SPACE.search(known):
        because = (*because, *SPACE)
    if READ_ONLY.search(known):
        because = (*because, "storage.read-only")
    if how.code == 0:
        cause = "Its program ends without an error, and Docker is told to start it again: it is none that stays."
    elif how.killed or how.code == 137:
        cause = (
            "It is killed with SIGKILL, and not for its memory limit: somebody ends it, or the host has no memory left."
        )
    elif how.code in CRASHES:
        cause = f"Its program crashes ({CRASHES[how.code]})."
    else:
        cause = f"Its program ends with exit code {how.code}" + (
            f"; its last words are “{said}”." if said else " and says nothing."
        )
    return Case(
        "restart-loop",
        container,
        f"{does(container, how)}: {ended(how)}",
        cause,
        (state_of(container, how), *words(container, ending)),
        (
            f"docker logs --tail 50 {container.name}",
            f"# mend what it complains of, then: {begin(container)}",
            *meanwhile(container, how),
        ),
        "",
        because,
    )


# The more telling comes first: what the kernel did, what the file is, what was forbidden, and then what the program says.
RULES: tuple[Rule, ...] = (
    starved,
    wrong_format,
    wrong_line_ends,
    no_interpreter,
    no_library,
    no_forks,
    no_write,
    no_right_inside,
    unwritable,
    no_tool,
    lonely,
    left,
)
