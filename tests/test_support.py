"""The archive that somebody passes on: what is in it, what is not, and what somebody sends back."""

import gzip
import io
import json
import tarfile
from datetime import datetime, timezone

import pytest

from dockerdoctor.archive import NoArchive, pack, unpack
from dockerdoctor.diagnose import report_on
from dockerdoctor.facts.containers import Containers, _inspected
from dockerdoctor.facts.endpoint import ChosenEndpoint, ClientConfig, DaemonPing, Settings
from dockerdoctor.facts.engine import DaemonProcess
from dockerdoctor.facts.known_secrets import known_secrets
from dockerdoctor.facts.log import RecentLog
from dockerdoctor.facts.probes import PROBES
from dockerdoctor.host import Host
from dockerdoctor.measure import Missing
from dockerdoctor.saved import load
from dockerdoctor.support import ABOUT, FACTS, LOG, REPORT, TEXT, log_text, member, members, missing, name_of
from tests.test_redact import IDS, PLANTED

MADE = datetime(2026, 11, 24, 13, 0, 0, tzinfo=timezone.utc)


def patient(said):
    """Facts that say something everywhere that a host has a word in."""
    return {
        Settings: Settings(),
        ChosenEndpoint: ChosenEndpoint("unix:///var/run/docker.sock", f"context {said}", problem=said),
        ClientConfig: ClientConfig("/root/.docker/config.json", exists=True, problem=said, proxies=(("default", "httpProxy", said),)),
        RecentLog: RecentLog("journalctl -u docker.service", ("first", *said.split("\n"), "last")),
        DaemonProcess: Missing(said, how="run as root"),
    }  # fmt: skip


@pytest.mark.parametrize(("said", "secret"), PLANTED, ids=IDS)
def test_no_planted_secret_is_in_any_file(said, secret):
    facts = patient(said)
    files = members(facts, report_on(facts), "3.13.1")
    assert secret in files[FACTS] or "\n" in said
    for name, text in unpack(pack(files, "x", MADE)).items():
        assert secret not in text, name


def test_known_secrets_are_in_no_file_however_they_are_said():
    # Longer than a line of the report.
    secret = "s3same-open-" * 20
    facts = patient(f"somebody told it {secret} once")
    files = members(facts, report_on(facts), "3.13.1", [secret])
    for name, text in unpack(pack(files, "x", MADE, [secret])).items():
        assert "s3same" not in text, name


def test_what_is_in_it():
    facts = patient("nothing of note")
    report = report_on(facts)
    files = unpack(pack(members(facts, report, "3.13.1"), "x", MADE))
    assert set(files) == {ABOUT, TEXT, REPORT, FACTS, LOG}
    assert "Python 3.13.1" in files[ABOUT]
    assert "DaemonProcess: nothing of note (run as root)" in files[ABOUT]
    assert files[LOG] == "# journalctl -u docker.service\nfirst\nnothing of note\nlast\n"
    assert json.loads(files[REPORT])["root_causes"] == [r.check.id for r in report.root_causes]
    assert load(files[FACTS], PROBES, (Settings,))[ClientConfig] == facts[ClientConfig]


def test_a_log_that_was_not_read_says_why():
    assert log_text(Missing("the journal is not readable", "run as root")) == (
        "# not read: the journal is not readable (run as root)\n"
    )


def test_everything_is_private_and_in_one_folder():
    with tarfile.open(fileobj=io.BytesIO(pack({"a.txt": "a"}, "folder", MADE))) as tar:
        (entry,) = tar
    assert (entry.name, entry.mode, entry.uid) == ("folder/a.txt", 0o600, 0)


def test_many_that_are_missing_for_one_reason_are_counted():
    facts = dict.fromkeys(
        (RecentLog, DaemonProcess, ClientConfig, ChosenEndpoint, Settings), Missing("dead", "# start it")
    )
    assert missing(facts) == ["RecentLog, DaemonProcess, ClientConfig, and 2 more: dead (start it)"]


def test_what_was_left_out_on_purpose_is_not_missing():
    assert missing({RecentLog: Missing("x", skipped=True), DaemonProcess: Missing("y")}) == ["DaemonProcess: y"]


@pytest.mark.parametrize(
    ("host", "name"), [("web-1.test", "web-1.test"), ("a/../b c", "a-..-b-c"), ("", "host"), ("\udcff", "-")]
)
def test_its_name_is_a_file_name(host, name):
    assert name_of(host, MADE) == f"dockerdoctor-{name}-20261124-130000"


def tar_of(*entries):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:
        for entry in entries:
            tar.addfile(entry)
    return raw.getvalue()


def link(name, target):
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    return entry


@pytest.mark.parametrize(
    "data",
    [
        b"\x1f\x8b",
        b"\x1f\x8bjunk" * 9,
        gzip.compress(b"no tar"),
        pack({"a.txt": "a"}, "x", MADE)[:-20],
        gzip.compress(b"\0" * (65 << 20)),
        tar_of(link("x/facts.json", "/etc/shadow")),
        tar_of(),
    ],
    ids=["head", "junk", "no tar", "cut", "bomb", "link", "empty"],
)
def test_what_is_no_archive_is_refused(data):
    with pytest.raises(NoArchive):
        member(data, FACTS)


def test_secrets_of_this_hosts_settings_are_known(tmp_path):
    files = {
        "etc/docker/daemon.json": '{"proxies": {"http-proxy": "http://al:of-daemon-1@p"}, "log-opts": {"splunk-token": "of-daemon-2"}}',
        "etc/default/docker": "export API_TOKEN=of-default-1",
        "etc/systemd/system/docker.service.d/p.conf": '[Service]\nEnvironment="HTTP_PROXY=http://al:of-unit-1@p"',
        "root/.docker/config.json": '{"auths": {"r": {"auth": "YWw6b2YtcmVnaXN0cnktMQ=="}}}',
        "proc/7/environ": "DB_PASSWORD=of-dockerd-1\0PATH=/bin",
    }
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    facts = {ClientConfig: ClientConfig("/root/.docker/config.json", exists=True), DaemonProcess: DaemonProcess(7)}
    found = known_secrets(Host(tmp_path, {"MY_SECRET": "of-shell-1"}), facts)
    told = {"of-daemon-1", "of-daemon-2", "of-default-1", "of-unit-1", "of-registry-1", "of-dockerd-1", "of-shell-1"}
    assert told <= found
    assert not known_secrets(Host(tmp_path / "nothing", {}), {})


def test_secrets_of_containers_are_known():
    said = {
        "Config": {"Env": ["DB_PASSWORD=of-web-1", "A=1"]},
        "Path": "redis-server",
        "Args": ["--requirepass", "of-web-2"],
    }

    class Engine(Host):
        def unix_http(self, path, target, *_, **__):
            return (200, {}, json.dumps(said).encode()) if "/web/" in target else (404, {}, b'{"message": "gone"}')

    facts = {
        ChosenEndpoint: ChosenEndpoint("unix:///run/docker.sock", "default"),
        DaemonPing: DaemonPing("ok", answered=True, api_version="1.41"),
        Containers: Containers((_inspected({"Id": "web"}, ""), _inspected({"Id": "gone"}, ""))),
    }
    assert known_secrets(Engine("/nonexistent", {}), facts) == {"of-web-1", "of-web-2"}
