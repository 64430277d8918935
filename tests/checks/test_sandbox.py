"""One row for each verdict on what docker.service takes from dockerd."""

from dataclasses import replace

import pytest

from dockerdoctor.checks.sandbox import network_namespace, unit_sandbox
from dockerdoctor.checks.unit import unit_type, unit_valid
from dockerdoctor.facts.log import StartLog
from dockerdoctor.facts.namespaces import Namespaces
from dockerdoctor.facts.startup import Setting, UnitCommands
from dockerdoctor.model import Status
from tests.checks.test_daemon_json import info_of
from tests.checks.test_startup import ACTIVE, DEAD, FAILED, HERE, ROOTLESS, WELL, units

PASS, FAIL, SKIP = Status.PASS, Status.FAIL, Status.SKIP
FILE = "/etc/systemd/system/docker.service.d/hardening.conf"
OVERLAY = info_of(driver="overlay2")
SAME, APART = (
    Namespaces("mnt:[1]", "mnt:[1]", "net:[1]", "net:[1]"),
    Namespaces("mnt:[2]", "mnt:[1]", "net:[1]", "net:[1]"),
)
READ_ONLY = StartLog("journal", (), "chmod /var/lib/docker: read-only file system", failed=True)
SYNTAX = StartLog("journal", (), "unknown flag: --x", failed=True)


def unit(**settings):
    return UnitCommands((), False, tuple(Setting(f"{FILE}:{n}", k, v) for n, (k, v) in enumerate(settings.items(), 2)))


@pytest.mark.parametrize(
    ("endpoint", "ping", "commands", "known", "log", "spaces", "info", "status"),
    [
        (ROOTLESS, WELL, None, None, None, APART, None, SKIP),
        (HERE, WELL, unit(), units(), None, SAME, OVERLAY, PASS),
        (HERE, WELL, unit(NoNewPrivileges="yes"), units(), None, SAME, OVERLAY, PASS),
        (HERE, WELL, unit(), units(), None, None, OVERLAY, PASS),
        (HERE, WELL, unit(), units(), None, replace(SAME, containerd_mounts=""), OVERLAY, PASS),
        (HERE, WELL, unit(PrivateTmp="true"), units(), None, APART, OVERLAY, FAIL),
        (HERE, WELL, unit(), units(), None, APART, OVERLAY, FAIL),
        # Neither has anything to mount for a container's files.
        (HERE, WELL, unit(PrivateTmp="true"), units(), None, APART, info_of(driver="vfs"), PASS),
        (HERE, WELL, unit(PrivateTmp="true"), units(), None, APART, info_of(driver="overlayfs"), PASS),
        (HERE, DEAD, unit(ProtectSystem="strict"), units(FAILED), READ_ONLY, None, None, FAIL),
        (HERE, DEAD, unit(ProtectSystem="no"), units(FAILED), READ_ONLY, None, None, PASS),
        (HERE, DEAD, unit(), units(FAILED), READ_ONLY, None, None, PASS),
        (HERE, DEAD, unit(ProtectSystem="strict"), units(FAILED), SYNTAX, None, None, PASS),
        (HERE, DEAD, unit(ProtectSystem="strict"), units(ACTIVE), READ_ONLY, None, None, PASS),
    ],
)
def test_unit_sandbox(endpoint, ping, commands, known, log, spaces, info, status):
    found = unit_sandbox.decide(endpoint, ping, commands, known, log, spaces, info)
    assert found.status is status
    assert bool(found.fix) is (status is FAIL)


def test_the_settings_are_taken_out():
    fix = unit_sandbox.decide(HERE, WELL, unit(PrivateTmp="true"), units(), None, APART, OVERLAY).fix
    assert fix[:2] == (f"sed -i '2s/^/# /' {FILE}", "systemctl daemon-reload")


@pytest.mark.parametrize(
    ("endpoint", "spaces", "status"),
    [
        (HERE, SAME, PASS),
        (HERE, replace(SAME, network=""), PASS),
        (HERE, replace(SAME, network="net:[2]"), FAIL),
        (ROOTLESS, replace(SAME, network="net:[2]"), SKIP),
    ],
)
def test_network_namespace(endpoint, spaces, status):
    assert network_namespace.decide(endpoint, spaces, unit(PrivateNetwork="yes"), units(), OVERLAY).status is status


@pytest.mark.parametrize(
    ("value", "status"),
    [("notify", PASS), ("simple", PASS), ("exec", PASS), ("forking", FAIL), ("oneshot", FAIL)],
)
def test_unit_type(value, status):
    assert unit_type.decide(HERE, units(), unit(Type=value)).status is status


def test_a_unit_without_a_command():
    lines = (("/lib/systemd/system/docker.service:14", "/usr/sbin/dockerd"), (f"{FILE}:2", ""))
    found = unit_valid.decide(HERE, units(replace(ACTIVE, load="bad-setting")), UnitCommands(lines))
    assert found.status is FAIL
    assert found.summary == f"{FILE}:2 clears the command of docker.service, and gives no other"
    assert found.fix[1] == f"sed -i '2s/^/# /' {FILE}"
