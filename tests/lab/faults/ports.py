"""Ports that are taken, and published ports that lead nowhere."""

from tests.lab.fault import Fault
from tests.lab.faults.connections import server

# A container has the time to begin to listen before its silence counts.
SETTLE = "\nsleep 6"
WWW = "mkdir -p /srv/www && echo well > /srv/www/index.html\n"
HTTPD = "-v /srv/www:/www:ro busybox httpd -f -h /www"
WEB = f"docker run -d --name web -p 8080:80 {HTTPD}"
# Stopped: each start asks for the port again.
STOPPED = f"{WWW} docker create --name web -p 8080:80 --stop-signal KILL {HTTPD}"
START = "docker start web"
ANSWERS = "curl -sf --max-time 5 http://127.0.0.1:8080/ | grep well"
IPV6 = "--sysctl net.ipv6.conf.all.disable_ipv6=0"
V6ONLY = "import socket, time; s = socket.socket(socket.AF_INET6); s.setsockopt(41, 26, 1); s.bind(('::', 80)); s.listen(); time.sleep(600)"
PYTHON = "-v /srv/www:/www -w /www python:3.13-slim python3 -u"


def background(command: str) -> str:
    """Run a process of no unit, which outlives the shell."""
    return f"setsid {command} 3>/dev/null >/dev/null 2>&1 </dev/null &\nsleep 1\n"


def service(name: str, program: str) -> str:
    """Start a service that an administrator has made."""
    file = f"/etc/systemd/system/{name}.service"
    return f"printf '[Service]\\nExecStart={program}\\n' > {file}; systemctl daemon-reload; systemctl start {name}; sleep 1"


def again(run: str) -> str:
    """Replace the container `web`."""
    return f"docker rm -f web; {run} {SETTLE}"


# Asks at an address who is there, and one who answers at the same port.
ASKS = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(2)
s.sendto(b"who", (sys.argv[1], 5300))
print(s.recv(99))
"""
SHARES = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("", 5300))
while True: s.sendto(b"host", s.recvfrom(99)[1])
"""

FAULTS = (
    Fault(
        "port-in-use-by-host-process",
        check="ports.in-use-by-host-process",
        setup=STOPPED,
        broken=f"{START}; {ANSWERS}",
        inject="docker stop web; " + service("intranet", "/usr/bin/python3 -m http.server 8080"),
        verify_fix=True,
    ),
    Fault(
        "port-in-use-by-host-process:loopback",
        check="ports.in-use-by-host-process",
        setup=STOPPED,
        broken=START,
        inject="docker stop web\n" + background("python3 -m http.server --bind 127.0.0.1 8080"),
        verify_fix=True,
    ),
    Fault(
        "port-in-use-by-host-process:udp",
        check="ports.in-use-by-host-process",
        setup="docker create --name web -p 5353:53/udp -p 8080:80 --stop-signal KILL busybox httpd -f",
        broken=START,
        inject="docker stop web; " + service("names", "/usr/sbin/dnsmasq -k --conf-file=/dev/null --no-resolv -p 5353"),
        verify_fix=True,
        engines=("20.10", "26.1"),  # later ones share a UDP port with whoever lets them
    ),
    Fault(
        "port-in-use-by-host-process:host-network",
        check="ports.in-use-by-host-process",
        setup=STOPPED,
        broken=START,
        inject="docker stop web; docker run -d --name other --network host --stop-signal KILL busybox httpd -f -p 8080; sleep 1",
        verify_fix=True,
    ),
    Fault(
        "port-already-allocated",
        check="ports.already-allocated",
        setup=STOPPED,
        broken=START,
        inject="docker stop web; docker run -d --name other -p 8080:80 --stop-signal KILL busybox httpd -f",
        verify_fix=True,
    ),
    Fault(
        "port-stale-docker-proxy",
        check="ports.stale-docker-proxy",
        setup=STOPPED,
        broken=START,
        # Descriptor 3 is where a docker-proxy reports to dockerd.
        inject="docker stop web\n"
        + background(
            "docker-proxy -proto tcp -host-ip 0.0.0.0 -host-port 8080 -container-ip 172.17.0.99 -container-port 80"
        )
        + "sleep 4",
        verify_fix=True,
    ),
    Fault(
        "port-app-binds-loopback",
        check="ports.app-binds-loopback",
        setup=WWW + WEB,
        broken=ANSWERS,
        inject=again(WEB.replace("-f -h", "-f -p 127.0.0.1:80 -h")),
        cure=again(WEB),
    ),
    Fault(
        "port-app-binds-loopback:ipv6",
        check="ports.app-binds-loopback",
        machine={"images": ("busybox", "python:3.13-slim")},
        setup=WWW + WEB,
        broken=ANSWERS,
        inject=again(f"docker run -d --name web -p 8080:80 {IPV6} {PYTHON} -m http.server --bind ::1 80"),
        cure=again(WEB),
    ),
    Fault(
        "port-app-binds-loopback:ipv6-only",
        check="ports.published-unanswered",
        machine={"images": ("busybox", "python:3.13-slim")},
        setup=WWW + WEB,
        broken=ANSWERS,
        inject=again(f'docker run -d --name web -p 8080:80 {IPV6} {PYTHON} -c "{V6ONLY}"'),
        cure=again(WEB),
    ),
    Fault(
        "port-wrong-container-port",
        check="ports.wrong-container-port",
        setup=WWW + WEB,
        broken=ANSWERS,
        inject=again(WEB.replace("-f -h", "-f -p 5000 -h")),
        cure=again(WEB.replace("8080:80", "8080:5000").replace("-f -h", "-f -p 5000 -h")),
    ),
    Fault(
        "port-wrong-container-port:one-of-two",
        check="ports.unserved-port",
        severity="warning",
        setup=WWW + WEB,
        broken="! docker port web 443 || curl -sk --max-time 5 -o /dev/null https://127.0.0.1:8443/",
        inject=again(WEB.replace("-p 8080", "-p 8443:443 -p 8080")),
        cure=again(WEB),
    ),
    Fault(
        # While dockerd was away nobody held the port; the containers ran on.
        "port-shadowed-host-service",
        check="ports.shadowed-host-service",
        machine={"daemon_json": {"userland-proxy": False, "live-restore": True}},
        setup=WWW + WEB,
        broken=ANSWERS,
        inject="systemctl stop docker.socket docker\n"
        + background("python3 -m http.server --directory /srv 8080")
        + "systemctl start docker",
        verify_fix=True,
        engines=("20.10", "26.1"),  # later ones bind the port with or without their proxy
    ),
    Fault(
        # Both are told to share; which of them hears a packet depends on where it comes from, and on who came last.
        "port-shadowed-host-service:udp",
        check="ports.shadowed-host-service",
        machine={"images": ("busybox", "python:3.13-slim")},
        setup=server("names", "-p 5300:53/udp"),
        broken=f"python3 -c '{ASKS}' 127.0.0.1 | grep names && python3 -c '{ASKS}' {{address}} | grep names",
        inject=background(f"python3 -c '{SHARES}'"),
        verify_fix=True,
        engines=("28.5",),  # earlier ones do not share (SO_REUSEADDR)
    ),
    Fault(
        "port-lost-at-live-restore",
        check="ports.lost",
        machine={"daemon_json": {"live-restore": True}},
        setup=WWW + WEB,
        broken=ANSWERS,
        inject="systemctl stop docker.socket docker\n"
        + background("python3 -m http.server --directory /etc 8080")
        + "systemctl start docker"
        + SETTLE,
        verify_fix=True,
        engines=("28.5",),  # earlier ones give it up in another way: port-shadowed-host-service
    ),
    Fault(
        "port-lost-at-live-restore:free-again",
        check="ports.lost",
        machine={"daemon_json": {"live-restore": True, "userland-proxy": False}},
        setup=WWW + WEB,
        broken=ANSWERS,
        inject="systemctl stop docker.socket docker\n"
        + background("python3 -m http.server --directory /etc 8080")
        + "systemctl start docker\npkill -x python3"
        + SETTLE,
        verify_fix=True,
        engines=("28.5",),
    ),
    Fault(
        "port-ipv6-localhost",
        check="ports.ipv6-localhost",
        severity="warning",
        setup=WWW + WEB.replace("-p ", "-p 127.0.0.1:"),
        broken='python3 -c \'from urllib.request import urlopen; assert b"well" in urlopen("http://localhost:8080/").read()\'',
        inject=background("python3 -m http.server --directory /srv --bind ::1 8080"),
        verify_fix=True,
    ),
    Fault(
        "port-published-on-loopback-only",
        check="ports.published-on-loopback-only",
        severity="info",
        setup=WWW + WEB,
        broken=ANSWERS.replace("127.0.0.1", "{address}"),
        inject="""sed -i 's/{/{"ip": "127.0.0.1", /' /etc/docker/daemon.json; systemctl restart docker\n"""
        + again(WEB),
        cure=again(WEB.replace("-p ", "-p 0.0.0.0:")),
    ),
    Fault(
        "port-not-published",
        check="ports.not-published",
        severity="info",
        setup=WWW + WEB,
        broken=ANSWERS,
        inject=again(WEB.replace("-p 8080:80", "--expose 80")),
        cure=again(WEB),
    ),
)
