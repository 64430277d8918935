"""The page: fetched as a browser would, and read to the letter; and again on every way that leads to it."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from dockerdoctor.examine import failed, passed, skipped
from dockerdoctor.facts.dns import is_loopback
from dockerdoctor.host import failure_name
from dockerdoctor.model import Evidence, Finding, Status
from dockerdoctor.sample.hello import once
from dockerdoctor.sample.inside import asking, body_of, run
from dockerdoctor.sample.judge import counted, page_missing, page_parts, reached
from dockerdoctor.sample.model import stage
from dockerdoctor.sample.recipe import Packages
from dockerdoctor.sample.redis import redis_on_network
from dockerdoctor.sample.scene import CONTAINER_PORT, Scene

# The page waits two seconds for Redis; with a dead nameserver it waits for the name, up to 20 s with two of them.
PAGE_PATIENCE = 30.0
PAGE_LIMIT = 1 << 16  # bytes; the page has 140
EVERYWHERE = {"0.0.0.0", "::", ""}  # noqa: S104 - it is read, not bound
# No address of anybody's (RFC 5737): the way to it begins at the address that others know this host by.
OUTSIDE = "192.0.2.1"
VISITS = 3
NEIGHBOUR_PATIENCE = 45.0


def _inside(scene: Scene) -> str:
    """Have the page in its own container, where no way but its loopback is needed."""
    answer = run(scene, scene.container, *asking(scene.python, "127.0.0.1", CONTAINER_PORT))
    scene.page, _ = body_of(answer)
    scene.asked_inside = bool(scene.page)
    return "asked inside the container" if scene.page else ""


@stage(
    "page",
    title="The published port serves a page",
    doing="Fetching the page",
    needs=("published", "listening"),
    otherwise=_inside,
)
def page(scene: Scene) -> Finding:
    """Ask for the page until it comes, the container ends, or patience does."""
    began = time.monotonic()
    patience, tries, last = min(PAGE_PATIENCE, scene.wishes.timeout), 0, ""
    while (left := began + patience - time.monotonic()) > 0:
        tries += 1
        asked = time.monotonic()
        text, last = fetch(scene, scene.url, left)
        if not last:
            scene.page = text
            return passed(f"{scene.url} after {time.monotonic() - asked:.1f} s", Evidence(scene.url, text[:300]))
        state, logs = scene.state()
        if not state.startswith("running"):
            break
        time.sleep(0.1)
    state, logs = scene.state()
    return page_missing(scene.url, last, tries, time.monotonic() - began, state, logs)


def fetch(scene: Scene, url: str, patience: float) -> tuple[str, str]:
    """Ask once: the page, and why there is none."""
    import requests  # noqa: PLC0415 - heavy

    waits = (min(2.0, patience), patience)
    try:
        with scene.host.session().get(url, timeout=waits, stream=True, allow_redirects=False) as reply:
            body = reply.raw.read(PAGE_LIMIT).decode("utf-8", "replace")
        return (body, "") if reply.ok else ("", f"HTTP {reply.status_code}: {body[:200]}")
    except (requests.RequestException, OSError) as no:
        return "", outcome(no)


def outcome(no: Exception) -> str:
    """Say in a word or two how a request failed, whatever it is wrapped in."""
    inner: BaseException | None = no
    while inner is not None:
        if isinstance(inner, TimeoutError) or (isinstance(inner, OSError) and inner.errno):
            return {"ECONNREFUSED": "connection refused", "ECONNRESET": "connection reset"}.get(
                failure_name(inner), failure_name(inner)
            )
        inner = inner.__context__
    return type(no).__name__


def _parts(scene: Scene) -> tuple[Finding, Finding, Finding]:
    expected = scene.redis or redis_on_network(scene)
    return page_parts(scene.page, scene.container[:12], redis_expected=expected)


@stage("greeting", title="The page greets the world", doing="Reading the page", needs=("page",))
def greeting(scene: Scene) -> Finding:
    """Its first line."""
    return _parts(scene)[0]


@stage("hostname", title="The page names the container", doing="Reading the page", needs=("page",))
def hostname(scene: Scene) -> Finding:
    """Its second line."""
    return _parts(scene)[1]


@stage("visits", title="The page counts visits, or says that it cannot", doing="Reading the page", needs=("page",))
def visits(scene: Scene) -> Finding:
    """Its third line; with a Redis, that of more than one page."""
    if scene.packages is Packages.NONE or scene.stand_in:
        return skipped("a page of the standard library stands in, and counts nothing")
    finding = _parts(scene)[2]
    if not scene.redis or finding.status is not Status.PASS:
        return finding
    pages = [scene.page]
    while len(pages) < VISITS:
        if scene.asked_inside:
            _inside(scene)
            pages.append(scene.page)
        else:
            pages.append(fetch(scene, scene.url, PAGE_PATIENCE)[0])
    scene.page = pages[-1]
    return counted(pages, scene.counts_from)


@stage(
    "addresses",
    title="Every address of this host that publishes the port serves the page",
    doing="Asking at every address",
    needs=("published", "listening"),
)
def addresses(scene: Scene) -> Finding:
    """Ask at the loopback of either family, and at the address that others know this host by."""
    if not scene.local:
        return skipped("the engine is on another host")
    everywhere = bool(set(scene.bound) & EVERYWHERE)
    own = scene.host.source_towards(OUTSIDE)
    places = ["127.0.0.1", *([own] if own and not is_loopback(own) else [])] if everywhere else list(scene.bound)
    # Not every engine serves this one: it is told, and no more.
    extra = ["::1"] if everywhere else []
    urls = {place: f"http://{f'[{place}]' if ':' in place else place}:{scene.port}" for place in (*places, *extra)}
    with ThreadPoolExecutor(len(urls)) as pool:
        answers = dict(zip(urls, pool.map(lambda url: fetch(scene, url, PAGE_PATIENCE), urls.values()), strict=True))
    return reached({place: answers[place][1] for place in urls}, needed=places)


@stage(
    "neighbour",
    title="Another container gets the page",
    doing="Asking from another container",
    needs=("listening",),
    aside=True,
)
def neighbour(scene: Scene) -> Finding:
    """Ask from a second container of the same image, on the same network, by name where that has names."""
    api, network = scene.api(), scene.network or scene.wishes.network
    data = api.inspect_container(scene.container)
    if data["HostConfig"].get("NetworkMode") in {"host", "none"}:
        return skipped(f"the container is on the network {network}")
    attached: dict[str, Any] = data["NetworkSettings"].get("Networks") or {}
    name, end = next(iter(attached.items())) if attached else ("bridge", {})
    address = str(end.get("IPAddress") or data["NetworkSettings"].get("IPAddress") or "")
    target = address if name == "bridge" else data["Name"].lstrip("/")
    options = api.inspect_network(name).get("Options") or {}
    if options.get("com.docker.network.bridge.enable_icc") == "false":
        return skipped(f"the network {name} forbids traffic between its containers (icc)")
    binds = data["HostConfig"].get("Binds") or []
    _, said = once(
        scene,
        data["Image"],
        "neighbour",
        NEIGHBOUR_PATIENCE,
        asking(scene.python, target, CONTAINER_PORT),
        network=name,
        binds=binds,
    )
    _, trouble = body_of(said)
    if not trouble:
        return passed(f"http://{target} on {name}", Evidence(f"GET http://{target}", said[-300:]))
    return failed(
        f"no page from http://{target}, asked by another container on {name}",
        Evidence(f"GET http://{target}", trouble),
        cause="The application listens, and what is between two containers of one network does not let them talk.",
    )
