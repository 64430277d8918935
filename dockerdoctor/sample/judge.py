"""Verdicts on what was seen: on a failed build, on a page, on a port that is taken. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dockerdoctor.examine import failed, passed, skipped
from dockerdoctor.facts.endpoint import mask_text
from dockerdoctor.facts.listeners import Listener
from dockerdoctor.model import Evidence, Finding, Report, Status
from dockerdoctor.sample.model import Part

NO_REDIS = "<i>cannot connect to Redis, counter disabled</i>"
GREETING = "<h3>Hello World!</h3>"
CACHED = " ---> Using cache"
# The second is a quarrel with itself over a container that it was told to remove twice.
ENGINES_OWN = (" --->", "Removing intermediate container", "Error removing intermediate container")
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")

# What pip and the engine say, and what it means. The first that matches counts: what comes first is nearer the cause.
MEANINGS: dict[str, str] = {
    "[Ee]xec format error": "The image's programs are for another processor than this engine's.",
    "[Nn]o space left on device": "The disk that holds Docker's data is full.",
    "407 Proxy Authentication|Tunnel connection failed: 407": (
        "The proxy wants a user name and a password, and the build has none or wrong ones."
    ),
    "ProxyError|Cannot connect to proxy|Tunnel connection failed|proxyconnect": (
        "The proxy does not do its work when asked from there."
    ),
    "[Nn]ame resolution|Name or service not known|Failed to resolve|No address associated with hostname|"
    r"server misbehaving|no such host|lookup \S+ on \S+:|lookup \S+: i/o timeout": (
        "The name of the server could not be resolved: no nameserver gave an answer that helps."
    ),
    "CERTIFICATE_VERIFY_FAILED|signed by unknown authority|[Ss]elf[- ]signed certificate": (
        "The server's certificate is signed by an authority that is not trusted there."
    ),
    "server gave HTTP response to HTTPS client": (
        "The registry speaks plain HTTP, and the engine was not told that it may."
    ),
    "toomanyrequests|429 Too Many Requests": "The registry allows no more pulls for now: log in, or wait.",
    r"40[13] Client Error|\b40[13] (?:Unauthorized|Forbidden)|unauthorized:|access denied": (
        "The server refuses without other credentials."
    ),
    "[Nn]etwork is unreachable|[Nn]o route to host": "No route leads to the server.",
    r"timed? ?out|Timeout|TLS handshake timeout|deadline exceeded": "The server did not answer in time.",
    "[Cc]onnection (?:refused|reset)": "The server was reached, and nothing that serves is there.",
    "Could not find a version|No matching distribution": (
        "The package index was not reached, or it does not have the package."
    ),
}


def meaning(texts: Iterable[str], otherwise: str) -> str:
    """Say in plain words what an engine's or pip's messages mean."""
    text = "\n".join(texts)
    return next((words for pattern, words in MEANINGS.items() if re.search(pattern, text)), otherwise)


@dataclass
class BuildLog:
    """What a build said so far, one event of the engine's stream after the other."""

    step: str = ""  # "Step 4/8 : RUN pip install -r requirements.txt"
    steps: int = 0
    cached: int = 0  # of them
    lines: list[str] = field(default_factory=list)  # of the current step
    layers: list[str] = field(default_factory=list)  # images that this build made
    image: str = ""
    error: str = ""
    retrying: bool = False  # pip could not reach what it wants, and tries again: for a minute or more
    rest: str = ""  # of a line that is not whole yet
    began: float = 0.0  # the current step, by some clock
    clock: float = 0.0  # now, by the same
    ended: list[Part] = field(default_factory=list)  # steps before the current one

    def hear(self, event: Mapping[str, object], clock: float = 0.0) -> tuple[str, ...]:
        """Note an event; returns the whole lines that it brought."""
        self.clock = clock
        if "error" in event:
            self.error = mask_text(str(event["error"]))
        aux = event.get("aux")
        if isinstance(aux, dict) and aux.get("ID"):
            self.image = str(aux["ID"])
        *whole, self.rest = ESCAPES.sub("", self.rest + str(event.get("stream", ""))).split("\n")
        heard = tuple(mask_text(line.rsplit("\r", 1)[-1].rstrip()) for line in whole)
        for line in heard:
            self._note(line)
        return tuple(line for line in heard if line)

    def _note(self, line: str) -> None:
        if line.startswith("Step "):
            self.ended += self._current(Status.PASS)
            self.step, self.lines, self.steps, self.began = line, [], self.steps + 1, self.clock
        elif built := re.fullmatch(r"Successfully built ([0-9a-f]+)", line):
            self.image = self.image or built.group(1)
        elif made := re.fullmatch(r" ---> ([0-9a-f]{12,64})", line):
            # The image of a FROM is the base, and a cached one is not this build's either.
            if " : FROM " not in self.step and self.lines[-1:] != [CACHED]:
                self.layers.append(made.group(1))
        elif line.strip():
            self.cached += line == CACHED
            self.retrying = self.retrying or "Retrying (Retry(" in line
            self.lines.append(line)

    def _current(self, status: Status) -> list[Part]:
        if not self.step:
            return []
        cached = CACHED in self.lines
        said = tuple(line for line in self.lines if not line.startswith(ENGINES_OWN))
        return [Part(self.step, status, "from the cache" if cached else "", self.clock - self.began, said)]

    @property
    def parts(self) -> list[Part]:
        """Every step that was begun, the last as the build ended."""
        return [*self.ended, *self._current(Status.PASS if self.image else Status.FAIL)]


@dataclass
class Layers:
    """What a pull said so far of each layer."""

    state: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)  # from its first word to its last
    began: dict[str, float] = field(default_factory=dict)
    last: str = ""

    def hear(self, event: dict[str, object], clock: float) -> str:
        """Note an event; returns a line to show, where it brought something new."""
        layer, status = str(event.get("id", "")), str(event.get("status", ""))
        new = status != self.state.get(layer, "")
        # "Pulling from library/python" has the tag for an id.
        if layer and not status.startswith("Pulling from"):
            self.state[layer] = status
            self.seconds[layer] = clock - self.began.setdefault(layer, clock)
        if not new or not status:
            return ""
        self.last = f"{layer}: {status}" if layer else status
        return self.last

    @property
    def parts(self) -> list[Part]:
        """Each layer, and how far it came."""
        here = {"Pull complete", "Already exists"}
        return [
            Part(layer, Status.PASS if self.state[layer] in here else Status.UNKNOWN, self.state[layer], seconds)
            for layer, seconds in self.seconds.items()
        ]


def telling(lines: Sequence[str], most: int = 5) -> tuple[str, ...]:
    """Choose the lines that say why a step failed: the first warning, and the errors; else the last lines."""
    said = [line.strip() for line in lines if not line.startswith(ENGINES_OWN)]
    warned = [line for line in said if "WARNING" in line and "root user" not in line][:1]
    errors = [line for line in said if re.search(r"\bERROR\b|[Ee]rror:|Exception", line) and line not in warned]
    chosen = (*warned, *errors[-(most - len(warned)) :]) if errors else tuple(said[-most:])
    return tuple(line if len(line) <= 400 else f"{line[:400]}…" for line in chosen)


def build_failed(log: BuildLog, *, late: str = "") -> Finding:
    """Say which step failed, why, and what that means; `late` where it was ended for taking too long."""
    step, _, command = log.step.partition(" : ")
    # "The command '/bin/sh -c pip ...' returned a non-zero code: 1": which command, the step tells.
    code = re.search(r"returned a non-zero code: (\d+)", log.error)
    error = f"it exited with status {code.group(1)}" if code else log.error
    texts = [*log.lines, log.error]
    otherwise = f"`{command}` did not succeed in the build container." if command else "The engine refused the build."
    return failed(
        f"{command or 'the build'}: {late or error}",
        *(Evidence(step or "build", line) for line in telling(log.lines)),
        cause=meaning(texts, otherwise),
    )


INSTALLED = "Successfully installed "


def packages(parts: Iterable[Part]) -> Finding:
    """Say what pip installed, going by the steps of a build that succeeded."""
    step = next((part for part in parts if "pip install" in part.name), None)
    if not step:
        return skipped("the Dockerfile installs none")
    if step.said == "from the cache":
        return passed("installed by an earlier build, whose step was taken from the cache")
    line = next((line for line in step.output if line.startswith(INSTALLED)), "")
    seen = (Evidence(step.name, line),) if line else ()
    return passed(line.removeprefix(INSTALLED).replace(" ", ", ") or "nothing that was not there", *seen)


# Where one of these fails, no container of this host can fetch anything, and pip's next tries will be no better.
HOPELESS = {"dns.containers-resolve": "containers cannot resolve names", "network.egress": "containers reach nothing"}


def hopeless(report: Report) -> str:
    """Say why waiting for pip is of no use, judging by what was measured of this host; empty where it may be."""
    unwell = {r.check.id for r in report.results if r.finding.status is Status.FAIL}
    return next((why for check, why in HOPELESS.items() if check in unwell), "")


STAND_IN = "not counted: a stand-in"


def page_parts(page: str, short_id: str, *, redis_expected: str = "") -> tuple[Finding, Finding, Finding]:
    """Judge the page's three lines: greeting, hostname, visits; together they are the whole page, to the letter."""
    rest = page
    seen = Evidence("the page", page if len(page) <= 300 else f"{page[:300]}…")
    if rest.startswith(GREETING):
        greeting, rest = passed("Hello World!"), rest.removeprefix(GREETING)
    else:
        greeting = failed(
            f"the page does not begin with {GREETING}",
            seen,
            cause="Something other than the sample answers on this port, or the sample was changed.",
        )
        rest = rest[max(rest.find("<b>Hostname:</b>"), 0) :]
    line = re.match(r"<b>Hostname:</b> ([^<]*)<br/>", rest)
    if line and line.group(1) == short_id:
        hostname = passed(short_id)
    elif line:
        hostname = failed(
            f"the page names {line.group(1)}, and the container is {short_id}",
            seen,
            cause="Another container answers on this port: the engine forwards it elsewhere.",
        )
    else:
        hostname = failed(f"the page does not name the container {short_id}", seen, cause="The sample was changed.")
    return greeting, hostname, _visits(rest[line.end() :] if line else rest, seen, redis_expected)


def _visits(rest: str, seen: Evidence, redis_expected: str) -> Finding:
    counted = re.fullmatch(r"<b>Visits:</b> (\d+)", rest)
    if counted:
        return passed(f"{counted.group(1)}, counted in Redis")
    if STAND_IN in rest:
        return skipped("a stand-in has no counter")
    if rest != f"<b>Visits:</b> {NO_REDIS}":
        return failed("the page does not end with a count of visits", seen, cause="The sample was changed.")
    if redis_expected:
        return failed(
            "the sample cannot connect to Redis, though one is on its network",
            seen,
            Evidence("network", redis_expected),
            cause="The name `redis` leads to a container, and no Redis answers there as the sample asks it.",
        )
    return passed("cannot connect to Redis: as it should be with no Redis on its network")


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has a port of the host."""

    what: str  # "container web (8fc990912a14)", "process nginx (pid 812)", "a process that only root can name"
    step: str  # towards a free port, for a person
    seen: Evidence


def port_taken(port: int, holder: Holder | None, free: int) -> Finding:
    """Say who has the port, and which one to take instead."""
    return failed(
        f"port {port} is taken by {holder.what}" if holder else f"port {port} is taken",
        *([holder.seen] if holder else ()),
        cause=f"Two cannot listen on port {port} of one host: the engine could not publish the sample there.",
        fix=(f"doctor run-sample --port {free}", *((f"# {holder.step}",) if holder else ())),
        because=(),
    )


def port_ours(port: int, container: Mapping[str, Any], free: int) -> Finding:
    """Say that a sample of an earlier run was left running there on purpose."""
    name, short = str(container["Names"][0]).lstrip("/"), str(container["Id"])[:12]
    return failed(
        f"port {port} is taken by a sample that was left running: {name} ({short})",
        Evidence("docker ps", f"{short}  {container.get('Image')}  {name}  {container.get('Status')}"),
        cause="An earlier `doctor run-sample` was told to leave it there.",
        fix=("doctor run-sample --stop", f"# or beside it: doctor run-sample --port {free}"),
        because=(),
    )


def port_privileged(port: int, lowest: int, free: int) -> Finding:
    """Say that an engine without root may not listen on the port."""
    return failed(
        f"port {port} is privileged: this engine runs without root, and may listen from {lowest} on",
        Evidence("/proc/sys/net/ipv4/ip_unprivileged_port_start", str(lowest)),
        cause="The kernel keeps the low ports for root, and a rootless engine is an ordinary user's process.",
        fix=(
            f"doctor run-sample --port {free}",
            f"# or for good, as root: sysctl net.ipv4.ip_unprivileged_port_start={port}",
        ),
        because=(),
    )


def no_network(name: str) -> Finding:
    """Say that there is no such network."""
    return failed(
        f"there is no network {name}",
        cause="The sample was to join a network that this engine does not have.",
        fix=(f"docker network create {name}",),
        because=(),
    )


def not_listening(inside: Sequence[Listener], port: int, seconds: float, state: str, logs: Sequence[str]) -> Finding:
    """Say what is wrong with an application that does not listen where it should."""
    evidence = [Evidence("/proc/net/tcp in the container", x.where) for x in inside]
    evidence += [Evidence("container", state), *(Evidence("container's log", line) for line in logs)]
    if not state.startswith("running"):
        wrong = any("exec format error" in line for line in logs)
        said = f"The application itself failed: {logs[-1]}" if logs else "The application ended without a word."
        return failed(
            f"the application ended: {state}",
            *evidence,
            cause="The image's programs are for another processor than this engine's." if wrong else said,
        )
    on_port = [x for x in inside if x.port == port]
    if on_port:
        return failed(
            f"the application listens on the container's loopback only: {on_port[0].where}",
            *evidence,
            cause="A published port leads to the container's address on its network, never to its loopback.",
            fix=("# in sample_app/app.py: app.run(host='0.0.0.0', port=80)",),
            because=(),
        )
    if inside:
        return failed(
            f"the application listens on {', '.join(x.where for x in inside)}, and not on port {port}",
            *evidence,
            cause=f"Port {port} of the container is published, and nothing listens there.",
            fix=(f"# in sample_app/app.py: app.run(host='0.0.0.0', port={port})",),
            because=(),
        )
    return failed(
        f"nothing listens in the container after {seconds:.0f} s",
        *evidence,
        cause="The application runs, and has not come so far as to listen.",
    )


def page_missing(url: str, last: str, tries: int, seconds: float, state: str, logs: Sequence[str]) -> Finding:
    """Say what came instead of a page, of an application that listens."""
    evidence = [Evidence(f"GET {url}", f"{last} ({tries} tries in {seconds:.0f} s)"), Evidence("container", state)]
    evidence += [Evidence("container's log", line) for line in logs]
    if not state.startswith("running"):
        return not_listening((), 0, seconds, state, logs)
    return failed(
        f"no page from {url} within {seconds:.0f} s: {last}",
        *evidence,
        cause="The application listens in its container, and what is between it and the port of the host does not let "
        "the page through.",
    )


def counted(pages: Sequence[str], first: int) -> Finding:
    """Judge a counter by pages that were fetched one after the other; `first` is 0 where it is not known."""
    numbers = [int(found.group(1)) for text in pages if (found := re.search(r"<b>Visits:</b> (\d+)$", text))]
    seen = tuple(Evidence("the page", text[-80:]) for text in pages)
    start = first or (numbers[0] if numbers else 0)
    if numbers == list(range(start, start + len(pages))):
        return passed(f"{', '.join(map(str, numbers))}: counted in Redis", *seen)
    return failed(
        f"the counter goes {', '.join(map(str, numbers)) or 'nowhere'}",
        *seen,
        cause="Each visit must count one: somebody else counts in this Redis, or it forgets.",
    )


def reached(troubles: Mapping[str, str], needed: Sequence[str]) -> Finding:
    """Judge what came of asking at several addresses: a trouble for each, empty where the page came."""
    seen = tuple(Evidence(f"GET at {place}", trouble or "the page") for place, trouble in troubles.items())
    well = [place for place, trouble in troubles.items() if not trouble]
    broken = [place for place in needed if troubles[place]]
    if not broken:
        without = [f"not at {place}: {trouble}" for place, trouble in troubles.items() if trouble]
        return passed("; ".join([", ".join(well), *without]), *seen)
    return failed(
        f"no page at {', '.join(f'{place}: {troubles[place]}' for place in broken)}",
        *seen,
        cause="The engine publishes the port there, and something on the way to the container does not let it through."
        if well
        else "The engine publishes the port, and on none of its addresses does anything come through.",
    )
