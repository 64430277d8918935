"""Every way out but success puts everything back: an exception or a Ctrl-C, before or after each single effect."""

import os
import stat

import pytest

from dockerdoctor.facts.changes import LOCK
from dockerdoctor.fixes.transaction import (
    Change,
    Daemon,
    NotRestarted,
    Refused,
    RollbackFailed,
    StillSick,
    apply,
)
from dockerdoctor.host import Completed, Dial, FileState, Host

PATH = "/etc/docker/daemon.json"
BEFORE, AFTER = b'{"dns": ["192.0.2.1"]}\r\n', b'{"dns": ["10.0.0.1"]}\r\n'
DAEMON = Daemon("/run/docker.sock", ("systemctl", "reset-failed"), ("systemctl", "restart", "docker.service"))


class Engine(Host):
    """A host on which a restart makes the daemon read its file, and any effect can be made to fail."""

    def __init__(self, root, fail_at=0, error=None, when="before"):
        super().__init__(root, {})
        self.effects, self.fail_at, self.error, self.when = [], fail_at, error, when
        self.running_with = self._bytes()  # what the daemon has read
        self.now = 0.0
        self.works = True

    def _bytes(self):
        path = self.path(PATH)
        return path.read_bytes() if path.exists() else None

    def _effect(self, name, do):
        self.effects.append(name)
        mine = len(self.effects) == self.fail_at
        if mine and self.when == "before":
            raise self.error
        result = do()
        if mine:
            raise self.error
        return result

    def put_file(self, path, state):
        return self._effect(f"put {path}", lambda: super(Engine, self).put_file(path, state))

    def remove_file(self, path):
        return self._effect(f"remove {path}", lambda: super(Engine, self).remove_file(path))

    def file_state(self, path):
        return self._effect(f"read {path}", lambda: super(Engine, self).file_state(path))

    def run(self, *argv, **_):
        return self._effect(" ".join(argv), lambda: self._run(argv))

    def _run(self, argv):
        if argv == DAEMON.restart:
            self.running_with = self._bytes()
            return Completed(0 if self.works else 1, "", "Job failed")
        return Completed(0, "", "")

    def dial_unix(self, path, timeout=2.0):
        return self._effect("ping", lambda: Dial(path, "ok", 0.0))

    def unix_http(self, path, target, timeout=3.0, limit=0):
        return 200, {"Api-Version": "1.41"}, b"OK"

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def existing(root):
    folder = root / "etc/docker"
    folder.mkdir(parents=True)
    file = folder / "daemon.json"
    file.write_bytes(BEFORE)
    file.chmod(0o640)
    os.utime(file, ns=(10**18, 10**18))
    return Host(root).file_state(PATH)


def change(state):
    after = (
        FileState(AFTER, state.mode, state.uid, state.gid, state.xattrs)
        if state
        else FileState(AFTER, 0o644, os.getuid(), os.getgid())
    )
    return Change(PATH, state, after)


def left(root):
    """All files but the lock, with what must not change of them."""
    return {
        str(p.relative_to(root)): (p.read_bytes(), stat.S_IMODE(p.stat().st_mode), p.stat().st_uid, p.stat().st_gid)
        for p in root.rglob("*")
        if p.is_file() and p != root / LOCK.lstrip("/")
    }


# Read, back up, write, forget earlier starts, restart, ping; then comes the proof.
EFFECTS = 6


def test_success_keeps_owner_mode_and_a_backup(tmp_path):
    state = existing(tmp_path)
    host = Engine(tmp_path)
    backup = apply(change(state), host, DAEMON, lambda: None)
    new, kept = host.file_state(PATH), host.file_state(backup)
    assert (new.data, new.mode, new.uid, new.gid) == (AFTER, state.mode, state.uid, state.gid)
    assert kept == state
    assert host.running_with == AFTER
    assert "reset-failed" in host.effects[host.effects.index("systemctl restart docker.service") - 1]
    assert len(left(tmp_path)) == 2
    assert len(host.effects) == EFFECTS + 2  # and the two looks above


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("error", [OSError("no space"), KeyboardInterrupt(), SystemExit(130)], ids=repr)
@pytest.mark.parametrize("file", ["existing", "absent"])
@pytest.mark.parametrize("k", range(1, EFFECTS + 2))
def test_every_exit(tmp_path, k, file, error, when):
    state = existing(tmp_path) if file == "existing" else None
    was = left(tmp_path)
    host = Engine(tmp_path, k, error, when)

    def proof():
        host.fail_at = 0
        assert len(host.effects) == EFFECTS - (file == "absent")
        raise error

    with pytest.raises(type(error)):
        apply(change(state), host, DAEMON, proof)
    assert left(tmp_path) == was
    assert host.running_with == (BEFORE if state else None)
    if state:
        assert Host(tmp_path).file_state(PATH) == state  # time of change and attributes, too


@pytest.mark.parametrize("file", ["existing", "absent"])
def test_a_proof_that_fails_restarts_the_old_daemon(tmp_path, file):
    state = existing(tmp_path) if file == "existing" else None
    was = left(tmp_path)
    host = Engine(tmp_path)

    def proof():
        assert host.running_with == AFTER
        raise StillSick("still")

    with pytest.raises(StillSick):
        apply(change(state), host, DAEMON, proof)
    assert left(tmp_path) == was
    assert host.running_with == (BEFORE if state else None)
    assert host.effects.count("systemctl restart docker.service") == 2
    assert host.effects.count("systemctl reset-failed") == 2


def test_without_a_daemon_only_the_file_is_written(tmp_path):
    planned, host = change(existing(tmp_path)), Engine(tmp_path)
    assert apply(planned, host, None, lambda: pytest.fail("nothing to prove"))
    assert host.file_state(PATH).data == AFTER
    assert host.running_with == BEFORE


def test_a_file_that_names_them_already_is_not_written(tmp_path):
    state = existing(tmp_path)
    host = Engine(tmp_path)
    assert apply(Change(PATH, state, state), host, DAEMON, lambda: None) == ""
    assert not [e for e in host.effects if e.startswith(("put", "remove"))]


def test_a_file_that_changed_meanwhile_is_never_overwritten(tmp_path):
    planned = change(existing(tmp_path))
    (tmp_path / "etc/docker/daemon.json").write_bytes(b"{}")
    with pytest.raises(Refused):
        apply(planned, Engine(tmp_path), DAEMON, lambda: None)
    assert (tmp_path / "etc/docker/daemon.json").read_bytes() == b"{}"


def test_nor_is_one_that_changed_during_the_proof(tmp_path):
    planned, host = change(existing(tmp_path)), Engine(tmp_path)

    def proof():
        (tmp_path / "etc/docker/daemon.json").write_bytes(b"{}")
        raise StillSick("still")

    with pytest.raises(RollbackFailed) as no:
        apply(planned, host, DAEMON, proof)
    assert (tmp_path / "etc/docker/daemon.json").read_bytes() == b"{}"
    assert host.path(no.value.backup).read_bytes() == BEFORE


def test_two_doctors(tmp_path):
    planned = change(existing(tmp_path))
    with Host(tmp_path).lock(LOCK), pytest.raises(Refused):
        apply(planned, Engine(tmp_path), DAEMON, lambda: None)


def test_a_rollback_that_fails_says_what_to_type(tmp_path):
    planned, host = change(existing(tmp_path)), Engine(tmp_path)
    host.works = False
    with pytest.raises(RollbackFailed) as no:
        apply(planned, host, DAEMON, lambda: None)
    assert host.file_state(PATH).data == BEFORE
    assert host.path(no.value.backup).read_bytes() == BEFORE
    assert no.value.commands == (
        f"cp -p {no.value.backup} {PATH}",
        "systemctl reset-failed",
        "systemctl restart docker.service",
    )


def test_a_restart_that_fails_once_is_rolled_back(tmp_path):
    planned, host = change(existing(tmp_path)), Engine(tmp_path)
    normal = host._run

    def only_the_old_file_works(argv):
        host.works = host._bytes() == BEFORE
        return normal(argv)

    host._run = only_the_old_file_works
    with pytest.raises(NotRestarted, match="Job failed"):
        apply(planned, host, DAEMON, lambda: None)
    assert host.running_with == BEFORE


def test_a_link_is_followed_and_kept(tmp_path):
    existing(tmp_path)
    (tmp_path / "etc/real.json").write_bytes(BEFORE)
    (tmp_path / "etc/docker/daemon.json").unlink()
    (tmp_path / "etc/docker/daemon.json").symlink_to("../real.json")
    assert Host(tmp_path).real_path(PATH) == "/etc/real.json"
