"""The command line: what it takes, what it refuses, how it ends."""

import base64
import json
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from dockerdoctor import cli
from dockerdoctor.archive import unpack
from dockerdoctor.checks import CATALOGUE
from dockerdoctor.cli import app
from dockerdoctor.commands import cut_short
from dockerdoctor.exits import ExitStatus
from dockerdoctor.host import Host
from dockerdoctor.model import Severity

RUN = CliRunner()


def doctor(*args):
    return RUN.invoke(app, args)


def test_the_list_shows_the_whole_catalogue():
    listed = doctor("check", "--list")
    assert listed.exit_code == 0
    assert [line.split()[0] for line in listed.stdout.splitlines()] == [c.id for c in CATALOGUE]


def test_only_and_skip():
    listed = doctor("check", "--list", "--only", "dns.*,engine.*", "--skip", "dns.udp-blocked").stdout
    assert "dns.server-dead" in listed
    assert "engine.reachable" in listed
    assert "udp-blocked" not in listed
    assert "proxy." not in listed


def test_explain_takes_globs():
    done = doctor("explain", "dns.*", "engine.reachable")
    assert done.exit_code == 0
    headings = [line for line in done.stdout.splitlines() if line in {c.id for c in CATALOGUE}]
    assert headings == [c.id for c in CATALOGUE if c.id.startswith("dns.") or c.id == "engine.reachable"]


PLANTED = "hunter2-Zq8x"


@pytest.fixture
def sick(monkeypatch, tmp_path):
    """A user whose every setting holds a secret, and whose engine does not answer."""
    home = tmp_path / "home"
    (home / ".docker").mkdir(parents=True)
    login = base64.b64encode(f"al:{PLANTED}".encode()).decode()
    config = {
        "auths": {"reg.test": {"auth": login}},
        "HttpHeaders": {"Authorization": f"Bearer {PLANTED}"},
        "proxies": {"default": {"httpProxy": f"http://al:{PLANTED}@proxy.test:3128"}},
    }
    (home / ".docker/config.json").write_text(json.dumps(config))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/{PLANTED}/docker.sock")
    monkeypatch.setenv("API_TOKEN", PLANTED)
    monkeypatch.setenv("https_proxy", f"http://al:{PLANTED}@127.0.0.1:9")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_report_is_one_file_without_secrets_that_can_be_examined_again(sick):
    done = doctor("report", "--passive")
    assert done.exit_code == 0, done.output
    (path,) = sick.glob("dockerdoctor-*.tar.gz")
    assert done.stdout.strip() == str(path)
    assert path.stat().st_mode & 0o777 == 0o600
    files = unpack(path.read_bytes())
    assert set(files) == {"about.txt", "report.txt", "report.json", "facts.json", "log.txt"}
    for name, text in files.items():
        assert PLANTED not in text, name
    assert PLANTED not in done.output
    assert "engine.reachable" in files["report.txt"]
    assert "kernel" in files["about.txt"]
    document = json.loads(files["report.json"])
    again = json.loads(doctor("check", "--from", str(path), "--format", "json").stdout)
    assert document["root_causes"] == again["root_causes"]
    (sick / "facts.json").write_text(files["facts.json"])
    assert json.loads(doctor("check", "--from", "facts.json", "--format", "json").stdout)["counts"] == again["counts"]


def test_a_report_overwrites_nothing(tmp_path):
    for path in (tmp_path / "file", tmp_path / "link"):
        path.symlink_to("nowhere") if path.name == "link" else path.write_text("mine")
        done = doctor("report", "--passive", str(path))
        assert done.exit_code == 2
        assert "is there already" in done.output
    assert (tmp_path / "file").read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()


def test_diff_of_two_runs(sick):
    assert doctor("check", "--passive", "--only", "engine.reachable", "--save", "a.json").exit_code == 1
    doctor("check", "--from", "a.json", "--format", "json", "--output", "b.json")
    same = doctor("diff", "a.json", "b.json")
    assert same.exit_code == 0
    assert "Nothing newly fails" in same.stdout
    better = json.loads((sick / "b.json").read_text())
    for entry in better["results"]:
        entry["status"] = "pass"
    (sick / "c.json").write_text(json.dumps(better))
    assert doctor("diff", "c.json", "a.json").exit_code == 1
    repaired = doctor("diff", "a.json", "c.json", "--format", "json")
    assert repaired.exit_code == 0
    assert "engine.reachable" in [entry["id"] for entry in json.loads(repaired.stdout)["repaired"]]


def test_checks_lists_areas():
    assert doctor("checks", "dns.*").stdout.startswith("dns, ")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("check", "--only", "nosuch.*"), "no check matches 'nosuch.*'"),
        (("check", "--timeout", "-1"), "--timeout"),
        (("check", "--format", "xml"), "--format"),
        (("check", "--from", "/nonexistent"), "/nonexistent"),
        (("check", "--wait", "1", "--from", "x"), "--wait"),
        (("check", "--watch", "--from", "x"), "--watch"),
        (("check", "--target", "db:5432", "--from", "x"), "--target"),
        (("check", "--watch", "--format", "json"), "--watch"),
        (("check", "--watch", "--quiet"), "--watch"),
        (("check", "--target", "db"), "it names no port"),
        (("check", "--redis", "redis://:x@db"), "a login"),
        (("check", "--config", "/nowhere/x.toml"), "/nowhere/x.toml: there is no such file; nothing was examined"),
        (("check", "--short", "--format", "json"), "--short"),
        (("nosuch",), "No such command"),
        (("explain", "dns.server-ded"), "nearest: dns.server-dead"),
        (("explain",), "CHECK"),
        (("diff", "/nonexistent", "/nonexistent"), "/nonexistent: No such file"),
        (("diff", "/dev/null", "/dev/null"), "neither saved facts"),
        (("diff", "/dev/null"), "B"),
        (("checks", "nosuch.*"), "no check matches"),
    ],
)
def test_wrong_usage_exits_with_2_and_says_why(args, words):
    done = doctor(*args)
    assert done.exit_code == 2
    assert words in done.output


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schema_version": 99, "facts": {}}', '{"schema_version": 1, "facts": 7}']
)
def test_a_broken_file_of_facts_is_refused(tmp_path, text):
    file = tmp_path / "facts.json"
    file.write_text(text)
    done = doctor("check", "--from", str(file))
    assert done.exit_code == 2
    assert str(file) in done.output


def test_json_on_a_host_without_docker(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    done = doctor("check", "--format", "json", "--only", "engine.reachable")
    report = json.loads(done.stdout)
    assert done.exit_code == 1
    assert report["endpoint"] == {"url": f"unix://{tmp_path}/docker.sock", "from": "DOCKER_HOST"}
    assert report["root_causes"] == ["engine.reachable"]


def test_quiet_says_nothing_and_short_a_line(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    quiet = doctor("check", "--quiet", "--only", "engine.reachable")
    assert (quiet.exit_code, quiet.output) == (1, "")
    short = doctor("check", "--short", "--only", "engine.reachable")
    assert short.exit_code == 1
    assert re.fullmatch(r"\S engine\.reachable  .*\n", short.stdout)


def test_waiting_ends_when_docker_is_well(monkeypatch):
    monkeypatch.setattr(cli, "PAUSE", 0.01)
    said = []
    ends = iter((ExitStatus.FINDINGS, ExitStatus.FINDINGS, ExitStatus.WELL))

    def examined():
        end = next(ends)
        return {}, SimpleNamespace(exit_status=lambda _: end, root_causes=())

    _, report = cli._until_well(examined, Severity.ERROR, 60, said.append)
    assert report.exit_status(Severity.ERROR) is ExitStatus.WELL
    assert len(said) == 2


@pytest.mark.parametrize("ending", [ExitStatus.FINDINGS, ExitStatus.BUG])
def test_waiting_ends_with_the_time_or_with_a_bug_of_ours(ending):
    seconds = 0 if ending is ExitStatus.FINDINGS else 60
    report = SimpleNamespace(exit_status=lambda _: ending, root_causes=())
    assert cli._until_well(lambda: ({}, report), Severity.ERROR, seconds, pytest.fail) == ({}, report)


def test_facts_survive_being_saved(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    file = str(tmp_path / "facts.json")
    first = doctor("check", "--format", "json", "--save", file)
    again = doctor("check", "--format", "json", "--from", file)

    def judged(done):
        return [{k: v for k, v in r.items() if k != "seconds"} for r in json.loads(done.stdout)["results"]]

    assert judged(first) == judged(again)


@pytest.mark.parametrize("form", ["text", "json"])
def test_names_that_are_no_text_are_shown_and_saved_all_the_same(tmp_path, form):
    file = tmp_path / "facts.json"
    words = ("check", "--passive", "--only", "engine.reachable", "--format", form, "--save", str(file))
    done = subprocess.run(
        (sys.executable, "-m", "dockerdoctor", *words),
        env={**os.environ, "DOCKER_HOST": f"unix://{tmp_path}/\udcff.sock", "PYTHONUTF8": "1"},
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1, done.stderr.decode()
    # Wherever a line had to be broken.
    assert rb"\udcff.sock" in b"".join(done.stdout.split())
    assert r"\udcff.sock" in file.read_text(encoding="utf-8")
    assert doctor("check", "--from", str(file), "--only", "engine.reachable").exit_code == 1


def test_our_own_bug_has_a_status_of_its_own():
    code = "import dockerdoctor.cli as cli; cli.report_on = None; cli.main()"
    words = ("check", "--passive", "--only", "engine.socket-file")
    done = subprocess.run((sys.executable, "-c", code, *words), capture_output=True, timeout=30, check=False)
    assert done.returncode == 70
    assert b"TypeError" in done.stderr


def test_a_broken_configuration_is_said_with_its_place_and_nothing_is_examined(tmp_path, monkeypatch):
    path = tmp_path / "doctor.toml"
    path.write_text('[ignore]\n"no.such" = "x"\n')
    monkeypatch.setenv("DOCKERDOCTOR_CONFIG", str(path))
    monkeypatch.setattr(cli, "measure_host", lambda *_, **__: pytest.fail("something was examined"))
    for command in (("check",), ("report", str(tmp_path / "a.tar.gz")), ("fix",), ("fix-dns",)):
        done = doctor(*command)
        assert done.exit_code == ExitStatus.USAGE
        assert f"{path}:2:2: there is no check 'no.such'" in done.stderr


@pytest.mark.parametrize(
    ("begun", "end", "said"),
    [
        ("begin 0\n", "", True),
        ("begin 0\ndone 0\n", "undoing\n", True),
        ("begin 0\n", "applied\n", False),
        ("", "", False),
    ],
)
def test_whatever_is_run_next_says_that_a_fix_was_cut_short(tmp_path, begun, end, said):
    entry = tmp_path / "var/lib/dockerdoctor/20260101-000000-001"
    entry.mkdir(parents=True)
    (entry / "progress").write_text(begun + end)
    words = []
    cut_short.tell(Host(tmp_path, {}), words.append)
    assert words == ["a fix was cut short, and is half done: doctor undo 20260101-000000-001"] * said
    host = Host(tmp_path, {})
    (tmp_path / "run").mkdir()
    with host.lock("/run/dockerdoctor.lock"):
        words.clear()
        cut_short.tell(host, words.append)
    assert words == []
