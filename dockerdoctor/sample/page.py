"""The page: fetched as a browser would, and read to the letter."""

from __future__ import annotations

import contextlib
import time

from dockerdoctor.examine import passed, skipped
from dockerdoctor.host import failure_name
from dockerdoctor.model import Evidence, Finding
from dockerdoctor.sample.judge import page_missing, page_parts
from dockerdoctor.sample.model import stage
from dockerdoctor.sample.recipe import Packages
from dockerdoctor.sample.scene import Scene

# The page waits two seconds for Redis; with a dead nameserver it waits for the name, up to 20 s with two of them.
PAGE_PATIENCE = 30.0
PAGE_LIMIT = 1 << 16  # bytes; the page has 140


@stage("page", title="The published port serves a page", doing="Fetching the page", needs=("published",))
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
    return page_parts(scene.page, scene.container[:12], redis_expected=redis_on_network(scene))


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
    """Its third line."""
    if scene.packages is Packages.NONE:
        return skipped("a page of the standard library stands in, and counts nothing")
    return _parts(scene)[2]


def redis_on_network(scene: Scene) -> str:
    """Name the container that `redis` means on the sample's network; empty where nothing has that name."""
    network = scene.wishes.network
    if not network:
        return ""  # the default bridge has no names
    with contextlib.suppress(*scene.refusals):
        api = scene.api()
        for listed in api.containers(filters={"network": network}):
            data = api.inspect_container(listed["Id"])
            attached = (data["NetworkSettings"].get("Networks") or {}).get(network) or {}
            if data["Name"] == "/redis" or "redis" in (attached.get("Aliases") or ()):
                return f"{data['Name'].lstrip('/')} ({data['Config'].get('Image')}) has the name redis"
    return ""
