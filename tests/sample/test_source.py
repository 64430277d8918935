import tarfile
import zipfile

import pytest

from dockerdoctor.sample import source
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
    with folder() as context:
        assert base_image((context / "Dockerfile").read_text()) == "python:3.13-slim"


def test_a_zipapp_unpacks_it(tmp_path, monkeypatch):
    packed = tmp_path / "doctor.pyz"
    with zipfile.ZipFile(packed, "w") as archived:
        archived.writestr("dockerdoctor/_sample/Dockerfile", "FROM python")
        archived.writestr("dockerdoctor/_sample/sample_app/app.py", "")
    monkeypatch.setattr(source, "files", lambda name: zipfile.Path(packed, f"{name}/"))
    with folder() as context:
        assert sorted(str(p.relative_to(context)) for p in context.rglob("*")) == [
            "Dockerfile",
            "sample_app",
            "sample_app/app.py",
        ]
    assert not context.exists()


def test_archive_holds_the_sample_and_nothing_else():
    extra = {"sample_app/pip.conf": "[global]\n"}
    with folder() as context, archive(context, extra) as packed, tarfile.open(fileobj=packed) as tar:
        names = set(tar.getnames())
    assert {"Dockerfile", "sample_app/app.py", "sample_app/requirements.txt", "sample_app/pip.conf"} <= names
    assert {name.split("/")[0] for name in names} <= {"Dockerfile", ".dockerignore", "sample_app"}
    assert not [name for name in names if "__pycache__" in name]


def test_dockerignore():
    assert ignored("# all\n*\n\n  !sample_app \n") == ["*", "!sample_app"]
