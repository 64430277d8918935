"""What is shown, whatever a host says."""

import json
from dataclasses import replace

import pytest

from dockerdoctor.examine import failed
from dockerdoctor.model import Evidence, Finding, Result, Severity, Status
from dockerdoctor.render import FORMATS, ReportFormat
from dockerdoctor.render.terminal import Options
from tests.render.patients import ACCEPTED, CAUSE, DARK, MATRIX, SYMPTOM, WARNING, WELL, entry, report

NASTY = "[red]x[/red] <b>&amp;</b> \x1b[31mred\x1b[0m `tick` |pipe| \u202eright-to-left"

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
    assert FORMATS[ReportFormat.TEXT](report(WELL, CAUSE, SYMPTOM, WARNING, DARK), Options()) == SICK_TEXT


def test_a_healthy_host_takes_three_lines():
    text = FORMATS[ReportFormat.TEXT](report(WELL), Options())
    assert text.splitlines()[-1] == "Docker is well · 1 passed · 1.2 s"
    assert len(text.splitlines()) <= 5


def test_in_short_each_cause_is_one_line_however_long():
    long = Result(entry("x.y", Severity.WARNING), failed("a word\n" * 40, cause="x"))
    crash = Result(entry("y.z"), Finding(Status.CRASH, "this check crashed"))
    text = FORMATS[ReportFormat.TEXT](report(WELL, CAUSE, SYMPTOM, long, DARK, crash), Options(width=60, short=True))
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
    assert FORMATS[ReportFormat.TEXT](report(*results), Options(short=True)) == line


def test_without_unicode_or_colour_only_ascii_is_written():
    FORMATS[ReportFormat.TEXT](report(CAUSE, WARNING, DARK), Options(unicode=False)).encode("ascii")


@pytest.mark.parametrize("width", [40, 80, 120, 400])
def test_lines_fit(width):
    text = FORMATS[ReportFormat.TEXT](report(CAUSE, SYMPTOM), Options(width=width))
    assert all(len(line) <= min(width, 110) for line in text.splitlines())


def test_a_command_is_never_broken():
    command = "tee /etc/docker/daemon.json <<< '{\n  " + '"labels": ["a b", "c d"], ' * 9 + "\n}'"
    finding = failed("x", cause="x", fix=(command, "# and a long word to a person " * 5))
    text = FORMATS[ReportFormat.TEXT](report(Result(entry("x.y"), finding)), Options(width=60))
    assert command.replace("\n", "\n    ").replace(" \n", "\n") in text


def test_json_says_everything():
    document = json.loads(FORMATS[ReportFormat.JSON](report(WELL, CAUSE, SYMPTOM), Options()))
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
        "ignored": "",
    }
    assert document["started"] == "2026-01-02T03:04:05Z"


# Metrics hold nothing that a finding says.
@pytest.mark.parametrize("form", [form for form in ReportFormat if form is not ReportFormat.PROMETHEUS])
def test_what_a_host_says_is_text_and_nothing_else(form):
    nasty = Result(entry("x.y"), failed(NASTY, Evidence(NASTY, NASTY), cause=NASTY, fix=(NASTY,)))
    text = FORMATS[form](report(nasty), Options(width=100, color=form is ReportFormat.TEXT))
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


def test_the_matrix_is_shown_where_something_is_broken_or_when_asked_for():
    def lines(patient, **more):
        return FORMATS[ReportFormat.TEXT](replace(patient, matrix=MATRIX), Options(**more)).splitlines()

    assert [line for line in lines(report(CAUSE)) if "nameserver" in line] == [
        "nameserver 192.0.2.53  ✗ no answer  –         ✗ refused  ?        ✗ refused"
    ]
    assert not [line for line in lines(report(WELL, WARNING)) if "nameserver" in line]
    assert [line for line in lines(report(WELL), all=True) if "nameserver" in line]


@pytest.mark.parametrize(("width", "words"), [(50, False), (64, False), (90, True)])
def test_the_matrix_can_be_read_without_colour_and_unicode(width, words):
    text = FORMATS[ReportFormat.TEXT](replace(report(CAUSE), matrix=MATRIX), Options(width=width, unicode=False))
    start = next(n for n, line in enumerate(text.splitlines()) if "network" in line) + 1
    table = text.splitlines()[start : start + 3]
    assert text.isascii()
    assert ("FAIL no answer" in table[0]) is words
    assert [line.split("  ")[0][-4:] for line in table] == ["2.53", "5000", "port"]
    assert table[0].count("FAIL") == 3
    assert table[1].split().count("ok") == 4
    assert ("120 ms" in table[1]) is (width > 50)
    assert max(map(len, table)) <= width
    assert "? user network: no answer within 8 s" in text


def test_what_is_ignored_is_said_with_its_reason_and_counts_for_nothing():
    patient = report(WELL, ACCEPTED)
    assert FORMATS[ReportFormat.TEXT](patient, Options()).splitlines()[3:] == [
        "– ignored: registry.slow  took 3.1 s (it is on the moon)",
        "",
        "Docker is well · 1 ignored · 1 passed · 1.2 s",
    ]
    assert patient.exit_status() == 0
    document = json.loads(FORMATS[ReportFormat.JSON](patient, Options()))
    assert document["root_causes"] == []
    assert document["results"][1]["ignored"] == "it is on the moon"
