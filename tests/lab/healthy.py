"""Machines that are well, some of them oddly: the doctor must find no error on any."""

import json

from tests.lab.fault import Healthy
from tests.lab.faults.clients import FAR, OWN, PKI, PLUGIN, SYSTEM
from tests.lab.faults.proxy import DROP_IN, PROXY, RESTART, behind_proxy_with_password, proxy
from tests.lab.faults.storage import MOVED, disk
from tests.lab.machine import Machine
from tests.lab.rootless import ENV, rootless

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


def proxy_only(machine: Machine) -> None:
    """Let nothing out but what a proxy on the gateway fetches, and tell Docker, its clients and containers so."""
    proxy(machine)
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


# Every way to be content with a Redis, and to publish what needs no attention.
CONTENT = """
    docker network create app
    docker run -d --name redis --network app redis:7-alpine redis-server --requirepass 's3cr/et'
    docker run -d --name api --network app -e REDIS_URL=redis://:s3cr%2Fet@redis:6379/0 busybox sleep 1000
    docker run -d --name sidecar --network container:api -e REDIS_HOST=redis -e REDIS_PASSWORD=s3cr/et busybox sleep 1000
    docker run -d --name in-a-file --network app -e REDIS_HOST=redis -e REDIS_PASSWORD_FILE=/run/secrets/p busybox sleep 1000
    docker run -d --name cache redis:7-alpine
    docker run -d --name linked --link cache:redis -e REDIS_HOST=redis busybox sleep 1000
    systemd-run --unit=redis-of-host redis-server --protected-mode no
    docker run -d --name on-host --network host -e REDIS_HOST=localhost busybox sleep 1000
    docker run -d --name from-host --add-host h:host-gateway -e REDIS_ADDR=h:6379 busybox sleep 1000
    docker run -d --name six -p 8086:80 python:3.13-slim python3 -m http.server --bind :: 80
    docker run -d --name udp -p 5353:53/udp busybox sleep 1000
    docker run -d --name young -p 8087:80 --health-cmd 'nc -z 127.0.0.1 80' --health-start-period 5m busybox sleep 1000
    docker run -d --name port-of-choice -p 80 -p 127.0.0.1:8088:80 busybox httpd -f
    docker create --name resting -p 8085:80 busybox httpd -f
    systemd-run --unit=intranet python3 -m http.server 8085
    sleep 7
"""
CONTENT_WORKS = """
    docker exec api sh -c 'printf "AUTH s3cr/et\\r\\nPING\\r\\n" | nc -w 5 redis 6379' | grep PONG
    for where in 'linked redis' 'from-host h' 'on-host localhost'; do
        set -- $where
        docker exec $1 sh -c "printf 'PING\\r\\n' | nc -w 5 $2 6379" | grep PONG
    done
    curl -sf --max-time 5 http://127.0.0.1:8086/ >/dev/null
"""


def odd_proxy(machine: Machine) -> None:
    """A proxy with a password, in both files, and NO_PROXY in odd but right forms."""
    behind_proxy_with_password(machine)
    machine.run("sed -i 's/NO_PROXY=[^\"]*/NO_PROXY=*.corp.test, .lab,192.0.2.0\\/24 ,localhost:80/' " + DROP_IN)
    machine.run(
        f"{RESTART}; install -D -o alice -m 600 .docker/config.json ~alice/.docker/config.json; chown alice ~alice/.docker"
    )


def proxies_of_containers(machine: Machine) -> None:
    """Containers with proxies of their own choice, each right in its place."""
    proxy(machine)
    machine.write(
        "/root/.docker/config.json",
        json.dumps({"proxies": {"default": {"httpProxy": PROXY, "noProxy": "127.0.0.1,localhost"}}}),
    )
    machine.run(
        """
        docker network create app
        docker run -d --name squid --network app python:3.13-slim python3 -m http.server 3128
        docker run -d --name behind --network app -e http_proxy={proxy} -e no_proxy=localhost,10.0.0.0/8 -e API_URL=http://{gateway}:5000/v2/ busybox sleep 1000
        docker run -d --name client --network app -e http_proxy=http://squid:3128 -e HTTPS_PROXY=http://squid:3128 busybox sleep 1000
        docker run -d --name own -e http_proxy=http://127.0.0.1:8118 python:3.13-slim python3 -m http.server 8118
        docker run -d --name beside --network container:own -e http_proxy=http://127.0.0.1:8118 busybox sleep 1000
        docker run -d --name host --network host -e http_proxy=http://127.0.0.1:9 busybox sleep 1000
        docker run -d --name alone --network none -e http_proxy=http://192.0.2.1:9 busybox sleep 1000
        docker run -d --name checked --health-interval 1s --health-cmd 'wget -Y off -qO /dev/null http://localhost:8000/passwd' busybox httpd -f -p 8000 -h /etc
        sleep 3
        """.replace("{proxy}", PROXY)
    )


def both_families(machine: Machine) -> None:
    """Give the registry an IPv6 address too, and the machine a way there that nobody is at the end of."""
    machine.run(
        """
        sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.host0.disable_ipv6=0
        ip -6 address add 2001:db8:1::2/64 dev host0
        ip -6 route add default via 2001:db8:1::1 dev host0
        """
    )
    machine.dns.restart(extra=["--address=/reg.lab/2001:db8::5"])


# A stub on 127.0.0.53 with the real servers behind it; packets larger than the uplink's; the older iptables, empty; a limit of
# descriptors that harms nobody; the same port on two addresses; a listener that netstat shows on IPv6 alone.
ODD_SURROUNDINGS = r"""
    mkdir -p /run/systemd/resolve /etc/systemd/system/docker.service.d
    echo 'nameserver {gateway}' > /run/systemd/resolve/resolv.conf
    systemd-run --unit=stub dnsmasq -k --conf-file=/dev/null --no-resolv --server={gateway} --listen-address=127.0.0.53 --bind-interfaces
    echo 'nameserver 127.0.0.53' > /etc/resolv.conf
    printf '[Service]\nLimitNOFILE=infinity\n' > /etc/systemd/system/docker.service.d/limits.conf
    ip link set host0 mtu 1420
    for table in filter nat; do iptables-legacy -t $table -S; done
    systemctl daemon-reload
    systemctl restart docker
    docker run -d --name web -p 127.0.0.1:8080:80 busybox httpd -f -h /etc
    systemd-run --unit=intranet python3 -m http.server --directory /etc --bind {address} 8080
    systemd-run --unit=six python3 -m http.server --directory /etc --bind :: 8090
    sleep 1
"""
# One of the mirrors is dead, the one that nobody needs; and all that daemon.json could say is said by flags.
FLAGS_ONLY = """
    mkdir -p /etc/systemd/system/docker.service.d
    cat > /etc/systemd/system/docker.service.d/flags.conf <<'END'
[Service]
ExecStart=
ExecStart=/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock \\
    --registry-mirror http://{gateway}:5000 --registry-mirror http://{gateway}:5999
END
    systemctl daemon-reload
    systemctl restart docker
"""


def odd_names(machine: Machine) -> None:
    """
    Names that are odd and harm nobody.

    A search domain with a wildcard; a router that speaks no DNS over TCP; an inside name that the daemon alone needs;
    a name that nobody knows.
    """
    machine.firewall("INPUT", "-i", machine.slot.link, "-p", "tcp", "--dport", "53", "-j", "REJECT")
    machine.run("""
        echo '192.0.2.7 registry.inside.lab' >> /etc/hosts
        docker network create app
        docker run -d --name redis --network app redis:7-alpine
        docker run -d --name web --network app -e REDIS_HOST=redis -e API=https://nobody.example.org busybox sleep 1000
        docker run -d --name alone -e API=https://api.wild.lab:8443/v1 busybox sleep 1000
    """)


HEALTHY: tuple[Healthy, ...] = (
    Healthy(
        "no-swap-limit",
        # What dockerd looks for is hidden from it, and with it what a container would need: none is started.
        setup="""
            mkdir /opt/memory
            for f in /sys/fs/cgroup/memory/memory.*; do case $f in *memsw*) ;; *) touch /opt/memory/${f##*/};; esac; done
            mount --bind /opt/memory /sys/fs/cgroup/memory
            systemctl restart docker
        """,
        works="docker info 2>&1 | grep 'No swap limit support'",
        doctor=("check", "--passive"),
    ),
    Healthy(
        "rootless",
        setup=rootless,
        works=f"export DOCKER_HOST={ENV['DOCKER_HOST']}; docker run -d -p 8081:80 busybox sleep 1000 && "
        "docker run --rm busybox nslookup registry.lab",
        machine={"dns": NAMES},
        user="alice",
        env=ENV,
        engines=("20.10",),
    ),
    Healthy(
        "odd-names",
        machine={
            "images": ("busybox", "redis:7-alpine"),
            "dns": {**NAMES, "wild.lab": "203.0.113.9"},
            "resolv_conf": "nameserver {gateway}\nsearch wild.lab\n",
            "daemon_json": {"insecure-registries": ["registry.inside.lab:5000"]},
        },
        setup=odd_names,
        works="docker exec web sh -c \"printf 'PING\\r\\n' | nc -w 5 redis 6379\" | grep PONG && " + REACHES_OUT,
    ),
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
        "content-with-redis",
        machine={"images": ("busybox", "redis:7-alpine", "python:3.13-slim"), "dns": NAMES},
        setup=CONTENT,
        works=CONTENT_WORKS,
    ),
    Healthy(
        "content-with-redis-without-root",
        machine={"images": ("busybox", "redis:7-alpine", "python:3.13-slim"), "dns": NAMES},
        setup="useradd --create-home --groups docker ann" + CONTENT,
        works=CONTENT_WORKS,
        user="ann",
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
    Healthy(
        # Pulls go past the proxy by a CIDR, as Go reads it; and a plain user cannot see the daemon's password.
        "proxy-with-password-and-odd-no-proxy",
        setup=odd_proxy,
        works="! docker info | grep -q s3cret && docker pull -q hello-world",
        user="alice",
    ),
    Healthy(
        # Proxies that are containers or live in one, and one that serves what is near: for programs of all rules.
        "proxies-of-containers",
        machine={"images": ("busybox", "python:3.13-slim"), "dns": NAMES},
        setup=proxies_of_containers,
        works='docker exec behind wget -qO- http://{gateway}:5000/v2/ && test "$(docker inspect -f '
        "'{{.State.Health.Status}}' checked)\" = healthy && " + REACHES_OUT,
    ),
    Healthy(
        # A proxy that the shell has and Docker does not need, even if it is dead.
        "shell-proxy",
        works="docker pull -q hello-world",
        env={"http_proxy": "http://{gateway}:9", "HTTPS_PROXY": "http://{gateway}:9", "NO_PROXY": "localhost"},
    ),
    Healthy(
        "rules-by-hand",
        machine={"daemon_json": {"iptables": False}, "dns": NAMES},
        setup="""
            systemctl stop docker.socket docker.service
            iptables -F; iptables -X; iptables -t nat -F; iptables -t nat -X
            iptables -P FORWARD DROP
            iptables -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
            iptables -A FORWARD -s 172.16.0.0/12 -j ACCEPT
            iptables -t nat -A POSTROUTING -s 172.16.0.0/12 -o host0 -j MASQUERADE
            systemctl start docker.socket docker.service
        """,
        works=REACHES_OUT,
    ),
    Healthy(
        "vpn-and-firewalls",
        machine={"dns": NAMES},
        setup="""
            docker network create --opt com.docker.network.bridge.enable_icc=false alone
            ip link add vpn0 type veth peer name vpn1
            ip link set vpn1 up
            ip link set vpn0 up
            ip address add 10.8.0.2/24 dev vpn0
            ip route add 10.44.0.0/16 via 10.8.0.1 dev vpn0
            ip route add 0.0.0.0/1 via {gateway}
            ip route add 128.0.0.0/1 via {gateway}
            iptables -P FORWARD DROP
            iptables -N ufw-user-forward
            iptables -A ufw-user-forward -i docker0 -m limit --limit 3/min -j LOG
            iptables -A ufw-user-forward -m conntrack --ctstate INVALID -j DROP
            iptables -A ufw-user-forward -i vpn0 -j REJECT
            iptables -I FORWARD -j ufw-user-forward
            iptables -A FORWARD -j REJECT
            iptables -I DOCKER-USER -i host0 ! -s 10.0.0.0/8 -j DROP
            nft -f - <<'END'
table inet office {
    chain onward {
        type filter hook forward priority 10; policy drop;
        ct state established,related accept
        iifname { "docker0", "br-*" } accept
        ct status dnat accept
    }
}
END
        """,
        works=REACHES_OUT,
    ),
    Healthy(
        "no-default-bridge",
        machine={"daemon_json": {"bridge": "none"}},
        setup="docker network create app",
        works="docker run --rm --network app busybox ping -c1 -W2 {gateway}",
    ),
    # Ends that people chose, and a network that is closed on purpose.
    Healthy(
        "ended-containers",
        setup="""
            docker run -d --name killed busybox sleep 1000 && docker kill killed
            docker run -d --name stopped busybox sleep 1000 && docker stop --time 1 stopped
            docker run --name done --restart on-failure busybox true
            docker network create --internal closed
            docker run -d --name inside --network closed busybox sleep 1000
        """,
        works="docker exec inside true",
    ),
    Healthy(
        "odd-surroundings",
        machine={"dns": NAMES},
        setup=ODD_SURROUNDINGS,
        works="curl -sf --max-time 5 http://127.0.0.1:8080/passwd >/dev/null && curl -sf http://{address}:8080/passwd >/dev/null && "
        + REACHES_OUT,
        env={"DOCKER_HOST": "unix:///run/docker.sock"},
    ),
    Healthy(
        "no-daemon-json",
        machine={"dns": NAMES},
        setup="rm /etc/docker/daemon.json" + FLAGS_ONLY,
        works="docker pull -q hello-world && " + REACHES_OUT,
        on={engine: {"setup": ": > /etc/docker/daemon.json" + FLAGS_ONLY} for engine in ("26.1", "28.5")},
    ),
    # Nothing is to be forwarded, and nothing is.
    Healthy(
        "host-network-only",
        machine={"daemon_json": {"bridge": "none", "iptables": False, "ip-forward": False}},
        setup="""
            sysctl -w net.ipv4.ip_forward=0
            docker run -d --name web --network host busybox httpd -f -p 8080 -h /etc
            docker run -d --name batch --network none busybox sleep 1000
            sleep 1
        """,
        works="curl -sf --max-time 5 http://127.0.0.1:8080/passwd >/dev/null && test $(cat /proc/sys/net/ipv4/ip_forward) = 0",
    ),
    # File systems other than ext4; btrfs makes its inodes as it needs them, and has a driver of its own.
    *(
        Healthy(
            f"data-on-{kind}",
            setup=disk(f"mkfs.{kind} -q -f", MOVED.format(keys="") + "docker pull -q busybox"),
            works=f"docker run --rm busybox true && docker info -f '{{{{.DockerRootDir}}}}' | grep -x /srv/docker && "
            f"findmnt -no FSTYPE /srv/docker | grep {kind}",
        )
        for kind in ("xfs", "btrfs")
    ),
    # A registry with both kinds of address, where IPv6 leads nowhere; a client goes on to the other by itself.
    Healthy(
        "half-of-ipv6",
        machine={"dns": {"reg.lab": "{gateway}"}, "daemon_json": {"registry-mirrors": ["http://reg.lab:5000"]}},
        setup=both_families,
        works="timeout 20 docker pull -q hello-world",
    ),
    # All that is asked goes through TLS, by authorities made as Docker's own instructions say.
    Healthy(
        "remote-tls",
        machine={"dns": NAMES},
        setup=PKI + "docker run -d --name web -p 8080:80 busybox httpd -f -h /etc",
        works="docker run --rm hello-world | grep 'Hello from Docker!'",
        env=FAR,
    ),
    # Verifying nothing is a choice; so are a context without a certificate's check, and variables that it makes void.
    Healthy(
        "remote-tls-unverified",
        setup=PKI
        + "docker context create far --docker host=tcp://localhost:2376,skip-tls-verify=true,cert=/root/ann/cert.pem,key=/root/ann/key.pem",
        works="DOCKER_TLS=1 DOCKER_HOST=tcp://localhost:2376 DOCKER_CERT_PATH=/root/ann docker ps; docker --context far ps",
        env={"DOCKER_CONTEXT": "far", "DOCKER_CERT_PATH": "/nowhere"},
    ),
    # Compose as a plugin alone, a large context that is mostly kept out, what Docker Desktop left, and an agent with the socket.
    Healthy(
        "build-tree",
        machine={"daemon_json": {"live-restore": True}, "dns": NAMES},
        setup=PLUGIN
        + f"""
            plugin compose {SYSTEM}
            mkdir -p {OWN} backup; ln -s /nowhere/docker-scan {OWN}/docker-scan; ln -s /nowhere/docker-compose {OWN}/docker-compose
            truncate -s 3G backup/dump.sql; printf '*\\n!src\\n' > .dockerignore; mkdir src; touch src/app
            printf 'FROM busybox\\nCOPY src /app\\n' > Dockerfile
            printf 'services: {{a: {{build: .}}}}\\n' > compose.yaml
            docker run -d --name agent -v /var/run/docker.sock:/var/run/docker.sock busybox sleep 1000
            systemctl restart docker.service
        """,
        works="docker build -q . && docker compose version | grep here && " + REACHES_OUT,
    ),
)

# States that look like faults to a hasty eye, and the machine that shows each.
STATES = (
    ("`docker info` warns that swap is not limited", "no-swap-limit"),
    ("0 inodes in all, on btrfs", "data-on-btrfs"),
    ("an engine without root, and nobody in the group docker", "rootless"),
    ("docker0 is DOWN while no container runs", "plain"),
    ("the nameserver of a container is 127.0.0.11", "user-networks"),
    ("Docker's chains under the names of Engine 28", "plain"),
    ("FORWARD has policy DROP, with Docker's accepts in place", "vpn-and-firewalls"),
    ("a listener is seen on tcp6 alone", "odd-surroundings"),
    ("127.0.0.53 alone, with the real servers in /run/systemd/resolve/resolv.conf", "odd-surroundings"),
    ("LimitNOFILE=infinity with no slow process", "odd-surroundings"),
    ("a port is bound, on another address than the one published", "odd-surroundings"),
    ("DOCKER_HOST is set, and answers", "odd-surroundings"),
    ("the bridges' MTU is above the uplink's, and Path MTU discovery works", "odd-surroundings"),
    ("the older iptables is loaded, and empty", "odd-surroundings"),
    ('"iptables": false with complete rules made by hand', "rules-by-hand"),
    ("ip_forward is 0, and all containers are on the host's network or none", "host-network-only"),
    ("no daemon.json; an empty one where the engine takes it", "no-daemon-json"),
    ("one of several mirrors is dead", "no-daemon-json"),
    ("a proxy is set, and nothing gets out without it", "proxy-only"),
    ("exit code 137 after docker kill, 143 after docker stop", "ended-containers"),
    ("a container with on-failure that ended with 0", "ended-containers"),
    ("an --internal network that reaches nothing outside", "ended-containers"),
    ('"userland-proxy": false, and a container reaches its own published port', "no-userland-proxy"),
    ("json-file without rotation, and short logs", "busy"),
    ("the kernel cannot limit swap", "no-swap-limit"),
    ("an engine without root, which needs no group docker", "rootless"),
)
