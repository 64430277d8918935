"""What a container's resolv.conf says besides its nameservers, where that comes from, and how it is changed."""

from __future__ import annotations

import posixpath
import shlex
from typing import Any

from dockerdoctor.checks.rewriting import quoted, restarted, rewritten, typed, with_member
from dockerdoctor.facts.daemon_json import DaemonJson, flag_values
from dockerdoctor.facts.dns import HostResolver, parse_resolv_conf
from dockerdoctor.facts.engine import Units
from dockerdoctor.facts.inside import View

FLAGS = {"dns-opts": "dns-opt", "dns-opt": "dns-opt", "dns-search": "dns-search", "dns": "dns"}


def search(view: View) -> tuple[str, ...]:
    """The domains that short names are completed with."""
    return tuple(d.strip(".").lower() for d in parse_resolv_conf(view.resolv_conf)[1])


def told_options(config: DaemonJson | None) -> tuple[str, ...]:
    """The options that dockerd is told to give containers; none where they get the host's."""
    listed = (config.settings or {}).get("dns-opts") if config else None
    if isinstance(listed, list):
        return tuple(map(str, listed))
    return flag_values(config.flags, "dns-opt") if config else ()


def options(config: DaemonJson | None, resolver: HostResolver | None) -> tuple[str, ...]:
    """The options that new containers get: dockerd's replace the host's."""
    return told_options(config) or (resolver.given.options if resolver else ())


def set_in_daemon(config: DaemonJson | None, key: str, value: list[Any], units: Units | None) -> tuple[str, ...]:
    """Commands that give dockerd a setting for containers, and restart it; a flag that says the same must go first."""
    by_hand = (f"# give dockerd {typed(key)}: {typed(value)}", *restarted(units))
    if not config or flag_values(config.flags, FLAGS[key]):
        return by_hand
    text = with_member(config.text, key, value)
    if not config.exists:
        folder = shlex.quote(posixpath.dirname(config.path))
        return (f"mkdir -p {folder}", f"tee {shlex.quote(config.path)} <<< {quoted(text.rstrip())}", *restarted(units))
    return rewritten(config, text, units) if text else by_hand
