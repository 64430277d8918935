"""Faults of registries and mirrors."""

import json
import subprocess
import sys

from tests.lab.fault import Fault
from tests.lab.machine import Machine

TLS_PORT = 5443
NAME = f"reg.lab:{TLS_PORT}"
CERTS_D = f"/etc/docker/certs.d/{NAME}"
KNOWN = {"dns": {"reg.lab": "{gateway}"}}
PULL = f"timeout 30 docker pull -q {NAME}/library/busybox"
PULL_HUB = "timeout 40 docker pull -q busybox"

# A registry that says 429 to whoever asks for a manifest, as Docker Hub does.
LIMITED = """
import http.server, sys
class Limited(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        over = "/manifests/" in self.path
        body = b"{}" if not over else b'{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}'
        self.send_response(429 if over else 200)
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        self.send_header("Content-Length", str(len(body)))
        if over:
            self.send_header("ratelimit-limit", "100;w=21600")
            self.send_header("ratelimit-remaining", "0;w=21600")
            self.send_header("docker-ratelimit-source", "192.0.2.7")
            self.send_header("Retry-After", "300")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
    do_HEAD = do_GET
http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Limited).serve_forever()
"""

# Serves TLS, and lives in another time: argv is address, port, certificate, key, seconds ahead.
ELSEWHEN = """
import http.server, ssl, sys, time
address, port, cert, key, ahead = sys.argv[1:]
class Other(http.server.BaseHTTPRequestHandler):
    def date_time_string(self, timestamp=None):
        return super().date_time_string(time.time() + int(ahead))
    def do_GET(self):
        self.send_response(200)
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")
server = http.server.ThreadingHTTPServer((address, int(port)), Other)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert, key)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


def certificate(
    m: Machine, name: str, *, signer: str = "", names: str = "DNS:reg.lab", ca: bool = False, dates: str = ""
) -> None:
    """Make NAME.crt and NAME.key beside the machine; self-signed without a signer. `dates` is for x509(1)'s ca."""
    home = m.slot.home
    extensions = home / f"{name}.ext"
    usage = "basicConstraints=critical,CA:TRUE" if ca else f"subjectAltName={names}"
    extensions.write_text(f"{usage}\n")
    subject = f"/O=Example/CN={name}"
    script = f"""
        set -e; cd {home}
        openssl req -newkey rsa:2048 -nodes -keyout {name}.key -subj '{subject}' -out {name}.csr
    """
    if dates:
        script += f"""
        rm -f index.txt*; : > index.txt; echo 01 > serial
        printf '[ca]\\ndefault_ca=d\\n[d]\\ndatabase=index.txt\\nserial=serial\\nnew_certs_dir=.\\ndefault_md=sha256\\npolicy=p\\n[p]\\ncommonName=supplied\\norganizationName=optional\\n' > ca.cnf
        openssl ca -batch -config ca.cnf -cert {signer}.crt -keyfile {signer}.key -in {name}.csr -out {name}.crt -notext {dates} -extfile {name}.ext
        """
    else:
        by = f"-CA {signer}.crt -CAkey {signer}.key -CAcreateserial" if signer else f"-signkey {name}.key"
        script += f"openssl x509 -req -in {name}.csr {by} -days 30 -extfile {name}.ext -out {name}.crt"
    subprocess.run(["bash", "-c", script], check=True, capture_output=True)


def serve(m: Machine, cert: str, *more: str) -> None:
    """A real registry over TLS, in the place of the one that was there; the certificates of `more` are sent too."""
    if old := getattr(m, "tls_registry", None):
        old.kill()
        old.wait()
    home = m.slot.home
    sent = home / "sent.crt"
    sent.write_text("".join((home / f"{name}.crt").read_text() for name in (cert, *more)))
    config = json.loads((home / "registry.yml").read_text())
    config["http"] = {
        "addr": f"{m.gateway}:{TLS_PORT}",
        "tls": {"certificate": str(sent), "key": str(home / f"{cert}.key")},
    }
    (home / "tls.yml").write_text(json.dumps(config))
    m.tls_registry = m.on_gateway(["docker-registry", "serve", str(home / "tls.yml")], port=TLS_PORT)  # type: ignore[attr-defined]


def trusted(m: Machine, host_port: str, names: str) -> None:
    """A registry with a certificate of a private CA, which the machine knows."""
    certificate(m, "ca", ca=True)
    certificate(m, "leaf", signer="ca", names=names)
    serve(m, "leaf")
    ca = (m.slot.home / "ca.crt").read_text()
    m.write(f"/etc/docker/certs.d/{host_port}/ca.crt", ca)
    m.write("/root/ca.crt", ca)


def private_ca(m: Machine) -> None:
    """Such a registry, and an image that is to be pushed there."""
    trusted(m, NAME, "DNS:reg.lab")
    m.run(f"docker tag busybox {NAME}/mine")


def self_signed(m: Machine) -> None:
    certificate(m, "self")
    serve(m, "self")


def expired(m: Machine) -> None:
    certificate(m, "old", signer="ca", dates="-startdate 20200101000000Z -enddate 20210101000000Z")
    serve(m, "old")


def wrong_name(m: Machine) -> None:
    certificate(m, "other", signer="ca", names="DNS:other.lab")
    serve(m, "other")


def no_intermediate(m: Machine) -> None:
    certificate(m, "middle", signer="ca", ca=True)
    certificate(m, "below", signer="middle")
    serve(m, "below")


def in_the_host_store(m: Machine) -> None:
    private_ca(m)
    m.run(
        f"rm -r {CERTS_D}; cp /root/ca.crt /usr/local/share/ca-certificates/; update-ca-certificates; "
        "systemctl reset-failed docker; systemctl restart docker"
    )


def not_in_the_daemon(m: Machine) -> None:
    """The daemon starts without the CA, which then comes into the host's store."""
    m.run(
        "rm /usr/local/share/ca-certificates/ca.crt; update-ca-certificates --fresh; systemctl reset-failed docker; "
        f"systemctl restart docker; {PULL}; cp /root/ca.crt /usr/local/share/ca-certificates/; update-ca-certificates"
    )


def another_time(m: Machine) -> None:
    """A certificate from next year, and a server that lives then: it is our clock that is wrong."""
    certificate(m, "future", signer="ca", dates="-startdate 20400101000000Z -enddate 20410101000000Z")
    m.tls_registry.kill()  # type: ignore[attr-defined]
    m.tls_registry.wait()  # type: ignore[attr-defined]
    home = m.slot.home
    argv = [
        sys.executable,
        "-c",
        ELSEWHEN,
        m.gateway,
        str(TLS_PORT),
        f"{home}/future.crt",
        f"{home}/future.key",
        "440000000",
    ]
    m.on_gateway(argv, port=TLS_PORT)


def limit(m: Machine) -> None:
    m.registry.kill()
    m.registry.wait()
    m.on_gateway([sys.executable, "-c", LIMITED, m.gateway, "5000"], port=5000)


def mirrors(*urls: str) -> str:
    listed = ", ".join(f'"{url}"' for url in urls)
    return f"""printf '%s\\n' '{{"registry-mirrors": [{listed}]}}' > /etc/docker/daemon.json; systemctl reload docker; sleep 0.5"""


def dead_mirror(m: Machine) -> None:
    m.firewall("PREROUTING", "-i", m.slot.link, "-d", "198.51.100.9", "-j", "DROP", table="raw")
    m.run(mirrors("http://198.51.100.9:5000", "http://{gateway}:5000"))


def no_mirror(m: Machine) -> None:
    m.registry.kill()
    m.registry.wait()


# Any web server in a mirror's place: argv is address, port and, where it sends one for a token, a URL.
STRANGER = """
import http.server, sys
class Stranger(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        realm = sys.argv[3] if len(sys.argv) > 3 else ""
        self.send_response(401 if realm else 200)
        if realm:
            self.send_header("Www-Authenticate", f'Bearer realm="{realm}",service="lab"')
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", "7")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(b"Welcome")
    do_HEAD = do_GET
http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Stranger).serve_forever()
"""


def web_server(m: Machine) -> None:
    no_mirror(m)
    m.on_gateway([sys.executable, "-c", STRANGER, m.gateway, "5000"], port=5000)


def no_token(m: Machine) -> None:
    """The registry lives, and nobody answers where it sends one for a token."""
    no_mirror(m)
    m.on_gateway([sys.executable, "-c", STRANGER, m.gateway, "5000", f"http://{m.gateway}:81/token"], port=5000)


PLAIN = "{gateway}:5000"
PLAIN_SETUP = f"docker tag busybox {PLAIN}/mine"
PLAIN_PULL = f"timeout 30 docker pull -q {PLAIN}/library/busybox"
PLAIN_MACHINE = {"daemon_json": {"insecure-registries": [PLAIN]}}


def insecure(entry: str) -> str:
    """The file without the right entry, as the daemon then reads it."""
    return rf"""sed -z -i -E 's#"insecure-registries": \[[^]]*\]#"insecure-registries": [{entry}]#' /etc/docker/daemon.json
        systemctl restart docker"""


FAULTS = (
    Fault(
        "registry-x509-unknown-authority",
        "registry.certificate",
        machine=KNOWN,
        setup=private_ca,
        inject=f"rm -r {CERTS_D}",
        broken=PULL,
        cure=f"install -D -m 644 ca.crt {CERTS_D}/ca.crt",
    ),
    Fault(
        "registry-x509-unknown-authority:self-signed",
        "registry.certificate",
        machine=KNOWN,
        setup=private_ca,
        inject=self_signed,
        broken=PULL,
        verify_fix=True,
    ),
    Fault(
        "registry-x509-unknown-authority:expired",
        "registry.certificate",
        machine=KNOWN,
        setup=private_ca,
        inject=expired,
        broken=PULL,
    ),
    Fault(
        "registry-x509-unknown-authority:wrong-name",
        "registry.certificate",
        machine=KNOWN,
        setup=private_ca,
        inject=wrong_name,
        broken=PULL,
    ),
    Fault(
        "registry-x509-unknown-authority:missing-intermediate",
        "registry.certificate",
        machine=KNOWN,
        setup=private_ca,
        inject=no_intermediate,
        broken=PULL,
    ),
    Fault(
        "registry-x509-unknown-authority:daemon-older-than-ca",
        "registry.certificate",
        machine=KNOWN,
        setup=in_the_host_store,
        inject=not_in_the_daemon,
        broken=PULL,
        verify_fix=True,
    ),
    Fault(
        "registry-certsd-wrong-dir",
        "registry.certs-d",
        machine=KNOWN,
        setup=private_ca,
        inject=f"mv {CERTS_D} /etc/docker/certs.d/reg.lab",
        broken=PULL,
        verify_fix=True,
    ),
    Fault(
        "registry-certsd-wrong-dir:pem",
        "registry.certs-d",
        machine=KNOWN,
        setup=private_ca,
        inject=f"mv {CERTS_D}/ca.crt {CERTS_D}/ca.pem",
        broken=PULL,
        verify_fix=True,
    ),
    Fault(
        "registry-clock-skew",
        "registry.clock",
        machine=KNOWN,
        setup=private_ca,
        inject=another_time,
        broken=f"timeout 10 curl -sf --cacert ca.crt https://{NAME}/v2/",
    ),
    Fault(
        "registry-http-response-https-client",
        "registry.plain-http",
        machine=PLAIN_MACHINE,
        setup=PLAIN_SETUP,
        inject=insecure(""),
        broken=PLAIN_PULL,
        cure=insecure('"{gateway}:5000"'),
    ),
    Fault(
        "registry-http-response-https-client:key-missing",
        "registry.plain-http",
        machine=PLAIN_MACHINE,
        setup=PLAIN_SETUP,
        inject=mirrors("http://{gateway}:5000") + "; systemctl restart docker",
        broken=PLAIN_PULL,
        verify_fix=True,
    ),
    Fault(
        "registry-http-response-https-client:no-port",
        "registry.plain-http",
        machine=PLAIN_MACHINE,
        setup=PLAIN_SETUP,
        inject=insecure('"{gateway}"'),
        broken=PLAIN_PULL,
        verify_fix=True,
    ),
    Fault(
        "registry-http-response-https-client:not-reloaded",
        "registry.plain-http",
        machine=PLAIN_MACHINE,
        setup=PLAIN_SETUP,
        inject=f"""cp /etc/docker/daemon.json /root/right
            {insecure("")}
            cp /root/right /etc/docker/daemon.json""",
        broken=PLAIN_PULL,
        with_=("daemon-json.applied",),
        verify_fix=True,
    ),
    Fault("registry-rate-limit", "registry.rate-limit", inject=limit, broken=PULL_HUB),
    Fault(
        "registry-mirror-dead",
        "registry.mirrors",
        inject=dead_mirror,
        broken="timeout 8 docker pull -q busybox",
        severity="warning",
        verify_fix=True,
    ),
    Fault("registry-mirror-dead:the-only-one", "registry.hub", inject=no_mirror, broken=PULL_HUB),
    Fault("registry-mirror-dead:web-server", "registry.hub", inject=web_server, broken=PULL_HUB),
    Fault("registry-blob-host-blocked:token-server", "registry.token-server", inject=no_token, broken=PULL_HUB),
    Fault(
        # Nothing here names the registry but the daemon's log of the pull that failed.
        "registry-http-response-https-client:only-pulled",
        "registry.plain-http",
        machine=PLAIN_MACHINE,
        inject=insecure(""),
        broken=f"docker rmi {PLAIN}/library/busybox >/dev/null 2>&1; {PLAIN_PULL} && docker rmi {PLAIN}/library/busybox",
        cure=insecure('"{gateway}:5000"'),
    ),
    Fault(
        "registry-wrong-name-denied",
        "registry.image-name",
        machine=PLAIN_MACHINE,
        setup="echo busybox > /root/name",
        inject="echo busybx > /root/name",
        broken=f"timeout 30 docker pull -q {PLAIN}/library/$(cat /root/name)",
        severity="warning",
        cure="echo busybox > /root/name",
    ),
    Fault(
        "registry-credential-helper-missing",
        "registry.credential-helper",
        machine=PLAIN_MACHINE,
        setup="mkdir -p .docker && echo '{}' > .docker/config.json",
        inject="""echo '{"credsStore": "desktop", "HttpHeaders": {}}' > .docker/config.json""",
        broken="timeout 20 docker login -u ann -p secret {gateway}:5000",
        verify_fix=True,
    ),
)
