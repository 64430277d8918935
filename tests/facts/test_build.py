"""What a Dockerfile asks for, what .dockerignore keeps out, and a walk that knows its bounds."""

import multiprocessing
import os
import tempfile
from pathlib import Path

import pytest

from dockerdoctor.facts import build
from dockerdoctor.facts.build import BuildFile, build_file, context, kept_out, rules_of
from dockerdoctor.host import Host
from dockerdoctor.measure import Unmeasured

TEXT = """\
# syntax=docker/dockerfile:1
FROM busybox AS base
COPY --chown=1:1 requirements.txt \\
     # why not
     setup.py /app/
COPY ["a b", "c", "/x/"]
COPY --from=base /y /z
COPY $SRC *.md https://x/y.tgz /z
RUN <<EOF
COPY not/this /x
EOF
RUN --mount=type=cache,target=/c \\
    pip install -r requirements.txt
COPY --chmod=755 run.sh /
ADD --link . /all
"""


def patient(tmp_path, dockerfile=TEXT, ignore=None, **files):
    for name, data in files.items():
        path = tmp_path / "w" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (tmp_path / "w").mkdir(exist_ok=True)
    (tmp_path / "w/Dockerfile").write_text(dockerfile)
    if ignore is not None:
        (tmp_path / "w/.dockerignore").write_text(ignore)
    return Host(tmp_path, env={"PWD": "/w", "HOME": "/root"})


def test_build_file(tmp_path):
    found = build_file.measure(patient(tmp_path))
    assert [(c.line, c.source) for c in found.copies] == [
        (3, "requirements.txt"), (3, "setup.py"), (6, "a b"), (6, "c"), (14, "run.sh"), (15, "."),
    ]  # fmt: skip
    assert [n for n, _ in found.needs] == [12, 14]
    assert [n for n, _ in found.needs_newer] == [9, 15]
    assert found.wants_all
    assert not found.mounts  # a cache is no part of the context


def test_no_build_file(tmp_path):
    for text in ("", "not: a Dockerfile"):
        with pytest.raises(Unmeasured):
            build_file.measure(patient(tmp_path, text))


@pytest.mark.parametrize(
    ("rules", "path", "out"),
    [
        ("data", "data", True),
        ("/data/", "data/pg/x", True),
        ("data", "mydata", False),
        ("*.log", "a.log", True),
        ("*.log", "x/a.log", False),
        ("**/*.log", "x/y/a.log", True),
        ("**/node_modules", "node_modules/x", True),
        ("x/**", "x/y/z", True),
        ("a?c", "abc", True),
        ("*\n!keep", "keep", False),
        ("*\n!keep", "other", True),
        ("#data", "data", False),
        (".\n/\n\n", "data", False),
        ("[ab].txt", "b.txt", True),
        ("a.txt", "abtxt", False),
    ],
)
def test_rules(rules, path, out):
    assert bool(kept_out(path, rules_of(rules))) == out


def test_context(tmp_path):
    files = {"app/x": b"12345", "data/y": b"1" * 100, "dist/z": b"1"}
    host = patient(tmp_path, "FROM a\nCOPY app dist Readme /\n", "dist\n# x\n", **files, README=b"r")
    found = context.measure(host, file=build_file.measure(host))
    assert found.complete
    assert found.largest[0] == ("data", 100)
    assert [(e.source, e.rule) for e in found.excluded] == [("dist", "/w/.dockerignore:1 dist")]
    assert found.other_case == ((2, "Readme", "README"),)
    assert found.ignore_file == "/w/.dockerignore"


def test_what_is_let_in_again_is_not_excluded(tmp_path):
    host = patient(tmp_path, "FROM a\nCOPY app /\n", "*\n!app/x\n", **{"app/x": b"1", "app/y": b"22"})
    found = context.measure(host, file=build_file.measure(host))
    assert not found.excluded
    assert found.size == 1


def test_the_walk_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "MAX_ENTRIES", 5)
    host = patient(tmp_path, **{f"d/{n}": b"1" for n in range(20)})
    found = context.measure(host, file=BuildFile("/w/Dockerfile"))
    assert not found.complete


def as_nobody(look):
    """Look at something as somebody without rights, whoever runs this: in a process of its own, since it cannot go back."""
    ours, theirs = multiprocessing.Pipe()

    def run():
        if os.geteuid() == 0:
            os.setuid(65534)
        theirs.send(look())

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join(20)
    assert process.exitcode == 0
    return ours.recv()


def test_unreadable():
    # Not below pytest's folder, which is closed to others.
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        host = patient(root, **{"db/x": b"1", "k": b"1"})
        (root / "w/db").chmod(0)
        (root / "w/k").chmod(0)
        found = as_nobody(lambda: context.measure(host, file=BuildFile("/w/Dockerfile")))
        (root / "w/db").chmod(0o755)
    assert set(found.unreadable) == {"db", "k"}
