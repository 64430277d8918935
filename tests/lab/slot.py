"""A machine's place on the host: number, addresses, control groups; everything it owns follows from its name.

Removing a machine and sweeping up after a killed owner are therefore the same act, and need no notes.
"""

import contextlib
import fcntl
import os
import random
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from tests.lab.store import LAB, LabError, hold

# One file per number, for the whole host, whatever cache folder is used. The owner keeps its file locked; the kernel
# unlocks it when the owner ends, however it ends. It holds the path of the machine's folder.
SLOTS = Path("/run/dockerdoctor-lab")
CGROUPS = Path("/sys/fs/cgroup")


class Slot:
    """One of 254 places, ours until `free`."""

    def __init__(self, number: int, file: IO[str]) -> None:
        self.number = number
        self.file = file
        self.name = f"dd{number}"
        self.link = f"ve-{self.name}"  # as nspawn names it; an interface name holds 15 characters
        self.tag = f"dockerdoctor-lab-{self.name}"
        self.gateway = f"10.213.{number}.1"
        self.address = f"10.213.{number}.2"
        self.children: list[subprocess.Popen[bytes]] = []
        file.seek(0)
        self.home = Path(file.read() or LAB / "machines" / self.name)

    @staticmethod
    def take(number: int) -> "Slot | None":
        """Give slot `number`, unless its owner is alive."""
        file = hold(SLOTS / str(number), fcntl.LOCK_EX | fcntl.LOCK_NB)
        return Slot(number, file) if file else None

    @staticmethod
    def claim() -> "Slot":
        """Take a free slot, cleaned of what a killed owner left."""
        # At random: an address that was just in use may still have connections tracked by the kernel.
        for number in random.sample(range(1, 255), 254):
            if slot := Slot.take(number):
                slot.remove()
                slot.home = LAB / "machines" / slot.name
                slot.file.write(str(slot.home))
                slot.file.flush()
                return slot
        raise LabError("all 254 places are taken; end some of the processes that hold files in " + str(SLOTS))

    # -- what belongs to it

    def groups(self) -> list[Path]:
        """Its control groups: one in each hierarchy, or the only one where version 2 is alone."""
        roots = [CGROUPS] if (CGROUPS / "cgroup.controllers").exists() else [p for p in CGROUPS.iterdir() if p.is_dir()]
        return [root / self.tag for root in roots]

    @staticmethod
    def groups_of(pid: int) -> list[Path]:
        """The control groups that a process is in."""
        found = []
        for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            hierarchy = controllers.removeprefix("name=") or "unified"
            root = CGROUPS / hierarchy if (CGROUPS / hierarchy).exists() else CGROUPS
            found.append(root / path.lstrip("/"))
        return found

    def pids(self) -> Iterator[int]:
        """Every process of the machine and its servers."""
        for group in self.groups():
            # A group may vanish while we look: os.walk does not mind, and nor do we.
            for folder, _, _ in os.walk(group):
                with contextlib.suppress(OSError):
                    yield from (int(pid) for pid in Path(folder, "cgroup.procs").read_text().split())

    def spawn(self, argv: list[str], group: str, log: Path) -> subprocess.Popen[bytes]:
        """Start a process in control group `group` of this slot, so that it ends with it."""
        enter = []
        for top in self.groups():
            leaf = top / group
            for folder in (top, leaf):
                folder.mkdir(exist_ok=True)
                # Version 1: a new cpuset admits nobody until it is given processors and memory.
                for file in ("cpuset.cpus", "cpuset.mems"):
                    if top.parent.name == "cpuset":
                        (folder / file).write_text((folder.parent / file).read_text())
            enter.append(f"echo $$ > {leaf}/cgroup.procs")
        with log.open("ab") as out:
            child = subprocess.Popen(
                ["bash", "-c", f'{";".join(enter)}; exec "$@"', "-", *argv],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,  # a Ctrl-C is for us: they end in our order
            )
        self.children.append(child)
        return child

    # -- the network outside the machine

    def firewall(self, *rule: str, table: str = "filter") -> None:
        """Insert a rule on the host, tagged, so that it goes with the machine: `firewall("FORWARD", ...)`."""
        chain, *match = rule
        command = ["iptables", "-w", "-t", table, "-I", chain, *match, "-m", "comment", "--comment", self.tag]
        subprocess.run(command, check=True, capture_output=True)

    # -- the end

    def remove(self) -> None:
        """Leave nothing of the machine; whatever part of it there is."""
        # A second Ctrl-C would leave half of it.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            self.kill()
            self.forget_network()
            for mount in (self.home / "root",):
                if os.path.ismount(mount):
                    subprocess.run(["umount", "--lazy", mount], check=True)
            # nspawn's own notes, which it cannot remove when killed.
            for kind in ("propagate", "unix-export"):
                shutil.rmtree(Path("/run/systemd/nspawn") / kind / self.name, ignore_errors=True)
            if self.home.exists():
                # Twice as fast as shutil.rmtree, and a Docker folder has thousands of files.
                subprocess.run(["rm", "-rf", "--one-file-system", self.home], check=True)
            for group in self.groups():
                if group.exists():
                    subprocess.run(["find", group, "-depth", "-type", "d", "-exec", "rmdir", "{}", "+"], check=True)
            self.file.seek(0)
            self.file.truncate()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    def kill(self) -> None:
        """End every process of the machine."""
        self.thaw()
        end = time.monotonic() + 10
        while pids := set(self.pids()):
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for child in self.children:
                child.poll()  # reap; a swept machine's are init's
            if time.monotonic() > end:
                raise LabError(f"{self.name}: processes {pids} outlive SIGKILL")
            time.sleep(0.01)

    def thaw(self) -> None:
        """Wake what `docker pause` stopped: a frozen process does not die (control groups, version 1)."""
        for group in self.groups():
            for folder, _, files in os.walk(group):
                for name, awake in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
                    if name in files:
                        with contextlib.suppress(OSError):
                            Path(folder, name).write_text(awake)

    def forget_network(self) -> None:
        """Remove our rules and, if it is still there, the link."""
        for table in ("filter", "nat", "raw", "mangle"):
            listed = subprocess.run(["iptables", "-w", "-t", table, "-S"], capture_output=True, text=True, check=True)
            for rule in map(shlex.split, listed.stdout.splitlines()):
                if self.tag in rule:
                    subprocess.run(["iptables", "-w", "-t", table, "-D", *rule[1:]], check=True)
        if Path("/sys/class/net", self.link).exists():
            # It goes with the machine's last process, perhaps in this very moment.
            subprocess.run(["ip", "link", "delete", self.link], capture_output=True, check=False)

    def free(self) -> None:
        """Let others have the slot."""
        self.file.close()


def sweep() -> list[str]:
    """Remove the machines whose owner is dead; give their names."""
    swept = []
    for file in sorted(SLOTS.glob("*")):
        if slot := Slot.take(int(file.name)):
            if slot.file.tell():  # reading it moved us past what the owner had noted
                slot.remove()
                swept.append(slot.name)
            slot.free()
    return swept
