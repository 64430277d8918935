"""A registry in front of a machine's own, which answers some questions its own way: as far as pulls go, a real one.

`python3 front.py ADDRESS PORT UPSTREAM WAYS`, where WAYS is an object of JSON:
"platforms": what every image is made for, as a manifest list says it ("linux/arm64/v8"), and for nothing else;
"deny": the status with which it gives no manifest to anybody;
"blobs": where one is sent for layers, a URL without its path; "blob_status": what is said of them instead;
"auth": "bearer" or "basic", "login": "user:password" that is taken; with "bearer" strangers get a token too, unless "closed".
"""

import base64
import hashlib
import http.server
import json
import sys
import urllib.error
import urllib.request

ADDRESS, PORT, UPSTREAM = sys.argv[1:4]
WAYS = json.loads(sys.argv[4])
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
LISTS: dict[str, bytes] = {}  # those made so far, by their digest
PASSED_ON = ("Content-Type", "Docker-Content-Digest", "Etag")


class Front(http.server.BaseHTTPRequestHandler):
    """One question."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer it, or pass it on."""
        given = self.headers.get("Authorization", "")
        ours = "Basic " + base64.b64encode(WAYS.get("login", "").encode()).decode()
        if self.path.startswith("/token"):
            refused = given != ours if given or WAYS.get("closed") else False
            self.say(401 if refused else 200, b"{}" if refused else b'{"token": "t"}')
        elif WAYS.get("auth") == "bearer" and given != "Bearer t":
            realm = f'Bearer realm="http://{self.headers["Host"]}/token",service="lab"'
            self.say(401, self.error("UNAUTHORIZED"), {"WWW-Authenticate": realm})
        elif WAYS.get("auth") == "basic" and given != ours:
            self.say(401, self.error("UNAUTHORIZED"), {"WWW-Authenticate": 'Basic realm="lab"'})
        elif "/manifests/" in self.path and WAYS.get("deny"):
            self.say(WAYS["deny"], self.error("TOOMANYREQUESTS" if WAYS["deny"] == 429 else "DENIED"))
        elif "/blobs/" in self.path and WAYS.get("blob_status"):
            self.say(WAYS["blob_status"], b"<html>Blocked</html>", {"Content-Type": "text/html"})
        elif "/blobs/" in self.path and WAYS.get("blobs"):
            self.say(307, b"", {"Location": WAYS["blobs"] + self.path})
        elif self.path.rpartition("/")[2] in LISTS:
            self.say(200, LISTS[self.path.rpartition("/")[2]], {"Content-Type": LIST})
        elif "/manifests/" in self.path and "sha256:" not in self.path and WAYS.get("platforms"):
            self.say(200, self.listed(), {"Content-Type": LIST})
        else:
            self.say(*self.upstream())

    def do_HEAD(self) -> None:
        """As well, without the body."""
        self.do_GET()

    def error(self, code: str) -> bytes:
        """A registry's way to say no."""
        return json.dumps({"errors": [{"code": code, "message": code.lower()}]}).encode()

    def listed(self) -> bytes:
        """A manifest list with the image for each platform, the same for all."""
        _, manifest, _ = self.upstream(MANIFEST)
        image = {
            "mediaType": MANIFEST,
            "size": len(manifest),
            "digest": f"sha256:{hashlib.sha256(manifest).hexdigest()}",
        }
        platforms = [
            dict(zip(("os", "architecture", "variant"), p.split("/"), strict=False)) for p in WAYS["platforms"]
        ]
        manifests = [{**image, "platform": platform} for platform in platforms]
        said = json.dumps({"schemaVersion": 2, "mediaType": LIST, "manifests": manifests}).encode()
        LISTS[f"sha256:{hashlib.sha256(said).hexdigest()}"] = said
        return said

    def upstream(self, accept: str = "") -> tuple[int, bytes, dict[str, str]]:
        """Ask the registry behind."""
        wanted = [accept] if accept else self.headers.get_all("Accept") or ["*/*"]
        question = urllib.request.Request(UPSTREAM + self.path, headers={"Accept": ", ".join(wanted)})
        try:
            with urllib.request.urlopen(question, timeout=20) as said:
                return said.status, said.read(), {h: said.headers[h] for h in PASSED_ON if said.headers[h]}
        except urllib.error.HTTPError as no:
            return no.code, no.read(), {"Content-Type": "application/json"}

    def say(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        """Answer."""
        self.send_response(status)
        named = {
            "Docker-Distribution-Api-Version": "registry/2.0",
            "Content-Type": "application/json",
            **(headers or {}),
        }
        if "/manifests/" in self.path and status == 200:
            named.setdefault("Docker-Content-Digest", f"sha256:{hashlib.sha256(body).hexdigest()}")
        for name, value in named.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


if __name__ == "__main__":
    http.server.ThreadingHTTPServer((ADDRESS, int(PORT)), Front).serve_forever()
