"""One row for each verdict on what docker.service takes from dockerd."""

from dataclasses import replace

import pytest

from dockerdoctor.checks.sandbox import network_namespace, unit_addresses, unit_sandbox
from dockerdoctor.checks.unit import unit_type, unit_valid
from dockerdoctor.facts.inside import Published
from dockerdoctor.facts.log import StartLog
from dockerdoctor.facts.namespaces import Namespaces
from dockerdoctor.facts.startup import Setting, UnitCommands
from dockerdoctor.host import DnsAnswer
from dockerdoctor.model import Status
from tests.checks.test_daemon_json import info_of
from tests.checks.test_network import WELL as REACHING
from tests.checks.test_network import inside, view
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
    found = unit_sandbox.decide(endpoint, ping, commands, known, log, spaces, info, None)
    assert found.status is status
    assert bool(found.fix) is (status is FAIL)


def test_the_settings_are_taken_out():
    fix = unit_sandbox.decide(HERE, WELL, unit(PrivateTmp="true"), units(), None, APART, OVERLAY, None).fix
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


NOT_MADE = inside(view("default bridge", error="unshare: operation not permitted"), view("user network", error="no"))
SPEECHLESS = StartLog("journal", ())


@pytest.mark.parametrize(
    ("ping", "commands", "known", "log", "seen", "status"),
    [
        (WELL, unit(RestrictNamespaces="yes"), units(), None, NOT_MADE, FAIL),
        (WELL, unit(RestrictNamespaces="yes"), units(), None, REACHING, PASS),
        (WELL, unit(), units(), None, NOT_MADE, PASS),
        (WELL, unit(IPAddressDeny="any"), units(), None, NOT_MADE, PASS),  # it takes no rights
        (
            DEAD,
            unit(SystemCallFilter="@system-service"),
            units(replace(FAILED, result="core-dump")),
            SPEECHLESS,
            None,
            FAIL,
        ),
        (DEAD, unit(SystemCallFilter="@system-service"), units(FAILED), SPEECHLESS, None, PASS),
        (DEAD, unit(PrivateTmp="yes"), units(replace(FAILED, result="core-dump")), SPEECHLESS, None, PASS),
    ],
)
def test_what_a_container_needs(ping, commands, known, log, seen, status):
    found = unit_sandbox.decide(HERE, ping, commands, known, log, SAME, OVERLAY, seen)
    assert found.status is status


def dialled(outcome):
    return inside(published=(Published("host", "127.0.0.1:4", outcome), Published("host", "10.0.0.5:4", "ok")))


MUTE = inside(user=replace(view("user network"), dns=(DnsAnswer("127.0.0.11", "udp", "a.lab", "timeout"),)))


@pytest.mark.parametrize(
    ("commands", "seen", "status"),
    [
        (unit(), dialled("timeout"), PASS),
        (unit(IPAddressDeny="any"), dialled("timeout"), FAIL),
        (unit(IPAddressDeny="any"), MUTE, FAIL),
        (unit(IPAddressDeny="any"), dialled("ok"), PASS),  # what it needs is allowed
        (unit(IPAddressDeny="any"), None, Status.UNKNOWN),
        (
            UnitCommands((), settings=(Setting("a:1", "IPAddressDeny", "any"), Setting("a:2", "IPAddressDeny", ""))),
            MUTE,
            PASS,
        ),
    ],
)
def test_unit_addresses(commands, seen, status):
    assert unit_addresses.decide(HERE, commands, units(), seen, OVERLAY).status is status
