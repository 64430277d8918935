"""Machines that are well, some of them oddly: the doctor must find no error on any."""

import json

from tests.lab.fault import Healthy
from tests.lab.machine import Machine

# A container reaches the names and the network beyond the host.
REACHES_OUT = "docker run --rm busybox nslookup registry.lab && docker run --rm busybox ping -c1 -W2 {gateway}"
NAMES = {"registry.lab": "{gateway}"}

# Legal, if unusual: tabs, an odd order, a key of each kind that Docker itself accepts.
ODD = """\
{
\t"log-opts" : { "max-size":"10m","max-file" : "3", "labels": "tier" },
\t"registry-mirrors":
\t\t[ "http://{gateway}:5000" ] ,
\t"labels":["rack=7", "tier=\\u0061"],  "debug" : false,
\t"default-ulimits": {"nofile": {"Name": "nofile", "Hard": 4096, "Soft": 4096}},
\t"max-concurrent-downloads": 4,
\t"shutdown-timeout"\t:\t20,
\t"default-address-pools": [{"base": "10.99.0.0/16", "size": 24}],
\t"insecure-registries": ["{gateway}:5000", "10.0.0.0/8"],
\t"features": {"buildkit": true}, "experimental": false, "hosts": ["fd://"],
\t"log-driver": "json-file", "storage-driver": "overlay2", "tls": false,
\t"dns": ["{gateway}"], "dns-search": [], "dns-opts": ["ndots:1"],
\t"ipv6": false, "icc": true, "ip": "0.0.0.0", "exec-opts": ["native.cgroupdriver=cgroupfs"]
}
"""
# The unit gives `-H fd://`; a file that has `hosts` too needs the flag gone.
HOSTS_FROM_FILE = "[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd --containerd=/run/containerd/containerd.sock\n"

PROXY = "http://{gateway}:8888"


def proxy_only(machine: Machine) -> None:
    """Let nothing out but what a proxy on the gateway fetches, and tell Docker, its clients and containers so."""
    conf = machine.slot.home / "tinyproxy.conf"
    conf.write_text(machine.fill("Port 8888\nListen {gateway}\nTimeout 60\nAllow {address}\nLogLevel Error\n"))
    machine.on_gateway(["tinyproxy", "-d", "-c", str(conf)], port=8888)
    machine.firewall("FORWARD", "-i", machine.slot.link, "-j", "REJECT")
    # The mirror too must be asked through the proxy: no way round it.
    machine.run(
        """
        mkdir -p /etc/systemd/system/docker.service.d
        cat > /etc/systemd/system/docker.service.d/http-proxy.conf <<'END'
[Service]
Environment="HTTP_PROXY=http://{gateway}:8888" "HTTPS_PROXY=http://{gateway}:8888" "NO_PROXY=localhost,127.0.0.1,::1"
END
        systemctl daemon-reload
        systemctl restart docker
        """
    )
    proxies = {"httpProxy": PROXY, "httpsProxy": PROXY, "noProxy": "localhost,127.0.0.1,::1"}
    machine.write("/root/.docker/config.json", json.dumps({"proxies": {"default": proxies}}, indent=2))


HEALTHY: tuple[Healthy, ...] = (
    Healthy(
        "plain",
        works="docker run --rm hello-world | grep 'Hello from Docker!' && " + REACHES_OUT,
        machine={"dns": NAMES},
    ),
    Healthy(
        "busy",
        machine={"images": ("busybox", "redis:7-alpine"), "dns": NAMES},
        setup="""
            mkdir /srv/www && echo well > /srv/www/index.html
            for port in 8080 8081 8082; do
                docker run -d --name web$port --restart=unless-stopped -p $port:80 -v /srv/www:/www:ro busybox httpd -f -h /www
            done
            docker run -d --name db -p 127.0.0.1:6379:6379 redis:7-alpine
            docker run -d --name worker --memory 64m --log-opt max-size=1m busybox sh -c 'while :; do echo tick; sleep 1; done'
            docker run --name done busybox true
            docker volume create data
        """,
        works="""
            for port in 8080 8081 8082; do curl -sf --max-time 5 http://{address}:$port/ | grep well; done
            docker exec db redis-cli ping | grep PONG
        """
        + REACHES_OUT,
    ),
    Healthy(
        "odd-config",
        machine={
            "daemon_json": ODD,
            "files": {"/etc/systemd/system/docker.service.d/hosts.conf": HOSTS_FROM_FILE},
            "dns": NAMES,
        },
        works=REACHES_OUT,
    ),
    Healthy(
        "live-restore",
        machine={"daemon_json": {"live-restore": True}, "dns": NAMES},
        setup="docker run -d --name web -p 8080:80 busybox httpd -f -h /etc && systemctl restart docker",
        works="test $(docker inspect -f '{{.RestartCount}} {{.State.Running}}' web | tr -d ' ') = 0true && "
        "curl -sf --max-time 5 http://{address}:8080/passwd >/dev/null && " + REACHES_OUT,
    ),
    Healthy(
        "bip-and-mtu",
        machine={
            "daemon_json": {"bip": "192.168.240.1/24", "mtu": 1400, "fixed-cidr": "192.168.240.128/25"},
            "dns": NAMES,
        },
        works="docker run --rm busybox ip addr | grep -E 'mtu 1400|192.168.240.1[0-9]+' && " + REACHES_OUT,
    ),
    Healthy(
        "no-userland-proxy",
        machine={"daemon_json": {"userland-proxy": False}, "dns": NAMES},
        setup="docker run -d --name web -p 8080:80 busybox httpd -f -h /etc",
        works="! pgrep docker-proxy && curl -sf --max-time 5 http://{address}:8080/passwd >/dev/null && "
        "curl -sf --max-time 5 http://127.0.0.1:8080/passwd >/dev/null && "
        "docker exec web sh -c 'nc -w 5 {address} 8080 </dev/null' && " + REACHES_OUT,
    ),
    Healthy(
        "user-networks",
        machine={"images": ("busybox", "redis:7-alpine"), "dns": NAMES},
        setup="""
            docker network create front
            docker network create --subnet 10.44.0.0/24 --opt com.docker.network.driver.mtu=1400 back
            docker network create --internal sealed
            docker run -d --name redis --network back redis:7-alpine
            docker run -d --name app --network front busybox sleep 1000
            docker network connect back app
            docker run -d --name vault --network sealed busybox sleep 1000
        """,
        works="docker exec app sh -c 'printf \"PING\\r\\n\" | nc -w 5 redis 6379' | grep PONG && "
        "docker exec app nslookup registry.lab && ! docker exec vault ping -c1 -W1 {gateway} && " + REACHES_OUT,
    ),
    Healthy(
        "proxy-only",
        machine={"dns": NAMES},
        setup=proxy_only,
        works="docker pull hello-world && docker run --rm hello-world | grep 'Hello from Docker!' && "
        # Only the gateway is reachable; the proxy fetches from wherever it likes.
        "! docker run --rm busybox ping -c1 -W1 9.9.9.9 && "
        "docker run --rm busybox sh -c 'wget -qO- http://{gateway}:5000/v2/' && " + REACHES_OUT,
    ),
)
