"""What somebody wants reached and pulled: asked where the probe containers do not do it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from urllib.parse import quote

from dockerdoctor.facts.api import Refused
from dockerdoctor.facts.containers import Container, Containers
from dockerdoctor.facts.endpoint import ChosenEndpoint, ClientConfig, DaemonPing, Settings, mask_text
from dockerdoctor.facts.engine import ANSWERS, EngineVersion, fetch, table
from dockerdoctor.facts.inside import View, view
from dockerdoctor.facts.preferences import Target
from dockerdoctor.facts.probe_container import DEADLINE, Lab, Questions, probe_lab
from dockerdoctor.facts.redis import named, peers
from dockerdoctor.facts.registry import registry_of
from dockerdoctor.host import Host
from dockerdoctor.measure import Unmeasured, probe
from dockerdoctor.tls import BUNDLES, trust_store
from dockerdoctor.web import PATIENCE, Attempt, ask, at_once

# The daemon gives a registry fifteen seconds; so long nobody waits for us.
PULL_TIMEOUT = 6.0
# Each is a container of ours on a network of somebody else's.
MAX_NETWORKS = 2


@dataclass(frozen=True, slots=True)
class WebTargets:
    """The targets that speak TLS, asked from the host with its own trust."""

    all: tuple[tuple[str, Attempt], ...] = ()  # "db.example:443"

    def of(self, target: Target) -> Attempt | None:
        """What one of them said."""
        return next((attempt for name, attempt in self.all if name == str(target)), None)


@dataclass(frozen=True, slots=True)
class NamedTargets:
    """Targets that are containers, which only the networks they are on know by name; asked from there."""

    networks: tuple[tuple[str, str], ...] = ()  # (target's host, network)
    views: tuple[View, ...] = ()  # one for each network; the place is its name

    def of(self, host: str) -> View | None:
        """What was seen from the network that knows a name; None for a name that no container has."""
        network = next((net for name, net in self.networks if name == host), "")
        return next((v for v in self.views if v.place == network), None) if network else None


@dataclass(frozen=True, slots=True)
class AskedImage:
    """An image that somebody wants to use."""

    name: str
    present: bool | None  # None: the engine did not say
    pullable: bool | None  # what the daemon was told by the registry; None: it did not say in time
    said: str = ""  # the daemon's words
    seconds: float = 0.0

    @property
    def denied(self) -> bool:
        """Whether the registry gives it to nobody that it does not know."""
        return "denied" in self.said or "unauthorized" in self.said

    @property
    def unknown(self) -> bool:
        """Whether the registry has no such image."""
        return "manifest unknown" in self.said or "not found" in self.said


@dataclass(frozen=True, slots=True)
class AskedImages:
    """Every one of them."""

    all: tuple[AskedImage, ...] = ()


@probe(deadline=2 * PATIENCE)
def web_targets(host: Host, settings: Settings) -> WebTargets:
    """Shake hands with each; the path that is asked for then is of no account."""
    wanted = [t for t in settings.preferences.targets if t.kind == "https"]
    if not wanted:
        return WebTargets()
    trust = trust_store(str(host.path(next((b for b in BUNDLES if host.exists(b)), ""))))
    jobs = [partial(ask, f"https://{t}/", None, trust, method="HEAD") for t in wanted]
    said = at_once(jobs, PATIENCE)
    return WebTargets(
        tuple(
            (str(t), attempt or Attempt(f"https://{t}/", outcome="timeout"))
            for t, attempt in zip(wanted, said, strict=True)
        )
    )


def containers_named(targets: tuple[Target, ...], containers: Containers) -> Iterator[tuple[str, str]]:
    """Which targets are names of running containers, and on which network."""
    for target in targets:
        owner = next((c for c in containers.running if _named(target.host, c)), None)
        if owner:
            yield target.host, min(net for net in peers(owner) if named(target.host, owner, net))


def _named(host: str, container: Container) -> bool:
    return any(named(host, container, net) for net in peers(container))


@probe(deadline=DEADLINE + 1, upstream=ANSWERS, starts_container=True)
def named_targets(
    host: Host,
    endpoint: ChosenEndpoint,
    ping: DaemonPing,
    version: EngineVersion,  # noqa: ARG001 - an engine that hangs over this would hang over a container, and keep it
    settings: Settings,
    containers: Containers | None,
) -> NamedTargets:
    """Start a container of ours on the networks that know such names; without such targets, none."""
    found = tuple(dict.fromkeys(containers_named(settings.preferences.targets, containers))) if containers else ()
    if not found:
        return NamedTargets()
    networks = tuple(dict.fromkeys(net for _, net in found))[:MAX_NETWORKS]
    names = {name for name, _ in found}
    asked = tuple(t.question for t in settings.preferences.targets if t.host in names)
    with probe_lab(host, endpoint, ping) as lab:
        return NamedTargets(found, tuple(_asked_on(lab, network, asked) for network in networks))


def _asked_on(lab: Lab, network: str, asked: tuple[tuple[str, int, str], ...]) -> View:
    try:
        return view(network, lab.ask(network, Questions(names=(), targets=asked)))
    except (Unmeasured, Refused, OSError) as no:
        return View(network, error=str(no))


@probe(deadline=PULL_TIMEOUT + 1, upstream=ANSWERS)
def asked_images(
    host: Host, endpoint: ChosenEndpoint, ping: DaemonPing, settings: Settings, client: ClientConfig | None
) -> AskedImages:
    """
    Have the daemon itself ask the registry for each manifest, as a pull begins; nothing is pulled.

    It is asked without a login: where the client has one, "denied" says nothing of what a pull would get.
    """
    names = settings.preferences.images
    jobs = [partial(_image, host, endpoint, ping, name) for name in names]
    said = at_once(jobs, PULL_TIMEOUT + 0.5)
    found = [one or AskedImage(name, None, None, "no answer") for name, one in zip(names, said, strict=True)]
    return AskedImages(tuple(_with_login(one, client) for one in found))


def _with_login(image: AskedImage, client: ClientConfig | None) -> AskedImage:
    registry = registry_of(image.name) or "docker.io"
    known = (
        {re.sub(r"^https?://", "", name).split("/")[0].replace("index.docker.io", "docker.io") for name in client.auths}
        if client
        else set()
    )
    helped = client is not None and (
        bool(client.creds_store) or any(name == registry for name, _ in client.cred_helpers)
    )
    if image.pullable is False and image.denied and (registry in known or helped):
        return replace(image, pullable=None, said=f"it wants a login, which docker may have: docker pull {image.name}")
    return image


def _image(host: Host, endpoint: ChosenEndpoint, ping: DaemonPing, name: str) -> AskedImage:
    present, words, _ = _get(host, endpoint, ping, f"/images/{quote(name)}/json", 2.0)
    began = host.clock()
    pullable, told, status = _get(host, endpoint, ping, f"/distribution/{quote(name)}/json", PULL_TIMEOUT)
    if status == 404 and "page not found" in told:
        pullable, told = None, "this engine cannot be asked without pulling"
    return AskedImage(name, present, pullable, told or words, round(host.clock() - began, 4))


def _get(
    host: Host, endpoint: ChosenEndpoint, ping: DaemonPing, target: str, timeout: float
) -> tuple[bool | None, str, int]:
    """Whether it is there, what the engine says where it is not, and the status."""
    try:
        status, _, body = fetch(host, endpoint, ping, target, timeout)
    except Unmeasured as no:
        return None, no.reason, 0
    if status == 200:
        return True, "", status
    try:
        said = str(table(json.loads(body)).get("message") or "")
    except (ValueError, RecursionError):
        said = body.decode("utf-8", "replace")
    return False, mask_text(said or f"HTTP {status}")[:300], status
