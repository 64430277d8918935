"""What each command comes to: files as they shall be, and what takes the rest back."""

import shlex
from dataclasses import replace

import pytest

from dockerdoctor.fixes.shell import NotOurs
from dockerdoctor.fixes.steps import Back, Folder, Put, Run, from_json, to_json
from dockerdoctor.fixes.vocabulary import understand
from dockerdoctor.host import Completed, Host

RULES = "-P FORWARD DROP\n-A FORWARD -j DOCKER-USER\n-A FORWARD -i docker0 -j DROP\n"
NFT = "table inet fw { # handle 1\n\tchain out { # handle 2\n\t\ttype filter hook output priority 0; policy accept;\n\t\tct state new accept # handle 4\n\t\ttcp dport 53 drop # handle 7\n\t}\n}\n"
SAYS = {
    "docker inspect --format '{{json .HostConfig}}' web": '{"Memory": 10000000, "PidsLimit": null}',
    "docker inspect --format '{{json .HostConfig}}' free": '{"Memory": 0}',
    "iptables -t filter -S FORWARD": RULES,
    "nft --stateless --handle list chain inet fw out": NFT,
    "sysctl -n net.ipv4.ip_forward": "0\n",
    "docker context show": "desktop\n",
    "prlimit --pid 9 --nofile --output SOFT,HARD --noheadings --raw": "64 4096\n",
    "ip -o link show dev docker0": "3: docker0: <NO-CARRIER,BROADCAST,MULTICAST,UP> mtu 1500\n",
    "ip -o link show dev br-1": "4: br-1: <BROADCAST,MULTICAST> mtu 1500\n",
    "systemctl is-active --quiet docker": "",
    "systemctl is-active --quiet web.service": "",
    "systemctl is-enabled --quiet containerd": "",
}


class Fake(Host):
    """A root of its own; sed is real, other commands say what they are told to."""

    def run(self, *argv, timeout=3.0, stdin="", env=None):
        if argv[0] == "sed":
            return super().run(*argv, timeout=timeout, stdin=stdin, env=env)
        said = SAYS.get(shlex.join(argv))
        return Completed(0, said, "") if said is not None else Completed(3, "", "no")


@pytest.fixture
def host(tmp_path):
    folder = tmp_path / "etc/docker"
    folder.mkdir(parents=True)
    (folder / "daemon.json").write_bytes(b'{"debug": tru}\r\n')
    (folder / "daemon.json").chmod(0o640)
    (folder / "bytes").write_bytes(b"\xff\xfe")
    (folder / "link").symlink_to("daemon.json")
    (folder / "circle").symlink_to("circle")
    return Fake(tmp_path, {})


def changes(host, *fix):
    """What each file was and shall be."""
    found = {}
    for step in understand(fix, host).steps:
        assert isinstance(step, Put)
        found[step.path] = (step.before and step.before.data, step.after and step.after.data)
    return found


FILE, WAS = "/etc/docker/daemon.json", b'{"debug": tru}\r\n'


@pytest.mark.parametrize(
    ("fix", "after"),
    [
        ("tee /etc/docker/daemon.json <<< '{}'", b"{}\n"),
        ("echo '{}' > /etc/docker/daemon.json", b"{}\n"),
        ("echo x >> /etc/docker/daemon.json", WAS + b"x\n"),
        ("sed -i -E 's/tru\\}/true}/' /etc/docker/daemon.json", b'{"debug": true}\r\n'),
        ("sed -z -i 's#{#{\\n  \"a\": 1,#' /etc/docker/daemon.json", b'{\n  "a": 1,"debug": tru}\r\n'),
        ("rm /etc/docker/daemon.json", None),
        ("sed -i --follow-symlinks s/tru/true/ /etc/docker/link", b'{"debug": true}\r\n'),
        ("sed -i s/tru/true/ /etc/docker/link", b'{"debug": true}\r\n'),
        ("sed -i s/tru/x/ /etc/docker/daemon.json; sed -i s/x/false/ /etc/docker/daemon.json", b'{"debug": false}\r\n'),
    ],
)
def test_files_become(host, fix, after):
    assert changes(host, fix)[FILE][1] == after
    assert host.read_bytes(FILE) == WAS, "planning changes nothing"


def test_owner_and_mode_are_kept(host):
    (step,) = understand(["tee /etc/docker/daemon.json <<< '{}'"], host).steps
    assert (step.after.mode, step.after.uid, step.before.data) == (0o640, step.before.uid, WAS)


def test_what_is_new_gets_the_mode_said_and_its_folders(host):
    steps = understand(["install -D -m 600 /dev/stdin /etc/a/b/c.conf <<'END'\nx\nEND"], host).steps
    assert [step.path for step in steps] == ["/etc/a", "/etc/a/b", "/etc/a/b/c.conf"]
    assert steps[:2] == (Folder("/etc/a"), Folder("/etc/a/b"))
    assert (steps[2].before, steps[2].after.data, steps[2].after.mode) == (None, b"x\n", 0o600)


def test_a_copy_that_is_only_a_backup_is_the_journals_business(host):
    assert understand([f"cp -a --backup=numbered {FILE} {FILE}.bak"], host).steps == ()


def test_later_commands_see_earlier_ones(host):
    assert changes(host, f"mv {FILE} /etc/docker/old.json", "cp /etc/docker/old.json /etc/docker/new.json") == {
        FILE: (WAS, None),
        "/etc/docker/old.json": (None, WAS),
        "/etc/docker/new.json": (None, WAS),
    }


@pytest.mark.parametrize(
    ("fix", "run"),
    [
        ("systemctl daemon-reload", Run(("systemctl", "daemon-reload"), again=("systemctl", "daemon-reload"))),
        ("systemctl restart docker", Run(("systemctl", "restart", "docker"), again=("systemctl", "restart", "docker"))),
        ("systemctl start docker.socket", Run(("systemctl", "start", "docker.socket"), again=("systemctl", "stop", "docker.socket"))),
        ("systemctl stop web.service", Run(("systemctl", "stop", "web.service"), (Back(("systemctl", "start", "web.service")),))),
        ("systemctl unmask docker", Run(("systemctl", "unmask", "docker"), (Back(("systemctl", "mask", "docker")),))),
        ("systemctl enable --now docker", Run(("systemctl", "enable", "--now", "docker"), (Back(("systemctl", "disable", "docker")),))),
        ("sysctl -w net.ipv4.ip_forward=1", Run(("sysctl", "-w", "net.ipv4.ip_forward=1"), (Back(("sysctl", "-w", "net.ipv4.ip_forward=0")),))),
        (
            "iptables -D FORWARD -i docker0 -j DROP",
            Run(
                ("iptables", "-D", "FORWARD", "-i", "docker0", "-j", "DROP"),
                (
                    Back(
                        ("iptables", "-t", "filter", "-I", "FORWARD", "2", "-i", "docker0", "-j", "DROP"),
                        ("iptables", "-t", "filter", "-C", "FORWARD", "-i", "docker0", "-j", "DROP"),
                        expected=False,
                    ),
                ),
            ),
        ),
        (
            "iptables -I FORWARD 3 -i br-1 -j ACCEPT",
            Run(
                ("iptables", "-I", "FORWARD", "3", "-i", "br-1", "-j", "ACCEPT"),
                (
                    Back(
                        ("iptables", "-t", "filter", "-D", "FORWARD", "-i", "br-1", "-j", "ACCEPT"),
                        ("iptables", "-t", "filter", "-C", "FORWARD", "-i", "br-1", "-j", "ACCEPT"),
                    ),
                ),
            ),
        ),
        ("iptables -P FORWARD ACCEPT", Run(("iptables", "-P", "FORWARD", "ACCEPT"), (Back(("iptables", "-t", "filter", "-P", "FORWARD", "DROP")),))),
        (
            "nft delete rule inet fw out handle 7",
            Run(
                ("nft", "delete", "rule", "inet", "fw", "out", "handle", "7"),
                (
                    Back(
                        ("nft", "add", "rule", "inet", "fw", "out", "position", "4", "tcp dport 53 drop"),
                        ("nft", "--stateless", "list", "chain", "inet", "fw", "out"),
                        "tcp dport 53 drop",
                        expected=False,
                    ),
                ),
            ),
        ),
        (
            "nft insert rule inet fw out iifname '\"docker0\"' accept",
            Run(
                ("nft", "insert", "rule", "inet", "fw", "out", "iifname", '"docker0"', "accept"),
                (
                    Back(
                        ("nft", "delete", "rule", "inet", "fw", "out", "handle", "HANDLE"),
                        ("nft", "--stateless", "--handle", "list", "chain", "inet", "fw", "out"),
                        handles=("4", "7"),
                    ),
                ),
            ),
        ),
        ("docker context use default", Run(("docker", "context", "use", "default"), (Back(("docker", "context", "use", "desktop")),))),
        ("docker network create app", Run(("docker", "network", "create", "app"), (Back(("docker", "network", "rm", "app"), lenient=True),))),
        ("docker network connect --alias redis app web", Run(("docker", "network", "connect", "--alias", "redis", "app", "web"), (Back(("docker", "network", "disconnect", "app", "web"), lenient=True),))),
        ("docker start db", Run(("docker", "start", "db"), (Back(("docker", "stop", "db"), lenient=True),))),
        ("docker update --memory 40m --pids-limit 9 web", Run(("docker", "update", "--memory", "40m", "--pids-limit", "9", "web"), (Back(("docker", "update", "--memory", "10000000", "--pids-limit", "-1", "web")),))),
        ("ip link set docker0 up", Run(("ip", "link", "set", "docker0", "up"))),
        ("ip link set br-1 up", Run(("ip", "link", "set", "br-1", "up"), (Back(("ip", "link", "set", "dev", "br-1", "down"), lenient=True),))),
        ("rmdir /etc/docker", Run(("rmdir", "/etc/docker"), (Back(("mkdir", "-m", "755", "/etc/docker"), ("test", "-e", "/etc/docker"), expected=False),))),
        ("prlimit --pid 9 --nofile=20000:", Run(("prlimit", "--pid", "9", "--nofile=20000:"), (Back(("prlimit", "--pid", "9", "--nofile=64:4096"), lenient=True),))),
        ("update-ca-certificates", Run(("update-ca-certificates",), again=("update-ca-certificates",))),
        ("kill -CONT 9", Run(("kill", "-CONT", "9"))),
        ("groupadd --system docker", Run(("groupadd", "--system", "docker"), (Back(("groupdel", "docker")),))),
        ("chmod 660 /etc/docker/daemon.json", Run(("chmod", "660", FILE), (Back(("chmod", "640", FILE)),))),
    ],
)  # fmt: skip
def test_commands_and_what_takes_them_back(host, fix, run):
    assert understand([fix], host).steps == (run,)
    assert from_json(to_json(run, None), None) == run


@pytest.mark.parametrize(
    "fix",
    [
        "docker container prune --force",
        "docker rm web",
        "docker update --memory 40m free",
        "docker update --cpus 2 web",
        "rm -r /var/lib/docker/vfs",
        "rm /etc/not-there",
        'tee /etc/docker/daemon.json <<< \'{"proxies": {"http-proxy": "http://u:***@p:1"}}\'',
        "rm /etc/docker/link",
        "mv /etc/docker/daemon.json /etc/docker/link",
        "install -D /dev/stdin /etc/docker/link <<'END'\nx\nEND",
        "tee /etc/docker/circle <<< x",
        "truncate --size 0 /var/log/x",
        "kill 9",
        "iptables -F",
        "iptables -D FORWARD -j NOWHERE",
        "nft flush ruleset",
        "nft delete rule inet fw out handle 99",
        "apt-get install docker.io",
        "systemctl disable docker",
        "systemctl kill ssh.service",
        "sed -i s/a/b/ /etc/docker/bytes",
        "sed -i 'w /etc/passwd' /etc/docker/daemon.json",
        "sed -i 's/x/reboot/e' /etc/docker/daemon.json",
        "sed s/a/b/ /etc/docker/daemon.json",
        "tee relative <<< x",
        "tee /proc/sys/kernel/panic <<< 1",
        "tee /etc/docker <<< x",
        "chown -R root /etc",
        "ip link delete docker0",
        "mount /dev/sda1 /mnt",
        "reboot",
    ],
)
def test_what_cannot_be_taken_back_is_left_to_a_person(host, fix):
    with pytest.raises(NotOurs):
        understand(["systemctl daemon-reload", fix], host)


def test_advice_before_a_command_is_gone_with_it(host):
    understood = understand(["# either", "systemctl daemon-reload", "unset DOCKER_HOST", "# log in again"], host)
    assert understood.remains == ("unset DOCKER_HOST", "# log in again")


def test_files_survive_the_journal(host):
    kept = {}

    def keep(path, state):
        name = f"{len(kept)}{path}"
        kept[name] = ("/copy", state)
        return name

    for step in understand([f"sed -i s/tru/true/ {FILE}", "rm /etc/docker/bytes", "mkdir -p /etc/x"], host).steps:
        again = from_json(to_json(step, keep), kept.__getitem__)
        assert replace(again, copy="") == step if isinstance(step, Put) else again == step
