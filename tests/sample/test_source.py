import tarfile

import pytest

from dockerdoctor.sample.source import archive, base_image, folder, ignored

DOCKERFILES = {
    "FROM python:3.13-slim": "python:3.13-slim",
    "# a comment\nfrom --platform=linux/amd64 python AS x\nFROM other": "python:latest",
    "FROM localhost:5000/python": "localhost:5000/python:latest",
    "FROM python@sha256:0123": "python@sha256:0123",
}


@pytest.mark.parametrize(("text", "image"), DOCKERFILES.items())
def test_base_image(text, image):
    assert base_image(text) == image


def test_the_checkout_is_the_context():
    assert (folder() / "Dockerfile").exists()
    assert base_image((folder() / "Dockerfile").read_text()) == "python:3.13-slim"


def test_archive_holds_the_sample_and_nothing_else():
    with archive(folder(), {"sample_app/pip.conf": "[global]\n"}) as packed, tarfile.open(fileobj=packed) as tar:
        names = set(tar.getnames())
    assert {"Dockerfile", "sample_app/app.py", "sample_app/requirements.txt", "sample_app/pip.conf"} <= names
    assert {name.split("/")[0] for name in names} <= {"Dockerfile", ".dockerignore", "sample_app"}
    assert not [name for name in names if "__pycache__" in name]


def test_dockerignore():
    assert ignored("# all\n*\n\n  !sample_app \n") == ["*", "!sample_app"]
