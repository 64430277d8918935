"""Faults of the programs that the engine runs for a container, and of the parts of containerd."""

from tests.lab.fault import Fault

RUN = "timeout 20 docker run --rm busybox true"
PUBLISH = "timeout 20 docker run --rm -p 127.0.0.1::80 busybox true"
TOML = "/etc/containerd/config.toml"


def gone(program: str, broken: str) -> Fault:
    """Have a program vanish while dockerd runs."""
    name = program.rpartition("/")[2]
    return Fault(
        f"docker-not-installed:{name}",
        "engine.programs",
        inject=f"mv {program} /root/{name}",
        broken=broken,
        cure=f"mv /root/{name} {program}",
    )


FAULTS = (
    gone("/usr/sbin/runc", RUN),
    gone("/usr/bin/containerd-shim-runc-v2", RUN),
    gone("/usr/sbin/docker-proxy", PUBLISH),
    Fault(
        "docker-not-installed:runc-not-executable",
        "engine.programs",
        inject="chmod a-x /usr/sbin/runc",
        broken=RUN,
        symptoms=("containers.start",),
        verify_fix=True,
    ),
    Fault(
        # What a proxy answered instead of the download.
        "docker-not-installed:runc-no-program",
        "engine.programs",
        inject="cp /usr/sbin/runc /root/runc; echo '<html>Access denied</html>' > /usr/sbin/runc",
        broken=RUN,
        cure="cp /root/runc /usr/sbin/runc",
    ),
    Fault(
        "iptables-missing:running",
        "engine.programs",
        inject="mkdir /root/gone; mv /usr/sbin/iptables /root/gone",
        broken=PUBLISH,
        symptoms=("network.egress", "network.published-port"),
        cure="mv /root/gone/iptables /usr/sbin",
    ),
    Fault(
        "containerd-down:part-disabled",
        "engine.containerd-plugins",
        inject=f"""
            mkdir -p $(dirname {TOML})
            printf 'version = 2\\ndisabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.runtime.v2.task"]\\n' > {TOML}
            systemctl restart containerd.service
            systemctl restart docker.service
        """,
        broken=RUN,
        symptoms=("containers.start",),
        verify_fix=True,
    ),
)
