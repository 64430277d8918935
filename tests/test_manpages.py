"""The manual pages, as man(1) shows them."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PAGES = sorted((Path(__file__).parents[1] / "docs/man").glob("*.1"))


def shown(page):
    command = ["man", "--warnings", "--encoding=UTF-8", "--no-hyphenation", "--no-justification", "--local-file", page]
    env = {**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "100", "MAN_KEEP_FORMATTING": ""}
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False)


@pytest.mark.skipif(not shutil.which("man"), reason="there is no man here")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page(page):
    done = shown(page)
    assert (done.returncode, done.stderr) == (0, "")
    sections = [line for line in done.stdout.splitlines() if line.isupper() and line[0] != " "]
    assert sections[:3] == ["NAME", "SYNOPSIS", "DESCRIPTION"]
    assert "EXIT STATUS" in sections
    assert f"{page.stem} - " in done.stdout


def test_there_is_a_page_for_everything_that_the_first_one_names():
    text = (Path(__file__).parents[1] / "docs/man/doctor.1").read_text(encoding="utf-8")
    named = {line.split()[1].replace("\\-", "-") for line in text.splitlines() if line.startswith(".BR doctor")}
    assert named | {"doctor"} == {page.stem for page in PAGES}
