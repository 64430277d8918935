"""Whether the proxies that are set work: each accepts connections, and the user name and password that it is given."""

from __future__ import annotations

from dockerdoctor.checks.proxy_places import (
    DAEMON,
    RESTARTS,
    UNIT,
    after,
    daemon_matters,
    exchanges,
    in_containers,
    place_of,
    shown,
    tried,
    users_of,
)
from dockerdoctor.checks.registry import seen
from dockerdoctor.examine import check, failed, passed, skipped, unknown
from dockerdoctor.facts.engine import Units
from dockerdoctor.facts.inside import Inside
from dockerdoctor.facts.proxy import ProxySettings, ProxyTrials, Setting, Trial
from dockerdoctor.facts.registry import Registries
from dockerdoctor.model import Finding, Severity


@check(
    "proxy.dead",
    title="The proxies that are set accept connections",
    severity=Severity.ERROR,
    docs=DAEMON,
    upstream=(*UNIT, "proxy.case"),
)
def dead(
    settings: ProxySettings,
    trials: ProxyTrials,
    registries: Registries | None,
    inside: Inside | None,
    units: Units | None,
) -> Finding:
    """
    Proxies move, and machines leave the network that had one.

    Why it matters: "proxyconnect tcp: dial tcp …: connection refused" on every pull, and nothing resolves to blame.
    How to fix: take the setting out where the direct way works; else give it the proxy of this network.
    """
    if not trials.all:
        return skipped("no proxy is set for the daemon, its containers or ./Dockerfile")
    for trial in (t for t in trials.all if t.dead or t.mute):
        users: tuple[Setting, ...] = ()
        if daemon_matters(settings, trial, registries):
            users += tuple(s for s in settings.in_daemon.values() if s.value == trial.value)
        # A name that the host does not know may be a container's, on the containers' own network.
        known_inside = _reached(inside, trial)
        by_name = bool(trial.asked and trial.asked.outcome.startswith("EAI"))
        if not trial.mute and not trial.loopback and not known_inside and not (by_name and inside is None):
            users += in_containers(settings, trial)
        if users:
            return _dead(settings, trial, users, registries, units)
    return passed("every proxy in use accepts connections", *(e for t in trials.all for e in tried(t)))


def _dead(
    settings: ProxySettings,
    trial: Trial,
    users: tuple[Setting, ...],
    registries: Registries | None,
    units: Units | None,
) -> Finding:
    said = trial.asked.words.removeprefix("the proxy ") if trial.asked else ""
    outside = [r for r in registries.sick if r.direct and r.direct.answered] if registries else []
    fix: list[str] = []
    for user in users:
        unit = settings.daemon_source(user.kind) if user in settings.daemon else None
        if user in settings.containers:
            fix.append(
                f"# replace {user.source} by one that is run without -e {user.name}, or with this network's proxy"
            )
        elif unit and outside:
            fix.append(f"sed -i '{unit.line}s/^/#/' {unit.path}")
        else:
            fix.append(
                f"# set {user.name} to this network's proxy, or take it out, in {unit.source if unit else user.source}"
            )
    if trial.mute:
        cause = f"What listens at {trial.host}:{trial.port} does not speak HTTP: it is no proxy of this kind."
    elif outside:
        cause = f"Nothing answers at {trial.host}:{trial.port}, and {outside[0].host_port} can be reached without it."
    else:
        cause = f"Nothing answers at {trial.host}:{trial.port}: the proxy is down, has moved, or belongs to another network."
    return failed(
        f"{users[0].name}={trial.value}: {trial.host}:{trial.port} {said}",
        *shown(users),
        *tried(trial),
        *(seen(r.direct) for r in outside if r.direct),
        cause=cause,
        fix=(*dict.fromkeys(fix), *after(settings, users, units)),
        impact=RESTARTS if after(settings, users, units) else "",
    )


def _reached(inside: Inside | None, trial: Trial) -> bool:
    return any(e.ok for _, e in exchanges(inside, trial.host, trial.port))


@check(
    "proxy.credentials",
    title="The proxies accept the user name and password that are set",
    severity=Severity.ERROR,
    docs=DAEMON,
    upstream=UNIT,
)
def credentials(
    settings: ProxySettings, trials: ProxyTrials, registries: Registries | None, units: Units | None
) -> Finding:
    """
    407 means that the proxy lives and wants to know who asks.

    Why it matters: "proxyconnect tcp: Proxy Authentication Required" on every pull.
    How to fix: put the right user and password into the URL, percent-encoded, with each “%” doubled in a unit file.
    """
    if not trials.all:
        return skipped("no proxy is set for the daemon, its containers or ./Dockerfile")
    wrong = [
        t for t in trials.all if t.denied and (in_containers(settings, t) or daemon_matters(settings, t, registries))
    ]
    if not wrong:
        hidden = [t for t in trials.all if t.secret_hidden]
        if hidden:
            return unknown(f"the password of {hidden[0].value} cannot be read", how="# run as root")
        return passed("no proxy asks for other credentials")
    first = wrong[0]
    users = users_of(settings, first)
    offers = (first.asked.header("proxy-authenticate") if first.asked else "") or "?"
    scheme = offers.split()[0].lower()
    if scheme in {"ntlm", "negotiate", "kerberos"}:
        cause = f"The proxy wants {offers}, which neither dockerd nor most programs in containers speak."
        fix: tuple[str, ...] = ("# run a proxy on this host that speaks it, as cntlm or px do, and set that one",)
    else:
        given = (
            "refuses the user name and password that are set" if first.credentials else "wants a user name and password"
        )
        cause = f"The proxy {given} ({offers})."
        fix = (
            f"# write http://USER:PASSWORD@{first.host}:{first.port} into {place_of(settings, users[0]) or users[0].source},",
            "# with special characters percent-encoded, and each “%” written twice where it is a unit file",
        )
    return failed(
        f"{users[0].name}={first.value}: 407, {'wrong' if first.credentials else 'no'} credentials",
        *shown(users),
        *tried(first),
        cause=cause,
        fix=(*fix, *after(settings, users, units)),
        impact=RESTARTS if after(settings, users, units) else "",
    )
