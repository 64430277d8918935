"""What breaks the sample, at which stage, and what must be named: declared faults, and some of its own."""

from __future__ import annotations

from dataclasses import dataclass

from tests.lab.fault import Fault, Step, do
from tests.lab.faults import FAULTS
from tests.lab.machine import Machine

IMAGES = ("busybox", "python:3.13-slim", "hello-world")
REDIS = (*IMAGES, "redis:7-alpine")
# What the wheel brings; a copy of it that can be changed comes first on PYTHONPATH.
COPY = "/srv/dockerdoctor/_sample/sample_app/app.py"
# Shown with a stand-in, or the sample itself, once the stage that fails is gone around.
REST = ("start", "listening", "published", "page", "greeting", "hostname", "addresses", "neighbour")


@dataclass(frozen=True)
class Case:
    """One way to break it."""

    stage: str  # the first that fails
    cause: str  # a check that is a root cause, or words of the stage's own
    fault: str = ""  # of tests.lab.faults
    inject: Step = ""
    app: str = ""  # a sed script for app.py
    during: tuple[str, str] = ()  # type: ignore[assignment]  # once progress shows a line, a command
    args: tuple[str, ...] = ()
    images: tuple[str, ...] = IMAGES
    sound: tuple[str, ...] = ("endpoint",)  # stages that pass all the same
    quick: bool = False  # for every `make test`


def redis(command: str) -> Step:
    """An image with the tutorial's name whose Redis is set up otherwise."""
    return f"docker run --name other redis:7-alpine true; docker commit -c 'CMD {command}' other redis:7-alpine >/dev/null; docker rm other"


def other_end(options: str = "", network: str = "") -> tuple[str, str]:
    """Move Redis to another place once the page's container is being created."""
    found = "r=$(docker ps -q --filter ancestor=redis:7-alpine); n=$(docker network ls -q --filter label=io.dockerdoctor.sample)"
    away = f"{found}; docker network disconnect $n $r"
    back = (
        f"; docker network connect {options} $n $r"
        if not network
        else f"; docker network create {network}; docker network connect --alias redis {network} $r"
    )
    return ("Creating the container", away + back)


APP_SOUND = ("endpoint", "port", "base-image", "context", "build", "packages", "image", "container")
PAGE_SOUND = (*APP_SOUND, "start", "listening", "published", "page", "greeting", "hostname")

CASES: dict[str, Case] = {
    # -- names
    "server-refuses": Case("build", "", "dns-daemon-json-dead-server:refused", sound=REST),
    "server-fails": Case("build", "", "dns-daemon-json-dead-server:servfail"),
    "server-on-loopback": Case("build", "", "dns-daemon-json-dead-server:loopback"),
    "udp-blocked": Case("build", "", "dns-udp-blocked-tcp-works", quick=True),
    "forwarding-blocks-server": Case("build", "", "dns-forward-firewall-blocks-resolver"),
    "input-blocks-server": Case("build", "", "dns-input-firewall-blocks-host-resolver:nftables"),
    "no-nameserver": Case("build", "", "dns-daemon-json-dead-server:no-nameserver"),
    # -- packets
    "forwarding-off": Case("build", "", "net-ip-forward-off:sysctl-conf", sound=REST, quick=True),
    "chains-flushed": Case("build", "", "net-docker-chains-flushed"),
    "nat-flushed": Case("build", "", "net-docker-chains-flushed:nat"),
    "forward-closed": Case("build", "", "net-docker-chains-flushed:forward-closed"),
    "other-firewall": Case("build", "", "net-forward-drop-other-firewall"),
    "answers-dropped": Case("build", "", "net-forward-drop-other-firewall:answers"),
    "no-masquerade": Case("build", "", "net-masquerade-missing"),
    "no-iptables": Case("build", "", "net-iptables-false"),
    # -- images
    "mirror-dead": Case("base-image", "", "registry-mirror-dead:the-only-one", images=("busybox",), quick=True),
    "mirror-is-no-registry": Case("base-image", "", "registry-mirror-dead:web-server", images=("busybox",)),
    "wrong-architecture": Case(
        "build",
        "another processor",
        inject="""
            printf '\\177ELF\\002\\001\\001\\0\\0\\0\\0\\0\\0\\0\\0\\0\\002\\0\\267\\0\\001\\0\\0\\0' > /tmp/sh; chmod 755 /tmp/sh
            docker create --name other python:3.13-slim; docker cp /tmp/sh other:/usr/bin/sh; docker commit other python:3.13-slim; docker rm other""",
        sound=REST,
    ),
    "hello-world-is-another": Case(
        "hello-world", "did not say", inject="docker tag busybox hello-world", sound=(*PAGE_SOUND, "neighbour")
    ),
    # -- disk
    # The machine gets a small disk of its own, where there is no image yet.
    "disk-full": Case("base-image", "", "disk-full-data-root", sound=REST),
    # -- proxies
    "proxy-missing": Case("build", "", "proxy-build-not-set"),
    "proxy-on-loopback": Case("build", "", "proxy-loopback-in-container"),
    "proxy-dead": Case("build", "", "proxy-dead:containers"),
    "proxy-wants-password": Case("base-image", "", "proxy-407", images=("busybox",)),
    # -- the engine
    "engine-stopped": Case(
        "endpoint", "engine.", inject="systemctl stop docker.socket docker.service", sound=(), quick=True
    ),
    # -- ports
    "port-of-a-process": Case(
        "port",
        "taken by python3",
        inject="systemd-run --unit=web python3 -m http.server 4000; until curl -s 127.0.0.1:4000 >/dev/null; do sleep .1; done",
        sound=PAGE_SOUND[3:],
    ),
    "port-of-a-container": Case(
        "port",
        "taken by container web",
        inject="docker run -d --name web -p 4000:80 busybox sleep 1000",
        sound=PAGE_SOUND[3:],
    ),
    "no-network": Case("start", "none-such", args=("--network", "none-such")),
    "no-port-published": Case("published", "publishes no ports", args=("--network", "none")),
    # -- the application
    "app-crashes": Case(
        "listening", "ImportError", app="s/import Redis,/import Rodis,/", sound=(*APP_SOUND, "start", *REST[2:])
    ),
    "app-on-loopback": Case("listening", "loopback", app="s/0[.]0[.]0[.]0/127.0.0.1/", sound=APP_SOUND, quick=True),
    "app-on-another-port": Case("listening", "and not on port 80", app="s/port=80/port=8080/", sound=APP_SOUND),
    "app-that-never-listens": Case(
        "listening",
        "not come so far",
        app="s/app.run(.*/__import__('time').sleep(600)/",
        args=("--timeout", "60"),
        sound=APP_SOUND,
    ),
    "app-with-another-greeting": Case(
        "greeting", "begin with", app="s/Hello/Bye/", sound=(*APP_SOUND, "hostname", "visits")
    ),
    "app-with-another-hostname": Case(
        "hostname", "Another container", app="s/socket.gethostname()/'other'/", sound=(*APP_SOUND, "greeting")
    ),
    # -- on the way to the page
    "page-dropped": Case(
        "page",
        "what is between it",
        inject="iptables -I OUTPUT -o docker0 -p tcp --dport 80 -j DROP",
        args=("--timeout", "90"),
        sound=(*APP_SOUND, "greeting", "hostname"),
    ),
    "own-address-redirected": Case(
        "addresses",
        "on the way to the container",
        inject="iptables -t nat -I OUTPUT -d {address} -p tcp --dport 4000 -j REDIRECT --to-port 9",
        sound=(*PAGE_SOUND, "neighbour"),
        quick=True,
    ),
    "neighbours-parted": Case(
        "neighbour",
        "between two containers",
        inject="sysctl -qw net.bridge.bridge-nf-call-iptables=1; iptables -I FORWARD -i docker0 -o docker0 -j DROP",
        sound=(*PAGE_SOUND, "addresses"),
    ),
    # -- Redis, in each of its ways
    "redis-name": Case(
        "visits", "redis.name-not-resolved", during=other_end(), args=("--redis",), images=REDIS, sound=PAGE_SOUND
    ),
    "redis-network": Case(
        "visits",
        "redis.different-network",
        during=other_end(network="apart"),
        args=("--redis",),
        images=REDIS,
        sound=PAGE_SOUND,
    ),
    "redis-bind": Case(
        "visits",
        "redis.bind-loopback",
        inject=redis('["redis-server", "--bind", "127.0.0.1"]'),
        args=("--redis",),
        images=REDIS,
        sound=PAGE_SOUND,
        quick=True,
    ),
    "redis-protected": Case(
        "visits",
        "redis.protected-mode",
        inject='docker run --name other redis:7-alpine true; docker commit -c \'ENTRYPOINT ["redis-server", "--protected-mode", "yes"]\' -c \'CMD []\' other redis:7-alpine; docker rm other',
        args=("--redis",),
        images=REDIS,
        sound=PAGE_SOUND,
    ),
    "redis-password": Case(
        "visits",
        "redis.auth-required",
        inject=redis('["redis-server", "--requirepass", "s3cret"]'),
        args=("--redis",),
        images=REDIS,
        sound=PAGE_SOUND,
    ),
    "redis-port": Case(
        "visits",
        "redis.",
        inject=redis('["redis-server", "--port", "6380"]'),
        args=("--redis",),
        images=REDIS,
        sound=PAGE_SOUND,
    ),
    "redis-crashes": Case(
        "redis",
        "Redis itself failed",
        inject=redis('["redis-server", "--appendonly", "maybe"]'),
        args=("--redis",),
        images=REDIS,
        sound=APP_SOUND,
    ),
}


def declared(case: Case) -> Fault | None:
    """Find the fault that a case takes over."""
    return next((fault for fault in FAULTS if fault.id == case.fault), None) if case.fault else None


def boot(case: Case):
    """Boot the machine that it needs."""
    fault = declared(case)
    options = dict(fault.machine) if fault else {}
    return Machine.boot(**{**options, "images": case.images})


def break_it(machine: Machine, case: Case) -> dict[str, str]:
    """Break the machine; give the doctor's environment."""
    env: dict[str, str] = {}
    if fault := declared(case):
        do(machine, fault.setup)
        do(machine, fault.inject)
        env |= fault.env
    do(machine, case.inject)
    if case.app:
        machine.run(f'cp -r /opt/doctor/lib/python3*/site-packages/dockerdoctor /srv/; sed -i "{case.app}" {COPY}')
        env["PYTHONPATH"] = "/srv"
    return env
