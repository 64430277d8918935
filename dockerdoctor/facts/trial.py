"""Nameservers tried from where they will be used: new containers on both kinds of network."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from dockerdoctor.facts.api import Refused
from dockerdoctor.facts.endpoint import ChosenEndpoint, DaemonPing
from dockerdoctor.facts.inside import View, kept_waiting, view
from dockerdoctor.facts.probe_container import DEADLINE, Lab, Questions, probe_lab
from dockerdoctor.host import Host
from dockerdoctor.measure import Unmeasured


@dataclass(frozen=True, slots=True)
class Trial:
    """What new containers got from their own nameservers and from those that they might be given."""

    bridge: View
    user: View

    @property
    def views(self) -> tuple[View, ...]:
        """The places that could be asked from."""
        return tuple(v for v in (self.bridge, self.user) if v.asked)

    def answers(self, server: str) -> tuple[tuple[str, str, float], ...]:
        """The best that one server said over UDP in each place: (place, outcome, seconds)."""
        best = ((v.place, sorted(v.said(server, "udp"), key=lambda a: (not a.ok, a.seconds))) for v in self.views)
        return tuple((place, said[0].outcome, said[0].seconds) for place, said in best if said)

    def serves(self, server: str) -> bool:
        """Whether a server did its work in every place; for any of the names, since an inside one knows no outside."""
        return bool(self.views) and all(served(v, server) for v in self.views)

    @property
    def well(self) -> bool:
        """Whether names resolve without delay in every place that could be asked from."""
        first = self.bridge.nameservers
        return bool(self.views) and all(well(v) or kept_waiting(v, first) for v in self.views)

    def or_else(self, other: Trial) -> Trial:
        """The better of two trials, question by question: one lost packet must not condemn a server."""
        return Trial(_merged(self.bridge, other.bridge), _merged(self.user, other.user))


def served(place: View, server: str) -> bool:
    """Whether a server did its work there. Over UDP: what only TCP reaches is of no use to a C library."""
    return any(a.ok for a in place.said(server, "udp"))


def well(place: View) -> bool:
    """
    Whether a C library there resolves names without delay (resolv.conf(5)).

    It asks in order, waits five seconds for a silent server, and goes on at once past one that refuses.
    """
    for server in place.nameservers:
        said = place.said(server, "udp")
        if any(a.ok for a in said):
            return True
        if not said or any(a.outcome == "timeout" for a in said):
            return False
    return False


def _merged(first: View, second: View) -> View:
    if not (first.asked and second.asked):
        return first if first.asked else second
    return replace(second, dns=(*first.dns, *second.dns))


def try_servers(
    host: Host, endpoint: ChosenEndpoint, ping: DaemonPing, servers: Iterable[str], names: Iterable[str]
) -> Trial:
    """Ask from a new container on the default bridge and from one on a new network, at once."""
    questions = Questions(servers=tuple(servers), names=tuple(names))
    views: dict[str, View] = {}

    def asked(place: str, work: Callable[[], dict[str, Any]]) -> None:
        try:
            views[place] = view(place, work())
        except Unmeasured as no:
            views[place] = View(place, error=no.reason)
        except (Refused, OSError) as no:
            views[place] = View(place, error=str(no))

    def on_new_network(lab: Lab) -> dict[str, Any]:
        return lab.ask(lab.make_network(), questions)

    with probe_lab(host, endpoint, ping) as lab:
        threads = [
            threading.Thread(target=asked, args=("default bridge", lambda: lab.ask("bridge", questions)), daemon=True),
            threading.Thread(target=asked, args=("user network", lambda: on_new_network(lab)), daemon=True),
        ]
        end = time.monotonic() + DEADLINE
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))
    late = f"no answer within {DEADLINE:g} s"
    bridge, user = (views.get(p) or View(p, error=late) for p in ("default bridge", "user network"))
    return Trial(bridge, user)
