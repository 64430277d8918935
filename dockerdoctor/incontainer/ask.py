"""
Answers questions about the network from wherever it runs: standard library only, one file, Python 3.6 and newer.

Its source is handed to an interpreter in a container that has nothing else; the same functions answer for the host.
Questions and answers are JSON: see `answer`. Nothing here raises; every answer has an outcome, in the words of
`dockerdoctor.host.Dial.outcome`.
"""

import errno
import json
import os
import socket
import struct
import sys
import threading
import time
from typing import Any, Callable

TIMEOUT = 1.5  # seconds for one question; a resolver's answer that takes longer is useless to a container
PATIENCE = 1.1  # seconds for a question that may be asked twice
RETRY_PAUSE = 0.05
IP_MTU_DISCOVER, IP_PMTUDISC_DO, IP_MTU = 10, 2, 14  # linux/in.h; Python names none of them
ICMP_ECHO, ICMP_ECHO_REPLY = 8, 0
RCODES = ("NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED")
TYPES = {"A": 1, "AAAA": 28}
EDNS_SIZE = 1200  # what glibc announces with "options edns0" (resolv/resolv-internal.h)


def why(error: BaseException) -> str:
    """Name a failure as one word."""
    if isinstance(error, socket.timeout):
        return "timeout"
    if isinstance(error, socket.gaierror):
        return next((n for n in dir(socket) if n.startswith("EAI_") and getattr(socket, n) == error.errno), "EAI_FAIL")
    if isinstance(error, OSError) and error.errno:
        return "timeout" if error.errno == errno.ETIMEDOUT else errno.errorcode.get(error.errno, str(error.errno))
    return type(error).__name__


def family(address: str) -> int:
    """Tell IPv6 literals from the rest."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def dns_query(name: str, number: int, kind: str = "A", edns: bool = False) -> bytes:
    """Build a query for records of a name (RFC 1035, section 4), with room for a long answer if asked (RFC 6891)."""
    labels = b"".join(struct.pack("B", len(p)) + p for p in name.encode("idna").rstrip(b".").split(b".") if p)
    header = struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, int(edns))
    room = b"\0" + struct.pack(">HHIH", 41, EDNS_SIZE, 0, 0) if edns else b""
    return header + labels + b"\0" + struct.pack(">HH", TYPES[kind], 1) + room


def skip_name(reply: bytes, at: int) -> int:
    """Return the offset behind a name, compressed or not."""
    while at < len(reply):
        length = reply[at]
        if length >= 0xC0:
            return at + 2
        at += 1 + length
        if not length:
            return at
    return at


def dns_read(reply: bytes, number: int) -> "tuple[str, list[str], bool]":
    """Read outcome, addresses and the truncation flag out of a reply."""
    if len(reply) < 12:
        return "malformed", [], False
    got, flags, questions, answers = struct.unpack(">HHHH", reply[:8])
    if got != number:
        return "malformed", [], False
    rcode = flags & 15
    addresses, at = [], 12
    try:
        for _ in range(questions):
            at = skip_name(reply, at) + 4
        for _ in range(answers):
            at = skip_name(reply, at)
            rtype, _, _, length = struct.unpack(">HHIH", reply[at : at + 10])
            at += 10
            if (rtype, length) in ((1, 4), (28, 16)):
                version = socket.AF_INET if rtype == 1 else socket.AF_INET6
                addresses.append(socket.inet_ntop(version, reply[at : at + length]))
            at += length
    except (struct.error, OSError, IndexError):
        pass
    return RCODES[rcode] if rcode < len(RCODES) else "RCODE%d" % rcode, addresses, bool(flags & 0x0200)


def receive(sock: socket.socket, size: int) -> bytes:
    """Read exactly so many bytes; fewer when the other side closes."""
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            break
        data += more
    return data


def ask_dns(
    server: str, name: str, transport: str, timeout: float = TIMEOUT, kind: str = "A", edns: bool = False
) -> "dict[str, Any]":
    """Ask one server one question over one transport."""
    number = struct.unpack(">H", os.urandom(2))[0]
    began = time.time()
    addresses: "list[str]" = []
    truncated = False
    try:
        query = dns_query(name, number, kind, edns)
        if transport == "udp":
            sock = socket.socket(family(server), socket.SOCK_DGRAM)
            sock.settimeout(timeout)
            sock.connect((server, 53))  # connected, so that an ICMP "port unreachable" is seen
            sock.send(query)
            reply = sock.recv(4096)
        else:
            sock = socket.create_connection((server, 53), timeout)
            sock.sendall(struct.pack(">H", len(query)) + query)
            head = receive(sock, 2)
            reply = receive(sock, struct.unpack(">H", head)[0]) if len(head) == 2 else b""
        sock.close()
        outcome, addresses, truncated = dns_read(reply, number) if reply else ("closed", [], False)
    except (OSError, UnicodeError) as no:
        outcome = why(no)
    return {
        "server": server,
        "transport": transport,
        "name": name,
        "outcome": outcome,
        "addresses": addresses,
        "truncated": truncated,
        "seconds": round(time.time() - began, 4),
        "kind": kind,
    }


def ask_record(server: str, name: str, kind: str, edns: bool) -> "list[dict[str, Any]]":
    """
    Ask one server for records of a name, as a C library goes about it.

    Silence is answered with the same question once more, and an answer that did not fit with the same over TCP.
    """
    said = ask_dns(server, name, "udp", PATIENCE, kind, edns)
    if said["outcome"] == "timeout":
        said = ask_dns(server, name, "udp", PATIENCE, kind, edns)
    return [said, ask_dns(server, name, "tcp", PATIENCE, kind, edns)] if said["truncated"] else [said]


def lookup(name: str) -> "dict[str, Any]":
    """Resolve a name the way a program in the container would."""
    began = time.time()
    try:
        found = sorted({item[4][0] for item in socket.getaddrinfo(name, None, 0, socket.SOCK_STREAM)})
        outcome = "ok"
    except (OSError, UnicodeError) as no:
        found, outcome = [], why(no)
    return {"name": name, "outcome": outcome, "addresses": found, "seconds": round(time.time() - began, 4)}


def exchange(host: str, port: int, send: str = "", patience: float = 0.0, timeout: float = TIMEOUT) -> "dict[str, Any]":
    """
    Connect, send, and read the first bytes that come back; without `send` only connect.

    With `patience` (seconds), failing attempts are repeated for as long: the other side may still be starting.
    """
    began = time.time()
    while True:
        reply, status, address = "", "ok", ""
        try:
            sock = socket.create_connection((host, port), timeout)
            address = str(sock.getpeername()[0])
            sock.settimeout(timeout)
            if send:
                sock.sendall(send.encode("latin-1"))
                reply = sock.recv(2048).decode("latin-1")
                if not reply:
                    status = "closed"
            sock.close()
        except OSError as no:
            status = why(no)
        if status == "ok" or time.time() - began >= patience:
            break
        time.sleep(RETRY_PAUSE)
    return {
        "target": "%s:%d" % (host, port),
        "outcome": status,
        "reply": reply,
        "seconds": round(time.time() - began, 4),
        "address": address,
    }


def reach(host: str, port: int, send: str = "", timeout: float = TIMEOUT) -> "dict[str, Any]":
    """
    Resolve a name, and hold the same conversation with the first of its addresses that takes it, IPv4 before IPv6.

    What is timed is the conversation alone.
    """
    try:
        found = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    except (OSError, UnicodeError) as no:
        found, said = [], {"outcome": why(no), "reply": "", "seconds": 0.0, "address": ""}
    addresses = [str(item[4][0]) for item in sorted(found, key=lambda item: item[0] != socket.AF_INET)]
    for address in list(dict.fromkeys(addresses))[:2]:
        said = dict(exchange(address, port, send, 0.0, timeout), address=address)
        if said["outcome"] == "ok":
            break
    said["target"] = "%s:%d" % (host, port)
    return said


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    total = int(sum(struct.unpack(">%dH" % (len(data) // 2), data)))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def ping(target: str, payload: int, timeout: float = 0.7) -> "dict[str, Any]":
    """
    Send one ICMP echo with "don't fragment" set, twice when the first is not answered.

    Returns the outcome and the path MTU that the kernel learnt. The second attempt meets EMSGSIZE where a router's
    "fragmentation needed" arrived, and silence where it was lost on the way (RFC 1191).
    """
    raw = False
    try:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
    except OSError:
        try:
            sock, raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP), True
        except OSError as no:
            return {"target": target, "payload": payload, "outcome": "unable: " + why(no), "mtu": 0, "seconds": 0.0}
    outcome, mtu, took = "timeout", 0, 0.0
    number = os.getpid() & 0xFFFF
    try:
        sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
        sock.connect((target, 0))
        for sequence in (1, 2):
            body = struct.pack(">BBHHH", ICMP_ECHO, 0, 0, number, sequence) + b"d" * payload
            packet = body[:2] + struct.pack(">H", checksum(body + b"\0" * (len(body) % 2))) + body[4:]
            began = time.time()
            end = began + timeout
            sock.send(packet)
            while time.time() < end and outcome == "timeout":
                sock.settimeout(max(0.01, end - time.time()))
                try:
                    got = sock.recv(65535)
                except socket.timeout:
                    break
                got = got[(got[0] & 15) * 4 :] if raw else got
                if got[:1] == b"\0" and len(got) >= payload:
                    outcome, took = "ok", time.time() - began
            if outcome == "ok":
                break
    except OSError as no:
        outcome = why(no)
    try:
        mtu = sock.getsockopt(socket.IPPROTO_IP, IP_MTU)
    except OSError:
        pass
    sock.close()
    return {"target": target, "payload": payload, "outcome": outcome, "mtu": mtu, "seconds": round(took, 4)}


def listen(port: int, token: str) -> None:
    """Answer every connection with a token, for as long as the container lives."""
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("0.0.0.0", port))
    server.listen(16)

    def serve() -> None:
        while True:
            client, _ = server.accept()
            try:
                client.sendall(token.encode())
                client.close()
            except OSError:
                pass

    threading.Thread(target=serve, daemon=True).start()


def read(path: str) -> str:
    """Read a small file; empty when there is none."""
    try:
        with open(path, errors="replace") as file:
            return file.read(65536)
    except OSError:
        return ""


def surroundings() -> "dict[str, Any]":
    """What Docker put into the container's network: addresses, default gateway, MTU, resolv.conf and hosts."""
    interfaces, gateway = [], ""
    for _, name in socket.if_nameindex():
        if name != "lo":
            interfaces.append({"name": name, "mtu": int(read("/sys/class/net/%s/mtu" % name).strip() or 0)})
    for line in read("/proc/net/route").splitlines()[1:]:
        fields = line.split()
        if len(fields) > 3 and fields[1] == "00000000":
            gateway = socket.inet_ntoa(struct.pack("<I", int(fields[2], 16)))
    return {
        "interfaces": interfaces,
        "gateway": gateway,
        "resolv_conf": read("/etc/resolv.conf"),
        "hosts": read("/etc/hosts"),
    }


def nameservers(resolv_conf: str) -> "list[str]":
    """The servers a resolv.conf names (resolv.conf(5))."""
    return [f[1] for f in (line.split() for line in resolv_conf.splitlines()) if len(f) > 1 and f[0] == "nameserver"]


def answer(questions: "dict[str, Any]", deadline: float) -> "dict[str, Any]":
    """
    Ask everything at once and return what came back before the deadline (seconds).

    `questions`: {"dns": {"servers": [ip], "names": [name], "own": bool}, "records": [[name, type]], "lookups": [name],
    "exchanges": [[host, port, send, patience]], "targets": [[host, port, send]], "pings": [[ip, payload]]}; a payload
    of 0 fills the interface's MTU.
    Returns `surroundings` and, under the same keys, lists of answers; what is late is missing from its list.
    """
    result = surroundings()
    own = nameservers(result["resolv_conf"])
    mtu = min([i["mtu"] for i in result["interfaces"]] or [1500])
    dns = questions.get("dns", {})
    servers = list(dict.fromkeys((own if dns.get("own") else []) + dns.get("servers", [])))
    jobs: "list[tuple[str, Callable[..., Any], tuple[Any, ...]]]" = [
        ("dns", ask_dns, (server, name, transport))
        for server in servers
        for name in dns.get("names", [])
        # Docker's embedded resolver relays TCP as slowly as the slowest server behind it, and nobody asks it so.
        for transport in (("udp",) if server.startswith("127.") else ("udp", "tcp"))
    ]
    options = [f for f in (line.split() for line in result["resolv_conf"].splitlines()) if f[:1] == ["options"]]
    edns = any("edns0" in f for f in options)
    wanted = questions.get("records", [])
    jobs += [("records", ask_record, (server, name, kind, edns)) for server in servers for name, kind in wanted]
    jobs += [("lookups", lookup, (name,)) for name in questions.get("lookups", [])]
    jobs += [("exchanges", exchange, tuple(item)) for item in questions.get("exchanges", [])]
    jobs += [("targets", reach, tuple(item)) for item in questions.get("targets", [])]
    jobs += [("pings", ping, (target, size or mtu - 28)) for target, size in questions.get("pings", [])]
    result.update({"nameservers": own, "dns": [], "records": [], "lookups": [], "exchanges": [], "targets": []})
    result["pings"] = []
    lock = threading.Lock()

    def work(kind: str, function: "Callable[..., Any]", arguments: "tuple[Any, ...]") -> None:
        said = function(*arguments)
        with lock:
            result[kind] += said if isinstance(said, list) else [said]

    threads = [threading.Thread(target=work, args=job, daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    end = time.time() + deadline
    for thread in threads:
        thread.join(max(0.0, end - time.time()))
    with lock:
        return dict(json.loads(json.dumps(result)))


def main() -> None:
    """Answer the questions in argv[1], then stay for `linger` seconds so that a listener can be tried."""
    questions = json.loads(sys.argv[1])
    if questions.get("listen"):
        listen(questions["listen"], questions["token"])
    print(json.dumps(answer(questions, questions["deadline"])), flush=True)
    time.sleep(questions.get("linger", 0))
    os._exit(0)  # threads that still wait for an answer are not waited for


if __name__ == "__main__":
    main()
