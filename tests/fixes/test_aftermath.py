"""What a fix has made worse, whichever check sees it or none does, and what is only told."""

from dataclasses import replace

import pytest

from dockerdoctor.facts.container_details import Details
from dockerdoctor.facts.containers import Container, Containers, PortBinding
from dockerdoctor.fixes.aftermath import Patient, fallen, fell, still_sick, to_tell, unpublished
from dockerdoctor.fixes.steps import Run
from dockerdoctor.measure import FactsView
from dockerdoctor.model import Severity, Status
from tests.fixes.test_fix import FAIL, PASS, SICK, SKIP, UNKNOWN, report, result

WARNING = Severity.WARNING


@pytest.mark.parametrize(
    ("after", "says"),
    [
        ([result("a.error", PASS), result("a.well", PASS)], ""),
        ([result("a.error", SKIP), result("a.well", PASS)], ""),
        ([result("a.error", FAIL), result("a.well", PASS)], "a.error"),
        ([result("a.error", UNKNOWN)], "a.error"),
        ([result("a.error", Status.CRASH)], "a.error"),
        ([result("a.well", PASS)], "a.error was not examined"),
        ([result("a.error", PASS), result("a.well", FAIL)], "a.well, which was well before: a.well is fail"),
        ([result("a.error", PASS), result("a.well", UNKNOWN)], "a.well, which was well before, cannot be told"),
        ([result("a.error", PASS), result("a.well", Status.CRASH)], "a.well, which was well before, cannot be told"),
        ([result("a.error", PASS), result("a.well", SKIP)], ""),
        ([result("a.error", PASS), result("a.well", FAIL, severity=WARNING)], ""),
        # What could not be seen before is not what the fix has broken.
        ([result("a.error", PASS), result("a.dark", FAIL)], ""),
        ([result("a.error", PASS), result("a.symptom", FAIL)], ""),
    ],
)
def test_what_proves_a_fix(after, says):
    assert still_sick("a.error", SICK, report(*after)).startswith(says)
    assert bool(still_sick("a.error", SICK, report(*after))) is bool(says)


def container(name, state="running", exit_code=0, ports=(), **more):
    details = Details(auto_remove=more.pop("auto_remove", False))
    bound = tuple(PortBinding(inner, "tcp", "0.0.0.0", outer) for inner, outer in ports)
    return Container(
        name, name, "busybox", state, f"is {state}", exit_code=exit_code, ports=bound, details=details, **more
    )


def known(*containers):
    return FactsView({Containers: Containers(containers)})


RESTART, STOP = (Run(("systemctl", "restart", "docker")),), (Run(("docker", "stop", "web")),)
WEB, ENDED = container("web"), container("web", "exited", 1)


@pytest.mark.parametrize(
    ("before", "after", "steps", "names"),
    [
        (WEB, ENDED, RESTART, ["web"]),
        (WEB, replace(WEB, state="restarting"), RESTART, ["web"]),
        (WEB, None, RESTART, ["web"]),
        (WEB, WEB, RESTART, []),
        (ENDED, ENDED, RESTART, []),
        (WEB, container("web", "exited", 0), RESTART, []),  # a job that is done
        (container("web", auto_remove=True), None, RESTART, []),
        (container("web", restart_count=7), ENDED, RESTART, []),  # it fell before
        (WEB, ENDED, STOP, []),  # that was the fix
        (WEB, ENDED, (Run(("sysctl", "-w", "a=b")),), []),  # and this has nothing to do with it
        (WEB, container("web", "exited", 137), (Run(("docker", "restart", "web")),), ["web"]),
    ],
)
def test_containers_that_a_fix_has_ended(before, after, steps, names):
    now = known(*([after] if after else []))
    assert [c.name for c in fallen(known(before), now, steps)] == names
    assert fallen(FactsView({}), now, steps) == fallen(known(before), FactsView({}), steps) == ()


def test_it_is_said_how_they_ended():
    assert fell((ENDED,)) == "container web, which ran before, does not run now: is exited"
    assert fell((replace(ENDED, error="port is taken"),)).endswith(": port is taken")
    assert fell(()) == ""


def test_ports_that_are_published_no_more():
    web = container("web", ports=[(80, 8080), (81, 32768), (82, 0)])
    moved, bare = container("web", ports=[(80, 8080), (81, 32769)]), container("web", ports=[(81, 32768)])
    assert unpublished(known(web), known(moved)) == unpublished(known(WEB), known(web)) == ""
    assert unpublished(known(web), known(bare)) == "container web, which published 80/tcp before, does not now"
    # What does not run is another matter.
    assert unpublished(known(web), known(ENDED)) == unpublished(FactsView({}), known(web)) == ""
    said = to_tell("a.error", Patient(SICK, known(web)), Patient(SICK, known(moved)))
    assert list(said) == ["# web publishes 81/tcp at 32769 now, and not at 32768 any more"]


def test_what_is_otherwise_and_no_reason_to_go_back_is_told():
    new = report(
        result("a.error", PASS),
        result("a.well", FAIL, severity=WARNING),
        result("a.dark", FAIL),
        result("a.symptom", FAIL, because=("a.dark",)),
    )
    job = container("job", auto_remove=True)
    before, after = Patient(SICK, known(WEB, job)), Patient(new, known(ENDED))
    assert list(to_tell("a.error", before, after)) == [
        "# web ran before, and does not run now; see docker logs web",
        "# job ran before, and is gone now",
        "# a.well, which did not fail before: a.well is fail",
    ]
    assert list(to_tell("a.error", before, before)) == []
    assert list(to_tell("a.error", Patient(SICK, FactsView({})), Patient(SICK, FactsView({})))) == []
