"""Pulls and pushes that failed lately: the daemon's own log names what its users want and do not get."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from dockerdoctor.facts.endpoint import ChosenEndpoint, DaemonPing, mask_text
from dockerdoctor.facts.engine import DaemonProcess, ask_list, fetch, texts
from dockerdoctor.facts.listeners import connecting
from dockerdoctor.facts.registry import HUB_NAMES
from dockerdoctor.host import Host
from dockerdoctor.measure import Unmeasured, probe

# Whoever asks a doctor has just seen something fail.
LATELY = 30 * 60
LINES = 400
# What else dockerd connects to (a swarm's managers, collectors of logs) has ports of its own.
WEB_PORTS = frozenset({80, 443})


@dataclass(frozen=True, slots=True)
class FailedPull:
    """One attempt to pull or push that came to nothing, in the daemon's words."""

    error: str  # 'Get "https://registry-1.docker.io/v2/": dial tcp: lookup ...: no such host'
    ago: int  # seconds
    url: str = ""  # that could not be asked
    image: str = ""  # where the words name it
    layers: bool = False  # whether its manifest was there, and what it lists did not come

    @property
    def host(self) -> str:
        """The registry that was asked; empty when it was another server, or when the words name none."""
        match = re.match(r"https?://([^/]+)/v2/", self.url)
        return match[1] if match else ""

    @property
    def of_hub(self) -> bool:
        """Whether it was to come from Docker Hub."""
        return self.host in HUB_NAMES or self.url.startswith("https://auth.docker.io/")


@dataclass(frozen=True, slots=True)
class FailedPulls:
    """Those since the last one that succeeded, the newest last."""

    all: tuple[FailedPull, ...] = ()
    here: tuple[str, ...] = ()  # the names of local images, where a failed one may be a slip
    waiting: tuple[
        str, ...
    ] = ()  # whom dockerd tries to reach now, on a registry's usual ports: "https://198.51.100.9:443/"

    @property
    def of_layers(self) -> bool:
        """Whether layers did not come, or somebody does not get, or did not await, what is asked for."""
        return bool(self.waiting) or any(pull.layers or "context canceled" in pull.error for pull in self.all)

    @property
    def elsewhere(self) -> dict[str, str]:
        """Servers other than registries that pulls failed at, by name and port: a URL to ask."""
        return {urlsplit(pull.url).netloc: pull.url for pull in self.all if pull.url and not pull.host}


# docker/docker, api/server/httputils and distribution/pull.go, push.go; what is downloaded is tried five times.
_FAILED = re.compile(
    r"(?:Handler for POST \S*/images/(?:create|\S+/push) returned error|"
    r"(?:Attempting next endpoint for|Not continuing with) (?:pull|push) after error|"
    r"Download failed[^:]*|Upload failed[^:]*)(?:: |\" error=\"?)(?P<error>(?:[^\"\\]|\\.)*)"
)
_URL = re.compile(r'\b(?:Get|Head|Put|Post) "?(?P<url>https?://[^\s"]+?)"?: ')
# Of layers the daemon tells no URL, but whom it could not connect to (docker/docker, distribution/xfer/transfer.go).
_LAYERS = re.compile(r"^Download failed|error pulling image configuration|download failed after attempts")
_DIAL = re.compile(
    r"(?<!proxyconnect tcp: )dial tcp:? (?:lookup (?P<name>[^\s:]+)(?: on \S+)?|(?:\S+->)?(?P<address>\S+):(?P<port>\d+)): "
)
_IMAGE = re.compile(r"(?:pull access denied for (?P<denied>[^\s,]+),|manifest for (?P<unknown>\S+) not found)")


def failed_in(log: str, now: float) -> tuple[FailedPull, ...]:
    """Read `journalctl --output short-unix`; what is said twice of one attempt counts once."""
    found: dict[tuple[str, str], FailedPull] = {}
    for line in log.splitlines():
        match, stamp = _FAILED.search(line), line.partition(" ")[0]
        if not match:
            continue
        error = mask_text(re.sub(r"\\(.)", r"\1", match["error"]))[:500]
        url, image = _URL.search(error), _IMAGE.search(error)
        layers = bool(_LAYERS.search(match[0]) or _LAYERS.search(error))
        asked = url["url"].partition("?")[0] if url else _dialled(error) if layers else ""
        try:
            ago = max(0, int(now - float(stamp)))
        except ValueError:
            continue
        one = FailedPull(
            error,
            ago,
            asked,
            (image["denied"] or image["unknown"]) if image else "",
            layers,
        )
        found.pop((one.url, one.image or error), None)
        found[one.url, one.image or error] = one
    return tuple(found.values())


def _dialled(error: str) -> str:
    """Whom the daemon could not connect to, as a URL: a name, or an address with its port."""
    match = _DIAL.search(error)
    if not match:
        return ""
    if match["name"]:
        return f"https://{match['name']}/"
    return _url(match["address"], match["port"])


def _url(address: str, port: str) -> str:
    return f"{'https' if port == '443' else 'http'}://{address}:{port}/"


@probe()
def failed_pulls(host: Host, endpoint: ChosenEndpoint, ping: DaemonPing, process: DaemonProcess | None) -> FailedPulls:
    """Read the log; the engine's events tell which pull succeeded last."""
    if not endpoint.local:
        raise Unmeasured("the engine is on another host", skipped=True)
    command = ("journalctl", "--unit", "docker.service", "--since", f"-{LATELY}s", "--lines", str(LINES))
    done = host.run(*command, "--output", "short-unix", "--quiet", "--no-pager", timeout=2)
    if not done.ok or (not done.out and not host.is_root):
        raise Unmeasured("the daemon's log is not readable", how="run as root", skipped=True)
    now = host.clock()
    failed = failed_in(done.out, now)
    peers = connecting(host, process.pid) if process else ()
    waiting = tuple(_url(f"[{name}]" if ":" in name else name, str(port)) for name, port in peers if port in WEB_PORTS)
    if not failed:
        return FailedPulls(waiting=waiting)
    since = now - _last_success(host, endpoint, ping, now)
    failed = tuple(one for one in failed if one.ago <= since)
    here = _local(host, endpoint, ping) if any(one.image for one in failed) else ()
    return FailedPulls(failed, here, waiting)


def _local(host: Host, endpoint: ChosenEndpoint, ping: DaemonPing) -> tuple[str, ...]:
    try:
        images = ask_list(host, endpoint, ping, "/images/json")
    except Unmeasured:
        return ()
    return tuple(tag for image in images for tag in texts(image.get("RepoTags")))


def _last_success(host: Host, endpoint: ChosenEndpoint, ping: DaemonPing, now: float) -> float:
    """When an image was last pulled or pushed, by the engine's events; 0 for never."""
    filters = quote(json.dumps({"type": ["image"], "event": ["pull", "push"]}))
    target = f"/events?since={now - LATELY:.0f}&until={now:.0f}&filters={filters}"
    try:
        _, _, body = fetch(host, endpoint, ping, target, 1.0)
        times = [json.loads(line).get("time") for line in body.splitlines() if line.strip()]
    except (Unmeasured, ValueError, AttributeError):
        return 0.0
    return float(max((t for t in times if isinstance(t, int)), default=0))
