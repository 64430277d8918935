"""Faults of single ways: below IPv4, of one network, between host and containers, and what is closed on purpose."""

from tests.lab.fault import Fault
from tests.lab.faults.network import NEIGHBOURS, REACHES_OUT, TALK, outside_reaches
from tests.lab.machine import Machine

NO_PROXY = {"daemon_json": {"userland-proxy": False}}
WEB = "docker run -d --name web -p 8080:80 busybox httpd -f -h /etc"
# Rules of a container that has just started are not missed yet.
SETTLES = "; sleep 6"
ASKS = "printf 'GET /passwd HTTP/1.0\\r\\n\\r\\n' | nc -w 3"
APP = "docker run -d --name app --stop-signal KILL busybox sleep 1000"
APP_OUT = "timeout -k 1 12 docker exec app sh -c 'echo | nc -w 3 {gateway} 5000'"
CALLS_HOST = (
    "systemd-run --unit=api python3 -m http.server --directory /etc 3000; docker run -d --name app "
    "--add-host host.docker.internal:host-gateway -e API=http://host.docker.internal:3000/ busybox sleep 1000; sleep 1"
)
HOST_ANSWERS = f'timeout 8 docker exec app sh -c "{ASKS} 172.17.0.1 3000" | grep root'
# As ufw arranges them, as far as they matter here.
UFW = """
    iptables -N ufw-user-input
    iptables -A ufw-user-input -p tcp --dport 22 -j ACCEPT
    iptables -A INPUT -i lo -j ACCEPT
    iptables -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
    iptables -A INPUT -j ufw-user-input
    iptables -P INPUT DROP
"""


def outsiders_stay_out(machine: Machine) -> None:
    """The opposite of reaching a published port from another host."""
    try:
        outside_reaches(machine)
    except AssertionError:
        return
    raise AssertionError("port 8080 answers from outside")


FAULTS = (
    Fault(
        "net-docker-chains-flushed:published-ports",
        check="network.docker-chains",
        machine=NO_PROXY,
        setup=WEB + SETTLES,
        inject="iptables -t nat -F DOCKER",
        broken=outside_reaches,
        verify_fix=True,
    ),
    Fault(
        "net-masquerade-missing:untracked",
        check="network.untracked",
        inject="iptables -t raw -A PREROUTING -i docker0 -j CT --notrack",
        broken=REACHES_OUT,
        verify_fix=True,
    ),
    Fault(
        "net-second-nft-hook-drop:below-ip",
        check="network.nft-drop",
        inject="nft add table netdev guard; "
        "nft 'add chain netdev guard in { type filter hook ingress device docker0 priority 0; }'; "
        "nft add rule netdev guard in ip protocol tcp drop",
        broken=REACHES_OUT,
        verify_fix=True,
    ),
    Fault(
        "net-br-nf-call-drop:bridge-family",
        check="network.bridge-filter",
        setup=NEIGHBOURS,
        inject="nft add table bridge b; nft 'add chain bridge b f { type filter hook forward priority 0; policy drop; }'",
        broken=TALK,
        verify_fix=True,
    ),
    Fault(
        "net-docker-user-drop:one-network",
        check="network.docker-user",
        setup="docker network create -o com.docker.network.bridge.name=shop0 shop; "
        + APP.replace("--name", "--network shop --name"),
        inject="iptables -I DOCKER-USER -i shop0 -j DROP",
        broken=APP_OUT,
        verify_fix=True,
    ),
    Fault(
        "net-docker0-missing:down",
        check="network.links-up",
        inject="ip link set docker0 down",
        broken=REACHES_OUT,
        verify_fix=True,
    ),
    Fault(
        "net-hairpin-userland-proxy-off",
        check="network.hairpin",
        machine=NO_PROXY,
        setup=WEB,
        inject="for v in $(ls /sys/class/net | grep ^veth); do bridge link set dev $v hairpin off; done",
        broken=f'docker exec web sh -c "{ASKS} {{address}} 8080" | grep root',
        verify_fix=True,
    ),
    Fault(
        "net-hairpin-userland-proxy-off:localnet",
        check="network.route-localnet",
        machine=NO_PROXY,
        setup=WEB,
        inject="sysctl -qw net.ipv4.conf.docker0.route_localnet=0",
        broken="curl -sf --max-time 3 http://127.0.0.1:8080/passwd",
        verify_fix=True,
    ),
    Fault(
        "net-host-gateway-blocked:firewall",
        check="network.host-firewall",
        setup=CALLS_HOST,
        inject=UFW,
        broken=HOST_ANSWERS,
        verify_fix=True,
    ),
    Fault(
        "net-host-gateway-blocked:loopback",
        check="network.host-service-loopback",
        setup=CALLS_HOST,
        inject="systemctl stop api; systemd-run --unit=api2 python3 -m http.server --bind 127.0.0.1 3000; sleep 1",
        broken=HOST_ANSWERS,
    ),
    Fault(
        "net-ufw-bypass",
        check="network.ufw-bypass",
        severity="warning",
        inject=UFW + WEB,
        broken=outsiders_stay_out,
        cure="iptables -I DOCKER-USER -i host0 ! -s 192.0.2.0/24 -j DROP",
    ),
    Fault(
        "net-internal-network",
        check="network.internal",
        severity="info",
        setup="docker network create --internal sealed; docker network create open; "
        + APP.replace("--name", "--network open --name"),
        inject="docker rm -f app; " + APP.replace("--name", "--network sealed --name"),
        broken=APP_OUT,
        cure="docker network connect open app",
    ),
    Fault(
        "net-icc-disabled",
        check="network.icc",
        severity="info",
        setup=NEIGHBOURS,
        inject="sed -i 's/{/{\"icc\": false, /' /etc/docker/daemon.json; systemctl restart docker; docker start server client",
        broken=TALK,
    ),
)
