"""Faults of the steps of a pull from a registry that can be reached: address, login, platform, layers."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.lab.fault import Fault
from tests.lab.faults.registry import self_signed
from tests.lab.machine import Machine

FRONT = "{gateway}:5001"
MACHINE = {"daemon_json": {"insecure-registries": [FRONT]}}
MIRRORED = {"daemon_json": {"registry-mirrors": ["http://{gateway}:5001"]}}
PULL_HUB = "docker rmi hello-world >/dev/null 2>&1; timeout 40 docker pull -q hello-world"
# The image is fetched anew each time.
PULL = f"docker rmi {FRONT}/library/hello-world >/dev/null 2>&1; timeout 40 docker pull -q {FRONT}/library/hello-world"


def fronted(**ways: Any) -> Callable[[Machine], None]:
    """Put a registry of these ways before the machine's own, in the place of one that was there."""

    def start(m: Machine) -> None:
        if old := getattr(m, "front", None):
            old.kill()
            old.wait()
        said = m.fill(json.dumps(ways))
        program = str(Path(__file__).parents[1] / "front.py")
        m.front = m.on_gateway(  # type: ignore[attr-defined]
            [sys.executable, program, m.gateway, "5001", f"http://{m.gateway}:5000", said], port=5001
        )

    return start


def then(*steps: Callable[[Machine], None] | str) -> Callable[[Machine], None]:
    """One step after the other."""

    def take(m: Machine) -> None:
        for step in steps:
            m.run(step) if isinstance(step, str) else step(m)

    return take


def blocked(address: str, verdict: str) -> Callable[[Machine], None]:
    """Let the machine's packets to an address go nowhere."""
    return lambda m: m.firewall("PREROUTING", "-i", m.slot.link, "-d", address, "-j", verdict, table="raw")


def refused(m: Machine) -> None:
    """Layers come from a host that a firewall rejects."""
    m.firewall("FORWARD", "-i", m.slot.link, "-d", "198.51.100.9", "-j", "REJECT")
    fronted(blobs="http://198.51.100.9")(m)


FAULTS = (
    Fault(
        "registry-manifest-arch",
        "registry.platform",
        machine=MACHINE,
        setup=fronted(platforms=["linux/amd64", "linux/arm64/v8"]),
        inject=fronted(platforms=["linux/arm64/v8", "linux/arm/v7"]),
        broken=PULL,
        severity="warning",
    ),
    Fault(
        "registry-blob-host-blocked",
        "registry.layers",
        machine=MACHINE,
        # Being sent elsewhere is no fault.
        setup=fronted(blobs="http://{gateway}:5000"),
        inject=refused,
        broken=PULL,
    ),
    Fault(
        "registry-blob-host-blocked:dropped",
        "registry.layers",
        machine=MACHINE,
        setup=fronted(),
        inject=then(blocked("198.51.100.9", "DROP"), fronted(blobs="http://198.51.100.9")),
        # The daemon goes on trying when its client has given up.
        broken=PULL.replace("timeout 40", "timeout 6"),
    ),
    Fault(
        "registry-blob-host-blocked:unknown-name",
        "registry.layers",
        machine=MACHINE,
        setup=fronted(),
        inject=fronted(blobs="http://cdn.lab"),
        broken=PULL,
    ),
    Fault(
        "registry-blob-host-blocked:filtered",
        "registry.layers",
        machine=MIRRORED,
        setup=fronted(),
        inject=fronted(blob_status=403),
        broken=PULL_HUB,
    ),
    Fault(
        "registry-blob-host-blocked:filtered-elsewhere",
        "registry.layer-refused",
        machine=MACHINE,
        setup=fronted(),
        inject=fronted(blob_status=403),
        broken=PULL,
        severity="warning",
    ),
    Fault(
        # Nobody waits until the daemon says so.
        "registry-blob-host-blocked:given-up",
        "registry.layers",
        machine=MIRRORED,
        setup=fronted(),
        inject=then(blocked("198.51.100.9", "DROP"), fronted(blobs="http://198.51.100.9")),
        broken=PULL_HUB.replace("timeout 40", "timeout 6"),
    ),
    Fault(
        "registry-blob-host-blocked:other-certificate",
        "registry.layers",
        machine=MIRRORED,
        setup=fronted(),
        inject=then(self_signed, fronted(blobs="https://{gateway}:5443")),
        broken=PULL_HUB,
    ),
    Fault(
        "registry-auth-expired",
        "registry.login",
        machine=MACHINE,
        setup=then(fronted(auth="bearer", login="ann:old"), f"docker login -u ann -p old {FRONT}"),
        inject=fronted(auth="bearer", login="ann:new"),
        broken=PULL,
        verify_fix=True,
    ),
    Fault(
        "registry-auth-expired:basic",
        "registry.login",
        machine=MACHINE,
        setup=then(fronted(auth="basic", login="ann:old"), f"docker login -u ann -p old {FRONT}"),
        inject=fronted(auth="basic", login="ann:new"),
        broken=PULL,
        cure=f"docker login -u ann -p new {FRONT}",
    ),
    Fault(
        "registry-auth-expired:none-at-all",
        "registry.image-name",
        machine=MACHINE,
        setup=then(fronted(auth="basic", login="ann:x"), f"docker login -u ann -p x {FRONT}"),
        inject=f"docker logout {FRONT}",
        broken=PULL,
        severity="warning",
        cure=f"docker login -u ann -p x {FRONT}",
    ),
    Fault(
        "registry-ipv6-unreachable",
        "registry.ipv6",
        machine={"dns": {"reg.lab": "{gateway}"}, "daemon_json": {"registry-mirrors": ["http://reg.lab:5000"]}},
        inject=lambda m: m.dns.restart({"reg.lab": "2001:db8::5"}),
        broken="docker rmi hello-world >/dev/null 2>&1; timeout 40 docker pull -q hello-world",
        # Go reads the file again after five seconds.
        cure="echo '{gateway} reg.lab' >> /etc/hosts; sleep 6",
    ),
    Fault(
        "registry-ipv6-unreachable:no-ipv6-at-all",
        "registry.ipv6",
        machine={"dns": {"reg.lab": "{gateway}"}, "daemon_json": {"insecure-registries": ["reg.lab:5000"]}},
        setup="sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1",
        inject=lambda m: m.dns.restart({"reg.lab": "2001:db8::5"}),
        broken="timeout 30 docker pull -q reg.lab:5000/library/hello-world",
        # Go reads the file again after five seconds.
        cure="echo '{gateway} reg.lab' >> /etc/hosts; sleep 6",
    ),
)
