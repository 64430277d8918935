"""What the kernel is told is taken back as the kernel shows it: real rules, in a network namespace of its own."""

import shutil
import subprocess

import pytest

from dockerdoctor.fixes.journal import open_entry
from dockerdoctor.fixes.treatment import Treatment, carry_out, undo
from dockerdoctor.fixes.undo import to_undo
from dockerdoctor.fixes.vocabulary import understand
from dockerdoctor.host import Host

SETUP = """
set -e
nft add table inet fw
nft add chain inet fw out '{ type filter hook output priority 0; policy accept; }'
nft add rule inet fw out ct state new accept
nft add rule inet fw out tcp dport 53 drop
nft add rule inet fw out udp dport 53 counter drop comment '"a b"'
iptables -A FORWARD -i docker0 -j DROP
iptables -A FORWARD -m comment --comment 'office 7' -j DROP
iptables -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
iptables -A FORWARD -s 10.0.0.0/8 ! -o docker0 -j ACCEPT
iptables -A FORWARD -s 10.0.0.0/8 ! -o docker0 -j ACCEPT
"""
STATE = "iptables -S; iptables -t nat -S; nft --stateless list table inet fw"


class Inside(Host):
    """A root of its own, and commands in another network namespace."""

    def __init__(self, root, pid):
        super().__init__(root)
        self.pid = str(pid)

    def run(self, *argv, **options):
        return super().run("nsenter", "--target", self.pid, "--net", *argv, **options)


@pytest.fixture
def host(tmp_path):
    if not all(map(shutil.which, ("unshare", "nsenter", "nft", "iptables"))):
        pytest.skip("there are no firewalls' programs here")
    for folder in ("var/lib", "run"):
        (tmp_path / folder).mkdir(parents=True)
    with subprocess.Popen(("unshare", "--net", "sh", "-c", "echo; exec sleep 60"), stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        found = Inside(tmp_path, process.pid)
        try:
            if not (done := found.run("sh", "-c", SETUP)).ok:
                pytest.skip(f"no network namespace with rules can be made here: {done.err}")
            yield found
        finally:
            process.kill()


@pytest.mark.parametrize(
    "fix",
    [
        ("iptables -D FORWARD -i docker0 -j DROP", "iptables -D FORWARD -m comment --comment 'office 7' -j DROP"),
        # Docker's own such rule stays, wherever a kill strikes.
        ("iptables -I FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",),
        ("iptables -D FORWARD -s 10.0.0.0/8 ! -o docker0 -j ACCEPT",),
        # The kernel shows it in other words.
        ("iptables -I INPUT -i docker0 -p udp --dport 53 -j ACCEPT",),
        ("iptables -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",),
        ("iptables -P FORWARD DROP",),
        ("nft delete rule inet fw out handle 3", "nft delete rule inet fw out handle 4"),
        (
            'nft insert rule inet fw out iifname \'{ "docker0", "br-*" }\' accept',
            "nft insert rule inet fw out oifname '{ \"docker0\" }' ct state established,related accept",
        ),
    ],
)
def test_taken_back_and_what_was_not_done_is_not(host, fix):
    before = host.run("sh", "-c", STATE).out
    steps = understand(fix, host).steps
    # Killed after each was noted and before it was done.
    journal = open_entry(host, "area.check", "it is broken", steps)
    for number in range(len(steps)):
        journal.begin(number)
    undo(to_undo(host), host)
    assert host.run("sh", "-c", STATE).out == before
    carry_out(Treatment("area.check", "it is broken", steps), host, lambda: None)
    assert host.run("sh", "-c", STATE).out != before
    undo(to_undo(host), host)
    assert host.run("sh", "-c", STATE).out == before
