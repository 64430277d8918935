"""When fix-dns keeps its hands off, and how a daemon is restarted."""

import pytest

from dockerdoctor.facts.daemon_json import DaemonJson, Flag, StartFlags
from dockerdoctor.facts.endpoint import ChosenEndpoint
from dockerdoctor.facts.engine import DaemonProcess, Unit, Units
from dockerdoctor.fixes.grounds import (
    Sick,
    daemon_of,
    refuse_another_engine,
    refuse_flags,
    refuse_what_cannot_be_edited,
)
from dockerdoctor.fixes.treatment import Refused
from dockerdoctor.host import Host
from dockerdoctor.measure import FactsView

PATH = "/etc/docker/daemon.json"
HERE = ChosenEndpoint("unix:///var/run/docker.sock", "default")


class Machine(Host):
    """A host with a service command, or without."""

    def __init__(self, root, service="", listener=0):
        super().__init__(root, {})
        self.service, self.listener = service, listener

    def which(self, name):
        return self.service if name == "service" else ""

    def peer_pid(self, path, timeout=2.0):
        return self.listener


def facts(*known):
    return FactsView({ChosenEndpoint: HERE, **{type(fact): fact for fact in known}})


def units(active="active", load="loaded", systemd=True):
    docker, socket = Unit("docker.service", load=load, active=active), Unit("docker.socket", load="not-found")
    return Units(systemd=systemd, docker=docker, socket=socket, containerd=Unit("containerd.service"))


def test_systemd(tmp_path):
    daemon = daemon_of(Machine(tmp_path), facts(units()))
    assert daemon.socket == "/var/run/docker.sock"
    # Only units that are there: systemctl fails for others, and forgets nothing.
    assert daemon.commands == ("systemctl reset-failed docker.service", "systemctl restart docker.service")


@pytest.mark.parametrize("unit", [units(load="not-found"), units(active="inactive")])
def test_a_daemon_that_systemd_did_not_start_is_left_to_its_owner(tmp_path, unit):
    assert daemon_of(Machine(tmp_path, "/usr/sbin/service"), facts(unit)) is None


def test_without_systemd(tmp_path):
    without = facts(units(systemd=False))
    assert daemon_of(Machine(tmp_path, "/usr/sbin/service"), without) is None
    (tmp_path / "etc/init.d").mkdir(parents=True)
    (tmp_path / "etc/init.d/docker").touch()
    assert daemon_of(Machine(tmp_path, "/usr/sbin/service"), without).commands == ("service docker restart",)
    assert daemon_of(Machine(tmp_path), without) is None


@pytest.mark.parametrize(
    ("text", "place"), [('{"debug": true,}', ":1:15"), ("[]", ":1:1"), ("nonsense", ":1:1"), ("{} ]", None), ("", None)]
)
def test_a_file_that_does_not_parse(tmp_path, text, place):
    file = tmp_path / PATH.lstrip("/")
    file.parent.mkdir(parents=True)
    file.write_text(text)
    config = DaemonJson(PATH, exists=True, text=text)
    if place is None:
        refuse_what_cannot_be_edited(Host(tmp_path), config)
        return
    with pytest.raises(Sick, match=PATH + place):
        refuse_what_cannot_be_edited(Host(tmp_path), config)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(Refused, match="EACCES"):
        refuse_what_cannot_be_edited(Host(tmp_path), DaemonJson(PATH, exists=True, problem="EACCES"))
    refuse_what_cannot_be_edited(Host(tmp_path), DaemonJson(PATH, exists=False))


def test_a_flag_names_its_place(tmp_path):
    flags = StartFlags((Flag("-H", "fd://", "u", 1), Flag("--dns", "8.8.8.8", "/etc/x.conf", 3)), unit=True)
    with pytest.raises(Refused, match=r"8\.8\.8\.8.*/etc/x\.conf:3") as no:
        refuse_flags(Machine(tmp_path), facts(flags, units()), DaemonJson(PATH, exists=False))
    assert no.value.manual[1] == "systemctl daemon-reload"
    refuse_flags(Machine(tmp_path), facts(StartFlags(flags.flags[:1], unit=True)), DaemonJson(PATH, exists=False))


@pytest.mark.parametrize(("listener", "refused"), [(0, False), (1, False), (7, False), (8, True)])
def test_the_file_of_another_engine_is_left_alone(tmp_path, listener, refused):
    host, known = Machine(tmp_path, listener=listener), facts(DaemonProcess(7))
    if refused:
        with pytest.raises(Refused, match="process 8"):
            refuse_another_engine(host, known, HERE, DaemonJson(PATH, exists=False))
    else:
        refuse_another_engine(host, known, HERE, DaemonJson(PATH, exists=False))


def test_a_file_that_is_too_long_for_the_checks_is_edited_all_the_same(tmp_path):
    (tmp_path / "etc/docker").mkdir(parents=True)
    (tmp_path / PATH[1:]).write_text("{" + " " * 1_000_000 + "}")
    refuse_what_cannot_be_edited(Host(tmp_path, {}), DaemonJson(PATH, exists=True, problem="EFBIG"))
    with pytest.raises(Refused, match="EACCES"):
        refuse_what_cannot_be_edited(Host(tmp_path, {}), DaemonJson(PATH, exists=True, problem="EACCES"))
