"""The first stage: the engine that every command would talk to, and whether it answers."""

from __future__ import annotations

from dockerdoctor.examine import failed, passed
from dockerdoctor.facts.caller import Caller
from dockerdoctor.facts.endpoint import ChosenEndpoint, ClientConfig, DaemonPing, Settings
from dockerdoctor.facts.engine import EngineInfo, EngineVersion
from dockerdoctor.facts.probes import PROBES
from dockerdoctor.measure import measure, required_probes
from dockerdoctor.model import Evidence, Finding
from dockerdoctor.sample.model import stage
from dockerdoctor.sample.scene import Scene


@stage("endpoint", title="The engine answers", doing="Asking the engine")
def endpoint(scene: Scene) -> Finding:
    """Choose the engine as every command does, and ask whether it answers."""
    wanted = (ChosenEndpoint, DaemonPing, ClientConfig, EngineVersion, EngineInfo, Caller)
    scene.facts, _ = measure(required_probes(PROBES, wanted), scene.host, {Settings: scene.settings})
    chosen, ping = scene.facts.of(ChosenEndpoint), scene.facts.of(DaemonPing)
    where = f"{chosen.url or 'no endpoint'} ({chosen.source})" if chosen else "no endpoint"
    if ping and ping.answered:
        return passed(where)
    outcome = (ping.outcome or ping.connect) if ping else "not asked"
    return failed(
        f"no engine answers at {where}: {outcome}",
        Evidence("GET /_ping", outcome),
        cause="Docker is not running, or may not be used by this user, or is elsewhere.",
    )
