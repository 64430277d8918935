"""What fix, undo and history say."""

import json

import pytest

from dockerdoctor.fixes.fix import Outcome, Treated
from dockerdoctor.fixes.journal import Ended, Entry
from dockerdoctor.render.terminal import Options
from dockerdoctor.render.treated import history_text, plan_text, render_json, render_text

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
