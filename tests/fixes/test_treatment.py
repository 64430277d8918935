"""Every way out but success puts everything back, and after a kill at any instant `undo` does: files, folders, commands."""

import os
import stat
from contextlib import suppress
from dataclasses import replace

import pytest

from dockerdoctor.facts.changes import JOURNAL as FOLDER
from dockerdoctor.facts.changes import LOCK, own_changes
from dockerdoctor.fixes.journal import KEPT, Ended, entries, unfinished
from dockerdoctor.fixes.steps import Back, Folder, Put, Run, Running
from dockerdoctor.fixes.treatment import (
    Refused,
    StepFailed,
    StillSick,
    Stranded,
    Treatment,
    by_hand,
    carry_out,
    leave,
    undo,
    why,
)
from dockerdoctor.fixes.undo import NothingToUndo, history, to_undo
from dockerdoctor.host import Completed, FileState, Host, Linked

JSON, DROP_IN, STALE = "/etc/docker/daemon.json", "/etc/systemd/system/docker.service.d/proxy.conf", "/etc/old.conf"


class Killed(BaseException):
    """What SIGKILL is to us: nothing after it happens."""


class World(Host):
    """A host with one kernel setting and one service, on which any effect can fail, or be the last."""

    def __init__(self, root, fail_at=0, error=None, when="before", *, full=False):
        super().__init__(root, {})
        self.effects, self.fail_at, self.error, self.when = [], fail_at, error, when
        self.dead, self.full = False, full
        self.now = 1e9

    def _effect(self, name, do):
        if self.dead:
            raise Killed
        self.effects.append(name)
        mine = len(self.effects) == self.fail_at
        # A disk that is full stays so; what takes no room works.
        if self.full and len(self.effects) > self.fail_at and name.startswith(("put", "note", "mkdir")):
            raise self.error
        self.dead = mine and isinstance(self.error, Killed)
        if mine and self.when == "before":
            raise self.error
        result = do()
        if mine:
            raise self.error
        return result

    def put_file(self, path, state):
        return self._effect(f"put {path}", lambda: super(World, self).put_file(path, state))

    def put_link(self, path, state):
        return self._effect(f"put {path}", lambda: super(World, self).put_link(path, state))

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
        if argv[0] == "locked":
            return Completed(4, "", "another app holds the lock")
        if argv[0] == "set":
            self.path("/setting").write_text(argv[1])
        if argv[0] == "reload":
            self.path("/loaded").write_bytes(self.path(JSON).read_bytes() + self.path("/setting").read_bytes())
        if argv[0] == "is":
            return Completed(int(self.path("/setting").read_text() != argv[1]), "", "")
        return Completed(0, "", "")

    def clock(self):
        return self.now

    def monotonic(self):
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

    def back(rule):
        return Back(("nft", "delete", "rule", "handle", "HANDLE"), listing, rule, handles=("4",))

    rules = ('iifname { "docker0" } accept', "ct state new accept")
    steps = tuple(Run(("nft", "insert", rule), (back(rule),)) for rule in rules)
    carry_out(Treatment("area.check", "it is broken", steps), host, lambda: None)
    # As the kernel shows it.
    host.rules[9] = 'iifname "docker0" accept'
    host.run("nft", "insert", "somebody else's")
    undo(to_undo(host), host)
    assert list(host.rules.values()) == ["ct state new accept", "somebody else's"]
    assert entries(host)[0].ended is Ended.UNDONE


def test_rules_that_came_with_a_new_ruleset_are_not_taken_for_ours(root):
    host = Rules(root)
    back = Back(("nft", "delete", "rule", "handle", "HANDLE"), ("nft", "list"), "accept", handles=("4",))
    carry_out(Treatment("area.check", "it is broken", (Run(("nft", "insert", "accept"), (back,)),)), host, lambda: None)
    host.rules = {5: "tcp dport 22 accept", 6: "drop"}
    undo(to_undo(host), host)
    assert host.rules == {5: "tcp dport 22 accept", 6: "drop"}


def test_two_doctors_do_not_meet(root):
    with World(root).lock(LOCK), pytest.raises(Refused, match="another doctor"):
        carry_out(treatment(root), World(root), lambda: None)
    assert entries(World(root)) == ()


def test_after_another_boot_what_the_kernel_was_told_is_gone_and_all_else_is_taken_back(root):
    boot = root / "proc/sys/kernel/random/boot_id"
    boot.parent.mkdir(parents=True)
    boot.write_text("one\n")
    lasting = Run(("enable",), (Back(("disable",), lasting=True),), again=("systemctl", "restart", "docker"))
    carry_out(treatment(root, lasting), World(root), lambda: None)
    boot.write_text("two\n")
    host = World(root)
    undo(to_undo(host), host)
    assert (root / JSON[1:]).read_bytes() == b'{"a": 1,}\r\n'
    assert "set 0" not in host.effects
    assert "disable" in host.effects
    # Services read their files anew, where they run.
    assert "reload" in host.effects
    assert "systemctl try-restart docker" in host.effects


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
    with pytest.raises(Refused, match="cannot be read"):
        undo(to_undo(host), host)
    leave(entry, host)
    assert isinstance(to_undo(host), NothingToUndo)


def test_a_plan_that_is_gone_is_no_fix_that_was_put_back(root):
    host = World(root)
    with pytest.raises(Killed):
        carry_out(treatment(root), World(root, 20, Killed()), lambda: None)
    (root / FOLDER[1:] / entries(host)[0].id / "plan.json").unlink()
    with pytest.raises(Refused, match="cannot be read"):
        undo(to_undo(host), host)


@pytest.mark.parametrize("fail_at", range(1, STEPS + 1))
def test_a_disk_that_stays_full_never_makes_it_say_that_all_was_put_back(root, fail_at):
    before = seen(root)
    host = World(root, fail_at, OSError(28, "No space left on device"), full=True)
    with pytest.raises((OSError, Refused, Stranded)) as ended:
        carry_out(treatment(root), host, lambda: None)
    assert (seen(root) == before) is not isinstance(ended.value, Stranded)
    # With room again, all can be taken back.
    entry = to_undo(World(root))
    assert not (isinstance(ended.value, Stranded) and isinstance(entry, NothingToUndo))
    if not isinstance(entry, NothingToUndo):
        undo(entry, World(root))
    assert seen(root) == before
    assert not unfinished(World(root))


def gone(_):
    raise BrokenPipeError


@pytest.mark.parametrize("lost", [gone, lambda _: (_ for _ in ()).throw(OSError(5, "Input/output error"))])
def test_a_terminal_that_is_gone_keeps_nothing_from_being_put_back(root, lost):
    before = seen(root)

    def proof():
        raise SystemExit(130)

    with pytest.raises(SystemExit):
        carry_out(treatment(root), World(root), proof, lost)
    assert seen(root) == before
    host = World(root)
    carry_out(treatment(root), host, lambda: None, lost)
    undo(to_undo(host), host, lost)
    assert seen(root) == before


@pytest.mark.parametrize("kill_at", range(1, 11))  # the 11th is the note of its end
def test_an_undoing_that_was_killed_is_unfinished(root, kill_at):
    before = seen(root)
    carry_out(treatment(root), World(root), lambda: None)
    changed = seen(root)
    killed = World(root, kill_at, Killed(), "after")
    with pytest.raises(Killed):
        undo(to_undo(killed), killed)
    half = seen(root) not in (changed, before)
    assert own_changes.measure(Host(root, {})).unfinished or not half
    undo(to_undo(World(root)), World(root))
    assert seen(root) == before
    assert entries(World(root))[0].ended is Ended.UNDONE
    assert not own_changes.measure(Host(root, {})).unfinished


def test_what_another_doctor_has_taken_back_meanwhile_is_not_taken_back_again(root):
    host = World(root)
    carry_out(treatment(root), host, lambda: None)
    looked_up = to_undo(host)
    undo(looked_up, host)
    host.effects.clear()
    with pytest.raises(Refused, match="since"):
        undo(looked_up, host)
    assert host.effects == []


def put(root, data, **other):
    was = Host(root, {}).file_state(JSON)
    return Treatment("area.check", "it is broken", (Put(JSON, was, replace(was, data=data, mtime_ns=0, **other)),))


def test_the_newer_of_two_is_taken_back_first(root):
    before, host = seen(root), World(root)
    carry_out(put(root, b"one"), host, lambda: None)
    # As it was: the content alone would not tell that somebody has gone on from there.
    carry_out(put(root, b'{"a": 1,}\r\n'), host, lambda: None)
    newer, older = (entry.id for entry in history(host))
    with pytest.raises(Refused, match=newer):
        undo(to_undo(host, older), host)
    undo(to_undo(host), host)
    undo(to_undo(host), host)
    assert seen(root) == before


def test_the_newest_is_the_last_whatever_the_clock_says(root):
    host = World(root)
    carry_out(put(root, b"one"), host, lambda: None)
    host.now -= 1e6
    carry_out(put(root, b"two"), host, lambda: None)
    undo(to_undo(host), host)
    assert (root / JSON[1:]).read_bytes() == b"one"


def test_a_mode_that_alone_was_changed_is_restored(root):
    before, host = seen(root), World(root)
    carry_out(put(root, b'{"a": 1,}\r\n', mode=0o600), host, lambda: None)
    assert seen(root) != before
    undo(to_undo(host), host)
    assert seen(root) == before


def made_a_folder(file):
    file.unlink()
    file.mkdir()


def made_a_link(file):
    file.rename(file.with_name("elsewhere"))
    file.symlink_to("elsewhere")


def put_behind_a_link(file):
    file.parent.rename(file.parent.with_name("elsewhere"))
    file.parent.symlink_to("elsewhere")


@pytest.mark.parametrize("change", [made_a_folder, made_a_link, put_behind_a_link])
def test_what_is_no_file_of_its_own_any_more_is_not_touched(root, change):
    host, planned = World(root), put(root, b"two")
    carry_out(put(root, b"one"), host, lambda: None)
    change(root / JSON[1:])
    before = seen(root)
    for treat in (lambda: undo(to_undo(host), host), lambda: carry_out(planned, host, lambda: None)):
        with pytest.raises(Refused):
            treat()
    assert seen(root) == before


def test_a_file_with_two_names_or_a_new_mode_is_not_replaced(root):
    planned = put(root, b"one")
    (root / "etc/second").hardlink_to(root / JSON[1:])
    with pytest.raises(Refused, match="hard link"):
        carry_out(planned, World(root), lambda: None)
    (root / "etc/second").unlink()
    (root / JSON[1:]).chmod(0o666)
    with pytest.raises(Refused, match="somebody else"):
        carry_out(planned, World(root), lambda: None)
    assert entries(World(root)) == ()


def test_nothing_is_begun_upon_what_was_cut_short(root):
    with pytest.raises(Killed):
        carry_out(treatment(root), World(root, 20, Killed()), lambda: None)
    with pytest.raises(Refused, match="has not ended") as refused:
        carry_out(put(root, b"one"), World(root), lambda: None)
    assert refused.value.manual == (f"doctor undo {entries(World(root))[0].id}",)


def test_what_is_left_as_it_is_is_no_more_unfinished(root):
    with pytest.raises(Killed):
        carry_out(treatment(root), World(root, 20, Killed()), lambda: None)
    (root / JSON[1:]).write_text("mine")
    host = World(root)
    with pytest.raises(Refused, match="somebody else") as refused:
        undo(to_undo(host), host)
    assert refused.value.manual[-1] == f"doctor undo {entries(host)[0].id} --leave"
    leave(to_undo(host), host)
    assert (root / JSON[1:]).read_text() == "mine"
    assert (isinstance(to_undo(host), NothingToUndo), own_changes.measure(Host(root, {})).unfinished) == (True, ())


def test_containers_come_back_even_where_the_restart_fails(root):
    host = World(root)
    steps = (Running(("web", "db")), Run(("broken",)))
    with pytest.raises(StepFailed):
        carry_out(Treatment("area.check", "it is broken", steps), host, lambda: None)
    assert host.effects[-2:] == ["docker start web db", "note rolled-back"]
    carry_out(Treatment("area.check", "it is broken", steps[:1]), host, lambda: None)
    assert host.effects[-2:] == ["docker start web db", "note applied"]


def test_undoing_starts_again_what_ran_when_it_began(root):
    class Busy(World):
        def _run(self, argv):
            return Completed(0, "new\nold\n", "") if argv[:2] == ("docker", "ps") else super()._run(argv)

    restart = ("systemctl", "restart", "docker")
    host = Busy(root)
    steps = (*put(root, b"new").steps, Running(("web",)), Run(restart, again=restart))
    carry_out(Treatment("area.check", "it is broken", steps), host, lambda: None)
    undo(to_undo(host), host)
    assert host.effects[-3:-1] == ["systemctl restart docker", "docker start old new"]


def test_who_only_started_something_anew_does_not_start_it_again_to_take_that_back(root):
    host, restart = World(root), ("systemctl", "restart", "docker")
    carry_out(Treatment("area.check", "it is broken", (Run(restart, again=restart),)), host, lambda: None)
    host.effects.clear()
    undo(to_undo(host), host)
    assert host.effects == ["note undoing", "note undone"]


def test_a_test_that_tells_nothing_is_no_answer(root):
    host = World(root)
    steps = (Run(("true",), (Back(("set", "0"), ("locked",)),)),)
    carry_out(Treatment("area.check", "it is broken", steps), host, lambda: None)
    with pytest.raises(Stranded, match="told nothing"):
        undo(to_undo(host), host)


def test_half_a_line_is_no_line_and_spoils_none(root):
    host = World(root)
    with pytest.raises(Killed):
        carry_out(treatment(root), World(root, 20, Killed()), lambda: None)
    progress = root / FOLDER[1:] / entries(host)[0].id / "progress"
    with progress.open("a") as file:
        file.write("appl")
    undo(to_undo(host), host)
    assert not unfinished(host)
    assert not own_changes.measure(Host(root, {})).unfinished


def test_a_line_for_which_there_is_no_room_is_not_written_at_all(root, monkeypatch):
    host = Host(root, {})
    host.append_line("/etc/lines", "one")
    monkeypatch.setattr(os, "write", lambda fd, data, write=os.write: write(fd, data[:3]))
    with pytest.raises(OSError, match="No space"):
        host.append_line("/etc/lines", "another")
    assert (root / "etc/lines").read_text() == "one\n"


def test_old_ones_are_forgotten_and_open_ones_never(root):
    with pytest.raises(Killed):
        carry_out(treatment(root), World(root, 20, Killed()), lambda: None)
    host = World(root)
    stale = Treatment("area.check", "it is broken", (Folder("/etc/x"),))
    for _ in range(KEPT + 3):
        host.now += 1
        carry_out(stale, host, lambda: None)
    found = entries(host)
    assert len(found) == KEPT + 1
    assert found[0].ended is None
    assert {entry.ended for entry in found[1:]} == {Ended.APPLIED}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            OSError(1, "Operation not permitted", JSON),
            f"{JSON}: Operation not permitted (it or its folder may be immutable",
        ),
        (OSError(16, "Device or resource busy", JSON), f"{JSON}: Device or resource busy (something is mounted on it)"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (StepFailed("no such thing"), "no such thing"),
        (OSError("timed out"), "timed out"),
    ],
)
def test_a_reason_says_what_to_look_at(error, said):
    assert why(error).startswith(said)


def test_a_file_that_cannot_be_replaced_is_named_and_not_the_one_beside_it(root):
    (root / "etc/docker/daemon.json").unlink()
    (root / "etc/docker/daemon.json/x").mkdir(parents=True)
    with pytest.raises(OSError, match=rf"'{JSON}'$"):
        Host(root, {}).put_file(JSON, FileState(b""))
    assert [p.name for p in (root / "etc/docker").iterdir()] == ["daemon.json"]


RESOLV = "/etc/resolv.conf"


def relinked(root):
    """A link that a file takes the place of, and a file that becomes a link."""
    (root / RESOLV[1:]).symlink_to("../run/gone")
    was = Host(root, {}).file_state(JSON)
    file = FileState(b"nameserver 10.0.0.1\n", 0o644, os.getuid(), os.getgid())
    link, mine = Host(root, {}).link_state(RESOLV), Linked("/srv/d.json", os.getuid(), os.getgid())
    return Treatment("area.check", "it is broken", (Put(RESOLV, link, file), Put(JSON, was, mine)))


def names(root):
    """What is a link, and what is not."""
    found = (root / JSON[1:], root / RESOLV[1:])
    return [
        str(p.readlink()) if p.is_symlink() else (p.read_bytes(), p.stat().st_mode, p.stat().st_mtime_ns) for p in found
    ]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kill_at", range(1, 14))
def test_links_and_files_take_each_others_places_and_come_back(root, kill_at, when):
    planned = relinked(root)
    before, host = names(root), World(root, kill_at, Killed(), when)
    with suppress(Killed):
        carry_out(planned, host, lambda: None)
        assert names(root)[0] == "/srv/d.json"
        undo(to_undo(host), host)
    now = names(root)
    assert now[0] in {before[0], "/srv/d.json"}
    assert now[1] == before[1] or now[1][0] == b"nameserver 10.0.0.1\n"
    if not isinstance(entry := to_undo(World(root)), NothingToUndo):
        undo(entry, World(root))
    assert names(root) == before
    assert not list((root / "etc").rglob(".*.doctor"))


def test_a_link_that_leads_elsewhere_by_now_is_not_touched(root):
    planned = relinked(root)
    carry_out(planned, World(root), lambda: None)
    (root / JSON[1:]).unlink()
    (root / JSON[1:]).symlink_to("/srv/mine")
    with pytest.raises(Refused, match="somebody else"):
        undo(to_undo(World(root)), World(root))
    assert names(root)[0] == "/srv/mine"


def test_how_a_link_is_taken_back_by_hand(root):
    assert list(by_hand(relinked(root).steps)) == [
        f"cp -a --remove-destination '' {JSON}",
        f"ln -sfn ../run/gone {RESOLV}",
    ]


def test_what_a_killed_restart_has_stopped_is_started_and_nothing_else_is(root):
    restart = ("systemctl", "restart", "docker")
    steps = (Running(("web",)), Run(restart, again=restart))
    with pytest.raises(Killed):
        carry_out(Treatment("area.check", "it is broken", steps), World(root, 9, Killed()), lambda: None)
    host = World(root)
    assert to_undo(host).begun == len(steps)
    undo(to_undo(host), host)
    assert host.effects == ["note undoing", "docker start web", "note rolled-back"]
