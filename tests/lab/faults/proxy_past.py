"""Faults of what should go past a proxy and does not, as each program reads NO_PROXY."""

from tests.lab.fault import Fault
from tests.lab.faults.proxy import PROXY, client, drop_in, private_registry, proxy
from tests.lab.faults.registry import KNOWN, PULL
from tests.lab.machine import Machine

PYTHON = {"images": ("busybox", "python:3.13-slim")}
# Python's urllib, by the variables that it is given.
GET = "python3 -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=5)'"
# A server that asks itself.
ITSELF = (
    "python3 -c 'import http.server, threading, urllib.request; "
    's = http.server.HTTPServer(("", 8000), http.server.SimpleHTTPRequestHandler); '
    "threading.Thread(target=s.serve_forever, daemon=True).start(); "
    'urllib.request.urlopen("http://localhost:8000/", timeout=5)\''
)
NOT_UNHEALTHY = "test \"$(docker inspect -f '{{.State.Health.Status}}' web)\" = healthy"
SETTLED = "for n in $(seq 60); do docker inspect -f '{{.State.Health.Status}}' web | grep -q starting || break; sleep 0.2; done"
WEB = (
    "docker rm -f web >/dev/null 2>&1; docker run -d --name web --health-interval 1s --health-retries 1 "
    '--health-cmd "python3 -c \'import urllib.request; urllib.request.urlopen(\\"http://localhost:8000/\\", timeout=5)\'" '
    "python:3.13-slim python3 -m http.server 8000; sleep 1; "
) + SETTLED
ALPINE = (
    "docker rm -f web >/dev/null 2>&1; docker run -d --name web --health-interval 1s --health-retries 1 "
    "--health-cmd 'wget -qO /dev/null http://localhost:8000/passwd' busybox httpd -f -p 8000 -h /etc; sleep 1; "
) + SETTLED


def with_proxy(m: Machine) -> None:
    """A proxy that everybody is told of, and that nobody needs."""
    proxy(m)
    m.run(client(PROXY))


def with_server(m: Machine) -> None:
    """One that serves no inside addresses; a container is told of one."""
    proxy(m, "--deny", m.gateway)
    m.run(client(PROXY, f"localhost,{m.gateway}") + API)


API = "docker rm -f api >/dev/null 2>&1; docker run -d --name api -e API_URL=http://{gateway}:5000/v2/ python:3.13-slim sleep 1000"
ASK_API = "timeout 20 docker exec api " + GET + " http://{gateway}:5000/v2/"
SERVICE = (
    "docker rm -f api >/dev/null 2>&1; docker run -d --name api --network app "
    "-e UPSTREAM=http://web:8000/passwd python:3.13-slim sleep 1000"
)

FAULTS = (
    Fault(
        "proxy-captures-localhost",
        "proxy.captures-localhost",
        machine=PYTHON,
        setup=lambda m: (with_proxy(m), m.run(WEB))[0],
        inject=client(PROXY, "") + WEB,
        broken=NOT_UNHEALTHY,
        cure=client(PROXY) + WEB,
    ),
    Fault(
        # Docker's own example names the network, and localhost is a name.
        "proxy-captures-localhost:cidr",
        "proxy.captures-localhost",
        machine=PYTHON,
        setup=lambda m: (with_proxy(m), m.run(WEB))[0],
        inject=client(PROXY, "*.test.example.com,.example.org,127.0.0.0/8") + WEB,
        broken=NOT_UNHEALTHY,
        cure=client(PROXY) + WEB,
    ),
    Fault(
        # no_proxy is right, and BusyBox has none.
        "proxy-captures-localhost:busybox",
        "proxy.captures-localhost",
        machine=PYTHON,
        setup=lambda m: (proxy(m), m.run(ALPINE))[0],
        inject=client(PROXY) + ALPINE,
        broken=NOT_UNHEALTHY,
        cure=ALPINE.replace("wget ", "wget -Y off "),
    ),
    Fault(
        "proxy-captures-localhost:new-containers",
        "proxy.localhost-exempt",
        machine=PYTHON,
        setup=with_proxy,
        inject=client(PROXY, ""),
        broken="timeout 20 docker run --rm python:3.13-slim " + ITSELF,
        severity="warning",
        verify_fix=True,
    ),
    Fault(
        "proxy-captures-localhost:service-name",
        "proxy.container-no-proxy",
        machine=PYTHON,
        setup=lambda m: (
            proxy(m),
            m.run(
                "docker network create app; docker run -d --name web --network app busybox httpd -f -p 8000 -h /etc; "
                + SERVICE
            ),
        )[0],
        inject=client(PROXY) + SERVICE,
        broken="timeout 20 docker exec api " + GET + " http://web:8000/passwd",
        severity="warning",
        cure=client(PROXY, "localhost,127.0.0.1,web") + SERVICE,
    ),
    Fault(
        "proxy-no-proxy-cidr-not-honoured",
        "proxy.container-no-proxy",
        machine=PYTHON,
        setup=with_server,
        inject=client(PROXY, "localhost,10.0.0.0/8") + API,
        broken=ASK_API,
        severity="warning",
        cure=client(PROXY, "localhost,10.0.0.0/8,{gateway}") + API,
    ),
    Fault(
        "proxy-no-proxy-cidr-not-honoured:mirror",
        "proxy.container-no-proxy",
        machine=PYTHON,
        setup=lambda m: (proxy(m, "--deny", m.gateway), m.run(client(PROXY, f"localhost,{m.gateway}")))[0],
        inject=client(PROXY, "localhost,10.0.0.0/8"),
        broken="timeout 20 docker run --rm python:3.13-slim " + GET + " http://{gateway}:5000/v2/",
        severity="warning",
        verify_fix=True,
    ),
    Fault(
        "proxy-no-proxy-cidr-not-honoured:registry-name",
        "proxy.no-proxy",
        machine=KNOWN,
        setup=private_registry,
        inject=drop_in(HTTP_PROXY=PROXY, HTTPS_PROXY=PROXY, NO_PROXY="localhost,10.0.0.0/8"),
        broken=PULL,
        verify_fix=True,
    ),
    Fault(
        "proxy-no-proxy-missing-registry:scheme",
        "proxy.no-proxy",
        machine=KNOWN,
        setup=private_registry,
        inject=drop_in(HTTP_PROXY=PROXY, HTTPS_PROXY=PROXY, NO_PROXY="localhost,https://reg.lab"),
        broken=PULL,
        verify_fix=True,
    ),
    Fault(
        "proxy-no-proxy-missing-registry:blanks",
        "proxy.no-proxy",
        machine=KNOWN,
        setup=private_registry,
        inject=drop_in(HTTP_PROXY=PROXY, HTTPS_PROXY=PROXY, NO_PROXY="localhost reg.lab"),
        broken=PULL,
        verify_fix=True,
    ),
)
