import zipfile
from pathlib import Path

import pytest

from dockerdoctor.host import Host
from dockerdoctor.sample.hostpython import HostPython
from dockerdoctor.sample.wheels import Pip, cached_wheels, compressed, fetch_wheels, find_pip, normal, read_wheel

PYTHON = HostPython("/usr/bin/python3.11", "3.11.2", ("/usr/lib/python3.11",), "/usr/lib/python3/dist-packages")


def wheel(path: Path, name="Mark_up", version="1.0", tags=("py3-none-any",), needs=()):
    """What a wheel says of itself, and nothing else."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr(f"{name}/__init__.py", "x = 1\n")
        packed.writestr(
            f"{name}-{version}.dist-info/WHEEL", "Wheel-Version: 1.0\n" + "".join(f"Tag: {t}\n" for t in tags)
        )
        said = f"Metadata-Version: 2.1\nName: {name}\n" + "".join(f"Requires-Dist: {n}\n" for n in needs)
        packed.writestr(f"{name}-{version}.dist-info/METADATA", said + "\n")
    return path


def test_wheel_is_known_by_what_it_says(tmp_path):
    tags = ("cp311-cp311-manylinux_2_17_x86_64", "cp311-cp311-manylinux2014_x86_64")
    needs = ('importlib-metadata>=3.6; python_version < "3.10"', "Werkzeug (>=3.1)", 'asgiref; extra == "async"')
    found = read_wheel(wheel(tmp_path / "0a1b.body", tags=tags, needs=needs))
    assert found.name == "Mark_up-1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
    assert (found.project, found.needs) == ("mark-up", ("importlib-metadata", "werkzeug"))


def test_answer_of_http_with_a_wheel_in_it(tmp_path):
    """As pip before 23.3 kept it: something before, something after."""
    plain = wheel(tmp_path / "plain").read_bytes()
    kept = tmp_path / "kept"
    kept.write_bytes(b"cc=4,\x82\xa8response" + plain + b"\xa7headers\x80")
    read_wheel(kept).write(tmp_path)
    with zipfile.ZipFile(tmp_path / "Mark_up-1.0-py3-none-any.whl") as packed:
        assert packed.read("Mark_up/__init__.py") == b"x = 1\n"


@pytest.mark.parametrize("data", [b"", b"<html>", b"PK\5\6 and then nothing", b"cc=4," + b"x" * 100])
def test_what_is_no_wheel(tmp_path, data):
    (tmp_path / "x").write_bytes(data)
    assert read_wheel(tmp_path / "x") is None
    assert read_wheel(tmp_path / "missing") is None


def test_zip_that_is_no_wheel(tmp_path):
    with zipfile.ZipFile(tmp_path / "x", "w") as packed:
        packed.writestr("a", "b")
    assert read_wheel(tmp_path / "x") is None


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_cache_gives_what_is_wanted_and_what_that_needs(tmp_path):
    cache = tmp_path / "cache"
    wheel(cache / "http-v2/a/b/1.body", "flask", needs=("Jinja2>=3",))
    wheel(cache / "http/c/2", "jinja2", needs=("MarkupSafe",))
    wheel(cache / "wheels/d/MarkupSafe-1.0-py3-none-any.whl", "MarkupSafe")
    wheel(cache / "http-v2/e/3.body", "torch")
    (tmp_path / "found").mkdir()
    pip = Pip((script(tmp_path / "pip", f"echo {cache}"),), "23.0", "", "3.11")
    got = cached_wheels(Host(tmp_path), pip, tmp_path / "found", ["flask"])
    assert sorted(name.partition("-")[0] for name in got) == ["MarkupSafe", "flask", "jinja2"]
    assert {path.name for path in (tmp_path / "found").iterdir()} == set(got)


def test_why_there_is_nothing(tmp_path):
    (tmp_path / "requirements.txt").write_text("Flask\n")
    said = 'if [ $1 = cache ]; then echo /nowhere; exit; fi; echo "$PIP_INDEX_URL" > {}/env; echo "$@" > {}/argv'
    said = said.format(tmp_path, tmp_path) + "; echo 'ERROR: Could not find a version' >&2; exit 1"
    pip = Pip((script(tmp_path / "pip", said),), "23.0", "", "3.9")
    folder = tmp_path / "to"
    folder.mkdir()
    env = {"PIP_INDEX_URL": "https://u:secret@index.test/"}
    why = fetch_wheels(Host(tmp_path), pip, PYTHON, tmp_path / "requirements.txt", folder, env)
    assert why == "ERROR: Could not find a version; and its cache holds none of them"
    # For the Python of the image, and with no password for everybody to read.
    assert "--python-version=3.11" in (tmp_path / "argv").read_text()
    assert "secret" not in (tmp_path / "argv").read_text()
    assert "secret" in (tmp_path / "env").read_text()


def test_a_pip_that_runs_is_found():
    host = Host()
    found = find_pip(host, PYTHON)
    assert found is None or (found.version and found.path.endswith("pip"))


def test_names():
    assert compressed(["py2-none-any", "py3-none-any"]) == "py2.py3-none-any"
    assert normal("Zope.Interface__x") == "zope-interface-x"
