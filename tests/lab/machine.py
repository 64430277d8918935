"""A whole Linux machine with a real Docker Engine, in a second: systemd, journal, network stack, everything.

It is a systemd-nspawn container over a Debian tree; its uplink is a veth to the host, where a dnsmasq and a registry
answer on the gateway's address. `doctor` runs in it unmodified, with its default paths.
"""

import contextlib
import fcntl
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.lab.base import SUITES, base
from tests.lab.images import registry_storage
from tests.lab.install import installed_doctor
from tests.lab.slot import Slot
from tests.lab.store import LAB, LabError, built, hold, key

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
REGISTRY_PORT = 5000

Completed = subprocess.CompletedProcess[str]


class CommandFailed(LabError):
    """A command in a machine failed; the message holds all it said."""

    def __init__(self, command: str, done: Completed) -> None:
        super().__init__(f"exit status {done.returncode} of:\n{command}\nstdout: {done.stdout}\nstderr: {done.stderr}")
        self.done = done


class Dns:
    """The dnsmasq on a machine's gateway: names that a case needs, and the host's own servers for all others."""

    def __init__(self, slot: Slot) -> None:
        self.slot = slot
        self.address: Mapping[str, str] = {}
        self.extra: list[str] = []
        self.process: subprocess.Popen[bytes] | None = None
        self.log = slot.home / "dns.log"  # every question and answer

    def start(self) -> None:
        """Start, and wait until it listens."""
        self.process = self.slot.spawn(
            [
                # Not the host's own dnsmasq configuration.
                *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--user=root"),
                *("--no-hosts", "--bind-interfaces", "--except-interface=lo", f"--listen-address={self.slot.gateway}"),
                *("--log-queries", f"--log-facility={self.log}"),
                *(f"--address=/{name}/{address}" for name, address in self.address.items()),
                *self.extra,
            ],
            group="servers",
            log=self.slot.home / "servers.log",
        )
        wait_for(lambda: listens(self.slot.gateway, 53), f"dnsmasq; see {self.slot.home}/servers.log", 5)

    def stop(self) -> None:
        """Stop: questions are refused by the host from now on."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def restart(self, address: Mapping[str, str] | None = None, extra: list[str] | None = None) -> None:
        """Start again, with other answers if given."""
        self.stop()
        self.address = self.address if address is None else address
        self.extra = self.extra if extra is None else extra
        self.start()


class Machine:
    """A running machine; made by `Machine.boot`."""

    def __init__(self, slot: Slot) -> None:
        self.slot = slot
        self.name = slot.name
        self.gateway = slot.gateway
        self.address = slot.address
        self.dns = Dns(slot)
        self.pid1 = 0

    # -- life

    @classmethod
    @contextlib.contextmanager
    def boot(
        cls,
        *,
        daemon_json: Mapping[str, Any] | str | None = None,
        files: Mapping[str, str] | None = None,
        resolv_conf: str | None = None,
        dns: Mapping[str, str] | None = None,
        suite: str = "bookworm",
        images: tuple[str, ...] = ("busybox",),
        doctor: bool = True,
        registry: Path | None = None,
        wait: bool = True,
    ) -> Iterator["Machine"]:
        """
        Boot a machine, give it, and leave nothing of it.

        `daemon_json` is merged over the lab's mirror (a value None removes a key), or written as it is if text.
        `images` are there from the start, without a pull. `wait=False` does not wait for Docker.
        Texts may use {gateway} and {address}.
        """
        end_politely()
        lower = base(suite)
        tool = installed_doctor(lower) if doctor else None
        storage = registry or registry_storage()
        seed = docker_folder(images, suite) if images else None
        in_use = hold(tool / ".in-use", fcntl.LOCK_SH) if tool else None
        slot = Slot.claim()
        machine = cls(slot)
        try:
            root, docker = machine._disks(lower, seed)
            machine._configure(root, daemon_json, resolv_conf, files or {})
            machine._start(root, docker, tool, suite)
            machine._connect(dns or {}, storage, writable=registry is not None)
            if wait:
                machine.wait_docker()
            yield machine
        finally:
            slot.remove()
            slot.free()
            if in_use:
                in_use.close()

    def _disks(self, lower: Path, seed: Path | None) -> tuple[Path, Path]:
        """An overlay over the tree, and a real folder for Docker: overlay2 does not work on an overlay."""
        home = self.slot.home
        folders = [home / part for part in ("up", "work", "root", "docker")]
        for folder in folders:
            folder.mkdir(parents=True)
        up, work, root, docker = folders
        if seed:
            subprocess.run(["cp", "-a", "--reflink=auto", f"{seed}/.", docker], check=True)
        layers = f"lowerdir={lower},upperdir={up},workdir={work}"
        subprocess.run(["mount", "-t", "overlay", self.slot.tag, "-o", layers, root], check=True)
        return root, docker

    def _configure(
        self, root: Path, daemon_json: Mapping[str, Any] | str | None, resolv_conf: str | None, files: Mapping[str, str]
    ) -> None:
        """Write what must be there when it boots."""
        if not isinstance(daemon_json, str):
            options = {"registry-mirrors": [f"http://{self.gateway}:{REGISTRY_PORT}"], **(daemon_json or {})}
            daemon_json = json.dumps({name: value for name, value in options.items() if value is not None}, indent=2)
        ours = {
            "/etc/hostname": f"{self.name}\n",
            "/etc/hosts": f"127.0.0.1\tlocalhost\n127.0.1.1\t{self.name}\n::1\tlocalhost ip6-localhost ip6-loopback\n",
            # An empty one would make this a first boot, and systemd enable what the tree disables.
            "/etc/machine-id": uuid.uuid4().hex + "\n",
            "/etc/resolv.conf": "nameserver {gateway}\n" if resolv_conf is None else resolv_conf,
            "/etc/docker/daemon.json": daemon_json,
        }
        if (pip := LAB / "pip.conf").exists():
            ours["/etc/pip.conf"] = pip.read_text()
        for path, text in {**ours, **files}.items():
            target = root / path.lstrip("/")
            # A link in the tree, /var/run say, is meant for its inside and must not lead us out of it.
            if not target.parent.resolve().is_relative_to(root.resolve()) or target.is_symlink():
                raise LabError(f"{path} passes through a link of the tree: name the real place")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(self.fill(text), encoding="utf-8")

    def _start(self, root: Path, docker: Path, tool: Path | None, suite: str) -> None:
        """Start systemd, and find it."""
        doctor = [f"--bind-ro={tool}:/opt/doctor"] if tool else []
        self.slot.spawn(
            [
                # No lock files in /run: the slot is the lock.
                *("env", "SYSTEMD_NSPAWN_LOCK=0", *SUITES[suite].environment),
                *("systemd-nspawn", "--boot", "--directory", str(root), f"--machine={self.name}"),
                *("--register=no", "--keep-unit", "--network-veth", "--capability=all", "--console=pipe"),
                *("--system-call-filter=@keyring bpf", "--resolv-conf=off", "--timezone=off", "--link-journal=no"),
                *(f"--bind={docker}:/var/lib/docker", *doctor, *SUITES[suite].options),
            ],
            group="machine",
            log=self.slot.home / "console.log",
        )
        wait_for(self._find_pid1, f"the machine's systemd: see {self.slot.home}/console.log", 20)

    def _find_pid1(self) -> bool:
        """The first process of its namespace; nspawn's helper is that too, until it becomes systemd."""
        for pid in self.slot.pids():
            with contextlib.suppress(OSError):
                status = Path(f"/proc/{pid}/status").read_text()
                if status.startswith("Name:\tsystemd\n") and status.split("NSpid:")[1].split("\n")[0].endswith("\t1"):
                    self.pid1 = pid
                    return True
        return False

    def _connect(self, dns: Mapping[str, str], storage: Path, *, writable: bool) -> None:
        """Give it addresses, a way out, names and a registry."""
        link, gateway, address = self.slot.link, self.gateway, self.address
        script = f"""
            set -e
            ip address add {gateway}/30 dev {link}
            ip link set {link} up
            # Docker does the same to a host. Left on: another machine may need it when this one has gone.
            echo 1 > /proc/sys/net/ipv4/ip_forward
            nsenter --target {self.pid1} --net bash -ec '
                ip link set host0 up
                ip address add {address}/30 dev host0
                ip route add default via {gateway}'
            # No container would start: nspawn mounts them read-only.
            nsenter --target {self.pid1} --mount bash -ec '
                for group in /sys/fs/cgroup/*/; do mount -o remount,bind,rw $group 2>/dev/null || true; done'
        """
        subprocess.run(["bash", "-c", script], check=True)
        # A host that ran Docker forwards nothing by itself.
        self.firewall("INPUT", "-i", link, "-j", "ACCEPT")
        self.firewall("FORWARD", "-i", link, "-j", "ACCEPT")
        self.firewall("FORWARD", "-o", link, "-j", "ACCEPT")
        self.firewall("POSTROUTING", "-s", f"{address}/32", "!", "-o", link, "-j", "MASQUERADE", table="nat")
        self.dns.address = {name: self.fill(to) for name, to in dns.items()}
        self.dns.start()
        # One for each machine: cheap, nothing shared, and a case may end its own.
        config = {
            "version": 0.1,
            "log": {"level": "warn"},
            "storage": {
                "filesystem": {"rootdirectory": str(storage)},
                "maintenance": {"readonly": {"enabled": not writable}},
            },
            "http": {"addr": f"{gateway}:{REGISTRY_PORT}"},
        }
        (self.slot.home / "registry.yml").write_text(json.dumps(config))
        argv = ["docker-registry", "serve", str(self.slot.home / "registry.yml")]
        self.registry = self.on_gateway(argv, port=REGISTRY_PORT)

    # -- what one does with it

    def run(
        self,
        script: str,
        *,
        user: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 60,
        check: bool = True,
        stdin: str = "",
    ) -> Completed:
        """Run a bash script in the machine, as root or `user`; raise CommandFailed if it fails, unless told not to."""
        script = self.fill(script)
        # Files, not pipes: a server that the script leaves behind would keep a pipe open, and us waiting.
        with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            source.write(stdin.encode())
            source.seek(0)
            argv = self.enter(["bash", "-c", script], user=user, env=env)
            process = subprocess.Popen(argv, stdin=source, stdout=out, stderr=err, start_new_session=True)
            try:
                process.wait(timeout)
            except BaseException as error:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                if isinstance(error, subprocess.TimeoutExpired):
                    said = f"stdout: {text(out)}\nstderr: {text(err)}"
                    raise LabError(f"still running after {timeout} s:\n{script}\n{said}") from None
                raise
            done = subprocess.CompletedProcess(script, process.returncode, text(out), text(err))
        if check and done.returncode:
            raise CommandFailed(script, done)
        return done

    def enter(self, argv: list[str], *, user: str | None = None, env: Mapping[str, str] | None = None) -> list[str]:
        """Give the command that runs `argv` in the machine, with a clean environment."""
        home = f"/home/{user}" if user else "/root"
        login = {"PATH": PATH, "LANG": "C.UTF-8", "HOME": home, "USER": user or "root"}
        variables = [f"{name}={self.fill(value)}" for name, value in {**login, **(env or {})}.items()]
        become = ["runuser", "-u", user, "--"] if user else []
        # Its control groups too, else /proc/self/cgroup would tell that we come from outside.
        join = ";".join(f"echo $$ > {group}/cgroup.procs" for group in self.slot.groups_of(self.pid1))
        outside = ["bash", "-c", f'{join}; exec "$@"', "-", "nsenter", "-t", str(self.pid1), "-a"]
        return [*outside, "env", "-i", f"--chdir={home}", *variables, *become, *argv]

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file in the machine."""
        where = shlex.quote(path)
        self.run(f"mkdir -p $(dirname {where}) && cat > {where} && chmod {mode:o} {where}", stdin=self.fill(text))

    def read(self, path: str) -> str:
        """Read a file of the machine."""
        return self.run(f"cat {shlex.quote(path)}").stdout

    def doctor(
        self, *args: str, user: str | None = None, env: Mapping[str, str] | None = None, timeout: float = 120
    ) -> Completed:
        """Run this checkout's `doctor`; its exit status is the caller's to judge."""
        return self.run(shlex.join(["doctor", *args]), user=user, env=env, timeout=timeout, check=False)

    def on_gateway(self, argv: list[str], port: int | None = None) -> subprocess.Popen[bytes]:
        """Run a server on the host, until the machine ends; wait until it listens on `port` of the gateway, if given."""
        argv = [self.fill(arg) for arg in argv]
        server = self.slot.spawn(argv, group="servers", log=self.slot.home / "servers.log")
        if port:
            wait_for(
                lambda: listens(self.gateway, port) or server.poll() is not None,
                f"{argv[0]} to listen on {self.gateway}:{port}",
                10,
            )
            if server.poll() is not None:
                raise LabError(f"{argv} ended: {(self.slot.home / 'servers.log').read_text()[-2000:]}")
        return server

    def firewall(self, *rule: str, table: str = "filter") -> None:
        """Insert a rule in the host's firewall, until the machine ends: `firewall("FORWARD", "-p", "udp", ...)`."""
        self.slot.firewall(*[self.fill(word) for word in rule], table=table)

    def wait_docker(self, timeout: float = 30) -> None:
        """Wait until the engine answers."""
        # `docker version` waits too, once docker.socket is there.
        self.run("until docker version >/dev/null 2>&1; do sleep 0.05; done", timeout=timeout)

    def settle(self, timeout: float = 30) -> None:
        """Wait until systemd has nothing left to start or stop."""
        self.run("systemctl is-system-running --wait || true", timeout=timeout)

    def reset_start_limit(self) -> None:
        """Allow restarts again: three in a minute, the boot included, is Docker's limit."""
        self.run("systemctl reset-failed docker.service docker.socket")

    def fill(self, template: str) -> str:
        """Put the machine's values into {gateway} and {address}; other braces belong to shells and JSON."""
        return template.replace("{gateway}", self.gateway).replace("{address}", self.address)


def docker_folder(images: tuple[str, ...], suite: str) -> Path:
    """Give a /var/lib/docker that holds `images`."""
    storage = registry_storage()

    def build(draft: Path) -> None:
        with Machine.boot(images=(), doctor=False, suite=suite) as machine:
            for image in images:
                machine.run(f"docker pull {image}")
            machine.run("systemctl stop docker.socket docker.service")
            subprocess.run(["cp", "-a", f"{machine.slot.home}/docker/.", draft], check=True)

    return built(f"seeds/{suite}-{key(sorted(images), base(suite).name, storage.name)}", build)


def wait_for(done: Callable[[], bool], what: str, timeout: float) -> None:
    """Wait until `done`, or say what did not come."""
    end = time.monotonic() + timeout
    while not done():
        if time.monotonic() > end:
            raise LabError(f"waited {timeout} s for {what}")
        time.sleep(0.01)


def listens(address: str, port: int) -> bool:
    """Tell whether somebody listens there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((address, port)) == 0


def text(file: Any) -> str:
    """Read a temporary file from its start."""
    file.seek(0)
    return str(file.read(), errors="replace")


def end_politely() -> None:
    """Let SIGTERM and SIGHUP unwind this process, so that machines are removed; by default it would end at once."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, lambda number, frame: sys.exit(128 + number))
