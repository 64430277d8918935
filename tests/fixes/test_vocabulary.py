"""What each command comes to: files as they shall be, and what takes the rest back."""

import os
import shlex
from dataclasses import replace

import pytest

from dockerdoctor.fixes.shell import NotOurs
from dockerdoctor.fixes.steps import Back, Folder, Put, Run, from_json, to_json
from dockerdoctor.fixes.vocabulary import automatic, understand
from dockerdoctor.host import MAX_FILE_BYTES, Completed, Host, Linked

RULES = "-P FORWARD DROP\n-A FORWARD -j DOCKER-USER\n-A FORWARD -i docker0 -j DROP\n"
NFT = "table inet fw { # handle 1\n\tchain out { # handle 2\n\t\ttype filter hook output priority 0; policy accept;\n\t\tct state new accept # handle 4\n\t\ttcp dport 53 drop # handle 7\n\t}\n}\n"
# A set on two lines, what nft cannot read itself, and a rule that is there twice.
ODD = '\tchain out { # handle 2\n\t\tip saddr { 10.0.0.1,\n\t\t\t     10.0.0.2 } drop # handle 5\n\t\txt match "comment" # handle 6\n\t\taccept # handle 7\n\t\taccept # handle 8\n'
ON_NETWORKS = """{
  "bridge": {"NetworkID": "b1"}, "taken": {"NetworkID": "t1", "Aliases": ["feed", "web"]}, "app": {"NetworkID": "gone"},
  "fixed": {"NetworkID": "f1", "IPAMConfig": {"IPv4Address": "10.9.0.7"}}, "named": {"NetworkID": "n1", "Aliases": ["db"]}
}"""
# What apt-get would do: bring new packages, replace one, remove one.
NEW = "NOTE: This is only a simulation!\nInst docker-buildx (0.13.1 Debian:13/stable [amd64])\nInst libnew (1 Debian:13/stable [amd64])\nConf libnew (1 Debian:13/stable [amd64])\n"
REPLACES = "Inst iptables [1.8.9-2] (1.8.11 Debian:13/stable [amd64])\n"
REMOVES = "Remv podman-docker [4.3]\nInst docker.io (20.10 Debian:12/stable [amd64])\n"
STATES = "dpkg-query --show --showformat '${db:Status-Status}\\n'"
LOG = f"/var/lib/docker/containers/{'a' * 64}/{'a' * 64}-json.log"
SAYS = {
    "apt-get --simulate install docker-buildx": NEW,
    "apt-get --simulate install iptables": REPLACES,
    "apt-get --simulate install docker.io": REMOVES,
    "apt-get --simulate install docker-compose": "Reading state information...\n",
    "apt-get --simulate install apparmor": "Inst apparmor (3.0 Debian:12/stable [amd64])\n",
    f"{STATES} docker-buildx libnew": "not-installed\n",
    f"{STATES} apparmor": "config-files\n",
    "docker system df --format '{{json .}}'": '{"Type": "Images", "Reclaimable": "1GB (9%)"}\n{"Type": "Build Cache", "Reclaimable": "140.2MB"}\n',
    "docker image ls --quiet --no-trunc --filter dangling=true": "sha256:1\nsha256:2\n",
    "docker image inspect --format '{{.Size}}' sha256:1 sha256:2": "3000000\n4400000\n",
    "docker inspect --format '{{.Id}}' web": "feedbeef\n",
    "docker network ls --no-trunc --format '{{.ID}}'": "b1\nt1\nf1\nn1\n",
    "nft --stateless --handle list chain inet odd out": ODD,
    "docker inspect --format '{{json .HostConfig}}' web": '{"Memory": 10000000, "PidsLimit": null}',
    "docker inspect --format '{{json .HostConfig}}' free": '{"Memory": 0}',
    "iptables -t filter -S FORWARD": RULES,
    "nft --stateless --handle list chain inet fw out": NFT,
    "sysctl -n net.ipv4.ip_forward": "0\n",
    "ip rule show priority 90": "",
    "ip rule show priority 91": "91:\tfrom all lookup vpn\n",
    "ip -o route show exact 10.9.0.0/16": "10.9.0.0/16 dev tun0 scope link linkdown \n",
    "ip -o route show exact 10.8.0.0/16": "",
    "ip -o route show exact 10.7.0.0/16": "10.7.0.0/16 via 10.0.0.1 dev eth0\n10.7.0.0/16 via 10.0.0.2 dev eth0 metric 9\n",
    "systemctl show --property Transient --value web.service": "no\n",
    "systemctl show --property Transient --value run-1.service": "yes\n",
    "systemctl is-active --quiet run-1.service": "",
    "prlimit --pid 9 --nofile --output SOFT,HARD --noheadings --raw": "64 4096\n",
    "ip -o link show dev docker0": "3: docker0: <NO-CARRIER,BROADCAST,MULTICAST,UP> mtu 1500\n",
    "ip -o link show dev br-1": "4: br-1: <BROADCAST,MULTICAST> mtu 1500\n",
    "systemctl is-active --quiet docker": "",
    "systemctl is-active --quiet web.service": "",
    "systemctl is-enabled containerd": "enabled\n",
    "docker network ls --format '{{.Name}}'": "bridge\nhost\ntaken\n",
    "docker inspect --format '{{json .NetworkSettings.Networks}}' web": ON_NETWORKS,
    "docker inspect --format '{{.State.Running}}' busy": "true\n",
    "docker inspect --format '{{.State.Running}}' done": "false\n",
    "ip -o address show dev docker0": "3: docker0    inet 172.17.0.1/16 brd 172.17.255.255 scope global docker0\n",
    "iptables -t filter -C FORWARD -p udp --dport 53 -j DROP": "",
}


class Fake(Host):
    """A root of its own; sed is real, other commands say what they are told to."""

    def run(self, *argv, timeout=3.0, stdin="", env=None):
        if argv[0] == "sed":
            return super().run(*argv, timeout=timeout, stdin=stdin, env=env)
        if argv[:2] == ("systemctl", "is-enabled") and argv[2] in {"docker", "linked.service"}:
            return Completed(1, "disabled\n" if argv[2] == "docker" else "linked\n", "")
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
    (folder / "huge").write_bytes(b"x" * (MAX_FILE_BYTES + 1))
    (folder / "one").write_text("x\n")
    (folder / "other").hardlink_to(folder / "one")
    (folder / "accent").write_text("é\n")
    os.mkfifo(folder / "pipe")
    (folder / "suid").write_text("x")
    (folder / "suid").chmod(0o4755)
    mounted = tmp_path / f"var/lib/docker/containers/{'a' * 64}"
    mounted.mkdir(parents=True)
    (mounted / "resolv.conf").write_text("x\n")
    (mounted / f"{'a' * 64}-json.log").write_text("x" * 1_500_000)
    units = tmp_path / "etc/systemd/system"
    units.mkdir(parents=True)
    (units / "docker.service").symlink_to("/dev/null")
    process = tmp_path / "proc/9"
    process.mkdir(parents=True)
    (process / "stat").write_text(f"9 (a (b) c) S {' '.join(map(str, range(4, 22)))} 4711 0 0\n")
    (tmp_path / "run").mkdir()
    (tmp_path / "run/x.pid").write_text("1")
    (tmp_path / "run/x.pid").chmod(0o600)
    return Fake(tmp_path, {})


def changes(host, *fix):
    """What each file was and shall be."""
    found = {}
    for step in understand(fix, host).steps:
        assert isinstance(step, Put)
        found[step.path] = (step.before and step.before.data, step.after and step.after.data)
    return found


UID, GID = str(os.getuid()), str(os.getgid())
FILE, WAS = "/etc/docker/daemon.json", b'{"debug": tru}\r\n'


@pytest.mark.parametrize(
    ("fix", "after"),
    [
        ("tee /etc/docker/daemon.json <<< '{}'", b"{}\r\n"),
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
        ("systemctl start docker.socket", Run(("systemctl", "start", "docker.socket"), (Back(("systemctl", "stop", "docker.socket")),))),
        # One that ran is restarted on the way back, one that did not is stopped.
        ("systemctl start docker.socket docker", Run(("systemctl", "start", "docker.socket", "docker"), (Back(("systemctl", "stop", "docker.socket")),), again=("systemctl", "restart", "docker"))),
        ("systemctl stop web.service", Run(("systemctl", "stop", "web.service"), (Back(("systemctl", "start", "web.service")),))),
        ("systemctl unmask docker", Run(("systemctl", "unmask", "docker"), (Back(("systemctl", "mask", "docker"), lasting=True),))),
        ("systemctl unmask docker.socket", Run(("systemctl", "unmask", "docker.socket"))),
        ("systemctl enable containerd", Run(("systemctl", "enable", "containerd"))),
        ("systemctl enable --now docker", Run(("systemctl", "enable", "--now", "docker"), (Back(("systemctl", "disable", "docker"), lasting=True),))),
        ("sysctl -w net.ipv4.ip_forward=1", Run(("sysctl", "-w", "net.ipv4.ip_forward=1"), (Back(("sysctl", "-w", "net.ipv4.ip_forward=0"), ("sysctl", "-n", "net.ipv4.ip_forward")),))),
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
                        "\t\ttcp dport 53 drop\n",
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
                        'iifname "docker0" accept',
                        handles=("4", "7"),
                    ),
                ),
            ),
        ),
        ("docker network create app", Run(("docker", "network", "create", "app"), (Back(("docker", "network", "rm", "app"), lenient=True, lasting=True),))),
        ("docker network connect --alias redis new web", Run(("docker", "network", "connect", "--alias", "redis", "new", "web"), (Back(("docker", "network", "disconnect", "new", "web"), lenient=True, lasting=True),))),
        ("sleep 4", Run(("sleep", "4"))),
        ("rm -f /run/x.pid", Run(("rm", "-f", "/run/x.pid"))),
        ("ip rule add from 10.9.0.0/16 lookup main priority 90", Run(("ip", "rule", "add", "from", "10.9.0.0/16", "lookup", "main", "priority", "90"), (Back(("ip", "rule", "del", "from", "10.9.0.0/16", "lookup", "main", "priority", "90"), ("ip", "rule", "show", "priority", "90"), "90:\tfrom 10.9.0.0/16 lookup main"),))),
        ("ip route replace 10.9.0.0/16 dev br0", Run(("ip", "route", "replace", "10.9.0.0/16", "dev", "br0"), (Back(("ip", "route", "replace", "10.9.0.0/16", "dev", "tun0", "scope", "link"), lenient=True),))),
        ("ip route replace 10.8.0.0/16 dev br0 src 10.8.0.1", Run(("ip", "route", "replace", "10.8.0.0/16", "dev", "br0", "src", "10.8.0.1"), (Back(("ip", "route", "del", "10.8.0.0/16", "dev", "br0", "src", "10.8.0.1"), lenient=True),))),
        ("nft chain inet fw out '{ policy drop ; }'", Run(("nft", "chain", "inet", "fw", "out", "{ policy drop ; }"), (Back(("nft", "chain", "inet", "fw", "out", "{ policy accept ; }")),))),
        ("docker start busy", Run(("docker", "start", "busy"))),
        ("docker stop busy done", Run(("docker", "stop", "busy", "done"), (Back(("docker", "start", "busy"), lenient=True),))),
        ("docker start db", Run(("docker", "start", "db"), (Back(("docker", "stop", "db"), lenient=True),))),
        ("docker update --memory 40m --pids-limit 9 web", Run(("docker", "update", "--memory", "40m", "--pids-limit", "9", "web"), (Back(("docker", "update", "--memory", "10000000", "--pids-limit", "-1", "web"), lasting=True),))),
        # Leaving a network that is gone loses nothing; one that is there is joined again.
        ("docker network disconnect --force app web", Run(("docker", "network", "disconnect", "--force", "app", "web"))),
        ("docker network disconnect taken web", Run(("docker", "network", "disconnect", "taken", "web"), (Back(("docker", "network", "connect", "taken", "web"), lenient=True, lasting=True),))),
        ("docker builder prune --all --force", Run(("docker", "builder", "prune", "--all", "--force"), forever="140.2MB of build cache")),
        ("docker image prune --force", Run(("docker", "image", "prune", "--force"), forever="2 images without a name, 7MB in all")),
        (f"truncate --size 0 {LOG}", Run(("truncate", "--size", "0", LOG), forever="what aaaaaaaaaaaa has said: 2MB of its log")),
        ("ip link set docker0 arp on", Run(("ip", "link", "set", "docker0", "arp", "on"), (Back(("ip", "link", "set", "dev", "docker0", "arp", "off"), lenient=True),))),
        ("ip link set br0 type bridge stp_state 0", Run(("ip", "link", "set", "br0", "type", "bridge", "stp_state", "0"), (Back(("ip", "link", "set", "dev", "br0", "type", "bridge", "stp_state", "1"), lenient=True),))),
        ("ip link set docker0 up", Run(("ip", "link", "set", "docker0", "up"))),
        ("ip link set br-1 up", Run(("ip", "link", "set", "br-1", "up"), (Back(("ip", "link", "set", "dev", "br-1", "down"), lenient=True),))),
        ("rmdir /etc/docker", Run(("rmdir", "/etc/docker"), (Back(("install", "-d", "-m", "755", "-o", UID, "-g", GID, "/etc/docker"), ("test", "-e", "/etc/docker"), expected=False, lasting=True),))),
        ("prlimit --pid 9 --nofile=20000:", Run(("prlimit", "--pid", "9", "--nofile=20000:"), (Back(("prlimit", "--pid", "9", "--nofile=64:4096"), ("cat", "/proc/9/stat"), " 4711 ", lenient=True),))),
        ("update-ca-certificates", Run(("update-ca-certificates",), again=("update-ca-certificates",))),
        ("kill -CONT 9", Run(("kill", "-CONT", "9"))),
        ("groupadd --system no-such-group", Run(("groupadd", "--system", "no-such-group"), (Back(("groupdel", "no-such-group"), ("getent", "group", "no-such-group"), lasting=True),))),
        ("usermod -aG no-such-group alice", Run(("usermod", "-aG", "no-such-group", "alice"), (Back(("gpasswd", "-d", "alice", "no-such-group"), lenient=True, lasting=True),))),
        ("chmod 660 /etc/docker/daemon.json", Run(("chmod", "660", FILE), (Back(("chmod", "640", FILE), ("test", "-e", FILE), lasting=True),))),
        # Links are followed, as chmod does; what lies in /run is gone after another boot.
        ("chmod 660 /etc/docker/link", Run(("chmod", "660", FILE), (Back(("chmod", "640", FILE), ("test", "-e", FILE), lasting=True),))),
        ("chmod 660 /run/x.pid", Run(("chmod", "660", "/run/x.pid"), (Back(("chmod", "600", "/run/x.pid"), ("test", "-e", "/run/x.pid")),))),
        ("chown 7 /etc/docker/suid", Run(("chown", "7", "/etc/docker/suid"), (Back(("chown", f"{UID}:{GID}", "/etc/docker/suid"), ("test", "-e", "/etc/docker/suid"), lasting=True), Back(("chmod", "4755", "/etc/docker/suid"), ("test", "-e", "/etc/docker/suid"), lasting=True)))),
        ("ip address add 10.9.0.1/16 brd + dev docker0", Run(("ip", "address", "add", "10.9.0.1/16", "brd", "+", "dev", "docker0"), (Back(("ip", "address", "del", "10.9.0.1/16", "dev", "docker0"), lenient=True),))),
        # Such a rule is there already, further down: only one more than before is ours.
        ("iptables -I FORWARD -i docker0 -j DROP", Run(("iptables", "-I", "FORWARD", "-i", "docker0", "-j", "DROP"), (Back(("iptables", "-t", "filter", "-D", "FORWARD", "-i", "docker0", "-j", "DROP"), ("iptables", "-t", "filter", "-S", "FORWARD"), "-A FORWARD -i docker0 -j DROP\n", 1),))),
    ],
)  # fmt: skip
def test_commands_and_what_takes_them_back(host, fix, run):
    assert understand([fix], host).steps == (run,)
    assert from_json(to_json(run, None), None) == run


@pytest.mark.parametrize(
    "fix",
    [
        "docker container prune --force",
        "echo 'a\\tb' > /etc/docker/daemon.json",
        "docker restart --help",
        "docker start -a web",
        "docker stop gone",
        "docker network create taken",
        "docker network connect taken web",
        "sed -i s/x/y/ /etc/docker/huge",
        "rm /etc/docker/huge",
        "tee /etc/docker/pipe <<< x",
        "tee /etc/docker/one <<< x",
        "sed -i 's/^.//' /etc/docker/accent",
        f"echo x > /var/lib/docker/containers/{'a' * 64}/resolv.conf",
        "chmod 600 relative",
        "chmod 600 /proc/9/stat",
        "systemctl enable linked.service",
        "systemctl restart",
        "update-ca-certificates --fresh",
        "conntrack -F",
        "groupadd root",
        "ip address add 172.17.0.1/16 dev docker0",
        "iptables -A FORWARD -i docker0 -j DROP",
        "iptables -I FORWARD 3 -i docker0 -j DROP",
        "iptables -I FORWARD -p udp --dport 53 -j DROP",
        "nft insert rule inet fw out position 4 accept",
        "nft delete rule inet odd out handle 5",
        "nft delete rule inet odd out handle 6",
        "nft delete rule inet odd out handle 7",
        "docker rm web",
        "docker update --memory 40m free",
        "docker update --cpus 2 web",
        "rm -r /var/lib/docker/vfs",
        "rm /etc/not-there",
        'tee /etc/docker/daemon.json <<< \'{"proxies": {"http-proxy": "http://u:***@p:1"}}\'',
        "mv /etc/docker/daemon.json /etc/docker/link",
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


def test_advice_before_a_command_is_to_be_read_before(host):
    understood = understand(["# either", "systemctl daemon-reload", "unset DOCKER_HOST", "# log in again"], host)
    assert understood.remains == ("unset DOCKER_HOST", "# log in again")
    assert understood.advice == ("# either",)


def test_packages_come_apart_from_their_download_and_go_by_name(host):
    loaded, installed = understand(["apt-get update", "apt-get install -y docker-buildx"], host).steps
    assert loaded == Run(("apt-get", "install", "--yes", "--download-only", "docker-buildx"))
    assert "--no-remove" in installed.argv
    assert installed.back == (Back(("dpkg", "--purge", "docker-buildx", "libnew"), lasting=True),)


def test_a_container_that_has_left_a_network_may_join_another_of_its_name(host):
    both = understand(["docker network disconnect --force app web", "docker network connect app web"], host).steps
    assert [step.argv[2] for step in both] == ["disconnect", "connect"]


@pytest.mark.parametrize(
    ("fix", "reason"),
    [
        ("apt-get install iptables", "replace iptables"),
        ("apt-get install docker.io", "remove or replace podman-docker"),
        ("apt-get install docker-compose", "--reinstall"),
        ("apt-get install no-such-package", "apt-get update first"),
        ("apt-get install -y apparmor", "left its settings"),
        ("apt-get install --reinstall -y docker-compose", "what its files were like"),
        ("apt-get remove docker-buildx", "only the installation"),
        ("docker volume prune --force", "may be wanted"),
        ("docker image prune --all --force", "may be wanted"),
        ("docker system prune --force", "may be wanted"),
        ("docker network disconnect other web", "is not on other"),
        ("docker network disconnect fixed web", "an address"),
        ("docker network disconnect named web", "other names"),
        ("mount -o remount,rw /srv", "is in use at once"),
        ("systemctl start srv.mount", "is in use at once"),
        ("systemctl stop run-1.service", "has no file"),
        ("kill 9", "does not come back"),
        ("ip rule add from all lookup main priority 91", "priority 91 already"),
        ("ip rule add from all lookup main", "priority NUMBER"),
        ("ip route replace 10.7.0.0/16 dev br0", "several routes"),
        ("ip route add 10.7.0.0/16 dev br0", "ip route replace"),
        ("ip neigh flush all", "of ip only"),
        ("nft chain inet odd out '{ policy drop ; }'", "no policy"),
        ("sleep 1m", "sleep SECONDS"),
        ("timedatectl set-ntp true", "a clock that jumps"),
        ("nsenter --net --target 9 iptables -F", "inside a container"),
    ],
)
def test_why_it_is_left_to_a_person(host, fix, reason):
    with pytest.raises(NotOurs, match=reason):
        understand([fix], host)


def test_nothing_is_pruned_where_nothing_would_be_freed(host, monkeypatch):
    monkeypatch.setitem(SAYS, "docker image ls --quiet --no-trunc --filter dangling=true", "")
    monkeypatch.setitem(
        SAYS, "docker system df --format '{{json .}}'", '{"Type": "Build Cache", "Reclaimable": "0B"}\n'
    )
    for fix in ("docker image prune --force", "docker builder prune --all --force"):
        with pytest.raises(NotOurs, match="would free nothing"):
            understand([fix], host)


def test_journals_of_before_know_of_nothing_that_is_gone_for_good(host):
    (step,) = understand(["systemctl daemon-reload"], host).steps
    written = to_json(step, None)
    del written["forever"]
    assert from_json(written, None) == step


def test_files_survive_the_journal(host):
    kept = {}

    def keep(path, state):
        name = f"{len(kept)}{path}"
        kept[name] = ("/copy", state)
        return name

    for step in understand([f"sed -i s/tru/true/ {FILE}", "rm /etc/docker/bytes", "mkdir -p /etc/x"], host).steps:
        again = from_json(to_json(step, keep), kept.__getitem__)
        assert replace(again, copy="") == step if isinstance(step, Put) else again == step


def test_rules_that_are_deleted_one_after_the_other_return_to_their_places(host):
    both = understand(["iptables -D FORWARD -j DOCKER-USER", "iptables -D FORWARD -i docker0 -j DROP"], host).steps
    # The last is put back first: into a chain that lacks the other.
    assert [step.back[0].argv[3:6] for step in both] == [("-I", "FORWARD", "1"), ("-I", "FORWARD", "1")]
    assert [step.back[0].argv[6:] for step in both] == [("-j", "DOCKER-USER"), ("-i", "docker0", "-j", "DROP")]
    both = understand(["iptables -I FORWARD -i br-1 -j ACCEPT", "iptables -D FORWARD -i docker0 -j DROP"], host).steps
    assert both[1].back[0].argv[3:6] == ("-I", "FORWARD", "3")


def test_a_rule_of_nft_is_put_back_behind_one_that_is_there(host):
    one, two = understand([f"nft delete rule inet fw out handle {n}" for n in (4, 7)], host).steps
    assert one.back[0].argv[1] == two.back[0].argv[1] == "insert"
    with pytest.raises(NotOurs, match="behind it"):
        understand([f"nft delete rule inet fw out handle {n}" for n in (7, 4)], host)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"auths": {},\r\n  "currentContext": "gone"}', '{"auths": {}}'),
        ('{\n\t"currentContext": "gone",\n\t"auths": {}\n}\n', '{\n\t"auths": {}\n}\n'),
        ('{"currentContext": "a", "currentContext": "b"}', "{}"),
    ],
)
def test_the_default_context_is_chosen_by_one_line_of_the_clients_file(host, before, after):
    file = host.path("/root/.docker/config.json")
    file.parent.mkdir(parents=True)
    file.write_bytes(before.encode())
    own = Fake(host.root, {"HOME": "/root"})
    (step,) = understand(["docker --context default context use default"], own).steps
    assert (step.path, step.before.data, step.after.data) == (
        "/root/.docker/config.json",
        before.encode(),
        after.encode(),
    )
    file.write_text("no")
    with pytest.raises(NotOurs, match="line 1 column 1"):
        understand(["docker context use default"], own)


def test_what_dockerd_makes_anew_is_not_taken_away(host):
    name = "/var/lib/docker/network/files/local-kv.db"
    file = host.path(name)
    file.parent.mkdir(parents=True)
    file.write_text("x")
    with pytest.raises(NotOurs, match="makes another"):
        understand([f"mv {name} {name}.broken"], host)


@pytest.mark.parametrize(
    ("fix", "mine"),
    [
        ("doctor fix-dns --write", True),
        ("docker doctor fix-dns --write", True),
        ("python3 ./doctor.pyz fix-dns --write", True),
        ("kill 9", False),
        ("kill -CONT 9", True),
        ("docker run -d redis", False),
        ("docker --context default context use default", True),
        ("docker logout reg.example", False),
        ("docker network rm app", False),
        ("docker network connect app web", True),
        ("ip route replace 10.8.0.0/16 dev br0", True),
        ("ip neigh flush all", False),
        ("mount -o remount,rw /srv", False),
    ],
)
def test_what_can_never_be_taken_back_is_not_called_automatic(fix, mine):
    assert automatic([fix]) is mine


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n", " \t"])
def test_json_ends_as_it_did(host, end):
    name = "/etc/docker/daemon.json"
    host.path(name).write_text('{"a": 1,}' + end, newline="")
    (step,) = understand([f"tee {name} <<< '{{\"a\": 1}}'"], host).steps
    assert step.after.data == f'{{"a": 1}}{end}'.encode()
    # Of what is no JSON nothing is known.
    host.path("/etc/a").write_text("x" + end, newline="")
    assert understand(["tee /etc/a <<< y"], host).steps[0].after.data == b"y\n"


LINK = "/etc/docker/link"


def test_links_are_made_replaced_and_removed(host):
    old = Linked("daemon.json", os.getuid(), os.getgid())
    (step,) = understand([f"ln -sf ../run/x {LINK}"], host).steps
    assert (step.path, step.before, step.after) == (LINK, old, Linked("../run/x"))
    (step,) = understand([f"rm {LINK}"], host).steps
    assert (step.path, step.before, step.after) == (LINK, old, None)
    (step,) = understand(["ln -s a /etc/docker/new"], host).steps
    assert (step.before, step.after) == (None, Linked("a"))
    (step,) = understand([f"ln -sfn a {FILE}"], host).steps
    assert (step.before.data, step.after) == (b'{"debug": tru}\r\n', Linked("a"))
    # What takes a link's place is seen by what comes after it.
    one, two = understand([f"install -m 644 /dev/stdin {LINK} <<'END'\nx\nEND", f"tee {LINK} <<< y"], host).steps
    assert (one.path, one.before, one.after.data, two.after.data) == (LINK, old, b"x\n", b"y\n")
    assert from_json(to_json(step, lambda *_: "1-x"), lambda _: ("/copy", step.before)) == replace(step, copy="/copy")
    assert from_json(to_json(one, lambda *_: "1-x"), lambda _: ("/copy", one.after)) == one


@pytest.mark.parametrize(
    ("fix", "reason"),
    [
        (f"ln -s a {FILE}", "there already"),
        (f"ln a {FILE}", "options"),
        ("ln -sf a /etc/docker", "regular"),
        (f"mv {LINK} /etc/docker/x", "one of both is a link"),
        (f"install /etc/docker/one {LINK}", "is a link"),
    ],
)
def test_what_is_not_done_with_links(host, fix, reason):
    with pytest.raises(NotOurs, match=reason):
        understand([fix], host)


@pytest.mark.parametrize(
    ("says", "stopped"), [("loaded", ("docker.socket", "docker.service")), ("masked", ("docker.service",))]
)
def test_a_socket_that_was_not_there_goes_with_its_service(host, monkeypatch, says, stopped):
    monkeypatch.setitem(SAYS, "systemctl show --property LoadState --value docker.socket", f"{says}\n")
    (step,) = understand(["systemctl start docker.service"], host).steps
    assert [back.argv for back in step.back] == [("systemctl", "stop", *stopped)]
    monkeypatch.setitem(SAYS, "systemctl is-active --quiet docker.socket", "")
    (step,) = understand(["systemctl start docker.service"], host).steps
    assert [back.argv for back in step.back] == [("systemctl", "stop", "docker.service")]
