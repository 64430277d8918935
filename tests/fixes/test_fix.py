"""Which causes are treated, what a treatment interrupts, and what proves it."""

from dataclasses import replace
from datetime import datetime, timezone

import pytest

from dockerdoctor.facts.caller import Caller
from dockerdoctor.facts.container_details import Details
from dockerdoctor.facts.containers import Container, Containers
from dockerdoctor.facts.endpoint import ChosenEndpoint, DaemonPing, Settings
from dockerdoctor.facts.engine import EngineInfo
from dockerdoctor.fixes.aftermath import Patient
from dockerdoctor.fixes.fix import Order, Outcome, chosen, fix, next_session, plan, untold, with_containers
from dockerdoctor.fixes.steps import Run, Running, restarts_dockerd
from dockerdoctor.host import Completed, Host
from dockerdoctor.measure import FactsView
from dockerdoctor.model import Check, Endpoint, Engine, Finding, Report, Result, Severity, Status

LOCAL = ChosenEndpoint("unix:///var/run/docker.sock", "default")
RESTART = Run(("systemctl", "restart", "docker"), again=("systemctl", "restart", "docker"))
RELOAD = Run(("systemctl", "reload", "docker"), again=("systemctl", "reload", "docker"))


def result(check, status, *, severity=Severity.ERROR, because=(), fix=()):
    entry = Check(check, "it is well", severity, "", (), {}, lambda: None)
    return Result(entry, Finding(status, f"{check} is {status.value}", fix=fix), because)


def report(*results):
    return Report("1", Endpoint(), Engine(), datetime.now(timezone.utc), 0.0, results)


FAIL, PASS, SKIP, UNKNOWN = Status.FAIL, Status.PASS, Status.SKIP, Status.UNKNOWN
SICK = report(
    result("a.error", FAIL),
    result("a.warning", FAIL, severity=Severity.WARNING),
    result("a.symptom", FAIL, because=("a.error",)),
    result("a.well", PASS),
    result("a.dark", UNKNOWN, because=("a.error",)),
)


@pytest.mark.parametrize(
    ("ids", "expected"),
    [((), ["a.error"]), (("a.warning",), ["a.warning"]), (("a.symptom",), ["a.error"]), (("a.warning", "a.error"), ["a.error", "a.warning"])],
)  # fmt: skip
def test_root_causes_alone_are_treated_and_warnings_when_named(ids, expected):
    assert [r.check.id for r in chosen(SICK, Order(ids, named=ids))] == expected


def test_an_area_does_not_stand_for_causes_elsewhere():
    assert chosen(SICK, Order(("a.symptom",))) == ()


def test_what_was_named_and_cannot_be_told_is_not_well():
    dark = report(result("a.dark", UNKNOWN), result("a.well", PASS))
    (one,) = untold(dark, Order(("a.dark", "a.well"), named=("a.dark", "a.well")))
    assert (one.outcome, one.outcome.exit_status) == (Outcome.REFUSED, 1)
    assert untold(dark, Order(("a.dark",))) == ()
    assert untold(SICK, Order(("a.dark",), named=("a.dark",))) == ()


@pytest.mark.parametrize(
    ("argv", "stops"),
    [
        (("systemctl", "restart", "docker"), True),
        (("systemctl", "restart", "docker.service"), True),
        (("systemctl", "stop", "docker.socket", "docker.service"), True),
        (("systemctl", "start", "docker"), False),
        (("systemctl", "reload", "docker"), False),
        (("systemctl", "restart", "nginx"), False),
        (("docker", "restart", "web"), False),
        (("service", "docker", "restart"), True),
    ],
)
def test_what_restarts_dockerd(argv, stops):
    assert restarts_dockerd(argv) is stops


def container(name, policy, state="running", **details):
    about = Details(**details)
    return Container(name, name, "busybox", state, "Up", inspected=True, restart_policy=policy, details=about)


def facts(*containers, live_restore=False):
    return FactsView(
        {
            Containers: Containers(containers),
            EngineInfo: EngineInfo(
                **dict.fromkeys(EngineInfo.__dataclass_fields__, "") | {"live_restore": live_restore}
            ),
            ChosenEndpoint: LOCAL,
        }
    )


WEB, DB, OLD = container("web", "no"), container("db", "always"), container("old", "no", "exited")


def test_containers_that_a_restart_stops_for_good_are_started_again():
    # Noted before the restart: should it fail, they are started again all the same.
    steps, impact = with_containers((RELOAD, RESTART), facts(WEB, DB, OLD))
    assert steps == (RELOAD, Running(("web",)), RESTART)
    assert impact == ("restarts dockerd; these stop and start again: web, db",)


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (facts(DB), "stop and start again: db"),
        (facts(WEB, live_restore=True), "keep running (live-restore): web"),
        (facts(OLD), "no container runs"),
        (FactsView({}), "restarts dockerd"),
    ],
)
def test_what_needs_no_start_gets_none(known, words):
    steps, impact = with_containers((RESTART,), known)
    assert steps == (RESTART,)
    assert words in impact[0]


def test_what_stops_for_good_is_told_before():
    steps, impact = with_containers(
        (RESTART,), facts(container("job", "no", auto_remove=True), container("p", "no", "paused"))
    )
    assert steps == (RESTART,)
    assert impact == (
        "restarts dockerd; these stop and remove themselves (--rm): job",
        "restarts dockerd; these are paused, and stop: p",
    )


def test_a_reload_interrupts_nothing():
    assert with_containers((RELOAD,), facts(WEB)) == ((RELOAD,), ())


class Fake(Host):
    def run(self, *argv, timeout=3.0, stdin="", env=None):
        return Completed(0, "", "")


@pytest.mark.parametrize(
    ("fix", "endpoint", "outcome", "reason"),
    [
        (("systemctl reload docker",), LOCAL, Outcome.PLANNED, ""),
        (("# think",), LOCAL, Outcome.BY_HAND, "a decision"),
        (("systemctl reload docker", "unset DOCKER_HOST"), LOCAL, Outcome.PLANNED, ""),
        (("unset DOCKER_HOST",), LOCAL, Outcome.BY_HAND, "session"),
        (("systemctl reload docker", "newgrp docker"), LOCAL, Outcome.BY_HAND, "session"),
        (("docker rm -f web",), LOCAL, Outcome.BY_HAND, "docker rm"),
        (("systemctl reload docker",), ChosenEndpoint("tcp://10.0.0.9:2376", "DOCKER_HOST"), Outcome.BY_HAND, "another host"),
        (("sudo systemctl reload docker",), LOCAL, Outcome.PLANNED, ""),
        (("docker restart web",), ChosenEndpoint("unix:///var/run/docker.sock", "--host"), Outcome.PLANNED, ""),
        (("docker restart web",), ChosenEndpoint("unix:///run/user/1/docker.sock", "DOCKER_HOST"), Outcome.PLANNED, ""),
        # Docker's own client would ask another engine than the one that was examined.
        (("docker restart web",), ChosenEndpoint("unix:///run/user/1/docker.sock", "--host"), Outcome.BY_HAND, "was chosen here"),
    ],
)  # fmt: skip
def test_what_is_planned_and_what_is_left_to_a_person(tmp_path, fix, endpoint, outcome, reason):
    patient = Patient(SICK, FactsView({ChosenEndpoint: endpoint}))
    treated, treatment = plan(result("a.error", FAIL, fix=fix), patient, Fake(tmp_path, {}))
    assert (treated.outcome, bool(treatment)) == (outcome, outcome is Outcome.PLANNED)
    assert reason in treated.reason
    # What is left to a person is shown as the finding had it.
    assert outcome is Outcome.PLANNED or treated.next == fix


class Patients:
    """A host on which one check fails until something is done, and what is asked meanwhile."""

    def __init__(self, monkeypatch, tmp_path, *, root=True, fix=("echo x > /etc/a",)):
        self.host = Fake(tmp_path, {})
        self.carried = []
        sick = report(result("a.error", FAIL, fix=fix))
        patient = Patient(sick, FactsView({ChosenEndpoint: LOCAL, Caller: Caller("u", root, "/", "/bin/doctor")}))
        monkeypatch.setattr("dockerdoctor.fixes.fix._examine", lambda *_: patient)
        monkeypatch.setattr(
            "dockerdoctor.fixes.fix._carry_out", lambda treated, *_: self.carried.append(1) or (treated, patient)
        )
        monkeypatch.setattr(Fake, "is_root", root)
        (tmp_path / "etc").mkdir()
        self.file = tmp_path / "etc/a"

    def fix(self, agreed, **order):
        return fix(self.host, Settings(), Order((), write=True, **order), agreed=agreed)[0]


def test_what_changed_while_somebody_was_asked_is_not_touched(monkeypatch, tmp_path):
    patients = Patients(monkeypatch, tmp_path)
    said = patients.fix(lambda _: bool(patients.file.write_text("mine")))
    assert (said.outcome, patients.carried) == (Outcome.REFUSED, [])
    assert "changed since" in said.reason
    assert patients.fix(lambda _: True).outcome is Outcome.PLANNED
    assert patients.carried == [1]


def test_whoever_is_not_root_is_told_what_to_run(monkeypatch, tmp_path):
    patients = Patients(monkeypatch, tmp_path, root=False)
    said = patients.fix(lambda _: True)
    assert (said.outcome, said.next) == (Outcome.REFUSED, ("sudo /bin/doctor fix a.error --write",))
    assert patients.carried == []


def test_what_nobody_can_bring_back_is_asked_for_by_name(monkeypatch, tmp_path):
    log = f"/srv/containers/{'a' * 64}/{'a' * 64}-json.log"
    patients = Patients(monkeypatch, tmp_path, fix=("# all that it said:", f"truncate --size 0 {log}"))
    (tmp_path / log[1:]).parent.mkdir(parents=True)
    (tmp_path / log[1:]).write_text("x")
    said = patients.fix(lambda _: True)
    assert (said.outcome, patients.carried) == (Outcome.REFUSED, [])
    assert said.next == ("# all that it said:", "doctor fix a.error --write --irreversible")
    assert patients.fix(lambda _: True, irreversible=True).forever == ("what aaaaaaaaaaaa has said: 0MB of its log",)
    assert patients.carried == [1]


def test_a_session_that_begins_after_the_fix_has_not_what_was_unset():
    host = Host("/", {"DOCKER_HOST": "tcp://x", "A": "b"})
    later = next_session(host, ("# log in again", "unset DOCKER_HOST"))
    assert (later.env, host.env["DOCKER_HOST"]) == ({"A": "b"}, "tcp://x")
    assert next_session(host, ("# log in again",)) is host


def test_what_proved_a_fix_is_not_measured_again(monkeypatch, tmp_path):
    patients = Patients(monkeypatch, tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(Fake, "is_root", True)
    (tmp_path / "var/lib").mkdir(parents=True)
    known = {ChosenEndpoint: LOCAL, Caller: Caller("u", True, "/", "/bin/doctor")}
    sick, well = (result("a.error", s, fix=("echo x > /etc/a",)) for s in (FAIL, PASS))
    looks = [sick, sick, well]
    monkeypatch.setattr("dockerdoctor.fixes.fix._examine", lambda *_: Patient(report(looks.pop(0)), FactsView(known)))
    monkeypatch.setattr("dockerdoctor.fixes.fix.PROOF_PAUSE", 0.0)
    assert patients.fix(lambda _: True).outcome is Outcome.APPLIED
    assert looks == []
    assert patients.file.read_text() == "x\n"


class Starting(Fake):
    """One whose containers are started."""

    started: tuple[str, ...] = ()

    def run(self, *argv, timeout=3.0, stdin="", env=None):
        if argv[:2] == ("docker", "start"):
            self.started += argv[2:]
        return super().run(*argv)

    def monotonic(self):
        return 0.0 if len(self.started) < 3 else 1e9

    def sleep(self, seconds):
        pass


@pytest.mark.parametrize(("tries", "outcome"), [(1, Outcome.APPLIED), (99, Outcome.ROLLED_BACK)])
def test_a_container_that_does_not_come_back_is_started_again_and_then_all_is_put_back(
    monkeypatch, tmp_path, tries, outcome
):
    """As one that needs another that is not up yet."""
    monkeypatch.setattr(Starting, "is_root", True)
    monkeypatch.setattr("dockerdoctor.fixes.treatment.ping_unix", lambda *_: DaemonPing("ok", True))
    (tmp_path / "var/lib").mkdir(parents=True)
    host = Starting(tmp_path, {})
    sick, well = (report(result("a.error", s, fix=("systemctl restart docker",))) for s in (FAIL, PASS))
    ended = replace(WEB, state="exited", exit_code=1, status="Exited (1)")

    def look(*_):
        known = facts(WEB if not host.started or len(host.started) > tries else ended)
        return Patient(well if host.started else sick, known)

    monkeypatch.setattr("dockerdoctor.fixes.fix._examine", look)
    (said,) = fix(host, Settings(), Order((), write=True), agreed=lambda _: True)
    assert (said.outcome, said.reason) == (
        outcome,
        "" if outcome is Outcome.APPLIED else "container web, which ran before, does not run now: Exited (1)",
    )
    assert said.next == (
        () if outcome is Outcome.APPLIED else ("# web ran before, and does not run now; see docker logs web",)
    )
