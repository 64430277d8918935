"""Faults of a proxy that takes TLS apart: its own CA signs for every server."""

import json

from tests.lab.fault import Fault
from tests.lab.faults.proxy import PROXY as THROUGH
from tests.lab.faults.proxy import PULL_HUB, RESTART, client, drop_in, everywhere, only_through_it, proxy
from tests.lab.faults.registry import KNOWN, NAME, PULL, TLS_PORT, certificate, mirrors, private_ca, serve
from tests.lab.machine import Machine

CA = "/usr/local/share/ca-certificates/corp.crt"
TRUST = f"install -D -m 644 corp.crt {CA}; update-ca-certificates; {RESTART}"


def inspected(m: Machine) -> None:
    """A proxy that shows certificates of its own, and a CA of the company's that signs them; the daemon trusts it."""
    certificate(m, "corp", ca=True)
    names = f"DNS:reg.lab,DNS:registry-1.docker.io,DNS:auth.docker.io,IP:{m.gateway}"
    certificate(m, "inspector", signer="corp", names=names)
    home = m.slot.home
    m.write("/root/corp.crt", (home / "corp.crt").read_text())
    proxy(m, "--inspect", f"{home}/inspector.crt", f"{home}/inspector.key", "--at", m.gateway)
    m.run(drop_in(**everywhere()) + "\n" + TRUST)


def registry(m: Machine) -> None:
    """A company's registry, asked through it."""
    private_ca(m)
    inspected(m)


def closed(m: Machine) -> None:
    """A mirror, and no way to it but the proxy; Docker Hub is there too."""
    certificate(m, "ca", ca=True)
    certificate(m, "leaf", signer="ca", names=f"IP:{m.gateway},DNS:registry-1.docker.io")
    serve(m, "leaf")
    inspected(m)
    hub(m)
    only_through_it(m, 5000, TLS_PORT, 443)
    m.run(mirrors(f"https://{{gateway}}:{TLS_PORT}") + "\n" + client(THROUGH))


def hub(m: Machine) -> None:
    """Docker Hub, as far as its certificate: a server of ours by its name."""
    home = m.slot.home
    config = json.loads((home / "tls.yml").read_text())
    config["http"]["addr"] = f"{m.gateway}:443"
    (home / "hub.yml").write_text(json.dumps(config))
    m.on_gateway(["docker-registry", "serve", str(home / "hub.yml")], port=443)


def transparent(m: Machine) -> None:
    """No proxy is set: the network itself answers in Docker Hub's place."""
    certificate(m, "corp", ca=True)
    certificate(m, "inspector", signer="corp", names="DNS:registry-1.docker.io")
    m.write("/root/corp.crt", (m.slot.home / "corp.crt").read_text())
    serve(m, "inspector")
    hub(m)
    m.run(TRUST)


HUB = {"dns": {"registry-1.docker.io": "{gateway}"}}
FORGET = f"rm {CA}; update-ca-certificates --fresh; {RESTART}"

FAULTS = (
    Fault(
        "proxy-tls-interception-ca",
        "proxy.tls-interception",
        machine=KNOWN,
        setup=registry,
        inject=FORGET,
        broken=PULL,
        cure=TRUST,
    ),
    Fault(
        "proxy-tls-interception-ca:no-other-way",
        "proxy.tls-interception",
        machine=HUB,
        setup=closed,
        inject=FORGET,
        broken=PULL_HUB,
        cure=TRUST,
    ),
    Fault(
        # The file is there, and nobody ran update-ca-certificates.
        "proxy-tls-interception-ca:not-in-the-bundle",
        "proxy.tls-interception",
        machine=KNOWN,
        setup=registry,
        inject=f"{FORGET}; cp corp.crt {CA}",
        broken=PULL,
        verify_fix=True,
    ),
    Fault(
        "proxy-tls-interception-ca:wrong-ending",
        "proxy.tls-interception",
        machine=KNOWN,
        setup=registry,
        inject=f"{FORGET}; cp corp.crt {CA.replace('.crt', '.pem')}; update-ca-certificates; {RESTART}",
        broken=PULL,
        verify_fix=True,
    ),
    Fault(
        "proxy-tls-interception-ca:daemon-older-than-ca",
        "proxy.tls-interception",
        machine=KNOWN,
        setup=registry,
        inject=f"{FORGET}; {PULL}; cp corp.crt {CA}; update-ca-certificates",
        broken=PULL,
        verify_fix=True,
    ),
    Fault(
        "proxy-tls-interception-ca:transparent",
        "proxy.tls-interception",
        machine={**HUB, "daemon_json": {"registry-mirrors": None}},
        setup=transparent,
        inject=FORGET,
        broken=PULL_HUB,
        cure=TRUST,
    ),
    Fault(
        "proxy-tls-interception-ca:images",
        "proxy.container-interception",
        machine={**KNOWN, "images": ("busybox", "python:3.13-slim")},
        setup=registry,
        inject=client(THROUGH),
        broken="! test -e .docker/config.json || timeout 20 docker run --rm python:3.13-slim "
        f"python3 -c 'import urllib.request; urllib.request.urlopen(\"https://{NAME}/v2/\", timeout=5)'",
        severity="warning",
        cure="rm .docker/config.json",
    ),
)
