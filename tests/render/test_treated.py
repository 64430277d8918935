"""What fix, undo and history say."""

import json
from dataclasses import replace

import pytest

from dockerdoctor.fixes.fix import Outcome, Treated
from dockerdoctor.fixes.journal import Ended, Entry
from dockerdoctor.fixes.steps import Put, Run
from dockerdoctor.host import FileState
from dockerdoctor.render.terminal import Options
from dockerdoctor.render.treated import history_json, history_text, plan_text, render_json, render_text

TREATED = Treated(
    "area.check",
    "it is [bold]broken",
    Outcome.PLANNED,
    "because",
    diff=("--- /etc/a", "+++ /etc/a", "-old", "+new"),
    commands=("systemctl restart docker",),
    impact=("restarts dockerd",),
    journal="20260101-1",
    next=("# log in again",),
)


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome(outcome):
    treated = Treated("area.check", "it is broken", outcome, "because", next=("# log in again",))
    text, document = render_text([treated], Options()), json.loads(render_json([treated], Options()))
    assert "it is broken" in text
    assert "# log in again" in text
    assert ("Nothing was changed; this is what --write would do." in text) is (outcome is Outcome.PLANNED)
    assert document["fixes"][0]["outcome"] == outcome.value


def test_the_plan_shows_change_commands_impact_proof_and_return():
    text = plan_text(TREATED, Options(width=110))
    for part in ("it is [bold]broken", "-old", "+new", "systemctl restart docker", "restarts dockerd", "doctor undo"):
        assert part in text
    assert "\x1b[" not in text
    assert "\x1b[" in plan_text(TREATED, Options(color=True))


def test_what_cannot_be_undone_is_said_before_and_after():
    treated = replace(TREATED, advice=("# builds make it again:",), forever=("140MB of build cache",))
    text = plan_text(treated, Options(width=110))
    for part in ("# builds make it again:", "Cannot be undone: 140MB of build cache", "--irreversible"):
        assert part in text
    assert "Gone for good: 140MB" in render_text([replace(treated, outcome=Outcome.APPLIED)], Options())
    assert "Gone for good" not in render_text([replace(treated, outcome=Outcome.REFUSED)], Options())


def test_nothing_to_do():
    assert "Nothing to do" in render_text([], Options())
    assert json.loads(render_json([], Options()))["fixes"] == []


@pytest.mark.parametrize("ended", [None, *Ended])
def test_history_has_a_line_each(ended):
    text = history_text([Entry("20260101-000000-1", "a.check", "s", 1e9, "", (), 1, ended)])
    assert "20260101-000000-1" in text
    assert "a.check" in text
    assert len(text.splitlines()) == 1


def test_history_says_what_it_cannot_read_and_that_there_is_none():
    assert "cannot be read: E" in history_text([Entry("1", "", "", 0.0, "", (), 1, None, "E")])
    assert "nothing" in history_text([])


def test_history_says_which_is_at_work_now():
    open_one, older = (Entry(n, "a.check", "s", 1e9, "", (), 1, None) for n in ("2", "1"))
    assert [line.split("  ")[-1].strip() for line in history_text([open_one, older], at_work=True).splitlines()] == [
        "at work now",
        "cut short",
    ]


def test_history_for_programs_has_no_bytes_of_files():
    steps = (Put("/etc/a", FileState(b"secret"), None, "/copy"), Run(("systemctl", "restart", "docker")))
    document = json.loads(history_json([Entry("1", "a.check", "s", 1e9, "", steps, 2, Ended.APPLIED)]))
    assert document["history"] == [
        {
            "id": "1",
            "check": "a.check",
            "summary": "s",
            "when": "2001-09-09T01:46:40+00:00",
            "ended": "applied",
            "problem": "",
            "files": ["/etc/a"],
            "commands": ["systemctl restart docker"],
            "undo": True,
        }
    ]
    assert "secret" not in str(document)
