"""`doctor undo` and `doctor history` at the command line: what they say, and how they end."""

import json
import os

import pytest
from typer.testing import CliRunner

from dockerdoctor import cli
from dockerdoctor.facts.changes import JOURNAL, LOCK
from dockerdoctor.fixes.journal import entries
from dockerdoctor.fixes.steps import Put
from dockerdoctor.fixes.treatment import Treatment, carry_out
from dockerdoctor.host import FileState, Host

FILE = "/etc/a"


@pytest.fixture
def host(tmp_path, monkeypatch):
    for folder in ("etc", "var/lib", "run"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "etc/a").write_text("old")
    monkeypatch.setattr(Host, "is_root", True)
    found = Host(tmp_path, {})
    monkeypatch.setattr(cli, "Host", lambda: found)
    was = found.file_state(FILE)
    after = FileState(b"new", was.mode, was.uid, was.gid)
    carry_out(Treatment("a.check", "it is broken", (Put(FILE, was, after),)), found, lambda: None)
    return found


def doctor(*args):
    return CliRunner().invoke(cli.app, args)


def test_taken_back_once(host):
    done = doctor("undo", "--yes")
    assert (done.exit_code, host.text(FILE)) == (0, "old")
    assert doctor("undo", "--yes").exit_code == 0
    assert doctor("undo", entries(host)[0].id, "--yes").exit_code == 2


def test_without_somebody_to_ask_nothing_is_done(host):
    assert doctor("undo").exit_code == 2
    assert host.text(FILE) == "new"


def test_refused_and_how_to_go_on(host):
    host.path(FILE).write_text("mine\x1b[2J")
    done = doctor("undo", "--yes")
    assert (done.exit_code, host.text(FILE)) == (1, "mine\x1b[2J")
    assert "nothing was changed" in done.output
    assert "--leave" in done.output
    host.path(FILE).unlink()
    host.path(FILE).mkdir()
    assert doctor("undo", "--yes").exit_code == 1
    done = doctor("undo", "--leave", "--yes")
    assert (done.exit_code, "left as it is" in done.output) == (0, True)
    assert "nothing that the doctor did stands" in doctor("undo", "--yes").output


def test_another_doctor_is_named_by_its_process(host):
    with host.lock(LOCK):
        done = doctor("undo", "--yes")
    assert done.exit_code == 1
    assert f"process {os.getpid()}" in done.output


def test_history(host):
    assert "applied" in doctor("history").output
    document = json.loads(doctor("history", "--format", "json").output)
    assert [entry["files"] for entry in document["history"]] == [[FILE]]


def test_a_journal_that_is_not_for_us(host, monkeypatch):
    monkeypatch.setattr(Host, "searchable", lambda *_: False)
    assert doctor("history").exit_code == 3
    done = doctor("undo", "--yes")
    assert (done.exit_code, JOURNAL in done.output) == (1, True)
