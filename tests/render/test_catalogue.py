"""The catalogue for a person and for a program: nothing of it is lost on the way."""

import json

import pytest

from dockerdoctor.checks import CATALOGUE
from dockerdoctor.render import Format
from dockerdoctor.render.catalogue import CATALOGUE_FORMATS, explain_text, explanation, section
from dockerdoctor.render.terminal import Options


def words(text):
    return text.replace("`", "").split()


@pytest.mark.parametrize("one", CATALOGUE, ids=lambda c: c.id)
def test_explain_says_what_the_document_says(one):
    said = words(explain_text([one], Options()))
    document = "\n".join(section(one)).replace(f"## {one.id}", one.id).replace(f"**{one.title}.**", f"{one.title}.")
    assert said == words(document.replace(f"<{one.docs}>.", one.docs))
    assert " ".join(words(explanation(one))) in " ".join(said)


def test_the_list_has_every_check_under_its_area():
    lines = CATALOGUE_FORMATS[Format.TEXT](CATALOGUE, Options(width=110)).splitlines()
    listed = [line.split()[0] for line in lines if line.startswith("  ") and line.split()[0] in IDS]
    assert sorted(listed) == sorted(IDS)
    assert lines.index(next(line for line in lines if line.startswith("dns, "))) < next(
        n for n, line in enumerate(lines) if line.startswith("  dns.")
    )


IDS = [c.id for c in CATALOGUE]


@pytest.mark.parametrize("width", [60, 80, 110])
def test_the_list_fits(width):
    lines = CATALOGUE_FORMATS[Format.TEXT](CATALOGUE, Options(width=width)).splitlines()
    assert max(map(len, lines)) <= width


def test_json_has_all_of_it():
    document = json.loads(CATALOGUE_FORMATS[Format.JSON](CATALOGUE, Options()))
    assert [entry["id"] for entry in document["checks"]] == IDS
    for entry, one in zip(document["checks"], CATALOGUE, strict=True):
        assert entry["title"] == one.title
        assert entry["severity"] == one.severity.value
        assert "Why it matters:" in entry["explanation"]
        assert entry["id"].startswith(f"{entry['area']}.")
