"""The sample run's report: a terminal does not obey what a page or an engine says."""

from datetime import datetime, timezone
from io import StringIO

from dockerdoctor.examine import failed
from dockerdoctor.model import Endpoint, Engine, Evidence
from dockerdoctor.render.sample import render_text
from dockerdoctor.render.terminal import Options
from dockerdoctor.sample.model import SampleReport, Verdict
from dockerdoctor.sample.page import page
from dockerdoctor.sample.progress import Progress

NASTY = "\x1b]0;x\x07"


def test_a_terminal_is_not_obeying_a_page():
    finding = failed(NASTY, Evidence(NASTY, NASTY), cause=NASTY, fix=(NASTY,))
    report = SampleReport(
        "0", Endpoint(NASTY, NASTY), Engine(NASTY, os=NASTY, kernel=NASTY), datetime.now(timezone.utc), 1.0, "i", "u",
        (Verdict(page, finding),), NASTY, (NASTY,),
    )  # fmt: skip
    text = render_text(report, Options(verbose=True))
    assert "\\x1b]0;x" in text
    assert "\x1b" not in text


def test_nor_a_build():
    shown = StringIO()
    Progress(shown).say(NASTY)
    assert shown.getvalue() == "  \\x1b]0;x\\x07\n"
