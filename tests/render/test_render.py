"""What is shown, whatever a host says."""

import json
from datetime import datetime, timezone

import pytest

from dockerdoctor.examine import check, failed, passed, unknown
from dockerdoctor.model import Endpoint, Engine, Evidence, Finding, Report, Result, Severity, Status
from dockerdoctor.render import FORMATS, Format
from dockerdoctor.render.terminal import Options

NASTY = "[red]x[/red] <b>&amp;</b> \x1b[31mred\x1b[0m `tick` |pipe| \u202eright-to-left"


def decide() -> Finding:
    return passed("")


def entry(check_id, severity=Severity.ERROR, upstream=()):
    return check(check_id, title="It works", severity=severity, docs="https://d", upstream=upstream)(decide)


def report(*results):
    return Report(
        "0.1.0",
        Endpoint("unix:///var/run/docker.sock", "default"),
        Engine("20.10.24", "1.41", "Debian", "6.1"),
        datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc),
        1.25,
        results,
    )


CAUSE = Result(
    entry("dns.cause"),
    failed(
        "192.0.2.53 does not answer",
        Evidence("/etc/docker/daemon.json:1", '"dns": ["192.0.2.53"]'),
        cause="It is dead.",
        fix=("doctor fix-dns --write --yes", "# then start your containers again"),
        impact="restarts dockerd",
    ),
)
SYMPTOM = Result(entry("dns.symptom"), failed("names do not resolve", cause="x"), ("dns.cause",))
WARNING = Result(entry("disk.space", Severity.WARNING), failed("8% free", cause="Soon full."))
DARK = Result(entry("net.rules"), unknown("the rules cannot be read", how="# run as root"))
WELL = Result(entry("engine.up"), passed("answered"))

SICK_TEXT = """\
Docker Engine 20.10.24 at unix:///var/run/docker.sock (default)
Debian, kernel 6.1

✗ 192.0.2.53 does not answer
  It is dead.
  /etc/docker/daemon.json:1: "dns": ["192.0.2.53"]

  To fix it (restarts dockerd):
    doctor fix-dns --write --yes
    # then start your containers again
  dns.cause  https://d
  1 more follows from this: dns.symptom

! 8% free
  Soon full.
  disk.space  https://d

? not known: the rules cannot be read (run as root)  net.rules

1 cause, 1 warning · 1 that follows · 1 passed · 1 not known · 1.2 s
Run again after fixing: what followed from a cause may hide another.
"""


def test_terminal():
    assert FORMATS[Format.TEXT](report(WELL, CAUSE, SYMPTOM, WARNING, DARK), Options()) == SICK_TEXT


def test_a_healthy_host_takes_three_lines():
    text = FORMATS[Format.TEXT](report(WELL), Options())
    assert text.splitlines()[-1] == "Docker is well · 1 passed · 1.2 s"
    assert len(text.splitlines()) <= 5


def test_in_short_each_cause_is_one_line_however_long():
    long = Result(entry("x.y", Severity.WARNING), failed("a word\n" * 40, cause="x"))
    crash = Result(entry("y.z"), Finding(Status.CRASH, "this check crashed"))
    text = FORMATS[Format.TEXT](report(WELL, CAUSE, SYMPTOM, long, DARK, crash), Options(width=60, short=True))
    assert text.splitlines() == [
        "✗ dns.cause  192.0.2.53 does not answer",
        f"! x.y  {' '.join(['a word'] * 40)}",
        "☠ y.z  this check crashed",
    ]


@pytest.mark.parametrize(
    ("results", "line"),
    [
        ((WELL, DARK), "✓ Docker is well · 1 passed · 1 not known · 1.2 s\n"),
        ((DARK,), "? Nothing could be examined · 0 passed · 1 not known · 1.2 s\n"),
    ],
)
def test_in_short_a_healthy_host_is_one_line(results, line):
    assert FORMATS[Format.TEXT](report(*results), Options(short=True)) == line


def test_without_unicode_or_colour_only_ascii_is_written():
    FORMATS[Format.TEXT](report(CAUSE, WARNING, DARK), Options(unicode=False)).encode("ascii")


@pytest.mark.parametrize("width", [40, 80, 120, 400])
def test_lines_fit(width):
    text = FORMATS[Format.TEXT](report(CAUSE, SYMPTOM), Options(width=width))
    assert all(len(line) <= min(width, 110) for line in text.splitlines())


def test_a_command_is_never_broken():
    command = "tee /etc/docker/daemon.json <<< '{\n  " + '"labels": ["a b", "c d"], ' * 9 + "\n}'"
    finding = failed("x", cause="x", fix=(command, "# and a long word to a person " * 5))
    text = FORMATS[Format.TEXT](report(Result(entry("x.y"), finding)), Options(width=60))
    assert command.replace("\n", "\n    ").replace(" \n", "\n") in text


def test_json_says_everything():
    document = json.loads(FORMATS[Format.JSON](report(WELL, CAUSE, SYMPTOM), Options()))
    assert document["root_causes"] == ["dns.cause"]
    assert document["counts"] == {"pass": 1, "fail": 2, "skip": 0, "unknown": 0, "crash": 0}
    assert document["results"][1] == {
        "id": "dns.cause",
        "title": "It works",
        "status": "fail",
        "severity": "error",
        "summary": "192.0.2.53 does not answer",
        "cause": "It is dead.",
        "evidence": [{"source": "/etc/docker/daemon.json:1", "saw": '"dns": ["192.0.2.53"]'}],
        "fix": ["doctor fix-dns --write --yes", "# then start your containers again"],
        "automatic": False,
        "impact": "restarts dockerd",
        "because": [],
        "docs": "https://d",
        "seconds": 0.0,
    }
    assert document["started"] == "2026-01-02T03:04:05Z"


@pytest.mark.parametrize("form", list(Format))
def test_what_a_host_says_is_text_and_nothing_else(form):
    nasty = Result(entry("x.y"), failed(NASTY, Evidence(NASTY, NASTY), cause=NASTY, fix=(NASTY,)))
    text = FORMATS[form](report(nasty), Options(width=100, color=form is Format.TEXT))
    assert "\x1b[31mred" not in text
    assert "[red]x[/red]" in text


@pytest.mark.parametrize(
    ("results", "fail_on", "code"),
    [
        ((WELL, DARK), Severity.ERROR, 0),
        ((WARNING,), Severity.ERROR, 0),
        ((WARNING,), Severity.WARNING, 1),
        ((CAUSE,), Severity.ERROR, 1),
        ((Result(entry("x.y"), Finding(Status.CRASH, "x")),), Severity.ERROR, 70),
    ],
)
def test_exit_status(results, fail_on, code):
    assert report(*results).exit_status(fail_on) == code
