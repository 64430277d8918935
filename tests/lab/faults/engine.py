"""Faults of the engine's being there at all: not started, not reachable, not answering."""

from tests.lab.fault import Fault
from tests.lab.machine import Machine

STOP = "systemctl stop docker.socket docker.service"
START = "systemctl start docker.service || true"
PS = "timeout 10 docker ps"
HUNG = "timeout 5 docker ps"
# From now on `doctor` is run as from a login shell of root's.
LOGIN = r"""
rm /usr/local/bin/doctor
printf '#!/bin/sh\n. /root/.profile\nexec /opt/doctor/bin/doctor "$@"\n' > /usr/local/bin/doctor
chmod 755 /usr/local/bin/doctor
"""
LOGIN_PS = ". /root/.profile; timeout 10 docker ps"
# From now on `doctor` is run by bob with the groups that /opt/groups lists, whatever the database says.
SESSION = r"""
usermod -aG docker bob
getent group docker | cut -d: -f3 > /opt/groups
rm /usr/local/bin/doctor
printf '#!/bin/sh\nexec setpriv --reuid=bob --regid=bob --groups=$(cat /opt/groups) env HOME=/home/bob %s "$@"\n' \
    /opt/doctor/bin/doctor > /usr/local/bin/doctor
chmod 755 /usr/local/bin/doctor
"""
DROP_IN = "/etc/systemd/system/docker.service.d/lab.conf"


def drop_in(machine: Machine, text: str) -> None:
    """Add to docker.service, and let systemd know."""
    machine.write(DROP_IN, text)
    machine.run("systemctl daemon-reload")


def second_command(machine: Machine) -> None:
    """The classic mistake: a drop-in's command without the line that clears the unit's own."""
    drop_in(machine, "[Service]\nExecStart=/usr/sbin/dockerd -H fd:// --debug\n")


def wrong_containerd(machine: Machine) -> None:
    """A drop-in with an address where no containerd listens."""
    drop_in(machine, "[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H fd:// --containerd=/run/nowhere.sock\n")
    machine.run("systemctl restart --no-block docker.service; sleep 1")


def taken_port(machine: Machine) -> None:
    """A second address for dockerd, where another program listens."""
    machine.run("python3 -m http.server 2375 >/dev/null 2>&1 & sleep 0.5")
    drop_in(machine, "[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H fd:// -H tcp://127.0.0.1:2375\n")
    machine.run("systemctl restart docker.service || true; sleep 1")


def lazy_server(machine: Machine) -> None:
    """Put in the socket's place one that accepts and never answers."""
    machine.run(STOP)
    machine.write(
        "/opt/lazy.py",
        "import os, socket, time\n"
        "os.unlink('/run/docker.sock')\n"
        "s = socket.socket(socket.AF_UNIX)\ns.bind('/run/docker.sock')\ns.listen()\nkept = []\n"
        "while True:\n    kept.append(s.accept())\n",
    )
    machine.run("systemctl start docker.service")
    machine.run("python3 /opt/lazy.py >/dev/null 2>&1 & sleep 0.5")


CERTIFICATE = r"""
mkdir -p /root/.docker; cd /root/.docker
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=lab \
    -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out cert.pem 2>/dev/null
cp cert.pem ca.pem
"""


def plain_port(machine: Machine) -> None:
    """An engine that speaks plain HTTP on a port too, and a user who uses that."""
    machine.run(LOGIN + CERTIFICATE)
    drop_in(machine, "[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H fd:// -H tcp://127.0.0.1:2375\n")
    machine.run("systemctl restart docker.service; echo export DOCKER_HOST=tcp://127.0.0.1:2375 >> /root/.profile")


def tls_port(machine: Machine) -> None:
    """An engine that speaks TLS on a port too, and a user who uses that."""
    machine.run(LOGIN + CERTIFICATE)
    where = "--tlscert /root/.docker/cert.pem --tlskey /root/.docker/key.pem --tlscacert /root/.docker/ca.pem"
    drop_in(
        machine,
        f"[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H fd:// -H tcp://127.0.0.1:2376 --tlsverify {where}\n",
    )
    machine.run("systemctl restart docker.service; echo export DOCKER_HOST=tcp://127.0.0.1:2376 >> /root/.profile")
    machine.run("echo export DOCKER_TLS_VERIFY=1 >> /root/.profile")


def rootless_like(machine: Machine) -> None:
    """A second engine with nothing in it, and a context for it; the system's has a container."""
    machine.run("docker create busybox")
    # A bridge of its own: without one it would take docker0 from the other.
    machine.run("ip link add second type bridge; ip address add 10.99.0.1/24 dev second; ip link set second up")
    machine.run(
        "nohup dockerd --host unix:///run/second.sock --data-root /var/lib/docker/second --exec-root /run/second "
        "--pidfile /run/second.pid --bridge second --iptables=false --storage-driver vfs >/dev/null 2>&1 & "
        "until docker -H unix:///run/second.sock version >/dev/null 2>&1; do sleep 0.1; done"
    )
    # As an engine whose rules somebody else keeps.
    machine.run("iptables -t nat -A POSTROUTING -s 10.99.0.0/24 ! -o second -j MASQUERADE")
    machine.run("docker context create second --docker host=unix:///run/second.sock")


def desktop_context(machine: Machine) -> None:
    """Docker Desktop's context, after Docker Desktop."""
    machine.run("docker context create desktop-linux --docker host=unix:///root/.docker/desktop/docker.sock")
    machine.run("docker context use desktop-linux")


FAULTS: tuple[Fault, ...] = (
    Fault(
        id="daemon-not-running:stopped",
        check="engine.running",
        inject=STOP,
        broken=PS,
        verify_fix=True,
    ),
    Fault(
        id="daemon-not-running:no-socket-file",
        check="engine.running",
        inject=f"{STOP}; rm /run/docker.sock",
        broken=PS,
        verify_fix=True,
    ),
    Fault(
        id="daemon-not-running:disabled",
        check="engine.running",
        inject=f"systemctl disable docker.service docker.socket; {STOP}",
        broken=PS,
        verify_fix=True,
    ),
    Fault(
        id="daemon-not-running:user",
        check="engine.running",
        inject=STOP,
        broken=PS,
        user="alice",
        verify_fix=True,
    ),
    Fault(
        id="docker-not-installed:engine-removed",
        check="engine.installed",
        inject=f"{STOP}; mv /usr/sbin/dockerd /usr/sbin/dockerd.gone; {START}",
        broken=PS,
        cure="mv /usr/sbin/dockerd.gone /usr/sbin/dockerd; systemctl reset-failed docker.service docker.socket; "
        "systemctl start docker",
    ),
    Fault(
        id="docker-not-installed:nothing",
        check="engine.installed",
        inject=f"{STOP}; rm /usr/sbin/dockerd /usr/bin/docker /lib/systemd/system/docker.*; systemctl daemon-reload",
        broken=PS,
    ),
    # As packages: what apt-get brings is what goes again.
    Fault(
        id="docker-not-installed:package",
        check="engine.installed",
        setup="apt-get update -q",
        inject=f"{STOP}; dpkg --purge docker.io",
        broken=PS,
        verify_fix=True,
        engines=("20.10",),
    ),
    Fault(
        id="docker-not-installed:podman",
        check="engine.installed",
        inject=f"{STOP}; rm /usr/sbin/dockerd /lib/systemd/system/docker.*; systemctl daemon-reload; "
        "printf '#!/bin/sh\\nexec /usr/bin/podman \"$@\"\\n' > /usr/bin/docker",
        broken=PS,
    ),
    Fault(
        id="docker-unit-masked:service",
        check="engine.unit-masked",
        inject=f"{STOP}; systemctl mask docker.service; {START}",
        broken=PS,
        verify_fix=True,
        symptoms=("engine.running", "engine.reachable", "engine.responsive"),
    ),
    Fault(
        id="docker-unit-masked:socket",
        check="engine.unit-masked",
        inject=f"{STOP}; systemctl mask docker.socket; {START}",
        broken=PS,
        verify_fix=True,
    ),
    Fault(
        id="docker-unit-execstart-twice",
        check="engine.unit-valid",
        inject=second_command,
        broken="systemctl reset-failed docker.service; systemctl restart docker.service",
        verify_fix=True,
    ),
    Fault(
        id="sock-group-missing",
        check="engine.socket-group",
        inject=f"{STOP}; groupdel docker; {START}",
        broken=PS,
        verify_fix=True,
    ),
    Fault(
        id="docker-sock-is-directory",
        check="engine.socket-file",
        inject=f"{STOP}; rm -f /run/docker.sock; mkdir /run/docker.sock; {START}",
        broken=PS,
        verify_fix=True,
    ),
    Fault(
        id="stale-pidfile",
        check="engine.pid-file",
        inject=f"{STOP}; sleep 1000 & echo $! > /run/docker.pid; {START}; sleep 1",
        broken=PS,
        verify_fix=True,
    ),
    Fault(
        id="containerd-down:stopped",
        check="engine.containerd",
        inject="systemctl stop containerd.service",
        broken="timeout 20 docker run --rm busybox true",
        verify_fix=True,
    ),
    Fault(
        id="containerd-down:wrong-address",
        check="engine.containerd",
        inject=wrong_containerd,
        broken=HUNG,
        verify_fix=True,
    ),
    Fault(
        id="daemon-hung:containerd-frozen",
        check="engine.containerd",
        inject="kill -STOP $(pidof containerd)",
        broken="timeout 5 docker info",
        verify_fix=True,
    ),
    Fault(
        id="daemon-hung:frozen",
        check="engine.frozen",
        inject="kill -STOP $(pidof dockerd)",
        broken=HUNG,
        verify_fix=True,
    ),
    Fault(
        id="daemon-hung:frozen-user",
        check="engine.frozen",
        inject="kill -STOP $(pidof dockerd)",
        broken=HUNG,
        user="alice",
        verify_fix=True,
    ),
    Fault(
        id="daemon-hung:never-answers",
        check="engine.responsive",
        inject=lazy_server,
        broken=HUNG,
        cure="pkill -f '/opt/[l]azy.py'; systemctl restart docker.socket docker.service",
    ),
    Fault(
        id="systemd-start-limit-hit",
        check="engine.start-limit",
        inject="for n in 1 2 3 4; do systemctl restart docker.service; done; true",
        broken=PS,
        verify_fix=True,
        symptoms=("engine.running", "engine.reachable", "engine.responsive"),
    ),
    Fault(
        id="systemd-start-limit-hit:of-a-failure",
        check="engine.pid-file",
        inject=f"{STOP}; sleep 1000 & echo $! > /run/docker.pid; {START}; sleep 1; {START}; {START}",
        broken=PS,
        verify_fix=True,
    ),
    Fault(
        id="daemon-json-syntax:daemon-failed",
        check="daemon-json.syntax",
        inject="""echo '{"debug": true,}' > /etc/docker/daemon.json; systemctl restart docker.service; sleep 1""",
        broken=PS,
        symptoms=("engine.started", "engine.running", "engine.reachable", "engine.responsive"),
    ),
    Fault(
        id="iptables-missing",
        check="engine.programs",
        symptoms=("engine.started",),
        inject=f"{STOP}; mkdir /opt/gone; mv /usr/sbin/iptables* /usr/sbin/xtables* /opt/gone; {START}; sleep 1",
        broken=PS,
        cure="mv /opt/gone/* /usr/sbin; systemctl reset-failed docker.service docker.socket; systemctl start docker",
    ),
    Fault(
        id="nat-table-unavailable",
        check="engine.started",
        inject=f"{STOP}; mv /usr/sbin/iptables /usr/sbin/iptables.real; printf '#!/bin/sh\\n"
        """echo "iptables v1.8.9 (legacy): can'"'"'t initialize iptables table \\`nat'"'"': Table does not exist """
        """(do you need to insmod?)" >&2; exit 3\\n' > /usr/sbin/iptables; chmod 755 /usr/sbin/iptables; """
        f"{START}; sleep 1",
        broken=PS,
        cure="mv /usr/sbin/iptables.real /usr/sbin/iptables; systemctl reset-failed docker.service docker.socket; "
        "systemctl start docker",
    ),
    Fault(
        id="storage-driver-unsupported",
        check="engine.started",
        inject="""echo '{"storage-driver": "aufs"}' > /etc/docker/daemon.json; systemctl restart docker; sleep 1""",
        broken=PS,
        cure="echo '{}' > /etc/docker/daemon.json; systemctl reset-failed docker.service docker.socket; "
        "systemctl start docker",
        # The keys of newer engines are known well enough to name it before dockerd does.
        on={engine: {"check": "daemon-json.values"} for engine in ("26.1", "28.5")},
    ),
    Fault(
        id="data-root-several-drivers",
        check="engine.started",
        inject=f"{STOP}; mkdir -p /var/lib/docker/fuse-overlayfs/x; {START}; sleep 1",
        broken=PS,
        cure="rm -r /var/lib/docker/fuse-overlayfs; systemctl reset-failed docker.service docker.socket; "
        "systemctl start docker",
    ),
    Fault(
        id="daemon-start-failure:network-database",
        check="engine.started",
        inject=f"{STOP}; head -c 5000 /dev/urandom > /var/lib/docker/network/files/local-kv.db; {START}; sleep 1",
        broken=PS,
        verify_fix=True,
    ),
    Fault(
        id="daemon-start-failure:port-taken",
        check="engine.started",
        inject=taken_port,
        broken=PS,
        cure=f"rm {DROP_IN}; systemctl daemon-reload; systemctl reset-failed docker.service docker.socket; "
        "systemctl start docker",
    ),
    Fault(
        id="docker-sock-permission-denied",
        check="engine.socket-permission",
        inject="gpasswd --delete alice docker",
        # A new login each time, as `machine.run` is none.
        broken=PS,
        user="alice",
        verify_fix=True,
    ),
    Fault(
        id="docker-sock-permission-denied:mode",
        check="engine.socket-permission",
        inject="chmod 600 /run/docker.sock",
        broken=PS,
        user="alice",
        verify_fix=True,
    ),
    Fault(
        id="docker-sock-permission-denied:group",
        check="engine.socket-permission",
        inject="chgrp root /run/docker.sock",
        broken=PS,
        user="alice",
        verify_fix=True,
    ),
    Fault(
        id="docker-group-not-active-in-session",
        check="engine.session-group",
        setup=SESSION,
        inject="id -g bob > /opt/groups",
        broken="setpriv --reuid=bob --regid=bob --groups=$(cat /opt/groups) docker ps",
    ),
    Fault(
        id="docker-host-wrong-env:tcp",
        check="engine.docker-host",
        setup=LOGIN,
        inject="echo 'export DOCKER_HOST=tcp://127.0.0.1:2375' >> /root/.profile",
        broken=LOGIN_PS,
        verify_fix=True,
    ),
    Fault(
        id="docker-host-wrong-env:no-such-socket",
        check="engine.docker-host",
        setup=LOGIN,
        inject="echo 'DOCKER_HOST=unix:///run/user/1000/docker.sock; export DOCKER_HOST' >> /root/.profile",
        broken=LOGIN_PS,
        verify_fix=True,
    ),
    Fault(
        id="docker-host-wrong-env:unparsable",
        check="engine.docker-host",
        setup=LOGIN,
        inject="echo 'export DOCKER_HOST=\"unix:://var/run/docker.sock\"' >> /root/.profile",
        broken=LOGIN_PS,
        verify_fix=True,
    ),
    Fault(
        id="remote-tls-mismatch:plain-port",
        check="engine.tls",
        setup=plain_port,
        inject="echo export DOCKER_TLS_VERIFY=1 >> /root/.profile",
        broken=LOGIN_PS,
        verify_fix=True,
    ),
    Fault(
        id="remote-tls-mismatch:tls-port",
        check="engine.tls",
        setup=tls_port,
        inject="sed -i /TLS_VERIFY/d /root/.profile",
        broken=LOGIN_PS,
        cure="echo export DOCKER_TLS_VERIFY=1 >> /root/.profile",
    ),
    Fault(
        id="two-docker-daemons",
        check="engine.same-engine",
        severity="warning",
        # The second engine lets nobody out.
        doctor=("check", "--passive"),
        setup=rootless_like,
        inject="docker context use second",
        broken="docker ps --all --quiet | grep -q .",
        cure="docker context use default",
    ),
    Fault(
        id="client-api-too-new",
        check="engine.client-api",
        setup=LOGIN,
        inject="echo 'export DOCKER_API_VERSION=1.60' >> /root/.profile",
        broken=LOGIN_PS,
        verify_fix=True,
    ),
    Fault(
        id="client-api-too-old",
        check="engine.client-api",
        setup=LOGIN,
        inject="echo 'export DOCKER_API_VERSION=1.11' >> /root/.profile",
        broken=LOGIN_PS,
        verify_fix=True,
    ),
    Fault(
        id="stale-docker-context:dead",
        check="engine.context",
        inject=desktop_context,
        broken=PS,
        verify_fix=True,
    ),
    Fault(
        id="stale-docker-context:no-metadata",
        check="engine.context",
        inject="""mkdir -p /root/.docker; echo '{"currentContext": "gone"}' > /root/.docker/config.json""",
        broken=PS,
        verify_fix=True,
    ),
    Fault(
        id="proxy-config-json-invalid",
        check="engine.client-config",
        inject="""mkdir -p /root/.docker; echo '{"auths": {},}' > /root/.docker/config.json""",
        broken="docker ps 2>&1 | grep -v WARNING > /dev/null; ! docker ps 2>&1 | grep -q WARNING",
        verify_fix=True,
    ),
    Fault(
        id="proxy-config-json-invalid:owner",
        check="engine.client-config",
        # What she has set has no effect; some clients (20.10, 28.5) warn of it too, 26.1 says nothing.
        setup='mkdir -p ~alice/.docker; echo \'{"psFormat": "table {{.Names}}"}\' > ~alice/.docker/config.json;'
        "chown -R alice: ~alice/.docker",
        inject="chown root: ~alice/.docker/config.json; chmod 600 ~alice/.docker/config.json",
        broken="docker ps | grep -qx NAMES",
        user="alice",
        verify_fix=True,
    ),
)
