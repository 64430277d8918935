"""What a proxy setting says: a URL that programs agree on, the scheme that the proxy speaks, one value whatever the spelling."""

from __future__ import annotations

import re

from dockerdoctor.checks.proxy_places import (
    CLIENT,
    DAEMON,
    RESTARTS,
    UNIT,
    address_of,
    after,
    daemon_matters,
    in_containers,
    restart,
    rewrite,
    shown,
    tried,
    users_of,
)
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.engine import Units
from dockerdoctor.facts.proxy import ProxySettings, ProxyTrials, Setting, Trial
from dockerdoctor.facts.registry import Registries
from dockerdoctor.model import Finding, Severity


@check(
    "proxy.url",
    title="Proxies are set as URLs",
    severity=Severity.ERROR,
    docs=CLIENT,
)
def url(settings: ProxySettings, trials: ProxyTrials, registries: Registries | None, units: Units | None) -> Finding:
    """
    Dockerd takes "host:port" for http://host:port; apt and many libraries in containers refuse it.

    Why it matters: "Unsupported proxy configured", or a proxy that is silently not used, in containers and builds only.
    How to fix: write the scheme; percent-encode what is special in a password.
    """
    if not trials.all:
        return skipped("no proxy is set for the daemon, its containers or ./Dockerfile")
    broken = [
        t for t in trials.all if t.problem and (in_containers(settings, t) or daemon_matters(settings, t, registries))
    ]
    # What runs in a container that is there may be content with it, as Go is.
    to_come = (*settings.client, *settings.dockerfile)
    bare = [t for t in trials.all if not t.problem and not t.has_scheme and any(s.value == t.value for s in to_come)]
    if not broken and not bare:
        return passed("every proxy is a URL that programs agree on")
    first = (broken or bare)[0]
    users = users_of(settings, first) if first.problem else in_containers(settings, first)
    where = users[0].source
    if first.problem:
        lines = [u for u in settings.unit if u.value == first.value and not u.ignored and u.in_force]
        where = lines[0].source if lines else where
        # Quotes in quotes, or one that is not closed: systemd leaves them in the value.
        quotes = [f"sed -i '{u.line}s/[\\x22\\x27]//g' {u.path}" for u in lines if re.search("[\"'\n]", u.value)]
        return failed(
            f"{users[0].name}={first.value} in {where} is not a proxy's URL: {first.problem}".replace("\n", " "),
            *shown(users),
            *shown(lines),
            cause=f"Programs cannot use {first.value!r}: {first.problem}.",
            fix=(
                *(dict.fromkeys(quotes) or (f"# write the proxy's URL, http://HOST:PORT, into {where}",)),
                *after(settings, users, units),
            ),
            impact=RESTARTS if after(settings, users, units) else "",
        )
    old = f'(^|[" =])(([^" =/]*@)?{address_of(first)})'
    return failed(
        f"{users[0].name}={first.value} in {where} has no scheme",
        *shown(users),
        cause="Without http:// apt and many libraries refuse the proxy, though dockerd and curl take it.",
        fix=rewrite(settings, users, old, r"\1http://\2"),
    )


@check(
    "proxy.tls-scheme",
    title="Proxies are spoken to the way they listen",
    severity=Severity.ERROR,
    docs=DAEMON,
    upstream=UNIT,
)
def tls_scheme(
    settings: ProxySettings, trials: ProxyTrials, registries: Registries | None, units: Units | None
) -> Finding:
    """
    The scheme in HTTPS_PROXY is that of the hop to the proxy, not of what is asked through it.

    Why it matters: "proxyconnect tcp: tls: first record does not look like a TLS handshake" on every pull.
    How to fix: write http:// in HTTPS_PROXY too, unless the proxy really listens with TLS.
    """
    if not trials.all:
        return skipped("no proxy is set for the daemon, its containers or ./Dockerfile")
    wrong = [
        t for t in trials.all if t.not_tls and (in_containers(settings, t) or daemon_matters(settings, t, registries))
    ]
    if not wrong:
        return passed("no proxy is asked over TLS that does not speak it", *(e for t in trials.all for e in tried(t)))
    first = wrong[0]
    users = users_of(settings, first)
    return failed(
        f"{users[0].name}={first.value}: the proxy speaks plain HTTP, not TLS",
        *shown(users),
        *tried(first),
        cause=f"{first.host}:{first.port} answers plain HTTP and no TLS, but is set with https://.",
        fix=(
            *rewrite(settings, users, f'https://(([^" /]*@)?{address_of(first)})', r"http://\1"),
            *after(settings, users, units),
        ),
        impact=RESTARTS if after(settings, users, units) else "",
    )


def _as_lower(settings: ProxySettings, upper: Setting, lower: Setting, bad: Trial) -> str:
    """Set one variable to what its other spelling is."""
    unit = next((u for u in settings.unit if u.name == upper.name and not u.ignored and u.in_force), None)
    if unit is None or "***" in lower.value:
        return f"# set {upper.name} to what {lower.name} is, in {unit.source if unit else upper.source}"
    old = f'(https?://)?([^" /]*@)?{address_of(bad)}' if bad.host else re.escape(upper.value)
    return f"sed -i -E '{unit.line}s#({upper.name}=){old}#\\1{lower.value}#' {unit.path}"


@check(
    "proxy.case",
    title="Upper- and lower-case proxy variables agree",
    severity=Severity.ERROR,
    docs=DAEMON,
    upstream=UNIT,
)
def case(settings: ProxySettings, trials: ProxyTrials, units: Units | None) -> Finding:
    """
    Go reads HTTPS_PROXY before https_proxy, curl reads http_proxy in lower case only.

    Why it matters: two programs on one host use two proxies, and the wrong one may be the daemon's.
    How to fix: set both to the same.
    """
    pairs = [
        (upper, lower)
        for upper in settings.daemon
        for lower in settings.daemon
        if upper.name == lower.name.upper() and upper.name != lower.name and upper.value != lower.value
    ]
    wrong = []
    for upper, lower in pairs:
        bad, good = trials.of(upper.value), trials.of(lower.value)
        if (
            bad
            and good
            and (bad.dead or bad.not_tls or bad.problem)
            and not (good.dead or good.problem or good.not_tls)
        ):
            wrong.append((upper, lower, bad, good))
    if wrong:
        upper, lower, bad, good = wrong[0]
        return failed(
            f"{upper.name}={upper.value} does not work, {lower.name}={lower.value} does",
            *shown(s for pair in wrong for s in pair[:2]),
            *tried(bad),
            *tried(good),
            cause=f"The daemon is given both, and Go programs read {upper.name} first.",
            fix=(*(_as_lower(settings, up, low, trial) for up, low, trial, _ in wrong), *restart(units)),
            impact=RESTARTS,
        )
    if not settings.daemon:
        return skipped("the daemon has no proxy")
    return passed("no variable of the daemon's is spelt twice and set differently" if not pairs else "both work")
