"""Where reports go: to files, several in one run, whole or not at all, and never with a secret in them."""

import json
import os
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

import dockerdoctor.cli
from dockerdoctor.cli import app
from dockerdoctor.outputs import prove, put
from dockerdoctor.render import ReportFormat

ONE = ("check", "--passive", "--only", "engine.reachable")
FORMS = [form.value for form in ReportFormat]


@pytest.fixture(autouse=True)
def _no_engine(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")


def doctor(*args):
    return CliRunner().invoke(app, [str(arg) for arg in args])


def test_several_reports_in_one_run(tmp_path):
    files = {form: tmp_path / f"report.{form}" for form in FORMS}
    done = doctor(*ONE, *(word for form, path in files.items() for word in ("--report", f"{form}={path}")))
    assert done.exit_code == 1
    assert "engine.reachable" in done.stdout
    assert json.loads(files["json"].read_text())["root_causes"] == ["engine.reachable"]
    for path in files.values():
        assert "engine.reachable" in path.read_text()
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(p.name for p in files.values())


@pytest.mark.parametrize("quiet", [(), ("--quiet",)])
def test_output_goes_to_the_file_alone(tmp_path, quiet):
    path = tmp_path / "report.json"
    done = doctor(*ONE, "--format", "json", "-o", path, *quiet)
    assert done.exit_code == 1
    assert done.stdout == ""
    assert json.loads(path.read_text())["root_causes"] == ["engine.reachable"]


def test_a_dash_is_standard_output():
    assert "engine.reachable" in doctor(*ONE, "--output", "-").stdout


@pytest.mark.parametrize("option", ["--output", "--save", "--report"])
@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("missing/report", "No such file or directory"),
        ("folder", "Is a directory"),
        ("file/report", "Not a directory"),
        ("loop", "symbolic links"),
    ],
)
def test_what_cannot_be_written_is_said_before_anything_is_examined(monkeypatch, tmp_path, option, path, words):
    monkeypatch.setattr(dockerdoctor.cli, "measure_host", None)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    named = tmp_path / path
    done = doctor(*ONE, option, f"json={named}" if option == "--report" else named)
    assert done.exit_code == 2
    assert f"{named}: " in done.output
    assert words in done.output
    assert "nothing was examined" in done.output
    assert not (tmp_path / "missing").exists()


def test_what_cannot_be_written_afterwards_is_said_too():
    done = doctor(*ONE, "--output", "/dev/full")
    assert done.exit_code == 2
    assert "/dev/full: No space left on device" in done.output


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--report", "xml=/x"), "'xml=/x' is not FORMAT=FILE"),
        (("--report", "json"), "is not FORMAT=FILE"),
        (("--report", "json="), "is not FORMAT=FILE"),
        (("--report", "json=-"), "--report writes files"),
        (("--report", "json=/tmp/x", "--report", "html=/tmp/x"), "/tmp/x is named twice"),
        (("--report", "json=/tmp/x", "--output", "/tmp/x"), "/tmp/x is named twice"),
        (("--save", "/tmp/x", "--output", "/tmp/x"), "/tmp/x is named twice"),
    ],
)
def test_wrong_usage_exits_with_2_and_says_why(monkeypatch, args, words):
    monkeypatch.setenv("COLUMNS", "200")
    done = doctor(*ONE, *args)
    assert done.exit_code == 2
    assert words in done.output


def test_a_new_file_is_readable_as_any_other(tmp_path):
    path, beside = tmp_path / "x.prom", tmp_path / "beside"
    put(path, "text")
    beside.touch()
    assert path.stat().st_mode == beside.stat().st_mode
    assert path.read_text() == "text"


def test_a_file_that_is_there_is_replaced_whole_and_keeps_its_mode_and_links(tmp_path):
    path, link = tmp_path / "real", tmp_path / "link"
    path.write_text("old")
    path.chmod(0o640)
    link.symlink_to("real")
    with path.open() as reader:
        put(link, "new")
        # Who has opened it reads on in the old one, to its end.
        assert reader.read() == "old"
    assert link.is_symlink()
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert {p.name for p in tmp_path.iterdir()} == {"real", "link"}


def test_what_is_no_file_stays_what_it_is(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    prove(pipe)
    put(pipe, "text")
    assert os.read(reader, 10) == b"text"
    os.close(reader)
    prove(Path("/dev/null"))
    put(Path("/dev/null"), "text")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


@pytest.mark.parametrize("form", FORMS)
def test_secrets_are_in_no_report(monkeypatch, tmp_path, form):
    config = tmp_path / "config.json"
    url = "http://somebody:hunter2@127.0.0.1:9"
    config.write_text(
        json.dumps({"auths": {"r.example": {"auth": "aHVudGVyMg=="}}, "proxies": {"default": {"httpProxy": url}}})
    )
    for name, value in {
        "DOCKER_CONFIG": str(tmp_path), "HTTP_PROXY": url, "HTTPS_PROXY": url, "https_proxy": url,
        "DOCKER_HOST": "tcp://somebody:hunter2@127.0.0.1:9",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    done = doctor("check", "--passive", "--only", "proxy.*,engine.*,client.*", "--format", form, "--verbose")
    assert "127.0.0.1:9" in done.output
    assert "hunter2" not in done.output
    assert "aHVudGVyMg" not in done.output
