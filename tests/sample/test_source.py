import tarfile

import pytest

from dockerdoctor.sample.port import listening
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


def test_listening_sockets():
    table = (
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        "   0: 0100007F:0FA0 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n"
        "   1: 0100007F:0FA0 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 4712 1\n"
        "   2: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1\n"
    )
    assert listening(table, 4000) == ("4711",)
