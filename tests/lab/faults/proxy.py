"""Faults of proxies: on a network that lets nothing out but what a proxy on the gateway fetches, or on an open one."""

import json
import sys
from pathlib import Path

from tests.lab import forward_proxy
from tests.lab.fault import Fault
from tests.lab.faults.registry import KNOWN, PULL, TLS_PORT, mirrors, private_ca, trusted
from tests.lab.machine import Machine

PORT = 8888
PROXY = f"http://{{gateway}}:{PORT}"
CLOSED = "http://{gateway}:8889"
DROP_IN = "/etc/systemd/system/docker.service.d/http-proxy.conf"
RESTART = "systemctl daemon-reload; systemctl reset-failed docker.service docker.socket; systemctl restart docker"
PULL_HUB = "timeout 40 docker pull -q busybox"
# As programs in containers do: by the variables that they are given.
FETCH = "timeout 20 docker run --rm busybox timeout 8 wget -qO- http://{gateway}:5000/v2/"
USER = "doctor:s3cret"


def proxy(m: Machine, *options: str) -> None:
    """A proxy on the gateway."""
    script = Path(forward_proxy.__file__)
    m.on_gateway([sys.executable, str(script), m.gateway, str(PORT), *options], port=PORT)


def only_through_it(m: Machine, *ports: int) -> None:
    """Reject what goes to registries directly, and all that would pass."""
    for port in ports:
        m.firewall("INPUT", "-i", m.slot.link, "-p", "tcp", "--dport", str(port), "-j", "REJECT")
    m.firewall("FORWARD", "-i", m.slot.link, "-j", "REJECT")


def drop_in(**variables: str) -> str:
    """Shell that gives the daemon these variables and restarts it."""
    return write_drop_in(**variables) + RESTART


def write_drop_in(**variables: str) -> str:
    words = " ".join(f'"{name}={value}"' for name, value in variables.items())
    return f"""install -D /dev/stdin {DROP_IN} <<'END'
[Service]
Environment={words}
END
"""


def everywhere(proxy: str = PROXY) -> dict[str, str]:
    return {"HTTP_PROXY": proxy, "HTTPS_PROXY": proxy, "NO_PROXY": "localhost,127.0.0.1"}


def client(proxy: str, no_proxy: str = "localhost,127.0.0.1") -> str:
    """Shell that gives containers a proxy."""
    proxies = {"httpProxy": proxy, "httpsProxy": proxy, **({"noProxy": no_proxy} if no_proxy else {})}
    return f"install -D /dev/stdin .docker/config.json <<'END'\n{json.dumps({'proxies': {'default': proxies}}, indent=2)}\nEND\n"


def behind_proxy(m: Machine) -> None:
    """All is well: daemon and containers know the proxy that is the only way."""
    proxy(m)
    only_through_it(m, 5000)
    m.run(drop_in(**everywhere()) + "\n" + client(PROXY))


def behind_proxy_with_password(m: Machine) -> None:
    proxy(m, "--user", USER)
    only_through_it(m, 5000)
    with_password = f"http://{USER}@{{gateway}}:{PORT}"
    m.run(drop_in(**everywhere(with_password)) + "\n" + client(with_password))


def private_registry(m: Machine) -> None:
    """A registry that is asked directly, and a proxy that would not let anybody to it."""
    private_ca(m)
    proxy(m, "--connect-port", "443")
    m.run(drop_in(HTTP_PROXY=PROXY, HTTPS_PROXY=PROXY, NO_PROXY="localhost,reg.lab") + "\n" + client(PROXY))


def tls_mirror(m: Machine) -> None:
    """A mirror with TLS, reached through the proxy only."""
    trusted(m, f"{m.gateway}:{TLS_PORT}", f"IP:{m.gateway}")
    proxy(m)
    only_through_it(m, 5000, TLS_PORT)
    m.run(mirrors(f"https://{{gateway}}:{TLS_PORT}") + "\n" + drop_in(**everywhere()) + "\n" + client(PROXY))


def on_loopback_too(m: Machine) -> None:
    """A proxy on the host itself, listening everywhere."""
    m.write("/etc/tinyproxy/lab.conf", f"Port {PORT}\nListen 0.0.0.0\nTimeout 60\nAllow 0.0.0.0/0\n")
    m.run(
        "systemd-run --unit lab-proxy tinyproxy -d -c /etc/tinyproxy/lab.conf; until nc -z 127.0.0.1 8888 2>/dev/null || curl -s 127.0.0.1:8888 >/dev/null; do sleep 0.1; done"
    )
    m.run(client(f"http://172.17.0.1:{PORT}"))


def named_proxy(m: Machine) -> None:
    """Everybody is told the proxy's name; every nameserver knows it."""
    proxy(m)
    m.run(client(f"http://proxy.lab:{PORT}"))


def name_for_the_host_alone(m: Machine) -> None:
    m.run("echo '{gateway} proxy.lab' >> /etc/hosts")
    m.dns.restart(address={})


def run_with(variable: str, value: str) -> str:
    """Shell that starts a container with a proxy of its own."""
    return f"docker rm -f web >/dev/null 2>&1; docker run -d --name web -e {variable}={value} busybox sleep 1000"


def run_with_curl(options: str = "") -> str:
    """Shell that starts a container with the machine's curl in it, which reads ALL_PROXY."""
    return f"docker rm -f web >/dev/null 2>&1; docker run -d --name web {options} {WITH_CURL} sleep 1000"


WITH_CURL = "-v /usr:/usr:ro python:3.13-slim"
CURL = "curl -sfm 8 http://{gateway}:5000/v2/"
EXEC = "timeout 20 docker exec web timeout 8 wget -qO- http://{gateway}:5000/v2/"

FAULTS = (
    Fault(
        "proxy-daemon-not-set",
        "proxy.daemon-missing",
        setup=behind_proxy,
        inject=f"rm {DROP_IN}; {RESTART}",
        broken=PULL_HUB,
        env={"http_proxy": PROXY, "https_proxy": PROXY},
        verify_fix=True,
    ),
    Fault(
        "proxy-daemon-not-set:etc-environment",
        "proxy.daemon-missing",
        setup=behind_proxy,
        inject=f"rm {DROP_IN} .docker/config.json; echo 'http_proxy={PROXY}' > /etc/environment; {RESTART}",
        broken=PULL_HUB,
        verify_fix=True,
    ),
    Fault(
        "proxy-https-scheme",
        "proxy.tls-scheme",
        setup=behind_proxy,
        inject=drop_in(**everywhere(PROXY.replace("http:", "https:"))),
        broken=PULL_HUB,
        verify_fix=True,
    ),
    Fault(
        "proxy-https-scheme:containers",
        "proxy.tls-scheme",
        setup=behind_proxy,
        inject=client(PROXY.replace("http:", "https:")),
        broken=FETCH,
        verify_fix=True,
    ),
    Fault(
        "proxy-loopback-in-container",
        "proxy.container-loopback",
        setup=on_loopback_too,
        inject=client(f"http://127.0.0.1:{PORT}"),
        broken=FETCH,
        verify_fix=True,
    ),
    Fault(
        "proxy-no-proxy-missing-registry",
        "proxy.no-proxy",
        machine=KNOWN,
        setup=private_registry,
        inject=drop_in(HTTP_PROXY=PROXY, HTTPS_PROXY=PROXY, NO_PROXY="localhost,127.0.0.1"),
        broken=PULL,
        verify_fix=True,
    ),
    Fault(
        "proxy-no-proxy-missing-registry:subdomains-only",
        "proxy.no-proxy",
        machine=KNOWN,
        setup=private_registry,
        inject=drop_in(HTTP_PROXY=PROXY, HTTPS_PROXY=PROXY, NO_PROXY="localhost,.reg.lab"),
        broken=PULL,
        verify_fix=True,
    ),
    Fault(
        "proxy-no-proxy-missing-registry:no-variable",
        "proxy.no-proxy",
        machine=KNOWN,
        setup=private_registry,
        inject=drop_in(HTTP_PROXY=PROXY, HTTPS_PROXY=PROXY),
        broken=PULL,
        verify_fix=True,
    ),
    Fault(
        "proxy-http-only-https-missing",
        "proxy.https-missing",
        setup=tls_mirror,
        inject=drop_in(HTTP_PROXY=PROXY, NO_PROXY="localhost,127.0.0.1"),
        broken=PULL_HUB,
        verify_fix=True,
    ),
    Fault(
        "proxy-case-mismatch",
        "proxy.case",
        setup=behind_proxy,
        inject=drop_in(HTTP_PROXY=CLOSED, HTTPS_PROXY=CLOSED, http_proxy=PROXY, https_proxy=PROXY),
        broken=PULL_HUB,
        verify_fix=True,
    ),
    Fault(
        "proxy-dead",
        "proxy.dead",
        inject=drop_in(**everywhere(CLOSED)),
        broken=PULL_HUB,
        verify_fix=True,
        symptoms=("registry.hub", "registry.mirrors"),
    ),
    Fault(
        # A nameserver's port: it accepts the connection, and waits for something else.
        "proxy-dead:no-proxy",
        "proxy.dead",
        inject=drop_in(**everywhere("http://{gateway}:53")),
        broken=PULL_HUB.replace("timeout 40", "timeout 6"),
        cure=f"rm {DROP_IN}; {RESTART}",
    ),
    Fault(
        "proxy-daemon-not-set:no-proxy",
        "proxy.no-proxy-too-wide",
        setup=behind_proxy,
        inject=drop_in(HTTP_PROXY=PROXY, HTTPS_PROXY=PROXY, NO_PROXY="localhost,10.0.0.0/8"),
        broken=PULL_HUB,
        verify_fix=True,
    ),
    Fault(
        "proxy-dead:containers",
        "proxy.dead",
        setup=behind_proxy,
        inject=client(CLOSED),
        broken=FETCH,
        cure=client(PROXY),
    ),
    Fault(
        "proxy-407",
        "proxy.credentials",
        setup=behind_proxy_with_password,
        inject=drop_in(**everywhere(f"http://doctor:wrong@{{gateway}}:{PORT}")),
        broken=PULL_HUB,
        cure=f"sed -i s/wrong/s3cret/g {DROP_IN}; {RESTART}",
        symptoms=("registry.hub", "registry.mirrors"),
    ),
    Fault(
        "proxy-407:none",
        "proxy.credentials",
        setup=behind_proxy_with_password,
        inject=client(PROXY),
        broken=FETCH,
        cure=client(f"http://{USER}@{{gateway}}:{PORT}"),
    ),
    Fault(
        "proxy-percent-systemd",
        "proxy.unit-percent",
        setup=behind_proxy_with_password,
        inject=drop_in(**everywhere(f"http://doctor:s3cr%65t@{{gateway}}:{PORT}")),
        broken=PULL_HUB,
        verify_fix=True,
    ),
    Fault(
        "proxy-percent-systemd:not-restarted",
        "proxy.unit-percent",
        setup=behind_proxy_with_password,
        inject=f"rm {DROP_IN}; {RESTART}; " + write_drop_in(**everywhere(f"http://doctor:s3cr%65t@{{gateway}}:{PORT}")),
        broken=PULL_HUB,
        verify_fix=True,
    ),
    Fault(
        "proxy-dropin-not-reloaded",
        "proxy.unit-in-force",
        setup=behind_proxy,
        inject=f"cp {DROP_IN} right; rm {DROP_IN}; {RESTART}; cp right {DROP_IN}",
        broken=PULL_HUB,
        verify_fix=True,
    ),
    Fault(
        "proxy-dropin-not-reloaded:not-restarted",
        "proxy.unit-in-force",
        setup=behind_proxy,
        inject=f"cp {DROP_IN} right; rm {DROP_IN}; {RESTART}; cp right {DROP_IN}; systemctl daemon-reload",
        broken=PULL_HUB,
        verify_fix=True,
    ),
    Fault(
        "proxy-dropin-not-reloaded:wrong-folder",
        "proxy.unit-in-force",
        setup=behind_proxy,
        inject=f"mv /etc/systemd/system/docker.service.d /etc/systemd/system/docker.d; {RESTART}",
        broken=PULL_HUB,
        verify_fix=True,
    ),
    Fault(
        "proxy-dropin-not-reloaded:no-section",
        "proxy.unit-in-force",
        setup=behind_proxy,
        inject=f"sed -i '/Service/d' {DROP_IN}; {RESTART}",
        broken=PULL_HUB,
        verify_fix=True,
    ),
    Fault(
        "proxy-dropin-not-reloaded:export",
        "proxy.unit-in-force",
        setup=behind_proxy,
        inject=f"rm {DROP_IN}; echo 'export http_proxy=\"{PROXY}\"' >> /etc/default/docker; {RESTART}",
        broken=PULL_HUB,
        verify_fix=True,
    ),
    Fault(
        "proxy-dropin-not-reloaded:pending",
        "proxy.unit-pending",
        inject=write_drop_in(**everywhere()),
        broken="docker info 2>/dev/null | grep -q Proxy || ! grep -q PROXY " + DROP_IN,
        severity="warning",
    ),
    Fault(
        "proxy-build-not-set",
        "proxy.container-missing",
        setup=behind_proxy,
        inject="rm .docker/config.json",
        broken=FETCH,
        verify_fix=True,
        severity="warning",
    ),
    Fault(
        "proxy-build-not-set:other-settings",
        "proxy.container-missing",
        setup=behind_proxy,
        inject="""printf '{\\n\\t"detachKeys": "ctrl-q,q"\\n}' > .docker/config.json""",
        broken=FETCH,
        verify_fix=True,
        severity="warning",
    ),
    Fault(
        "proxy-hostname-unresolvable-in-container",
        "proxy.container-name",
        machine={"dns": {"proxy.lab": "{gateway}"}},
        setup=named_proxy,
        inject=name_for_the_host_alone,
        broken=FETCH,
        verify_fix=True,
    ),
    Fault(
        "proxy-url-without-scheme",
        "proxy.url",
        machine={"images": ("busybox", "python:3.13-slim")},
        setup=behind_proxy,
        inject=client("{gateway}:8888"),
        broken="docker run --rm python:3.13-slim /usr/lib/apt/apt-helper -oDir::Cache::Archives=/tmp "
        "download-file http://{gateway}:5000/v2/ /tmp/answer",
        verify_fix=True,
    ),
    Fault(
        "proxy-url-without-scheme:dockerfile",
        "proxy.url",
        setup="""printf 'FROM busybox\\nENV http_proxy http://%s:5000\\nRUN wget -qO- http://%s:5000/v2/\\n' {gateway} {gateway} > Dockerfile""",
        inject="sed -i 's#^ENV.*#ENV http_proxy host:port#' Dockerfile",
        broken="timeout 30 docker build -q --no-cache .",
    ),
    Fault(
        # systemd takes the outer quotes off, and no others.
        "proxy-url-without-scheme:quotes-in-quotes",
        "proxy.url",
        setup=behind_proxy,
        inject=f'rm {DROP_IN}; printf \'%s\\n\' "HTTP_PROXY=\'\\"{PROXY}\\"\'" "HTTPS_PROXY=\'\\"{PROXY}\\"\'" >> /etc/default/docker; {RESTART}',
        broken=PULL_HUB,
        verify_fix=True,
    ),
    Fault(
        "proxy-url-without-scheme:open-quote",
        "proxy.url",
        setup=behind_proxy,
        inject=f"rm {DROP_IN}; printf '%s\\n' 'HTTP_PROXY=\"{PROXY}' 'HTTPS_PROXY={PROXY}' >> /etc/default/docker; {RESTART}",
        broken=PULL_HUB,
        verify_fix=True,
    ),
    Fault(
        # What curl reads, and dockerd does not.
        "proxy-daemon-not-set:all-proxy",
        "proxy.all-proxy",
        setup=behind_proxy,
        inject=drop_in(ALL_PROXY=PROXY, NO_PROXY="localhost,127.0.0.1"),
        broken=PULL_HUB,
        verify_fix=True,
    ),
    Fault(
        "proxy-dead:running-container",
        "proxy.dead",
        setup=lambda m: (proxy(m), m.run(run_with("http_proxy", PROXY)))[0],
        inject=run_with("http_proxy", CLOSED),
        broken=EXEC,
        cure=run_with("http_proxy", PROXY),
    ),
    Fault(
        "proxy-dead:running-container-all-proxy",
        "proxy.dead",
        machine={"images": ("python:3.13-slim",)},
        setup=run_with_curl(),
        inject=run_with_curl("-e ALL_PROXY=socks5://{gateway}:8889"),
        broken=f"timeout 20 docker exec web {CURL}",
        cure=run_with_curl(),
    ),
    Fault(
        # 20.10's client passes over it.
        "proxy-dead:all-proxy",
        "proxy.dead",
        machine={"images": ("python:3.13-slim",)},
        setup="mkdir -p .docker",
        inject="""echo '{"proxies": {"default": {"allProxy": "socks5://{gateway}:8889"}}}' > .docker/config.json""",
        broken=f"timeout 20 docker run --rm {WITH_CURL} {CURL}",
        cure="rm .docker/config.json",
        engines=("26.1", "28.5"),
    ),
    Fault(
        "proxy-dead:unknown-name",
        "proxy.dead",
        setup=lambda m: (proxy(m), m.run(run_with("http_proxy", PROXY)))[0],
        inject=run_with("http_proxy", "http://proxy.corp.lab:3128"),
        broken=EXEC,
        cure=run_with("http_proxy", PROXY),
    ),
    Fault(
        "proxy-loopback-in-container:running-container",
        "proxy.container-loopback",
        setup=lambda m: (on_loopback_too(m), m.run(run_with("http_proxy", f"http://172.17.0.1:{PORT}")))[0],
        inject=run_with("http_proxy", f"http://127.0.0.1:{PORT}"),
        broken=EXEC,
        cure=run_with("http_proxy", f"http://172.17.0.1:{PORT}"),
    ),
    Fault(
        "proxy-hostname-unresolvable-in-container:running-container",
        "proxy.container-name",
        machine={"dns": {"proxy.lab": "{gateway}"}},
        setup=lambda m: (proxy(m), m.run(run_with("http_proxy", f"http://proxy.lab:{PORT}")))[0],
        inject=name_for_the_host_alone,
        broken=EXEC,
        cure=run_with("http_proxy", PROXY),
    ),
)
