"""From inside a container: the host's root becomes ours, and what we are made of stays in reach."""

import os
import subprocess
import sys

import pytest

from dockerdoctor.inhost import VARIABLE
from tests.lab.store import REPO


def doctor(root, *words):
    env = {**os.environ, VARIABLE: str(root), "PYTHONPATH": str(REPO)}
    command = [sys.executable, "-m", "dockerdoctor", *words]
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False)


def test_what_is_no_host_is_refused(tmp_path):
    done = doctor(tmp_path, "check")
    assert (done.returncode, done.stdout) == (3, "")
    assert f"-v /:{tmp_path}:ro" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="chroot(2) is root's")
def test_modules_are_found_after_the_change_of_root():
    # Lazily imported ones, too, and the texts of modules that go to other processes.
    code = """
from dockerdoctor import inhost
inhost.enter("/")
import inspect, docker, dns.resolver, requests
from dockerdoctor.incontainer import ask
assert docker.__file__.startswith("/proc/self/fd/") and "def ask_dns" in inspect.getsource(ask)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPO, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(os.geteuid() != 0, reason="chroot(2) is root's")
@pytest.mark.parametrize("words", [("fix", "--write", "--yes"), ("fix-dns", "--write", "--yes"), ("undo", "--yes")])
def test_nothing_is_changed_from_inside(words):
    done = doctor("/", *words)
    assert (done.returncode, "Run it on the host" in done.stderr) == (2, True)
