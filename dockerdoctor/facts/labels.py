"""SELinux' labels of what containers mount, and what was refused to containers for them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dockerdoctor.facts.containers import Containers
from dockerdoctor.facts.endpoint import ChosenEndpoint
from dockerdoctor.host import Host
from dockerdoctor.measure import Unmeasured, probe

# Whoever asks a doctor has just seen something fail.
LATELY = 30 * 60
AUDIT_LOG = "/var/log/audit/audit.log"


@dataclass(frozen=True, slots=True)
class LabelledMount:
    """A folder or file of the host that a container has mounted."""

    container: str
    source: str
    destination: str
    label: str  # "unconfined_u:object_r:user_home_t:s0"

    @property
    def type(self) -> str:
        """The part of the label that the policy goes by."""
        parts = self.label.split(":")
        return parts[2] if len(parts) > 2 else ""


@dataclass(frozen=True, slots=True)
class Labels:
    """What SELinux decides by, and what it refused; empty where it does not enforce its policy."""

    enforcing: bool = False
    mounts: tuple[LabelledMount, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()  # (container, the line of the audit log)

    @property
    def denied(self) -> dict[str, str]:
        """The last refusal of each container."""
        return dict(self.refused)


@probe(deadline=3)
def labels(host: Host, endpoint: ChosenEndpoint, containers: Containers) -> Labels:
    """Nothing is read where SELinux does not enforce; the audit log is root's."""
    if not endpoint.local:
        raise Unmeasured("the engine is on another host", skipped=True)
    if host.text("/sys/fs/selinux/enforce").strip() != "1":
        return Labels()
    mounts = tuple(
        LabelledMount(c.name, m.source, m.destination, host.selinux_label(m.source))
        for c in containers.all
        if c.details
        for m in c.details.mounts
        if m.kind == "bind"
    )
    if not mounts:
        return Labels(enforcing=True)
    done = host.run("tail", "-c", "400000", AUDIT_LOG)
    if not done.ok:
        done = host.run("journalctl", "-b", "-n", "400", "-o", "cat", "--quiet", "--no-pager", "_TRANSPORT=audit")
    return Labels(True, mounts, tuple(refusals(done.out.splitlines(), mounts, host.clock())))


_AVC = re.compile(
    r"avc:\s+denied\s+\{[^}]*\}.* scontext=\S+?:\S+?:(?:container|svirt_lxc_net|spc)\w*_t:\S* tcontext=[^:\s]+:[^:\s]+:(?P<type>[^:\s]+)"
)
_STAMP = re.compile(r"audit\((\d+)\.\d+:\d+\)")


def refusals(lines: Iterable[str], mounts: tuple[LabelledMount, ...], now: float) -> Iterator[tuple[str, str]]:
    """Read the lines in which a container was refused what has the label of one of its mounts (audit.log, avc messages)."""
    for line in lines:
        match, stamp = _AVC.search(line), _STAMP.search(line)
        if match and (not stamp or now - int(stamp[1]) < LATELY):
            for mount in mounts:
                if mount.type == match["type"]:
                    yield mount.container, line.strip()[:400]
