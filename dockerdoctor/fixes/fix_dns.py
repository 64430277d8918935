"""`doctor fix-dns` from start to end: measure, plan, ask, apply, prove."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace

from dockerdoctor.diagnose import examine_host
from dockerdoctor.facts.caller import Caller
from dockerdoctor.facts.containers import Containers
from dockerdoctor.facts.daemon_json import DaemonJson, StartFlags
from dockerdoctor.facts.dns import HostResolver
from dockerdoctor.facts.endpoint import ChosenEndpoint, DaemonPing, Settings
from dockerdoctor.facts.engine import DaemonProcess, EngineInfo, Installed, Units
from dockerdoctor.facts.probes import PROBES
from dockerdoctor.facts.trial import Trial, try_servers, well
from dockerdoctor.facts.upstreams import Candidate, Upstreams
from dockerdoctor.facts.wanted import Wanted
from dockerdoctor.fixes.accepted import refusal
from dockerdoctor.fixes.daemon_json import with_list
from dockerdoctor.fixes.dns import (
    LAST_RESORTS,
    Ending,
    Impact,
    Tier,
    Verdict,
    candidates,
    choose,
    diff_of,
    impact,
    what_containers_got,
)
from dockerdoctor.fixes.grounds import (
    Daemon,
    Sick,
    daemon_of,
    refuse_another_engine,
    refuse_flags,
    refuse_what_cannot_be_edited,
)
from dockerdoctor.fixes.steps import Folder, Put, Step
from dockerdoctor.fixes.treatment import Refused, StepFailed, StillSick, Stranded, Treatment, carry_out, insist, why
from dockerdoctor.host import FileState, Host
from dockerdoctor.measure import FactsView, measure, required_probes
from dockerdoctor.model import Report
from dockerdoctor.paste import ready
from dockerdoctor.web import HUB

NEEDED = (
    *(Caller, ChosenEndpoint, DaemonPing, DaemonJson, StartFlags, DaemonProcess, Units, Installed, EngineInfo),
    *(HostResolver, Upstreams, Wanted, Containers),
)
# A network just made needs a moment; a proof that fails for longer is none.
PROOF_DEADLINE = 20.0  # seconds
PROOF_PAUSE = 1.0


@dataclass(frozen=True, slots=True)
class Order:
    """What the person at the command line asked for."""

    write: bool = False
    restart: bool = True
    named: tuple[str, ...] = ()  # --dns


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done."""

    verdict: Verdict  # as it is shown
    change: Put | None  # None: the file says so already, and the daemon has not read it
    daemon: Daemon | None  # None: nobody told us how to restart it
    places: frozenset[str]  # where containers could be asked from, and must resolve names afterwards
    names: tuple[str, ...]


def fix_dns(
    host: Host,
    settings: Settings,
    order: Order,
    *,
    agreed: Callable[[Verdict], bool],
    observe: Callable[[str], None] = lambda _: None,
) -> Verdict:
    """Find nameservers that answer containers and, when asked to and `agreed`, give them to all new containers."""
    facts, _ = measure(required_probes(PROBES, NEEDED), host, {Settings: settings})
    try:
        verdict = _verdict(host, facts, order, agreed, observe)
    except Refused as no:
        verdict = Verdict(Ending.REFUSED, no.reason, next=no.manual)
    except Sick as no:
        verdict = replace(no.verdict, causes=_without_ourselves(examine_host(host, settings)))
    caller = facts.of(Caller)
    return replace(verdict, next=tuple(ready(step, caller) for step in verdict.next)) if caller else verdict


def _verdict(
    host: Host,
    facts: FactsView,
    order: Order,
    agreed: Callable[[Verdict], bool],
    observe: Callable[[str], None],
) -> Verdict:
    if order.write and not host.is_root:
        raise Refused("only root may change the daemon's configuration", _again(order))
    plan = _plan(host, facts, order, observe)
    if isinstance(plan, Verdict):
        return plan
    if not order.write:
        return replace(plan.verdict, next=(_again(order),))
    if not agreed(plan.verdict):
        return replace(plan.verdict, ending=Ending.DECLINED, reason="nothing was changed")
    return _carry_out(host, facts, plan, order, observe)


def _again(order: Order) -> str:
    """The command that does it."""
    return shlex.join(("doctor", "fix-dns", "--write", *(w for s in order.named for w in ("--dns", s))))


def _without_ourselves(report: Report) -> Report:
    """Leave out the advice to run this very command."""
    return replace(
        report,
        results=tuple(
            replace(r, finding=replace(r.finding, fix=tuple(step for step in r.finding.fix if "fix-dns" not in step)))
            for r in report.results
        ),
    )


def _plan(host: Host, facts: FactsView, order: Order, observe: Callable[[str], None]) -> Plan | Verdict:
    endpoint, ping, config = facts.of(ChosenEndpoint), facts.of(DaemonPing), facts.of(DaemonJson)
    if endpoint and not endpoint.local:
        raise Refused(f"the engine at {endpoint.url} is on another host", "# run doctor fix-dns there")
    if config:
        refuse_what_cannot_be_edited(host, config)
    if not (endpoint and ping and config and ping.answered):
        raise Sick(Verdict(Ending.REFUSED, f"the engine does not answer ({ping.outcome if ping else 'not asked'})"))
    refuse_another_engine(host, facts, endpoint, config)
    found, wanted = facts.of(Upstreams), facts.of(Wanted)
    ranked = candidates(config.dns, config.path, found, order.named)
    near, far = ([(c, t) for c, t in ranked if (t in LAST_RESORTS) is last] for last in (False, True))
    names = (HUB, *(wanted.names if wanted else ()))

    def tried(among: list[tuple[Candidate, Tier]], asked_for: tuple[str, ...]) -> Trial:
        observe(f"asking {', '.join(c.server for c, _ in among) or 'their own nameservers'} from new containers")
        return try_servers(host, endpoint, ping, (c.server for c, _ in among), asked_for)

    trial = tried(near, names)
    if not trial.well:
        # Once more: what is silent twice is silent.
        trial = trial.or_else(tried(near, names))
    verdict = Verdict(Ending.PLANNED, seen=what_containers_got(trial), path=config.path)
    if not trial.views:
        raise Sick(replace(verdict, ending=Ending.REFUSED, reason="no container could be started to ask from"))
    if trial.well and not _will_be_sick(config, trial):
        return replace(verdict, ending=Ending.NOTHING_TO_DO, reason="names resolve in new containers")
    refuse_flags(host, facts, config)
    verdict = replace(verdict, tried=choose(near, trial, order.named))
    if not verdict.servers:
        # Strangers are asked for a public name alone, and only now.
        names = (HUB,)
        trial = trial.or_else(tried(far, names))
        verdict = replace(verdict, tried=choose(ranked, trial, order.named))
    if not verdict.servers:
        raise Sick(
            replace(
                verdict,
                ending=Ending.REFUSED,
                reason="no nameserver answers containers",
                next=("# name one that they can reach: doctor fix-dns --write --dns ADDRESS",),
            )
        )
    return _planned(host, facts, config, verdict, trial, names)


def _will_be_sick(config: DaemonJson, trial: Trial) -> bool:
    """Whether the next restart brings nameservers that do not answer: dockerd has not read its file since they came."""
    return bool(config.dns) and not set(config.dns) & set(trial.bridge.nameservers) and not trial.serves(config.dns[0])


def _planned(
    host: Host, facts: FactsView, config: DaemonJson, verdict: Verdict, trial: Trial, names: tuple[str, ...]
) -> Plan:
    path = host.real_path(config.path)
    try:
        before = host.file_state(path)
    except OSError as unread:
        raise Refused(f"{path}: {unread.strerror}", f"# set “dns” in {path} by hand") from unread
    after = with_list(before.data if before else b"", "dns", verdict.servers)
    change = Put(path, before, replace(before, data=after, mtime_ns=0) if before else FileState(after))
    needed = before is None or before.data != after
    if not needed and verdict.servers == trial.bridge.nameservers:
        reason = (
            f"containers have {', '.join(verdict.servers)}, which answers when asked, and still do not resolve names"
        )
        raise Sick(replace(verdict, ending=Ending.REFUSED, reason=reason))
    installed, start = facts.of(Installed), facts.of(StartFlags)
    running, info = facts.of(Containers), facts.of(EngineInfo)
    no = refusal(host, installed, start.flags if start else (), after) if installed else ""
    if no:
        reason = f"dockerd would not start with {path}, whatever its nameservers: {no}"
        raise Sick(replace(verdict, ending=Ending.REFUSED, reason=reason))
    return Plan(
        replace(
            verdict,
            path=path,
            diff=diff_of(path, before.data if before else None, after),
            impact=impact(running.running if running else None, live_restore=bool(info and info.live_restore)),
        ),
        change if needed else None,
        daemon_of(host, facts),
        frozenset(v.place for v in trial.views),
        names,
    )


def _carry_out(host: Host, facts: FactsView, plan: Plan, order: Order, observe: Callable[[str], None]) -> Verdict:
    endpoint, ping = facts[ChosenEndpoint], facts[DaemonPing]
    verdict = plan.verdict
    daemon = plan.daemon if order.restart else None
    remains = plan.daemon.commands if plan.daemon else ("# restart dockerd the way it was started",)

    def problem() -> str:
        trial = try_servers(host, endpoint, ping, (), plan.names)
        if plan.places <= {v.place for v in trial.views if well(v)}:
            return ""
        said = "; ".join(f"{place}: {what}" for place, what in what_containers_got(trial))
        return f"names still do not resolve in new containers ({said})"

    def proof() -> None:
        insist(problem, host, PROOF_DEADLINE, PROOF_PAUSE)

    steps: tuple[Step, ...] = daemon.steps if daemon else ()
    if plan.change:
        folder = plan.change.path.rpartition("/")[0]
        made = () if host.exists(folder) else (Folder(folder),)
        steps = (*made, plan.change, *steps)
    treatment = Treatment("fix-dns", verdict.reason, steps, socket=daemon.socket if daemon else "")
    try:
        journal = carry_out(treatment, host, proof if daemon else lambda: None, observe)
    except Stranded as no:
        return replace(verdict, ending=Ending.STRANDED, reason=no.reason, next=no.commands)
    except (OSError, StepFailed, StillSick) as no:
        return replace(verdict, ending=Ending.ROLLED_BACK, reason=why(no), next=_after_rollback(verdict.impact, daemon))
    backup = next((step.copy for step in journal.steps if isinstance(step, Put)), "")
    done = replace(verdict, journal=journal.id, backup=backup, next=verdict.impact.afterwards if verdict.impact else ())
    if not daemon:
        reason = "written; dockerd reads it when it is restarted"
        return replace(done, ending=Ending.WRITTEN, reason=reason, next=(*remains, *done.next))
    return replace(done, ending=Ending.APPLIED, reason="names resolve in new containers")


def _after_rollback(met: Impact | None, daemon: Daemon | None) -> tuple[str, ...]:
    return met.afterwards if met and daemon else ()
