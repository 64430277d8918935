"""What a fault is, and what proves that the doctor finds it."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar

from tests.lab.base import ENGINES, SUITES
from tests.lab.machine import CommandFailed, Machine
from tests.lab.store import LAB, REPO, LabError, key

# Shell to run in the machine as root, where {gateway} and {address} are filled in; or anything else.
Step = str | Callable[[Machine], None]


# How a fault is noted that `doctor fix` repaired, and `doctor undo` brought back.
FIXED = "{} (fix)"


class NotProven(AssertionError):
    """The doctor, or the fault itself, did not behave as declared."""


@dataclass(frozen=True)
class Healthy:
    """A machine on which the doctor must find no error."""

    id: str
    works: Step  # shows that it really is well: succeeds, or raises
    machine: Mapping[str, Any] = field(default_factory=dict)  # for Machine.boot
    setup: Step = ""
    doctor: tuple[str, ...] = ("check",)
    user: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    engines: tuple[str, ...] = tuple(ENGINES)  # where there can be such a machine
    on: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # engine: fields that differ there


@dataclass(frozen=True)
class Fault:
    """One way to break a machine, and the check that must be named as its root cause."""

    id: str  # of the catalogue of faults, and perhaps a variant: "dns-daemon-json-dead-server:refused"
    check: str
    inject: Step
    # What a user would do: succeeds while the machine is well, fails while the fault is there (a function raises).
    # What may hang wants a limit: `timeout 10 docker ...`; after a minute it counts as failed.
    broken: Step
    setup: Step = ""  # what well and sick share: containers to start, ...
    machine: Mapping[str, Any] = field(default_factory=dict)  # for Machine.boot
    doctor: tuple[str, ...] = ("check",)
    user: str | None = None  # who runs the doctor, and `broken`; None is root
    env: Mapping[str, str] = field(default_factory=dict)  # for the same two
    severity: str = "error"
    with_: tuple[str, ...] = ()  # other root causes that are rightly named too
    symptoms: tuple[str, ...] = ()  # further checks that fail because of it, and stand beneath it
    cure: str = ""  # a command that repairs it: afterwards `broken` succeeds and the check passes
    verify_fix: bool = False  # the finding's own commands must do the same, pasted into a shell
    engines: tuple[str, ...] = tuple(ENGINES)  # where it can be
    on: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # engine: fields that differ there

    @property
    def family(self) -> str:
        """The id in the catalogue of faults."""
        return self.id.split(":")[0]


Patient = TypeVar("Patient", Fault, Healthy)


def at(patient: Patient, engine: str) -> Patient:
    """Give the declaration as it is for one engine."""
    there = replace(patient, **patient.on.get(engine, {}))
    return replace(there, machine={**there.machine, "suite": ENGINES[engine]})


def engines(patient: Fault | Healthy) -> tuple[str, ...]:
    """Give the engines a declaration is for: a machine of one suite is for its engine alone."""
    return (SUITES[patient.machine["suite"]].engine,) if "suite" in patient.machine else patient.engines


def prove(fault: Fault, *, control: bool = True, engine: str = "") -> dict[str, Any]:
    """
    Boot, break, diagnose, cure; raise NotProven where it goes otherwise than declared; note the outcome either way.

    `control=False` leaves out the examination before the fault, to save its time, and then unrelated errors alone count as
    false alarms; the engine is the first it is for.
    """
    fault = at(fault, engine or engines(fault)[0])
    row: dict[str, Any] = {"fault": fault.id, "check": fault.check}
    with noted(row, fault.machine) as watch, Machine.boot(**fault.machine) as machine:
        watch("boot")
        do(machine, fault.setup)
        if failure := fails(machine, fault):
            raise NotProven(f"`broken` fails before the fault is there: {failure}")
        watch("setup")
        before: set[str] = set()
        if control:
            before = no_error(examine(machine, fault))
            watch("control")
        do(machine, fault.inject)
        if not fails(machine, fault):
            raise NotProven("the fault does nothing: `broken` still succeeds")
        watch("inject")
        report = examine(machine, fault)
        watch("check")
        row["engine"] = (report.get("engine") or {}).get("version")
        row["root_causes"] = named = report["root_causes"]
        # A warning that the healthy machine had too is none of the fault's; without a control, no warning is counted.
        if not control:
            before = {r["id"] for r in report["results"] if r["status"] == "fail" and r["severity"] != "error"}
        extra = set(named) - {fault.check, *fault.with_} - before
        if named[:1] != [fault.check] or extra:
            raise NotProven(f"root causes are {named}, not {[fault.check, *fault.with_]}\n{describe(report)}")
        finding = result(report, fault.check)
        if finding["severity"] != fault.severity:
            raise NotProven(f"{fault.check} is of severity {finding['severity']}, not {fault.severity}")
        row["automatic"] = finding["automatic"]
        folded = {r["id"] for r in report["results"] if r["status"] == "fail" and fault.check in r["because"]}
        if apart := set(fault.symptoms) - folded:
            raise NotProven(f"{sorted(apart)} did not fail because of {fault.check}\n{describe(report)}")
        repairs = [fault.cure] if fault.cure else []
        if fault.verify_fix:
            repairs += [command for command in finding["fix"] if not command.startswith("#")]
            if not repairs:
                raise NotProven(f"{fault.check} gives no command that repairs it: {finding['fix']}")
        if repairs:
            for repair in repairs:
                machine.run(repair, env=fault.env, timeout=180)
            machine.wait_docker()
            if failure := fails(machine, fault):
                raise NotProven(f"`broken` still fails after {repairs}: {failure}")
            watch("cure")
            report = examine(machine, fault, "--only", fault.check)
            # A check that no longer applies is well too: nothing dead is first of a single server.
            if (now := result(report, fault.check))["status"] not in ("pass", "skip"):
                raise NotProven(f"after {repairs} {fault.check} is {now['status']}: {now['summary']}")
            row["cured"] = repairs
    return row


def prove_both(first: Fault, second: Fault) -> None:
    """Break one machine in two ways, on the oldest engine; raise NotProven unless exactly both are the root causes."""
    faults = [at(fault, engines(fault)[0]) for fault in (first, second)]
    with Machine.boot(**{key: value for fault in faults for key, value in fault.machine.items()}) as machine:
        for fault in faults:
            do(machine, fault.setup)
        for fault in faults:
            do(machine, fault.inject)
        for fault in faults:
            if not fails(machine, fault):
                raise NotProven(f"{fault.id} does nothing: `broken` still succeeds")
        report = examine(machine, first)
        expected = {check for fault in faults for check in (fault.check, *fault.with_)}
        if set(report["root_causes"]) != expected:
            raise NotProven(f"root causes are {report['root_causes']}, not {sorted(expected)}\n{describe(report)}")


def prove_healthy(healthy: Healthy, *, engine: str = "") -> dict[str, Any]:
    """Boot it, see that it works, and that the doctor finds no error; note the outcome."""
    healthy = at(healthy, engine or engines(healthy)[0])
    row: dict[str, Any] = {"healthy": healthy.id}
    with noted(row, healthy.machine) as watch, Machine.boot(**healthy.machine) as machine:
        watch("boot")
        do(machine, healthy.setup)
        do(machine, healthy.works)
        watch("setup")
        report = examine(machine, healthy)
        watch("check")
        row["engine"] = (report.get("engine") or {}).get("version")
        row["warnings"] = sorted(no_error(report))
        all_reached(report)
    return row


# -- parts


class Watch:
    """Note how long each part takes."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self.seconds = seconds
        self.last = time.monotonic()

    def __call__(self, part: str) -> None:
        """Note the time since the last part."""
        now = time.monotonic()
        self.seconds[part] = round(now - self.last, 2)
        self.last = now


def do(machine: Machine, step: Step) -> None:
    """Take a step of a declaration."""
    if callable(step):
        step(machine)
    elif step:
        machine.run(step, timeout=180)


def fails(machine: Machine, fault: Fault) -> str:
    """Say how `broken` fails; nothing if it succeeds."""
    try:
        if callable(fault.broken):
            fault.broken(machine)
        else:
            # Longer than it should ever take: a command that hangs is a failure too.
            machine.run(fault.broken, user=fault.user, env=fault.env, timeout=60)
    except (LabError, AssertionError) as failure:
        return str(failure) or repr(failure)
    return ""


def examine(machine: Machine, patient: Fault | Healthy, *options: str) -> dict[str, Any]:
    """Run the doctor and give its report."""
    done = machine.doctor(*patient.doctor, *options, "--format", "json", user=patient.user, env=patient.env)
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise NotProven(f"no report: {CommandFailed(done.args, done)}") from None
    if done.returncode not in (0, 1):
        raise NotProven(f"the doctor ended with {done.returncode}: {done.stderr}")
    crashed = [r for r in report["results"] if r["status"] == "crash"]
    if crashed:
        raise NotProven(f"crashed:\n{json.dumps(crashed, indent=1)}\n{done.stderr}")
    return report


def no_error(report: dict[str, Any]) -> set[str]:
    """Give the warnings that a healthy machine has; errors it must not have."""
    failing = [r for r in report["results"] if r["status"] == "fail"]
    if any(r["severity"] == "error" for r in failing):
        raise NotProven(f"the doctor finds an error on a healthy machine\n{describe(report)}")
    return {r["id"] for r in failing}


def all_reached(report: dict[str, Any]) -> None:
    """See that nothing is shown as unreached where no check, not even a warning, says why."""
    cells = [(row["target"], cell) for row in report["matrix"]["rows"] for cell in row["cells"]]
    lost = [f"{target} from {cell['place']}: {cell['said']}" for target, cell in cells if cell["mark"] == "fail"]
    if lost and not report["root_causes"]:
        raise NotProven(f"the matrix of a healthy machine shows failures: {'; '.join(lost)}")


def result(report: dict[str, Any], check: str) -> dict[str, Any]:
    """Give the result of one check."""
    for found in report["results"]:
        if found["id"] == check:
            return dict(found)
    raise NotProven(f"the report has no check {check}")


def describe(report: dict[str, Any]) -> str:
    """Show all that is not well in a report."""
    lines = []
    for r in report["results"]:
        if r["status"] in ("fail", "unknown"):
            because = f" <- {', '.join(r['because'])}" if r["because"] else ""
            evidence = "".join(f"\n    {e['source']}: {e['saw']}" for e in r["evidence"])
            lines.append(f"{r['status']} {r['severity']} {r['id']}{because}: {r['summary']}{evidence}")
    return "\n".join(lines)


def results_file() -> Path:
    """Where this checkout's outcomes are noted, a JSON object a line, the newest last."""
    return LAB / "results" / f"{key(str(REPO))}.jsonl"


@contextmanager
def noted(row: dict[str, Any], machine: Mapping[str, Any]) -> Iterator[Watch]:
    """Note how a proof ended, unless it was interrupted."""
    row |= {"suite": machine.get("suite", "bookworm"), "proven": False, "seconds": {}}
    try:
        yield Watch(row["seconds"])
    except Exception as error:
        note({**row, "error": str(error)[:2000]})
        raise
    row["proven"] = True
    note(row)


def note(row: dict[str, Any]) -> None:
    """Append a row to the outcomes; docs/coverage.md is made from these."""
    head = subprocess.run(
        ["git", "-C", REPO, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    stamp = datetime.now(timezone.utc).isoformat(timespec="seconds")
    file = results_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    # One write: two processes may note at once.
    with file.open("a", encoding="utf-8") as out:
        out.write(json.dumps({"when": stamp, "commit": head.stdout.strip(), **row}) + "\n")
