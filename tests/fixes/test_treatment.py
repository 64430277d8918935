"""Every way out but success puts everything back, and after a kill at any instant `undo` does: files, folders, commands."""

import os
import stat

import pytest

from dockerdoctor.facts.changes import JOURNAL as FOLDER
from dockerdoctor.facts.changes import LOCK
from dockerdoctor.fixes.journal import Ended, entries, unfinished
from dockerdoctor.fixes.steps import Back, Folder, Put, Run
from dockerdoctor.fixes.treatment import Refused, StepFailed, StillSick, Stranded, Treatment, carry_out, undo
from dockerdoctor.fixes.undo import NothingToUndo, to_undo
from dockerdoctor.host import Completed, FileState, Host

JSON, DROP_IN, STALE = "/etc/docker/daemon.json", "/etc/systemd/system/docker.service.d/proxy.conf", "/etc/old.conf"


class Killed(BaseException):
    """What SIGKILL is to us: nothing after it happens."""


class World(Host):
    """A host with one kernel setting and one service, on which any effect can fail, or be the last."""

    def __init__(self, root, fail_at=0, error=None, when="before"):
        super().__init__(root, {})
        self.effects, self.fail_at, self.error, self.when = [], fail_at, error, when
        self.dead = False
        self.now = 1e9

    def _effect(self, name, do):
        if self.dead:
            raise Killed
        self.effects.append(name)
        mine = len(self.effects) == self.fail_at
        self.dead = mine and isinstance(self.error, Killed)
        if mine and self.when == "before":
            raise self.error
        result = do()
        if mine:
            raise self.error
        return result

    def put_file(self, path, state):
        return self._effect(f"put {path}", lambda: super(World, self).put_file(path, state))

    def remove_file(self, path):
        return self._effect(f"remove {path}", lambda: super(World, self).remove_file(path))

    def make_folder(self, path, mode=0o755):
        return self._effect(f"mkdir {path}", lambda: super(World, self).make_folder(path, mode))

    def remove_folder(self, path):
        return self._effect(f"rmdir {path}", lambda: super(World, self).remove_folder(path))

    def append_line(self, path, line):
        return self._effect(f"note {line}", lambda: super(World, self).append_line(path, line))

    def run(self, *argv, **_):
        return self._effect(" ".join(argv), lambda: self._run(argv))

    def _run(self, argv):
        if argv[0] == "broken":
            return Completed(1, "", "no such thing")
        if argv[0] == "set":
            self.path("/setting").write_text(argv[1])
        if argv[0] == "reload":
            self.path("/loaded").write_bytes(self.path(JSON).read_bytes() + self.path("/setting").read_bytes())
        if argv[0] == "is":
            return Completed(int(self.path("/setting").read_text() != argv[1]), "", "")
        return Completed(0, "", "")

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def root(tmp_path):
    for name, text, mode in ((JSON, '{"a": 1,}\r\n', 0o640), (STALE, "old\n", 0o600), ("/setting", "0", 0o644)):
        file = tmp_path / name[1:]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, newline="")
        file.chmod(mode)
        os.utime(file, ns=(10**18, 10**18))
    (tmp_path / "var/lib").mkdir(parents=True)
    (tmp_path / "run").mkdir()
    World(tmp_path).run("reload")
    return tmp_path


def treatment(root, *more):
    host = Host(root, {})
    was, stale = host.file_state(JSON), host.file_state(STALE)
    half = FileState(b'{"a": 1}\r\n', was.mode, was.uid, was.gid)
    folder = DROP_IN.rpartition("/")[0]
    parts = [folder.rsplit("/", n)[0] for n in (2, 1, 0)]
    steps = (
        Put(JSON, was, half),
        Put(JSON, half, FileState(b'{"a": 2}\r\n', was.mode, was.uid, was.gid)),
        *(Folder(part) for part in parts),
        Put(DROP_IN, None, FileState(b"[Service]\n", 0o644, os.getuid(), os.getgid())),
        Put(STALE, stale, None),
        Run(("set", "1"), (Back(("set", "0"), ("is", "1")),)),
        Run(("reload",), again=("reload",)),
        *more,
    )
    return Treatment("area.check", "it is broken", steps)


def seen(root):
    """All files and folders but the journal and the lock, with what must not change of them."""
    return {
        str(p.relative_to(root)): (
            p.read_bytes() if p.is_file() else None,
            stat.S_IMODE(p.stat().st_mode),
            p.stat().st_uid,
            p.stat().st_mtime_ns if p.is_file() and p.name not in {"loaded", "setting"} else 0,
        )
        for p in root.rglob("*")
        if p != root / LOCK[1:] and not p.is_relative_to(root / FOLDER[1:])
    }


def test_applied_kept_and_taken_back(root):
    before = seen(root)
    host = World(root)
    carry_out(treatment(root), host, lambda: None)
    assert (root / JSON[1:]).read_bytes() == b'{"a": 2}\r\n'
    assert stat.S_IMODE((root / JSON[1:]).stat().st_mode) == 0o640
    assert (root / "loaded").read_text() == '{"a": 2}\n1'
    assert not (root / STALE[1:]).exists()
    (entry,) = entries(host)
    assert (entry.ended, entry.check) == (Ended.APPLIED, "area.check")
    undo(to_undo(host), host)
    assert seen(root) == before
    assert entries(host)[0].ended is Ended.UNDONE
    assert isinstance(to_undo(host), NothingToUndo)


def test_the_journal_is_roots_own(root):
    carry_out(treatment(root), World(root), lambda: None)
    for folder in (root / FOLDER[1:], *(root / FOLDER[1:]).iterdir()):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def effects(root):
    """What a treatment does that may fail, up to the note of its end."""
    host = World(root)
    carry_out(treatment(root), host, lambda: None)
    return len(host.effects)


STEPS = 37  # of them; the last is the note that it was applied


def test_the_number_of_effects_is_known(root):
    assert effects(root) == STEPS


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("fail_at", range(1, STEPS + 1))
def test_any_failure_puts_everything_back(root, fail_at, error, when):
    before = seen(root)
    host = World(root, fail_at, error, when)
    with pytest.raises((type(error), Refused)):
        carry_out(treatment(root), host, lambda: None)
    assert seen(root) == before
    assert not unfinished(World(root))


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kill_at", range(1, STEPS + 1))
def test_after_a_kill_at_any_instant_undo_restores_every_byte(root, kill_at, when):
    before = seen(root)
    with pytest.raises(Killed):
        carry_out(treatment(root), World(root, kill_at, Killed(), when), lambda: None)
    assert (root / JSON[1:]).read_bytes() in {b'{"a": 1,}\r\n', b'{"a": 1}\r\n', b'{"a": 2}\r\n'}, "never half of it"
    host = World(root)
    entry = to_undo(host)
    if not isinstance(entry, NothingToUndo):
        undo(entry, host)
    assert seen(root) == before
    assert not unfinished(host)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kill_at", range(1, 24))
def test_a_kill_of_the_undoing_is_undone_too(root, kill_at, when):
    before = seen(root)
    carry_out(treatment(root), World(root), lambda: None)
    killed = World(root, kill_at, Killed(), when)
    try:
        undo(to_undo(killed), killed)
    except Killed:
        host = World(root)
        if not isinstance(entry := to_undo(host), NothingToUndo):
            undo(entry, host)
    assert seen(root) == before


def test_what_a_killed_write_left_behind_is_swept(root):
    with pytest.raises(Killed):
        carry_out(treatment(root), World(root, 14, Killed()), lambda: None)
    left = root / "etc/docker/.daemon.json.abcdefgh.doctor"
    left.write_text("half of")
    undo(to_undo(World(root)), World(root))
    assert not left.exists()


def test_a_proof_that_fails_puts_everything_back(root):
    before = seen(root)

    def proof():
        raise StillSick("no")

    with pytest.raises(StillSick):
        carry_out(treatment(root), World(root), proof)
    assert seen(root) == before
    assert entries(World(root))[0].ended is Ended.ROLLED_BACK


def test_a_command_that_fails_puts_everything_back_and_is_quoted(root):
    before = seen(root)
    with pytest.raises(StepFailed, match="no such thing"):
        carry_out(treatment(root, Run(("broken",))), World(root), lambda: None)
    assert seen(root) == before


def test_one_that_may_fail_does_not(root):
    carry_out(treatment(root, Run(("broken",), lenient=True)), World(root), lambda: None)


def test_what_cannot_be_put_back_is_said_and_stays_open(root):
    host = World(root)
    with pytest.raises(Stranded) as stranded:
        carry_out(treatment(root, Run(("true",), again=("broken",)), Run(("broken",))), host, lambda: None)
    assert "broken" in stranded.value.commands
    assert to_undo(host).ended is Ended.STRANDED


def test_a_file_changed_since_the_plan_is_not_touched(root):
    planned = treatment(root)
    (root / JSON[1:]).write_text("mine")
    with pytest.raises(Refused, match="somebody else"):
        carry_out(planned, World(root), lambda: None)
    assert (root / JSON[1:]).read_text() == "mine"
    assert entries(World(root)) == ()


def test_a_file_changed_since_the_fix_is_not_undone(root):
    host = World(root)
    carry_out(treatment(root), host, lambda: None)
    (root / JSON[1:]).write_text("mine")
    with pytest.raises(Refused, match="somebody else"):
        undo(to_undo(host), host)
    assert (root / JSON[1:]).read_text() == "mine"
    assert not (root / STALE[1:]).exists(), "nothing else was touched either"
    assert entries(host)[0].ended is Ended.APPLIED


class Rules(World):
    """A chain of nft: rules have handles that grow."""

    def __init__(self, root):
        super().__init__(root)
        self.rules, self.next = {4: "ct state new accept"}, 9

    def _run(self, argv):
        if argv[1] == "insert":
            self.rules[self.next] = argv[-1]
            self.next += 1
        if argv[1] == "delete":
            del self.rules[int(argv[-1])]
        return Completed(0, "".join(f"\t\t{rule} # handle {n}\n" for n, rule in self.rules.items()), "")


def test_a_rule_that_was_added_is_known_by_its_handle(root):
    host, listing = Rules(root), ("nft", "list")
    back = Back(("nft", "delete", "rule", "handle", "HANDLE"), listing, handles=("4",))
    steps = tuple(Run(("nft", "insert", rule), (back,)) for rule in ("one", "two"))
    carry_out(Treatment("area.check", "it is broken", steps), host, lambda: None)
    host.run("nft", "insert", "somebody else's")
    undo(to_undo(host), host)
    assert list(host.rules.values()) == ["ct state new accept", "somebody else's"]
    undo_again = entries(host)[0]
    assert undo_again.ended is Ended.UNDONE


def test_two_doctors_do_not_meet(root):
    with World(root).lock(LOCK), pytest.raises(Refused, match="another doctor"):
        carry_out(treatment(root), World(root), lambda: None)
    assert entries(World(root)) == ()


def test_after_another_boot_only_files_are_restored(root):
    boot = root / "proc/sys/kernel/random/boot_id"
    boot.parent.mkdir(parents=True)
    boot.write_text("one\n")
    carry_out(treatment(root), World(root), lambda: None)
    boot.write_text("two\n")
    host = World(root)
    undo(to_undo(host), host)
    assert (root / JSON[1:]).read_bytes() == b'{"a": 1,}\r\n'
    assert not [effect for effect in host.effects if effect.startswith(("set", "reload"))]


def test_without_a_journal_nothing_is_done(root):
    before = seen(root)
    (root / FOLDER[1:]).write_text("a file in its place")
    with pytest.raises(Refused, match="journal"):
        carry_out(treatment(root), World(root), lambda: None)
    (root / FOLDER[1:]).unlink()
    assert seen(root) == before


def test_a_journal_that_cannot_be_read_hides_nothing(root):
    host = World(root)
    carry_out(treatment(root), host, lambda: None)
    (root / FOLDER[1:] / entries(host)[0].id / "plan.json").write_text("{")
    (entry,) = entries(host)
    assert "JSONDecodeError" in entry.problem
    assert "cannot be read" in to_undo(host, entry.id).reason
