"""Verdicts on what was seen: on a failed build, on a page, on a port that is taken. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dockerdoctor.examine import failed, passed
from dockerdoctor.facts.endpoint import mask_text
from dockerdoctor.model import Evidence, Finding, Report, Status

NO_REDIS = "<i>cannot connect to Redis, counter disabled</i>"
GREETING = "<h3>Hello World!</h3>"
CACHED = " ---> Using cache"
# The second is a quarrel with itself over a container that it was told to remove twice.
ENGINES_OWN = (" --->", "Removing intermediate container", "Error removing intermediate container")
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")

# What pip and the engine say, and what it means. The first that matches counts: what comes first is nearer the cause.
MEANINGS: dict[str, str] = {
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


# As Flask's own server says it.
LOOPBACK_ONLY = re.compile(r"Running on http://(?:127\.|localhost|\[::1\])")


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

    def hear(self, event: Mapping[str, object]) -> tuple[str, ...]:
        """Note an event; returns the whole lines that it brought."""
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
            self.step, self.lines, self.steps = line, [], self.steps + 1
        elif built := re.fullmatch(r"Successfully built ([0-9a-f]+)", line):
            self.image = self.image or built.group(1)
        elif made := re.fullmatch(r" ---> ([0-9a-f]{12,64})", line):
            # The first step's image is the base, and a cached one is not this build's either.
            if self.steps > 1 and self.lines[-1:] != [CACHED]:
                self.layers.append(made.group(1))
        elif line.strip():
            self.cached += line == CACHED
            self.retrying = self.retrying or "Retrying (Retry(" in line
            self.lines.append(line)


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

    def whole(self, layer: str) -> bool:
        """Whether a layer is here."""
        return self.state.get(layer) in {"Pull complete", "Already exists"}


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


# Where one of these fails, no container of this host can fetch anything, and pip's next tries will be no better.
HOPELESS = {"dns.containers-resolve": "containers cannot resolve names", "network.egress": "containers reach nothing"}


def hopeless(report: Report) -> str:
    """Say why waiting for pip is of no use, judging by what was measured of this host; empty where it may be."""
    unwell = {r.check.id for r in report.results if r.finding.status is Status.FAIL}
    return next((why for check, why in HOPELESS.items() if check in unwell), "")


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


def no_network(name: str) -> Finding:
    """Say that there is no such network."""
    return failed(
        f"there is no network {name}",
        cause="The sample was to join a network that this engine does not have.",
        fix=(f"docker network create {name}",),
        because=(),
    )


def page_missing(url: str, last: str, tries: int, seconds: float, state: str, logs: Sequence[str]) -> Finding:
    """Say what came instead of a page, and what the application said."""
    evidence = [Evidence(f"GET {url}", f"{last} ({tries} tries in {seconds:.0f} s)"), Evidence("container", state)]
    evidence += [Evidence("container's log", line) for line in logs]
    if not state.startswith("running"):
        return failed(
            f"the application ended: {state}",
            *evidence,
            cause=f"The application itself failed: {logs[-1]}" if logs else "The application ended without a word.",
        )
    alone = next((line for line in logs if LOOPBACK_ONLY.search(line)), "")
    if alone and not any("0.0.0.0" in line for line in logs):  # noqa: S104 - it is read, not bound
        return failed(
            f"no page from {url}: the application listens on the container's loopback only",
            *evidence,
            cause="A published port leads to the container's address on its network, never to its loopback.",
            fix=("# in sample_app/app.py: app.run(host='0.0.0.0', port=80)",),
        )
    return failed(
        f"no page from {url} within {seconds:.0f} s: {last}",
        *evidence,
        cause="The container runs, and what is between it and the port of the host does not let the page through, "
        "or the application does not listen on all of the container's addresses.",
    )
