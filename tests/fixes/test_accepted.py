"""The installed dockerd is asked in the words that its version understands."""

import pytest

from dockerdoctor.facts.daemon_json import Flag
from dockerdoctor.facts.engine import Installed
from dockerdoctor.fixes.accepted import NO_LEVEL, arguments, refusal, with_no_level
from dockerdoctor.host import Completed, Host

FLAGS = (
    Flag("-H", "fd://", "u"),
    Flag("--config-file", "/x", "u"),
    Flag("--iptables", "false", "u"),
    Flag("--debug", "", "u"),
)


class Dockerd(Host):
    """A host whose dockerd says what the test wants."""

    def __init__(self, said):
        super().__init__("/", {})
        self.said, self.asked = said, []

    def run(self, *argv, stdin=b"", **_):
        self.asked.append((argv, stdin))
        return self.said


def test_flags_are_handed_on_without_the_file():
    assert arguments(FLAGS) == ("-H", "fd://", "--iptables=false", "--debug")


@pytest.mark.parametrize(
    ("version", "said", "refused"),
    [
        ("23.0.0", Completed(0, "", "configuration OK"), ""),
        ("28.1.1", Completed(1, "", "unable to configure the Docker daemon with file /dev/stdin: bad key"), "bad key"),
        ("20.10.24+dfsg1", Completed(1, "", f"unable to parse logging level: {NO_LEVEL}\n"), ""),
        ("20.10.24+dfsg1", Completed(1, "", "directives don't match any configuration option: x"), "option: x"),
        ("20.10.24+dfsg1", Completed(124, "", ""), "dockerd said nothing"),
    ],
)
def test_verdict(version, said, refused):
    host = Dockerd(said)
    no = refusal(host, Installed("/usr/sbin/dockerd", "", "", version), FLAGS, b"{}")
    assert bool(no) == bool(refused)
    assert refused in no
    assert "/dev/stdin" not in no
    ((argv, stdin),) = host.asked
    assert stdin == b"{}"
    # An old dockerd never runs without something that stops it.
    assert ("--validate" in argv) == (version[:2] >= "23")
    assert (NO_LEVEL in argv) == (version[:2] < "23")


def test_a_file_with_a_log_level_stops_it_by_that():
    host = Dockerd(Completed(1, "", f"unable to parse logging level: {NO_LEVEL}"))
    assert refusal(host, Installed("/usr/sbin/dockerd", "", "", "20.10.24"), (), b'{"log-level": "warn"}') == ""
    ((argv, stdin),) = host.asked
    assert "--log-level" not in argv
    assert stdin == f'{{"log-level": "{NO_LEVEL}"}}'.encode()
    assert with_no_level(b"\xef\xbb\xbf{}") == b""


@pytest.mark.parametrize("installed", [Installed("", "", ""), Installed("/usr/sbin/dockerd", "", "", "")])
def test_a_dockerd_that_cannot_be_asked_safely_is_not(installed):
    host = Dockerd(Completed(0, "", ""))
    assert refusal(host, installed, (), b"{}") == ""
    # One that is there is asked for its version, and tells none.
    assert [argv[1:] for argv, _ in host.asked] == [("--version",)] * bool(installed.dockerd)
