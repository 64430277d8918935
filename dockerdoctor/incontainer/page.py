"""A page like the sample's, for where its packages cannot be had: the standard library alone, of any Python 3."""

import http.server
import os
import socket

PAGE = "<h3>Hello {}!</h3><b>Hostname:</b> {}<br/><b>Visits:</b> <i>not counted: a stand-in without Flask and Redis</i>"


class Page(http.server.BaseHTTPRequestHandler):
    """Answers everything with the page."""

    def do_GET(self) -> None:
        """Say hello."""
        body = PAGE.format(os.getenv("NAME", "world"), socket.gethostname()).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    # All interfaces of the container: a published port cannot reach its loopback.
    http.server.HTTPServer(("0.0.0.0", 80), Page).serve_forever()
