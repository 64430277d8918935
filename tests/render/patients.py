"""Reports to be shown: of a host that is well, of one that is sick, and of one that says what would break a format."""

from dataclasses import replace
from datetime import datetime, timezone

from dockerdoctor.examine import check, failed, passed, skipped, unknown
from dockerdoctor.model import (
    Cell,
    Endpoint,
    Engine,
    Evidence,
    Finding,
    Mark,
    Matrix,
    Report,
    Result,
    Row,
    Severity,
    Status,
)


def decide() -> Finding:
    """
    One sentence.

    Why it matters: it does.
    How to fix: repair it.
    """
    return passed("")


def entry(check_id, severity=Severity.ERROR, upstream=()):
    return check(check_id, title="It works", severity=severity, docs="https://d", upstream=upstream)(decide)


# One row of each kind of cell.
MATRIX = Matrix(
    rows=(
        Row(
            "nameserver 192.0.2.53",
            (
                Cell(Mark.FAIL, "no answer"),
                Cell(Mark.NONE, "the daemon resolves names as the host does"),
                Cell(Mark.FAIL, "refused"),
                Cell(Mark.UNKNOWN, "no answer within 8 s"),
                Cell(Mark.FAIL, "refused"),
            ),
        ),
        Row(
            "mirror 10.0.0.1:5000",
            (
                Cell(Mark.OK, "connected", 0.0004),
                Cell(Mark.OK, "HTTP 200", 0.12),
                Cell(Mark.OK, "connected", 1.34),
                Cell(Mark.UNKNOWN, "no answer within 8 s"),
                Cell(Mark.OK, "connected", 1.34),
            ),
        ),
        Row("a published port", (Cell(Mark.OK, "answered"), *4 * (Cell(Mark.NONE, "not dialled from there"),))),
    ),
    build="build: as on the default bridge",
)


def report(*results):
    return Report(
        "0.1.0",
        Endpoint("unix:///var/run/docker.sock", "default"),
        Engine("20.10.24", "1.41", "Debian", "6.1"),
        datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc),
        1.25,
        results,
    )


CAUSE = Result(
    entry("dns.cause"),
    failed(
        "192.0.2.53 does not answer",
        Evidence("/etc/docker/daemon.json:1", '"dns": ["192.0.2.53"]'),
        cause="It is dead.",
        fix=("doctor fix-dns --write --yes", "# then start your containers again"),
        impact="restarts dockerd",
    ),
)
SYMPTOM = Result(entry("dns.symptom"), failed("names do not resolve", cause="x"), ("dns.cause",))
WARNING = Result(entry("disk.space", Severity.WARNING), failed("8% free", cause="Soon full."))
DARK = Result(entry("net.rules"), unknown("the rules cannot be read", how="# run as root"))
WELL = Result(entry("engine.up"), passed("answered"))

# What each would do, were it more than text.
HOSTILE = (
    "\x1b[31mred\x00\x07\x9b\r",
    "]]> --> <!-- <script>alert(1)</script> <img src=x onerror=alert(1)> </code></pre></title></style>",
    "&amp; &#60; %0A %25 {0} $(reboot)",
    "one\n::error::injected\n##[error]injected\n\n# heading\n- item\n<hr>",
    "` `` ``` ```` ~~~ |a|b| **bold** _it_ ~~no~~ [x](javascript:alert(1)) ![i](http://x/) <http://y/> \\",
    '"} evil{x="1"} 1\n# TYPE evil gauge\nevil 1 \\n',
    "' onclick='alert(1)' x=\"",
    "\ud800\udcff \ufffe\uffff \u2028\u2029 \u202ertl \u2066",
    "``",
    "",
)


def hostile_result(number, said):
    finding = failed(
        said, Evidence(said, said), Evidence(f"/etc/{said}:5", said), cause=said, fix=(said, f"# {said}"), impact=said
    )
    return Result(entry(f"hostile.n{number}"), finding)


CRASH = Result(entry("area.bug"), Finding(Status.CRASH, "TypeError: 'NoneType' object is not iterable"))
ABSENT = Result(entry("area.absent"), skipped("this host has none"))
HEALTHY_REPORT = report(WELL, ABSENT)
ACCEPTED = Result(entry("registry.slow"), failed("took 3.1 s", cause="It is far."), ignored="it is on the moon")
SICK_REPORT = replace(report(WELL, CAUSE, SYMPTOM, WARNING, DARK, ABSENT, CRASH, ACCEPTED), matrix=MATRIX)
ALL_HOSTILE = " ".join(HOSTILE)
HOSTILE_REPORT = replace(
    report(
        *(hostile_result(n, said) for n, said in enumerate(HOSTILE)),
        Result(entry("hostile.unknown"), unknown(ALL_HOSTILE, how=ALL_HOSTILE)),
        Result(entry("hostile.skipped"), skipped(ALL_HOSTILE)),
        Result(entry("hostile.passed"), passed(ALL_HOSTILE)),
        Result(entry("hostile.warning", Severity.WARNING), failed(ALL_HOSTILE, cause=ALL_HOSTILE)),
        Result(entry("hostile.symptom"), failed(ALL_HOSTILE, cause=ALL_HOSTILE), ("hostile.n0",)),
        Result(entry("hostile.crash"), Finding(Status.CRASH, ALL_HOSTILE)),
        Result(entry("hostile.ignored"), failed(ALL_HOSTILE, cause=ALL_HOSTILE), ignored=ALL_HOSTILE),
    ),
    endpoint=Endpoint(f"unix:///{ALL_HOSTILE}", ALL_HOSTILE),
    engine=Engine(ALL_HOSTILE, ALL_HOSTILE, ALL_HOSTILE, ALL_HOSTILE),
    crashes=(ALL_HOSTILE,),
    matrix=Matrix(
        rows=tuple(
            Row(f"{n} {said}", tuple(Cell(mark, said, 0.1 if mark is Mark.OK else None) for mark in (*Mark, Mark.OK)))
            for n, said in enumerate(HOSTILE)
        ),
        build=ALL_HOSTILE,
    ),
)
REPORTS = {"healthy": HEALTHY_REPORT, "sick": SICK_REPORT, "hostile": HOSTILE_REPORT}
