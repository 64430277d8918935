"""Faults of what talks to the engine: programs in containers, the client's plugins, Python's library, remote endpoints."""

from typing import Any

from tests.lab.fault import Fault
from tests.lab.faults.engine import LOGIN, LOGIN_PS

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
# An authority, and what it signs: sign NAME CN DAYS EXTENSIONS [AUTHORITY]. Before 3.4 openssl takes days in the past, since then dates.
PKI = r"""
    mkdir -p /root/pki /root/ann; cd /root/pki
    cat > sign.sh <<'END'
authority() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=$2" -keyout $1.key -out $1.pem
}
sign() {
    cd /root/pki
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$2" -keyout $1.key -out $1.csr
    printf "$4" > $1.ext
    with="-req -in $1.csr -CA ${5:-ca}.pem -CAkey ${5:-ca}.key -CAcreateserial -extfile $1.ext -out $1.pem"
    if [ "$3" -gt 0 ] || ! openssl x509 $with -days $3; then
        past="-not_before 20200101000000Z -not_after 20200201000000Z"; [ "$3" -gt 0 ] && past="-days $3"
        openssl x509 $with $past
    fi
}
server() { sign server engine $1 "subjectAltName=$2\nextendedKeyUsage=serverAuth" $3; systemctl reset-failed docker.service; systemctl restart docker.service; }
client() { sign client ann $1 "extendedKeyUsage=$2" $3; cp client.pem /root/ann/cert.pem; cp client.key /root/ann/key.pem; }
END
    . ./sign.sh
    authority ca "lab CA"; authority other "other CA"
    cp ca.pem /root/ann/
    mkdir -p /etc/systemd/system/docker.service.d
    cat > /etc/systemd/system/docker.service.d/tls.conf <<'END'
[Service]
ExecStart=
ExecStart=/usr/sbin/dockerd -H fd:// -H tcp://127.0.0.1:2376 --tlsverify --tlscacert /root/pki/ca.pem --tlscert /root/pki/server.pem --tlskey /root/pki/server.key
END
    systemctl daemon-reload
    client 365 clientAuth
    server 365 IP:127.0.0.1
"""
SIGN = ". /root/pki/sign.sh; cd /root/pki; "
FAR = {"DOCKER_HOST": "tcp://127.0.0.1:2376", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/root/ann"}
FAR_PS = "timeout 10 docker ps"


def far(variant: str, check: str, inject: str, cure: str, **more: Any) -> Fault:
    """An engine behind TLS, and one thing that is wrong with it."""
    return Fault(
        id=f"remote-tls-cert-expired:{variant}",
        check=check,
        inject=SIGN + inject,
        broken=FAR_PS,
        cure=SIGN + cure,
        **{"setup": PKI, "env": FAR, **more},
    )


# What the client takes for a plugin: `docker NAME ...` says "NAME here".
PLUGIN = """
    plugin() {
        mkdir -p $2
        cat > $2/docker-$1 <<'END'
#!/bin/sh
[ "$1" = docker-cli-plugin-metadata ] && echo '{"SchemaVersion": "0.1.0", "Vendor": "lab", "Version": "v1"}' && exit
echo "$1 here"
END
        chmod 755 $2/docker-$1
    }
"""
SYSTEM, OWN = "/usr/libexec/docker/cli-plugins", "/root/.docker/cli-plugins"
MOUNTS = r"printf 'FROM busybox\nRUN --mount=type=cache,target=/c true\n' > /root/Dockerfile; "
PLAIN = r"printf 'FROM busybox\nCOPY . /all\n' > Dockerfile; "
BUILD = "timeout 50 docker build -q ."
# What apt-get would install can be told from its lists alone.
LISTS = "apt-get update -q; "
# A build makes it.
FOLDER = "mkdir -p -m 700 /root/.docker; "
LOGIN_BUILD = f". /root/.profile; {BUILD}"
NEWER = ("26.1", "28.5")
APP = {"VIRTUAL_ENV": "/opt/app"}
PINGS = "/opt/app/bin/python -c 'import docker; docker.from_env().ping()'"


def app(variant: str, before: str, after: str) -> Fault:
    """A program in an environment of its own, after a library that docker-py rests on was renewed."""
    return Fault(
        id=f"docker-py-requests-http-docker:{variant}",
        check="client.docker-py",
        setup=f"python3 -m venv /opt/app; /opt/app/bin/pip install -q {before}",
        inject=f"/opt/app/bin/pip install -q {after}",
        broken=PINGS,
        env=APP,
        verify_fix=True,
    )


# A host that is reached by ssh: this one, by its other name.
SSH = """
    systemctl start ssh; mkdir -p /root/.ssh
    ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519
    for user in alice bob; do
        install -D -m 600 -o $user /root/.ssh/id_ed25519.pub /home/$user/.ssh/authorized_keys; chown $user /home/$user/.ssh
    done
    ssh-keyscan -t ed25519 127.0.0.1 2>/dev/null > /root/.ssh/known_hosts
"""


def by_ssh(variant: str, inject: str, cure: str) -> Fault:
    """An engine that is reached by ssh, until it is not."""
    return Fault(
        id=f"docker-host-wrong-env:{variant}",
        check="engine.ssh",
        setup=SSH,
        inject=inject,
        broken="timeout 20 docker ps",
        env={"DOCKER_HOST": "ssh://alice@127.0.0.1"},
        cure=cure,
    )


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
    far("server", "engine.certificate", "server -1 IP:127.0.0.1", "server 365 IP:127.0.0.1"),
    far("server-name", "engine.certificate", "server 365 DNS:engine.corp", "server 365 IP:127.0.0.1"),
    far("server-authority", "engine.certificate", "server 365 IP:127.0.0.1 other", "server 365 IP:127.0.0.1"),
    far("wrong-ca", "engine.certificate", "cp other.pem /root/ann/ca.pem", "cp ca.pem /root/ann/ca.pem"),
    far("client", "engine.client-certificate", "client -1 clientAuth", "client 365 clientAuth"),
    far("client-authority", "engine.client-certificate", "client 365 clientAuth other", "client 365 clientAuth"),
    far("client-purpose", "engine.client-certificate", "client 365 serverAuth", "client 365 clientAuth"),
    far("no-client", "engine.client-certificate", "rm /root/ann/cert.pem", "client 365 clientAuth"),
    far("key-of-another", "engine.tls-files", "cp server.key /root/ann/key.pem", "cp client.key /root/ann/key.pem"),
    far("no-ca", "engine.tls-files", "rm /root/ann/ca.pem", "cp ca.pem /root/ann/ca.pem"),
    far(
        "not-pem",
        "engine.tls-files",
        "openssl x509 -in ca.pem -outform der -out /root/ann/ca.pem",
        "cp ca.pem /root/ann",
    ),
    far(
        "context",
        "engine.certificate",
        "server -1 IP:127.0.0.1",
        "server 365 IP:127.0.0.1",
        setup=PKI + "docker context create far --docker "
        "host=tcp://127.0.0.1:2376,ca=/root/ann/ca.pem,cert=/root/ann/cert.pem,key=/root/ann/key.pem; docker context use far",
        env={},
    ),
    Fault(
        id="remote-tls-mismatch:left-over",
        check="engine.tls-files",
        setup=LOGIN,
        inject="echo 'export DOCKER_TLS_VERIFY=1' >> /root/.profile",
        broken=LOGIN_PS,
        verify_fix=True,
    ),
    # The same with files that are good for some other engine: the client goes to port 2376.
    Fault(
        id="remote-tls-mismatch:variable-alone",
        check="engine.tls",
        setup=LOGIN + PKI,
        inject="mkdir -p /root/.docker; cp /root/ann/* /root/.docker; rm /etc/systemd/system/docker.service.d/tls.conf; "
        "systemctl daemon-reload; systemctl restart docker; echo 'export DOCKER_TLS=1' >> /root/.profile",
        broken=LOGIN_PS,
        verify_fix=True,
    ),
    app("requests", "docker==6.1.3 requests==2.31.0", "requests==2.32.3"),
    app("urllib3", "docker==6.0.1 requests==2.31.0 urllib3==1.26.18", "urllib3==2.2.0"),
    # The distribution's Compose, version 1, and a newer requests that pip put in front of the distribution's.
    Fault(
        id="docker-py-requests-http-docker:compose-v1",
        check="client.docker-py",
        setup="apt-get update; apt-get install -y --no-install-recommends docker-compose python3-pip; "
        "printf 'version: \"3\"\nservices: {a: {image: busybox}}\n' > /opt/compose.yaml",
        inject="python3 -m pip install -q --break-system-packages requests==2.32.3",
        broken="docker-compose -f /opt/compose.yaml ps",
        verify_fix=True,
        engines=("20.10",),
    ),
    Fault(
        id="buildx-missing:asked-for",
        check="client.buildx",
        setup=LOGIN + LISTS + FOLDER + "cd /root; " + PLAIN,
        inject="echo 'export DOCKER_BUILDKIT=1' >> /root/.profile",
        broken=LOGIN_BUILD,
        verify_fix=True,
        engines=NEWER,
    ),
    Fault(
        id="buildx-missing:dockerfile",
        check="client.buildx",
        setup=LISTS + FOLDER + "cd /root; " + PLAIN,
        inject=MOUNTS,
        broken=BUILD,
        verify_fix=True,
        engines=NEWER,
    ),
    Fault(
        id="buildx-missing:not-executable",
        check="client.plugins",
        setup=PLUGIN + f"plugin buildx {OWN}",
        inject=f"chmod 644 {OWN}/docker-buildx",
        broken="docker buildx version",
        verify_fix=True,
    ),
    # A download that failed lies before what the system has.
    Fault(
        id="buildx-missing:no-program",
        check="client.plugins",
        setup=PLUGIN + f"plugin buildx {SYSTEM}",
        inject=f"mkdir -p {OWN}; echo 'Not Found' > {OWN}/docker-buildx; chmod 755 {OWN}/docker-buildx",
        broken="docker buildx version",
        verify_fix=True,
    ),
    # Of Docker Desktop a link is left: `docker buildx` passes over it, and `docker build` of this version does not.
    Fault(
        id="buildx-missing:desktop-link",
        check="client.plugins",
        setup=PLUGIN + f"plugin buildx {SYSTEM}; printf 'FROM busybox\n' > /root/Dockerfile",
        inject=f"mkdir -p {OWN}; ln -s /opt/docker-desktop/docker-buildx {OWN}/docker-buildx",
        broken="docker build . | grep here",
        verify_fix=True,
        engines=("26.1",),
    ),
    Fault(
        id="buildx-missing:old-builder",
        check="build.builder",
        setup=LOGIN + "cd /root; " + PLAIN,
        inject=MOUNTS,
        broken=LOGIN_BUILD,
        cure="echo 'export DOCKER_BUILDKIT=1' >> /root/.profile",
        engines=("20.10",),
    ),
    Fault(
        id="buildx-missing:turned-off",
        check="build.builder",
        machine={"daemon_json": {"features": {"buildkit": True}}},
        setup=LOGIN + FOLDER + MOUNTS,
        inject="echo 'export DOCKER_BUILDKIT=0' >> /root/.profile",
        broken=LOGIN_BUILD,
        verify_fix=True,
        engines=("20.10",),
    ),
    Fault(
        id="buildx-missing:no-boolean",
        check="build.builder",
        setup=LOGIN + FOLDER + "cd /root; " + PLAIN,
        inject="echo 'export DOCKER_BUILDKIT=yes' >> /root/.profile",
        broken=LOGIN_BUILD,
        verify_fix=True,
    ),
    Fault(
        id="compose-missing-or-v1:missing",
        check="client.compose",
        setup=PLUGIN + f"plugin compose {SYSTEM}; printf 'services: {{a: {{image: busybox}}}}\n' > /root/compose.yaml",
        inject=f"rm {SYSTEM}/docker-compose",
        broken="docker compose version",
        verify_fix=True,
        on={"20.10": {"verify_fix": False, "cure": PLUGIN + f"plugin compose {OWN}"}},
    ),
    Fault(
        id="compose-missing-or-v1:not-executable",
        check="client.plugins",
        setup=PLUGIN + f"plugin compose {OWN}",
        inject=f"chmod 644 {OWN}/docker-compose",
        broken="docker compose version",
        verify_fix=True,
    ),
    Fault(
        id="compose-missing-or-v1:v1",
        check="client.compose-v1",
        severity="warning",
        setup=PLUGIN + f"plugin compose {OWN}; printf 'services: {{a: {{image: busybox}}}}\n' > /root/compose.yaml; "
        "apt-get update; apt-get install -y --no-install-recommends docker-compose",
        inject=f"rm {OWN}/docker-compose",
        broken="docker compose version",
        cure=PLUGIN + f"plugin compose {OWN}",
        engines=("20.10",),
    ),
    Fault(
        id="build-context-huge-or-unreadable:unreadable",
        check="build.context-readable",
        setup="cd ~alice; " + PLAIN,
        inject="install -d -o 999 -m 700 ~alice/db-data",
        broken=BUILD,
        user="alice",
        cure="mv ~alice/db-data /srv",
    ),
    # Kept out, and in the old builder's way all the same.
    Fault(
        id="build-context-huge-or-unreadable:kept-out-folder",
        check="build.context-readable",
        setup="cd ~alice; " + PLAIN + "echo db-data > .dockerignore",
        inject="install -d -o 999 -m 700 ~alice/db-data",
        broken=BUILD,
        user="alice",
        verify_fix=True,
        on={"20.10": {"verify_fix": False, "cure": "mv ~alice/db-data /srv"}},
    ),
    Fault(
        id="build-context-huge-or-unreadable:unreadable-file",
        check="build.context-readable",
        setup="cd ~alice; " + PLAIN,
        inject="install -m 600 /etc/hostname ~alice/key.pem",
        broken=BUILD,
        user="alice",
        verify_fix=True,
    ),
    Fault(
        id="build-context-huge-or-unreadable:huge",
        check="build.context-size",
        severity="warning",
        setup="cd /root; " + PLAIN,
        inject="mkdir /root/backup; truncate -s 1200M /root/backup/dump.sql",
        broken="docker build . 2>&1 | grep -a 'build context' | grep -v GB",
        verify_fix=True,
    ),
    Fault(
        id="build-context-huge-or-unreadable:kept-out",
        check="build.context-excludes",
        setup=r"cd /root; printf 'FROM busybox\nCOPY conf/app.ini /\n' > Dockerfile; mkdir conf; touch conf/app.ini",
        inject=r"printf '# none of these\n*.log\n**/*.ini\n' > /root/.dockerignore",
        broken=BUILD,
        verify_fix=True,
    ),
    Fault(
        id="build-context-huge-or-unreadable:letters",
        check="build.context-excludes",
        setup=r"cd /root; printf 'FROM busybox\nCOPY requirements.txt /\n' > Dockerfile; touch requirements.txt",
        inject="mv /root/requirements.txt /root/Requirements.txt",
        broken=BUILD,
        verify_fix=True,
    ),
    by_ssh("ssh-key", "mv ~alice/.ssh ~alice/.old", "mv ~alice/.old ~alice/.ssh; systemctl restart ssh"),
    by_ssh("ssh-unknown-host", "rm /root/.ssh/known_hosts", "ssh-keyscan 127.0.0.1 > /root/.ssh/known_hosts"),
    by_ssh("ssh-server-down", "systemctl stop ssh", "systemctl start ssh"),
    by_ssh("ssh-user-without-group", "gpasswd -d alice docker", "usermod -aG docker alice"),
    # Two variables: the one for the context does not go before the one for the host.
    Fault(
        id="docker-host-wrong-env:before-context",
        check="engine.docker-host",
        setup=LOGIN
        + "docker context create here --docker host=unix:///run/docker.sock; echo 'export DOCKER_CONTEXT=here' >> /root/.profile",
        inject="echo 'export DOCKER_HOST=unix:///run/user/0/docker.sock' >> /root/.profile",
        broken=LOGIN_PS,
        verify_fix=True,
    ),
)
