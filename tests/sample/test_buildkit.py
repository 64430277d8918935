import io
import tarfile

import pytest

from dockerdoctor.facts.endpoint import Settings
from dockerdoctor.sample.buildkit import BuildKitLog, BuildKitOrder, plain_tar
from dockerdoctor.sample.judge import build_failed

# As 20.10's own BuildKit says it, with digests; and as buildx does.
OLD = """\
#1 [internal] load remote build context
#1 sha256:5200ccd282cb4272b3df3373f284b9e3d4e26761e072e55f69aa8ec0c6e0de0a
#1 CACHED
#4 [1/4] FROM docker.io/library/python:3.13-slim
#4 sha256:8e6fe51381abf4f823f873071e433f774f059619a89fd593749ee785091b7cb8
#4 DONE 0.0s
#5 [2/4] WORKDIR /app
#5 CACHED
#6 [3/4] COPY sample_app /app
#6 CACHED
#7 [4/4] RUN --mount=type=secret,id=pip.conf,target=/run/dockerdoctor/pip.conf pip install -r requirements.txt
#7 sha256:95331755e8196551fa244368ef055d5cd25a29bffabdca01fa1e80c5ae5ef266
#7 1.045 Collecting Flask
#7 DONE 3.1s
#8 exporting to image
#8 writing image sha256:a9b7abd16983d8e46adef6f63fb69874347473ad04d93dcd2b10d292737a1dc0 0.0s done
#8 DONE 0.1s
"""
BROKEN = """\
#0 building with "default" instance using docker driver
#7 [4/4] RUN pip install -r requirements.txt
#7 1.545 WARNING: Retrying (Retry(total=4, connect=None)) after connection broken by 'NewConnectionError': /simple/flask/
#7 9.812 ERROR: Could not find a version that satisfies the requirement Flask (from versions: none)
#7 ERROR: process "/bin/sh -c pip install -r requirements.txt" did not complete successfully: exit code: 1
------
 > [4/4] RUN pip install -r requirements.txt:
9.812 ERROR: Could not find a version that satisfies the requirement Flask (from versions: none)
------
Dockerfile:16
--------------------
  16 | >>> RUN pip install -r requirements.txt
--------------------
"""
LAST = {
    "buildx": 'ERROR: failed to solve: process "/bin/sh -c pip install" did not complete successfully: exit code: 1',
    "20.10": "failed to solve with frontend dockerfile.v0: failed to build LLB: executor failed running [pip]: exit code: 1",
}


def heard(text):
    log = BuildKitLog()
    for line in text.splitlines():
        log.hear({"line": line})
    return log


def test_a_build_that_went_well():
    log = heard(OLD)
    assert (log.steps, log.cached, log.error, log.retrying) == (4, 2, "", False)
    assert log.step == "Step 4/4 : RUN pip install -r requirements.txt"
    assert log.lines == ["Collecting Flask"]


@pytest.mark.parametrize("last", LAST.values(), ids=LAST)
def test_a_step_that_failed(last):
    log = heard(BROKEN + last)
    assert log.retrying
    finding = build_failed(log)
    assert finding.summary == "RUN pip install -r requirements.txt: it exited with status 1"
    assert "the package index was not reached" in finding.cause.lower()
    assert [e.source for e in finding.evidence] == ["Step 4/4"] * 2


def test_steps_side_by_side():
    """What one says goes to it; and the one that fails is the one that is spoken of."""
    log = heard(
        "#4 [packages 2/3] RUN a\n#5 [stage-1 2/4] RUN b\n#4 0.1 of a\n#5 0.1 of b\n"
        "#4 ERROR: exit code: 2\n#5 0.2 of b\n#5 CANCELED\nERROR: failed to solve: exit code: 2"
    )
    assert (log.step, log.lines) == ("Step 2/3 : RUN a", ["of a"])
    assert "status 2" in build_failed(log).summary


def test_what_is_no_step_of_the_dockerfiles():
    log = heard("ERROR: failed to solve: python:3.13-slim: failed to resolve source metadata: no such host")
    assert build_failed(log).summary.startswith("the build: failed to solve: python:3.13-slim")


def test_no_value_is_on_the_command_line():
    order = BuildKitOrder("t", {"l": ""}, {"https_proxy": "http://u:secret@p"}, {"pip.conf": "/tmp/x"}, buildx=True)
    argv = order.argv("/usr/bin/docker", Settings(context="remote"))
    assert argv == (
        *("/usr/bin/docker", "--context", "remote", "build", "--progress=plain", "--tag=t", "--label=l="),
        *("--build-arg", "https_proxy", "--secret=id=pip.conf,src=/tmp/x", "--load", "-"),
    )
    assert order.env() == {"https_proxy": "http://u:secret@p", "DOCKER_BUILDKIT": "1"}


def test_the_clients_own_builder_knows_neither_load_nor_builder():
    order = BuildKitOrder("t", {}, {}, {}, buildx=False)
    assert order.argv("docker", Settings(host="tcp://h:1")) == (
        *("docker", "--host", "tcp://h:1", "build", "--progress=plain", "--tag=t", "-"),
    )


def test_archive_that_the_client_takes_for_one():
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        entry = tarfile.TarInfo("a/Dockerfile")
        entry.size, entry.mtime = 2, 1.5
        tar.addfile(entry, io.BytesIO(b"hi"))
    raw.seek(0)
    with plain_tar(raw) as plain:
        first = plain.read(512)
        assert tarfile.TarInfo.frombuf(first, "utf-8", "strict").name == "a/Dockerfile"
        plain.seek(0)
        with tarfile.open(fileobj=plain) as tar:
            assert tar.extractfile("a/Dockerfile").read() == b"hi"
