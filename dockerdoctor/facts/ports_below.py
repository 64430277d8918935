"""From which port on a process without privileges may listen."""

from __future__ import annotations

from dataclasses import dataclass

from dockerdoctor.facts.endpoint import ChosenEndpoint
from dockerdoctor.host import Host
from dockerdoctor.measure import Unmeasured, probe


@dataclass(frozen=True, slots=True)
class LowPorts:
    """The kernel's limit, and whether rootlesskit was given the right to go below it."""

    start: int = 1024
    allowed: bool = False  # its file has capabilities, as setcap(8) gives them


@probe()
def low_ports(host: Host, endpoint: ChosenEndpoint) -> LowPorts:
    """Read both."""
    if not endpoint.local:
        raise Unmeasured("the engine is on another host", skipped=True)
    start, program = host.sysctl("net.ipv4.ip_unprivileged_port_start"), host.which("rootlesskit")
    return LowPorts(int(start) if start.isdigit() else 1024, bool(program) and host.has_capabilities(program))
