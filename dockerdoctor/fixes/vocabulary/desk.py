"""The host as a plan sees it: its files and rules, and on top of them what the steps so far make of them."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace

from dockerdoctor.fixes.shell import NotOurs
from dockerdoctor.fixes.steps import Put, State
from dockerdoctor.host import FileState, Host, Linked

# Not files, though they look like it.
KERNEL_FOLDERS = ("/proc/", "/sys/", "/dev/")
# Docker mounts these into a container, which would keep the old one.
MOUNTED = re.compile(r"/containers/[0-9a-f]{64}/")


# dockerd makes another at once (libnetwork's store); to take its removal back would be to overwrite that.
MADE_ANEW = re.compile(r"/network/files/local-kv\.db$")


class Desk:
    """The host's files, and on top of them what the steps so far make of them."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.planned: dict[str, State] = {}
        self.chains: dict[tuple[str, ...], list[str]] = {}
        self.left: set[tuple[str, str]] = set()  # a network and a container that is no more on it
        self.anchors: set[tuple[tuple[str, ...], str]] = set()  # rules behind which others are put back

    def path(self, path: str) -> str:
        """Where a file really lies: links are followed and kept; raises NotOurs."""
        if not path.startswith("/"):
            raise NotOurs(f"{path} depends on the folder it is said in")
        try:
            folder, _, name = path.rpartition("/")
            real = f"{self.host.real_path(folder or '/').rstrip('/')}/{name}"
            # What a step before puts there, or takes away, is what it will be.
            if real not in self.planned or isinstance(self.planned[real], Linked):
                real = self.host.real_path(path)
        except OSError as no:
            raise NotOurs(f"{path}: {no.strerror}") from no
        if f"{real}/".startswith(KERNEL_FOLDERS):
            raise NotOurs(f"{real} is no file")
        if MOUNTED.search(real):
            raise NotOurs(f"{real} is mounted into a container, which would not see another in its place")
        return real

    def itself(self, path: str) -> str:
        """A file or a link that a command takes the place of, or away; raises NotOurs."""
        if not (link := self.host.link_state(path)):
            return self.path(path)
        folder, _, name = path.rpartition("/")
        real = f"{self.path(folder or '/').rstrip('/')}/{name}"
        self.planned.setdefault(real, link)
        return real

    def file(self, path: str) -> FileState | None:
        """How a file will be by now; raises NotOurs for what is none."""
        if isinstance(state := self.state(path), Linked):
            raise NotOurs(f"{path} is a link")
        return state

    def state(self, path: str) -> State:
        """What will be under a name by now; raises NotOurs for what can be neither kept nor put back."""
        if path not in self.planned:
            try:
                self.planned[path] = self.host.file_state(path)
            except OSError as no:
                raise NotOurs(f"{path}: {no.strerror}") from no
            if self.host.hard_linked(path):
                raise NotOurs(f"{path} has another name (a hard link), and would be cut off from it")
        return self.planned[path]

    def put(self, path: str, after: State) -> Put:
        """Plan that this will be under a name."""
        if after is None and MADE_ANEW.search(path):
            raise NotOurs(f"dockerd makes another {path} at once, which nobody may overwrite")
        step = Put(path, self.state(path), after)
        self.planned[path] = after
        return step

    def write(self, path: str, text: str, mode: int | None = None) -> Put:
        """Plan a file's content; owner and mode stay what they are."""
        before = self.file(real := self.path(path))
        after = replace(before, data=text.encode(), mtime_ns=0) if before else FileState(text.encode())
        return self.put(real, replace(after, mode=mode) if mode is not None else after)

    def chain(self, *listing: str) -> list[str]:
        """Give the lines of a chain as they will be by now; who plans a change of it makes it here too. Raises NotOurs."""
        if listing not in self.chains:
            self.chains[listing] = self.run(*listing).splitlines()
        return self.chains[listing]

    def run(self, *argv: str, timeout: float = 10) -> str:
        """Ask the host something; raises NotOurs if it does not say."""
        done = self.host.run(*argv, timeout=timeout)
        if not done.ok:
            raise NotOurs(f"{shlex.join(argv)}: {done.err.strip() or done.code}")
        return done.out
