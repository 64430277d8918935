"""A comparison for a person and for a program."""

import json

import pytest

from dockerdoctor.compare import Run, Verdict, compare
from dockerdoctor.model import Severity, Status
from dockerdoctor.render import Format
from dockerdoctor.render.compare import COMPARISON_FORMATS
from dockerdoctor.render.terminal import Options


def verdict(one, status, summary, severity=Severity.ERROR, because=()):
    return Verdict(one, "It works", severity, Status(status), summary, because)


BEFORE = Run(
    "a.json",
    (
        verdict("dns.server-dead", "pass", "10.0.0.1 answers"),
        verdict("dns.names", "pass", "names resolve"),
        verdict("net.forward", "fail", "ip_forward is 0"),
        verdict("disk.space", "fail", "8% free", Severity.WARNING),
        verdict("redis.up", "unknown", "the engine does not answer"),
        verdict("ports.held", "fail", "held by nginx"),
        verdict("engine.up", "pass", "answered in 4 ms"),
    ),
    "unix:///var/run/docker.sock",
    "20.10.24",
    "2026-01-01T00:00:00Z",
)
AFTER = Run(
    "b.tar.gz",
    (
        verdict("dns.server-dead", "fail", "192.0.2.53 does not answer"),
        verdict("dns.names", "fail", "names do not resolve", because=("dns.server-dead",)),
        verdict("net.forward", "pass", "ip_forward is 1"),
        verdict("disk.space", "fail", "7% free", Severity.WARNING),
        verdict("redis.up", "fail", "no Redis"),
        verdict("ports.held", "unknown", "not root"),
        verdict("engine.up", "pass", "answered in 5 ms"),
    ),
)
TEXT = """\
- a.json: Docker Engine 20.10.24 at unix:///var/run/docker.sock, 2026-01-01T00:00:00Z
+ b.tar.gz

Newly failing
✗ dns.server-dead  192.0.2.53 does not answer
    before: 10.0.0.1 answers
    1 more follows from this: dns.names

Failing, and not known before
✗ redis.up  no Redis
    before: the engine does not answer

Repaired
✓ net.forward  ip_forward is 1
    before: ip_forward is 0

Failed before, and not known now
? ports.held  not root
    before: held by nginx

Still failing, and says something else
! disk.space  7% free
    before: 8% free

Worse: 2 checks newly failing · 1 repaired · 1 failing in both · 1 that do not fail say something else
(--verbose)
"""


def test_text():
    said = COMPARISON_FORMATS[Format.TEXT](compare(BEFORE, AFTER), Options(width=110))
    assert said == TEXT


def test_what_does_not_fail_is_shown_when_asked():
    said = COMPARISON_FORMATS[Format.TEXT](compare(BEFORE, AFTER), Options(width=110, verbose=True))
    assert "✓ engine.up  answered in 5 ms" in said
    assert "--verbose" not in said


def test_no_difference_is_said():
    said = COMPARISON_FORMATS[Format.TEXT](compare(AFTER, AFTER), Options())
    assert said == "- b.tar.gz\n+ b.tar.gz\n\nNothing newly fails · 4 failing in both\n"


@pytest.mark.parametrize("form", list(Format))
def test_what_a_file_says_is_text_and_nothing_else(form):
    nasty = "[red]x[/red] \x1b[31mred\x1b[0m\nnext"
    run = Run(nasty, (verdict("a.b", "fail", nasty),), nasty, nasty, nasty)
    said = COMPARISON_FORMATS[form](compare(Run("a", ()), run), Options(color=form is Format.TEXT))
    assert "\x1b[31mred" not in said
    assert "[red]x[/red]" in said


def test_json():
    document = json.loads(COMPARISON_FORMATS[Format.JSON](compare(BEFORE, AFTER), Options()))
    assert document["before"] == {
        "file": "a.json",
        "endpoint": "unix:///var/run/docker.sock",
        "engine": "20.10.24",
        "started": "2026-01-01T00:00:00Z",
    }
    assert [entry["id"] for entry in document["newly_failing"]] == ["dns.server-dead", "dns.names"]
    assert document["newly_failing"][1]["after"]["because"] == ["dns.server-dead"]
    assert document["repaired"] == [
        {
            "id": "net.forward",
            "title": "It works",
            "severity": "error",
            "before": {"status": "fail", "summary": "ip_forward is 0", "because": []},
            "after": {"status": "pass", "summary": "ip_forward is 1", "because": []},
        }
    ]
    assert [entry["id"] for entry in document["changed"]] == ["disk.space", "engine.up"]
    assert document["failing_in_both"] == ["disk.space"]
