"""Faults of what talks to the engine: programs in containers, the client's plugins, Python's library, remote endpoints."""

from tests.lab.fault import Fault

LIVE = {"daemon_json": {"live-restore": True}}
# A container with the host's own client in it, and the engine's socket.
PROGRAMS = "-v /usr:/usr:ro -v /usr/lib:/lib:ro -v /usr/lib64:/lib64:ro"
AGENT = f"docker run -d --name agent {PROGRAMS} -v /var/run/docker.sock:/var/run/docker.sock busybox sleep 1000"
ASKS = "docker exec agent /usr/bin/docker -H unix:///var/run/docker.sock ps"
# dockerd makes its socket itself, and makes it anew at each start.
OWN_SOCKET = """
    mkdir -p /etc/systemd/system/docker.service.d
    cat > /etc/systemd/system/docker.service.d/hosts.conf <<'END'
[Service]
ExecStart=
ExecStart=/usr/sbin/dockerd -H unix:///var/run/docker.sock --containerd=/run/containerd/containerd.sock
END
    systemctl daemon-reload
    systemctl restart docker.service
    sleep 1
"""

FAULTS: tuple[Fault, ...] = (
    Fault(
        id="stale-mounted-docker-sock",
        check="containers.mounted-socket",
        machine=LIVE,
        setup=AGENT,
        inject="systemctl restart docker.socket docker.service",
        broken=ASKS,
        verify_fix=True,
    ),
    # Without docker.socket: dockerd removes the old file and makes its own; other agents hold the folder, or another place.
    Fault(
        id="stale-mounted-docker-sock:own-socket",
        check="containers.mounted-socket",
        machine=LIVE,
        setup=f"""{OWN_SOCKET}
            docker run -d --name panel {PROGRAMS} --mount type=bind,src=/run/docker.sock,dst=/data/engine.sock busybox sleep 1000
            docker run -d --name folder {PROGRAMS} -v /run:/host/run:ro busybox sleep 1000
        """,
        inject="systemctl restart docker.service",
        broken="docker exec folder /usr/bin/docker -H unix:///host/run/docker.sock ps && "
        "docker exec panel /usr/bin/docker -H unix:///data/engine.sock ps",
        verify_fix=True,
    ),
)
