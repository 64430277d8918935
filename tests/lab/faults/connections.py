"""Faults of the kernel's tables: connections that find no room, and flows that are led where a container was."""

import time

from tests.lab.fault import Fault
from tests.lab.machine import Machine

# Enough of conntrack(8), which these machines do not have, to do what it is told in the doctor's own words: `-F`, and
# `-D -p udp [--orig-port-dst PORT] [--orig-src ADDRESS]` (linux/netfilter/nfnetlink_conntrack.h).
CONNTRACK = r"""#!/usr/bin/python3
import socket, struct, sys
netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
options = dict(zip(sys.argv[2::2], sys.argv[3::2]))

def send(kind, flags, body=b""):
    head = struct.pack("=IHHII", 20 + len(body), 1 << 8 | kind, 1 | flags, 1, 0)
    netlink.send(head + struct.pack("=BBH", socket.AF_INET, 0, 0) + body)

def messages():
    while True:
        data = netlink.recv(1 << 20)
        while data:
            size, kind = struct.unpack_from("=IH", data)
            yield kind, data[16:size]
            data = data[size + 3 & ~3 :]

def attributes(data):
    while data:
        size, kind = struct.unpack_from("=HH", data)
        yield kind & 0x3FFF, data[4:size], data[:size]
        data = data[size + 3 & ~3 :]

def told():
    kind, body = next(messages())
    code = struct.unpack_from("=i", body)[0]
    if code:
        sys.exit(f"conntrack: error {-code}")

if sys.argv[1] == "-F":
    send(2, 4)
    told()
    sys.exit()
assert sys.argv[1:4] == ["-D", "-p", "udp"]
found = []
send(1, 0x300)
for kind, body in messages():
    if kind == 3:
        break
    whole = {k: (inner, raw) for k, inner, raw in attributes(body[4:])}
    original = {k: inner for k, inner, _ in attributes(whole[1][0])}
    address = {k: inner for k, inner, _ in attributes(original[1])}
    ends = {k: inner for k, inner, _ in attributes(original[2])}
    fits = ends[1][0] == socket.IPPROTO_UDP
    if port := options.get("--orig-port-dst"):
        fits = fits and ends.get(3) == struct.pack(">H", int(port))
    if source := options.get("--orig-src"):
        fits = fits and socket.inet_ntoa(address[1]) == source
    if fits:
        found.append(whole[1][1])
for raw in found:
    send(2, 4, raw + b"\0" * (-len(raw) % 4))
    told()
print(f"conntrack: {len(found)} flow entries have been deleted.")
sys.exit(not found)
"""

# Tells the kernel of as many conversations as it remembers at most. It would give up those that are unanswered for new ones;
# these are "assured" (nf_conntrack_common.h: SEEN_REPLY 2, ASSURED 4, CONFIRMED 8).
FILL = r"""#!/usr/bin/python3
import socket, struct
netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
netlink.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)

def attribute(kind, body):
    return struct.pack("=HH", 4 + len(body), kind) + body + b"\0" * (-len(body) % 4)

def tuple_of(source, sport, destination, dport):
    ends = attribute(1, source) + attribute(2, destination)
    ports = attribute(1, b"\x11") + attribute(2, sport) + attribute(3, dport)
    return attribute(0x8001, ends) + attribute(0x8002, ports)

most = int(open("/proc/sys/net/netfilter/nf_conntrack_max").read())
here, there, nine = b"\x7f\0\0\1", b"\x7f\0\0\2", b"\0\x09"
tail = attribute(3, struct.pack(">I", 14)) + attribute(7, struct.pack(">I", 600))
batch = []
for number in range(most + 100):
    source, sport = b"\x7f\1\0" + bytes([number >> 16]), struct.pack(">H", number & 0xFFFF)
    body = struct.pack("=BBH", socket.AF_INET, 0, 0)
    body += attribute(0x8001, tuple_of(source, sport, here, nine)) + attribute(0x8002, tuple_of(here, nine, source, sport))
    body += tail
    batch.append(struct.pack("=IHHII", 16 + len(body), 1 << 8, 0x401, number, 0) + body)
    if len(batch) == 500 or number == most + 99:
        netlink.send(b"".join(batch))
        batch = []
"""


def prepare(machine: Machine) -> None:
    """Install what fills the table of connections, and what empties it."""
    machine.write("/usr/local/sbin/conntrack", CONNTRACK, 0o755)
    machine.write("/usr/local/sbin/fill", FILL, 0o755)


# Says every 0.2 s from the same port what it is, and writes down what is answered.
CLIENT = r"""
import socket, sys, time
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.bind(("", 40000))
client.settimeout(0.2)
while True:
    try:
        client.sendto(b"hello", (sys.argv[1], int(sys.argv[2])))
        said = client.recv(99)
        open(sys.argv[3], "w").write(f"{time.time()} {said.decode()}")
        time.sleep(0.2)
    except OSError:
        time.sleep(0.1)
"""
# Says what container answers.
SERVER = """
docker run -d --name {name} {options} python:3.13-slim python3 -c '
import socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("", 53))
while True:
    _, whom = server.recvfrom(99)
    server.sendto(b"{name}", whom)
'
"""


def server(name: str, options: str = "") -> str:
    """Run a container that answers every packet on port 53 with its own name."""
    return SERVER.format(name=name, options=options)


def outside(machine: Machine) -> None:
    """Install conntrack, and let somebody outside keep talking to UDP port 5353 of this machine."""
    machine.write("/usr/local/sbin/conntrack", CONNTRACK, 0o755)
    machine.run(server("dns", "-p 5353:53/udp"))
    heard = machine.slot.home / "heard"
    machine.on_gateway(["python3", "-c", CLIENT, machine.address, "5353", str(heard)])


def hears_nothing(machine: Machine) -> None:
    """Look whether somebody was answered since."""
    since = time.time()
    heard = machine.slot.home / "heard"
    while time.time() < since + 3:
        if heard.exists() and heard.stat().st_mtime > since:
            return
        time.sleep(0.1)
    raise AssertionError("the client outside is not answered")


def absent(machine: Machine) -> None:
    """Stop the container for as long as its client's flow is remembered with it, and start it again."""
    machine.run("sysctl -qw net.netfilter.nf_conntrack_udp_timeout=1 net.netfilter.nf_conntrack_udp_timeout_stream=2")
    machine.run("docker stop -t 0 dns; iptables -I INPUT -p udp --dport 5353 -j ACCEPT; sleep 3; docker start dns")
    time.sleep(3)


def sender(machine: Machine) -> None:
    """Let a container talk to somebody outside."""
    machine.write("/usr/local/sbin/conntrack", CONNTRACK, 0o755)
    answering = "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.bind(('{gateway}', 8125))\n"
    answering += "while True:\n s.sendto(b'thanks', s.recvfrom(99)[1])"
    machine.on_gateway(["python3", "-c", answering.replace("{gateway}", machine.gateway)])
    machine.write("/srv/client.py", CLIENT)
    machine.run(
        "docker run -d --name metrics -v /srv:/srv python:3.13-slim python3 /srv/client.py {gateway} 8125 /srv/heard"
    )


PYTHON = {"images": ("busybox", "python:3.13-slim")}
MASQUERADES = "-s 172.17.0.0/16 ! -o docker0 -j MASQUERADE"

FAULTS: tuple[Fault, ...] = (
    Fault(
        "net-conntrack-full",
        check="network.conntrack",
        setup=prepare,
        inject="fill",
        broken="timeout -k 1 12 docker run --rm busybox sh -c 'echo | nc -w 3 {gateway} 5000'",
        cure="conntrack -F",  # the limit is not for a machine to raise
    ),
    Fault(
        "net-conntrack-stale-udp",
        check="network.stale-udp",
        machine={**PYTHON, "daemon_json": {"userland-proxy": False}},
        setup=outside,
        inject=absent,
        broken=hears_nothing,
        verify_fix=True,
        engines=("20.10",),  # newer ones make the kernel forget (moby/moby#44742)
    ),
    Fault(
        "net-conntrack-stale-udp:sender",
        check="network.stale-udp",
        machine=PYTHON,
        setup=sender,
        inject=f"docker stop -t 0 metrics; conntrack -F; iptables -t nat -D POSTROUTING {MASQUERADES}; docker start metrics; "
        f"sleep 1; iptables -t nat -A POSTROUTING {MASQUERADES}; sleep 3",
        broken="sleep 1; test $(( $(date +%s) - $(stat -c %Y /srv/heard) )) -le 1",
        verify_fix=True,
    ),
)
