"""Decide which nameservers containers shall be given, from what was measured; pure."""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from dockerdoctor.exits import ExitStatus
from dockerdoctor.facts.containers import Container
from dockerdoctor.facts.daemon_json import decode
from dockerdoctor.facts.trial import Trial
from dockerdoctor.facts.upstreams import Candidate, Upstreams, usable
from dockerdoctor.model import Report
from dockerdoctor.redact import redact

# glibc asks no more than three (MAXNS of resolv.h), and says nothing of the rest.
MAX_SERVERS = 3
# Well-known resolvers of two operators, for networks that let them through; asked last, since they know no inside names.
PUBLIC = tuple(Candidate(s, "public resolver") for s in ("1.1.1.1", "8.8.8.8", "9.9.9.9"))


class Tier(Enum):
    """Where a candidate comes from; earlier ones come first in the file, too."""

    PRESENT = "in daemon.json already"
    HOST = "what this host uses"
    NAMED = "--dns"
    GATEWAY = "the router"
    PUBLIC = "public"


# Only when nothing better answers: names of an inside network are not to be told to strangers, who do not know them.
LAST_RESORTS = (Tier.GATEWAY, Tier.PUBLIC)


@dataclass(frozen=True, slots=True)
class Tried:
    """A candidate and what became of it."""

    candidate: Candidate
    tier: Tier
    answers: tuple[tuple[str, str, float], ...]  # place, outcome, seconds
    chosen: bool
    why: str


def candidates(
    present: Iterable[str], path: str, host: Upstreams | None, named: Iterable[str]
) -> tuple[tuple[Candidate, Tier], ...]:
    """Everything worth asking, best first, each once; what no container could use is left out."""
    ranked = [
        *((Candidate(s, path), Tier.PRESENT) for s in present),
        *((c, Tier.HOST) for c in (host.candidates if host else ())),
        *((Candidate(s, "--dns"), Tier.NAMED) for s in named),
        *((c, Tier.GATEWAY) for c in (host.gateways if host else ())),
        *((c, Tier.PUBLIC) for c in PUBLIC),
    ]
    first: dict[str, tuple[Candidate, Tier]] = {}
    for candidate, tier in ranked:
        if usable(candidate.server):
            address = str(ipaddress.ip_address(candidate.server))
            first.setdefault(address, (Candidate(address, candidate.source), tier))
    return tuple(first.values())


def choose(ranked: Iterable[tuple[Candidate, Tier]], trial: Trial, named: Iterable[str] = ()) -> tuple[Tried, ...]:
    """
    Choose those that answered every kind of container, in order, three at most.

    Servers named by --dns always get their place; routers and public resolvers only where nothing better answers.
    """
    ranked = tuple(ranked)
    serving = [(c, t) for c, t in ranked if trial.serves(c.server)]
    asked_for = {str(ipaddress.ip_address(s)) for s in named}
    best = [(c, t) for c, t in serving if t not in LAST_RESORTS]
    for resort in LAST_RESORTS:
        best = best or [(c, t) for c, t in serving if t is resort]
    wanted = [c.server for c, _ in best if c.server in asked_for][:MAX_SERVERS]
    others = [c.server for c, _ in best if c.server not in asked_for][: MAX_SERVERS - len(wanted)]
    chosen = {*wanted, *others}

    def why(candidate: Candidate, tier: Tier) -> str:
        if candidate.server in chosen:
            return "answers"
        if not trial.serves(candidate.server):
            return "does not answer containers"
        return (
            f"not needed: {MAX_SERVERS} others answer"
            if tier not in LAST_RESORTS
            else "not needed: a better one answers"
        )

    return tuple(
        Tried(
            candidate,
            tier,
            trial.answers(candidate.server),
            candidate.server in chosen,
            why(candidate, tier),
        )
        for candidate, tier in ranked
    )


UNLISTED = "which containers that stops is not known: the engine did not list them in time"


@dataclass(frozen=True, slots=True)
class Impact:
    """What a restart of the daemon does to the containers that run."""

    live_restore: bool
    stop: tuple[str, ...]  # stop, and stay stopped
    return_by_policy: tuple[str, ...]  # stop, and are started again by their restart policy
    keep_running: tuple[str, ...]  # live-restore; they keep their old nameservers until they are started again
    recreate: tuple[str, ...]  # started with --dns of their own: nothing in daemon.json reaches them
    known: bool = True  # whether the engine listed its containers

    @property
    def words(self) -> tuple[str, ...]:
        """One line for each thing to know."""
        lines = []
        if self.stop:
            lines.append(f"stop, and stay stopped: {', '.join(self.stop)}")
        if self.return_by_policy:
            lines.append(f"stop, and are started again by their restart policy: {', '.join(self.return_by_policy)}")
        if self.keep_running:
            lines.append(
                f"keep running (live-restore), with their old nameservers until they are restarted: {', '.join(self.keep_running)}"
            )
        if self.recreate:
            lines.append(
                f"were started with --dns, and keep that until they are created anew: {', '.join(self.recreate)}"
            )
        return ("restarts dockerd", *(lines or (("no container runs",) if self.known else (UNLISTED,))))

    @property
    def afterwards(self) -> tuple[str, ...]:
        """What remains to be done for the containers, as commands."""
        restart = [n for n in self.keep_running if n not in self.recreate]
        return (
            *((f"docker start {' '.join(self.stop)}",) if self.stop else ()),
            *((f"docker restart {' '.join(restart)}",) if restart else ()),
            *(
                f"# {n} was started with --dns: create it again, without or with a server that answers"
                for n in self.recreate
            ),
        )


# Docker starts these again after a restart of the daemon; "on-failure" is not among them (docs: restart policies).
RETURNING = frozenset({"always", "unless-stopped"})


def impact(running: Iterable[Container] | None, *, live_restore: bool) -> Impact:
    """Tell, by name, what happens to each container; None: the engine did not list them in time."""
    known, running = running is not None, tuple(running or ())
    back = tuple(c.name for c in running if c.restart_policy in RETURNING)
    return Impact(
        live_restore,
        () if live_restore else tuple(c.name for c in running if c.restart_policy not in RETURNING),
        () if live_restore else back,
        tuple(c.name for c in running) if live_restore else (),
        tuple(c.name for c in running if c.dns),
        known,
    )


class Ending(str, Enum):
    """How a run of fix-dns ended; each has its exit status."""

    NOTHING_TO_DO = "nothing-to-do"
    PLANNED = "planned"
    DECLINED = "declined"  # by the person who was asked
    REFUSED = "refused"
    WRITTEN = "written"  # and not restarted
    APPLIED = "applied"
    ROLLED_BACK = "rolled-back"
    STRANDED = "stranded"  # the roll-back failed

    @property
    def exit_status(self) -> ExitStatus:
        """The documented exit code."""
        return EXITS[self]


EXITS = {
    Ending.NOTHING_TO_DO: ExitStatus.WELL,
    Ending.PLANNED: ExitStatus.WELL,
    Ending.DECLINED: ExitStatus.FINDINGS,
    Ending.REFUSED: ExitStatus.FINDINGS,
    Ending.WRITTEN: ExitStatus.WELL,
    Ending.APPLIED: ExitStatus.WELL,
    Ending.ROLLED_BACK: ExitStatus.ROLLED_BACK,
    Ending.STRANDED: ExitStatus.STRANDED,
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Everything there is to say about a run of fix-dns."""

    ending: Ending
    reason: str = ""  # one line: what is well, why it was refused, what went wrong
    seen: tuple[tuple[str, str], ...] = ()  # (place, what its containers' nameservers said)
    path: str = ""
    diff: tuple[str, ...] = ()
    tried: tuple[Tried, ...] = ()
    impact: Impact | None = None
    backup: str = ""  # the file as it was
    journal: str = ""  # its id there: `doctor undo` takes it back
    next: tuple[str, ...] = ()  # commands for a person, in order; a step begins with "#"
    causes: Report | None = None  # what the checks say, where a nameserver is not the trouble

    @property
    def servers(self) -> tuple[str, ...]:
        """The nameservers chosen, in order."""
        return tuple(t.candidate.server for t in self.tried if t.chosen)


def what_containers_got(trial: Trial) -> tuple[tuple[str, str], ...]:
    """Say for each kind of network how its containers' own nameservers answered."""
    return tuple(
        (
            v.place,
            v.error
            or ", ".join(
                f"{s} {'/'.join(dict.fromkeys(a.outcome for a in v.said(s, 'udp'))) or 'no answer'}"
                for s in v.nameservers
            )
            or "no nameserver at all",
        )
        for v in (trial.bridge, trial.user)
    )


def diff_of(path: str, before: bytes | None, after: bytes) -> tuple[str, ...]:
    """The change as `diff -u` shows it, secrets hidden; it can be printed even where the bytes are no text."""
    # Logins, too: what is around the change in a client's config.json is shown with it.
    old, new = (redact(decode(d)[0] if d is not None else "").splitlines() for d in (before, after))
    source = path if before is not None else "/dev/null"
    return tuple(difflib.unified_diff(list(old), list(new), source, path, lineterm=""))
