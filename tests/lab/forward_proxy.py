"""A proxy as companies have: `python3 -m tests.lab.forward_proxy ADDRESS PORT [--user NAME:PASSWORD] [--connect-port N] [--deny HOST]
[--inspect CERTIFICATE KEY] [--at ADDRESS]`.

tinyproxy will not do: of several headers with one name it passes on the last only, and Docker lists what it accepts that way.
"""

import argparse
import asyncio
import base64
import contextlib
import ssl
from urllib.parse import urlsplit

# Ours to act on, or what would keep a connection for a second request.
OWN = ("proxy-", "connection:", "keep-alive:")
REFUSED = {
    403: "Forbidden",
    407: 'Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="lab"',
    502: "Bad Gateway",
}


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("--user", default="", help="NAME:PASSWORD that must be given")
    parser.add_argument("--connect-port", type=int, default=0, help="the one port to which tunnels are allowed")
    parser.add_argument("--deny", default="", help="a host for which it answers 403")
    parser.add_argument(
        "--inspect", nargs=2, default=[], help="take TLS apart, and show this certificate for all servers"
    )
    parser.add_argument("--at", default="", help="where every server is, whatever its name")
    asyncio.run(serve(parser.parse_args()))


async def serve(options: argparse.Namespace) -> None:
    """Listen."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Clients come and go as they like.
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):  # a refused certificate is an OSError
            await handle(reader, writer, options)
        writer.close()

    server = await asyncio.start_server(accept, options.address, options.port)
    await server.serve_forever()


async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, options: argparse.Namespace) -> None:
    """Fetch for one client, or refuse."""
    first = await reader.readexactly(1)
    if not first.isalpha():
        writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")  # TLS, say
        return
    head = first + await reader.readuntil(b"\r\n\r\n")
    request, *headers = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, target, version = request.split(" ")
    url = urlsplit(f"//{target}" if method == "CONNECT" else target)
    status = 403 if options.deny and url.hostname == options.deny else refusal(method, url.port, headers, options)
    onward = None
    inspects = method == "CONNECT" and bool(options.inspect)
    if not status:
        try:
            onward = await asyncio.open_connection(
                options.at or url.hostname, url.port or 80, ssl=anybody() if inspects else None
            )
        except OSError:
            status = 502
    if onward is None:
        writer.write(f"HTTP/1.1 {status} {REFUSED[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        return
    if method == "CONNECT":
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        if inspects:
            await writer.drain()
            await writer.start_tls(ourselves(*options.inspect))
    else:
        path = url._replace(scheme="", netloc="").geturl() or "/"
        passed = [header for header in headers if not header.lower().startswith(OWN)]
        onward[1].write(
            "\r\n".join([f"{method} {path} {version}", *passed, "Connection: close", "", ""]).encode("latin-1")
        )
    await asyncio.gather(relay(reader, onward[1]), relay(onward[0], writer))


def anybody() -> ssl.SSLContext:
    """Take whatever certificate the server shows."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def ourselves(certificate: str, key: str) -> ssl.SSLContext:
    """Show a certificate of our own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def refusal(method: str, port: int | None, headers: list[str], options: argparse.Namespace) -> int:
    """Give the status of a refusal; 0 if the request may pass."""
    if options.user:
        wanted = f"proxy-authorization: basic {base64.b64encode(options.user.encode()).decode()}".lower()
        if wanted not in [header.lower() for header in headers]:
            return 407
    forbidden = method == "CONNECT" and options.connect_port not in (0, port)
    return 403 if forbidden else 0


async def relay(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Pass on what comes, and its end."""
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
        target.write_eof()


if __name__ == "__main__":
    main()
