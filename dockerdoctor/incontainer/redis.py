"""
Finds and greets a Redis server as an application in this network namespace would: standard library only.

It runs on the host's interpreter, in a container's network namespace and with the container's hosts file and
nameservers, since the container's own files are not its. Nothing it sends writes: AUTH, PING, INFO, CONFIG GET.
"""

import ipaddress
import json
import socket
import sys
from typing import Any

from dockerdoctor.incontainer.ask import ask_dns, family, why

RESOLVE_TIMEOUT = 1.0  # Docker's resolver answers from memory; one that forwards gets a second
CONNECT_TIMEOUT = 1.5  # the first packet and its repetition after a second
REPLY_TIMEOUT = 1.0
MAX_REPLY = 64 << 10
# What tells whether writes are accepted (https://redis.io/docs/latest/commands/info/).
KEPT = frozenset(
    (
        "redis_version",
        "role",
        "slave_read_only",
        "master_host",
        "maxmemory",
        "maxmemory_policy",
        "used_memory",
        "rdb_last_bgsave_status",
        "aof_last_write_status",
    )
)


NOBODY = "no-such-host-in-this-domain"
WILDCARD = ", as for any name in "


def resolve(
    name: str, hosts: str, servers: "list[str]", search: "list[str]", ndots: int = 1
) -> "tuple[str, list[str], str]":
    """
    Resolve a name: literal, hosts file, then DNS with its search list; returns outcome, addresses and who said so.

    What a domain says of any name whatever counts only where nothing else is known: a wildcard is no proof of a host.
    """
    try:
        return "literal", [str(ipaddress.ip_address(name.strip("[]")))], ""
    except ValueError:
        pass
    table = [line.split("#")[0].split() for line in hosts.splitlines()]
    found = [fields[0] for fields in table if name in fields[1:]]
    if found or name == "localhost":
        # IPv4 first, as Docker's own lines are.
        return "ok", sorted(found or ["127.0.0.1"], key=lambda a: ":" in a), "/etc/hosts"
    domains = ["", *search] if name.count(".") >= ndots else [*search, ""]
    outcome, said_by, invented = "no nameserver", "", ("", [], "")  # type: ignore[var-annotated]
    for domain in domains:
        for server in servers:
            said = ask_dns(server, name + "." + domain, "udp", RESOLVE_TIMEOUT)
            outcome, said_by = said["outcome"], server
            if said["addresses"]:
                nobody = ask_dns(server, NOBODY + "." + domain, "udp", RESOLVE_TIMEOUT)["addresses"] if domain else []
                if not set(nobody) & set(said["addresses"]):
                    return "ok", said["addresses"], server
                invented = invented if invented[0] else ("ok", said["addresses"], server + WILDCARD + domain)
            if outcome != "timeout":
                break  # another server is asked only when this one is silent (resolv.conf(5))
    if invented[0]:
        return invented
    # A name that exists without an address is as good as none.
    return "NXDOMAIN" if outcome == "NOERROR" else outcome, [], said_by


def command(*words: str) -> bytes:
    """Encode one command (RESP, an array of bulk strings)."""
    parts = [f"*{len(words)}\r\n".encode()]
    for word in words:
        data = word.encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(parts)


def read_reply(sock: socket.socket) -> str:
    """Read what one command is answered with: a line ("+PONG", "-NOAUTH …"), or a bulk string's or array's text."""
    data = b""
    while len(data) < MAX_REPLY:
        line, end, rest = data.partition(b"\r\n")
        if end and line[:1] not in (b"$", b"*"):
            return line.decode("utf-8", "replace")
        if end and line[:1] == b"$" and len(rest) >= int(line[1:]):
            return rest.decode("utf-8", "replace")
        if end and line[:1] == b"*" and rest.count(b"\r\n") >= 2 * int(line[1:]):
            return rest.decode("utf-8", "replace")
        more = sock.recv(4096)
        if not more:
            break
        data += more
    return data.decode("utf-8", "replace")


def greet(address: str, port: int, user: str, password: str, tls: bool) -> "dict[str, Any]":
    """Connect, log in where a password is given, PING, and ask for its state."""
    said: "dict[str, Any]" = {"dial": "ok", "reply": "", "info": {}}
    sock = socket.socket(family(address), socket.SOCK_STREAM)
    sock.settimeout(CONNECT_TIMEOUT)
    try:
        sock.connect((address, port))
    except OSError as no:
        said["dial"] = why(no)
        return said
    try:
        with sock:
            if tls:
                return said  # that something listens is all that is asked of an encrypted port
            sock.settimeout(REPLY_TIMEOUT)
            if password:
                sock.sendall(command("AUTH", *([user] if user else []), password))
                said["reply"] = read_reply(sock)
                if not said["reply"].startswith("+"):
                    return said
            sock.sendall(command("PING"))
            said["reply"] = read_reply(sock)
            # A server that cannot save refuses even PING.
            if not said["reply"].startswith(("+PONG", "-MISCONF")):
                return said
            sock.sendall(command("INFO"))
            pairs = [line.partition(":") for line in read_reply(sock).splitlines()]
            said["info"] = {key: value for key, _, value in pairs if key in KEPT}
            if said["info"].get("rdb_last_bgsave_status") == "err":
                # It refuses writes then only if it is to save by itself, and told to refuse.
                for setting in ("save", "stop-writes-on-bgsave-error"):
                    sock.sendall(command("CONFIG", "GET", setting))
                    lines = read_reply(sock).split("\r\n")
                    if len(lines) > 3:
                        said["info"][setting] = lines[3]
    except (OSError, ValueError) as no:
        said["reply"] = said["reply"] or why(no)
    return said


def answer(question: "dict[str, Any]") -> "dict[str, Any]":
    """Resolve and greet; the address that answers best is reported."""
    if question.get("addresses"):
        outcome, addresses, said_by = "ok", question["addresses"], ""
    else:
        outcome, addresses, said_by = resolve(
            question["host"], question["hosts"], question["servers"], question["search"], question.get("ndots", 1)
        )
    result: "dict[str, Any]" = {"resolution": outcome, "addresses": addresses, "said_by": said_by, "dial": ""}
    for address in addresses[:3]:
        said = greet(address, question["port"], question["user"], question["password"], question["tls"])
        # Of those that fail the first counts: others may be IPv6 addresses where there is no IPv6.
        if said["dial"] == "ok" or not result["dial"]:
            result.update(said, tried=address)
        if said["dial"] == "ok":
            break
    return result


def main() -> None:
    """Answer the questions on standard input: passwords must not show among a process's arguments."""
    print(json.dumps([answer(question) for question in json.load(sys.stdin)]))


if __name__ == "__main__":
    main()
