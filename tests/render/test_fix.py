"""What fix-dns says: every ending in both formats, and nothing of a host's text taken for markup."""

import json
from dataclasses import replace

import pytest

from dockerdoctor.facts.upstreams import Candidate
from dockerdoctor.fixes.dns import Ending, Impact, Tier, Tried, Verdict
from dockerdoctor.render.fix import plan_text, render_json, render_text
from dockerdoctor.render.terminal import Options

VERDICT = Verdict(
    Ending.PLANNED,
    "because",
    seen=(("default bridge", "192.0.2.9 timeout"),),
    path="/etc/docker/daemon.json",
    diff=("--- a", "+++ b", '-  "dns": ["192.0.2.9"]', '+  "dns": ["10.0.0.1"]'),
    tried=(
        Tried(
            Candidate("10.0.0.1", "/etc/[bold]x.conf"),
            Tier.HOST,
            (("default bridge", "NOERROR", 0.002),),
            chosen=True,
            why="answers",
        ),
        Tried(Candidate("192.0.2.9", "f"), Tier.PRESENT, (), chosen=False, why="does not answer containers"),
    ),
    impact=Impact(live_restore=False, stop=("web[red]",), return_by_policy=("db",), keep_running=(), recreate=()),
    backup="/b.bak",
    next=("docker start web", "# a step"),
)


@pytest.mark.parametrize("ending", Ending)
def test_every_ending(ending):
    verdict = replace(VERDICT, ending=ending)
    text, document = render_text(verdict, Options()), json.loads(render_json(verdict, Options()))
    assert "because" in text
    assert "docker start web" in text
    assert document["ending"] == ending.value
    assert document["exit_status"] == int(ending.exit_status)
    assert [s["server"] for s in document["servers"] if s["chosen"]] == ["10.0.0.1"]


def test_the_plan_shows_the_change_its_reasons_and_what_it_interrupts():
    text = plan_text(VERDICT, Options(width=110))
    for part in ('+  "dns": ["10.0.0.1"]', "/etc/[bold]x.conf", "web[red]", "NOERROR 2 ms", "no answer in time"):
        assert part in text
    assert "\x1b[" not in text
    assert "\x1b[" in plan_text(VERDICT, Options(color=True))


def test_without_a_change_of_the_file_it_says_why_a_restart_helps():
    assert "has not read it yet" in plan_text(replace(VERDICT, diff=()), Options(width=110))


def test_a_terminal_is_not_obeying_the_host():
    assert "\x1b" not in render_text(replace(VERDICT, diff=("+\x1b[2J",), reason="\x1b]0;x\x07"), Options())


def test_neither_commands_nor_the_diff_are_broken_into_lines():
    long = "docker start " + " ".join(f"container-{n}" for n in range(30))
    text = render_text(replace(VERDICT, next=(long,), diff=(f"+{long}",)), Options(width=80))
    assert f"    {long}\n" in text
    assert f"  +{long}\n" in text
