import re
from pathlib import Path

import pytest

from dockerdoctor.sample.recipe import HIDDEN, Packages, Recipe, installs

WRITTEN = (Path(__file__).parents[2] / "Dockerfile").read_text()


def lines(text):
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_where_nothing_is_demanded_it_is_the_tutorials():
    assert Recipe().dockerfile(WRITTEN) == WRITTEN


def test_another_base():
    assert lines(Recipe("python:3.12").dockerfile(WRITTEN)) == [
        "FROM python:3.12" if line.startswith("FROM") else line for line in lines(WRITTEN)
    ]
    assert Recipe("b").dockerfile("FROM --platform=linux/amd64 a AS x\n") == "FROM --platform=linux/amd64 b AS x\n"


def test_secrets_are_shown_to_the_installation_alone():
    said = Recipe("", Packages.INDEX, ("pip.conf", "ca-bundle.crt"), secrets=True).dockerfile(WRITTEN)
    assert (
        f"RUN --mount=type=secret,id=pip.conf,target={HIDDEN}/pip.conf "
        f"--mount=type=secret,id=ca-bundle.crt,target={HIDDEN}/ca-bundle.crt pip install -r requirements.txt"
    ) in lines(said)
    assert said.count("mount") == 2


def test_without_secrets_they_stay_in_an_image_that_is_thrown_away():
    said = Recipe("python:3.12", Packages.INDEX, ("pip.conf",)).dockerfile(WRITTEN)
    assert lines(said) == [
        "FROM python:3.12 AS packages",
        f"COPY dockerdoctor {HIDDEN}",
        "COPY sample_app/requirements.txt /tmp/",
        "ARG PIP_CONFIG_FILE",
        "RUN pip install -r /tmp/requirements.txt --target /packages",
        "FROM python:3.12",
        "WORKDIR /app",
        "COPY sample_app /app",
        "COPY --from=packages /packages /packages",
        "ENV PYTHONPATH /packages",
        "EXPOSE 80",
        "ENV NAME World",
        'CMD ["python", "app.py"]',
    ]


@pytest.mark.parametrize("hidden", [(), ("pip.conf",)])
def test_without_packages_nothing_is_fetched(hidden):
    said = Recipe("x", Packages.NONE, hidden).dockerfile(WRITTEN)
    assert not any(installs(line) for line in lines(said))
    assert re.search("^RUN python", said, re.MULTILINE)


def test_wheels_are_installed_as_the_tutorial_does():
    assert "RUN pip install -r requirements.txt" in lines(Recipe("x", Packages.WHEELS).dockerfile(WRITTEN))


def test_every_layer_of_every_stage_has_the_label():
    text = Recipe().labelled("FROM a AS x\nRUN b\n\nfrom c\nRUN d\n", "l")
    assert text == 'FROM a AS x\nLABEL l=""\nRUN b\n\nfrom c\nLABEL l=""\nRUN d\n'
