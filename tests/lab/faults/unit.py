"""Faults of docker.service itself: settings that take from dockerd what it needs, or make systemd wait in vain."""

from tests.lab.fault import Fault

DROP_IN = "/etc/systemd/system/docker.service.d/lab.conf"
RUN = "timeout 20 docker run --rm busybox true"


def setting(*lines: str) -> str:
    """Write a drop-in, and restart."""
    text = "\\n".join(("[Service]", *lines))
    return (
        f"mkdir -p $(dirname {DROP_IN}); printf '{text}\\n' > {DROP_IN}; systemctl daemon-reload;"
        "systemctl reset-failed docker.service docker.socket; timeout 8 systemctl restart docker.service || true"
    )


def sandboxed(name: str, *lines: str, broken: str = RUN) -> Fault:
    """Have dockerd deprived of something."""
    return Fault(
        f"daemon-start-failure:{name}", "engine.unit-sandbox", inject=setting(*lines), broken=broken, verify_fix=True
    )


FAULTS = (
    sandboxed("private-tmp", "PrivateTmp=yes"),
    sandboxed("protect-home", "ProtectHome=read-only", "ProtectSystem=full"),
    sandboxed("mount-flags", "MountFlags=slave"),
    sandboxed("read-only", "ProtectSystem=strict"),
    sandboxed("capabilities", "CapabilityBoundingSet=CAP_NET_ADMIN CAP_CHOWN"),
    sandboxed("address-families", "RestrictAddressFamilies=AF_UNIX AF_INET"),
    sandboxed("system-calls", "SystemCallFilter=@system-service"),
    sandboxed("namespaces", "RestrictNamespaces=yes"),
    Fault(
        "daemon-start-failure:addresses",
        "engine.unit-addresses",
        inject=setting("IPAddressDeny=any", "IPAddressAllow=localhost"),
        broken="docker network create n >/dev/null 2>&1; docker run --rm --network n busybox nslookup well.lab",
        machine={"dns": {"well.lab": "{gateway}"}},
        symptoms=("dns.containers-resolve",),
        verify_fix=True,
        engines=("20.10",),  # the resolver of Engine 28 answers all the same
    ),
    Fault(
        "iptables-missing:path",
        "engine.programs",
        inject=setting("Environment=PATH=/opt/bin"),
        broken=RUN,
        symptoms=("engine.started",),
        verify_fix=True,
    ),
    Fault(
        "storage-driver-unsupported:environment-file",
        "engine.started",
        inject="echo 'DOCKER_OPTS=\"--storage-driver=aufs\"' >> /etc/default/docker; timeout 8 systemctl restart docker || true",
        broken=RUN,
        verify_fix=True,
    ),
    Fault(
        "daemon-start-failure:network",
        "engine.network-namespace",
        inject=setting("PrivateNetwork=yes"),
        broken="timeout 20 docker run --rm busybox ping -c1 -W2 {gateway}",
        verify_fix=True,
    ),
    Fault(
        "docker-unit-execstart-twice:none-left",
        "engine.unit-valid",
        inject=setting("ExecStart="),
        broken="systemctl restart docker.service",
        verify_fix=True,
    ),
    Fault(
        "daemon-start-failure:forking",
        "engine.unit-type",
        inject=setting("Type=forking", "TimeoutStartSec=6"),
        broken="systemctl restart docker.service",
        verify_fix=True,
    ),
    Fault(
        "daemon-start-failure:too-little-time",
        "engine.started",
        inject=setting("TimeoutStartSec=1ms") + "; sleep 3",
        broken="timeout 5 docker ps",
        verify_fix=True,
    ),
    Fault(
        "daemon-start-failure:another-program",
        "engine.started",
        inject=setting("ExecStart=", "ExecStart=/usr/sbin/dockerd --version") + "; sleep 3",
        broken="timeout 5 docker ps",
        cure=f"rm {DROP_IN}; systemctl daemon-reload; systemctl reset-failed docker.service docker.socket; systemctl restart docker",
    ),
    Fault(
        "daemon-start-failure:stray-word",
        "engine.started",
        inject=setting(
            "ExecStart=",
            "ExecStart=/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock --debug true",
        ),
        broken="timeout 5 docker ps",
        verify_fix=True,
    ),
    Fault(
        "daemon-not-running:no-unit",
        "engine.unit-missing",
        inject="systemctl stop docker.socket docker.service; mv /lib/systemd/system/docker.service /opt; systemctl daemon-reload",
        broken="timeout 5 docker ps",
        cure="mv /opt/docker.service /lib/systemd/system; systemctl daemon-reload; systemctl start docker.service",
    ),
)
