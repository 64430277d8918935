"""One row for each verdict on what the kernel rations."""

import pytest

from dockerdoctor.checks.resources import endless_files, inotify, open_files
from dockerdoctor.facts.resources import Holder, Inotify, OpenFiles
from dockerdoctor.model import Status

PASS, FAIL, SKIP = Status.PASS, Status.FAIL, Status.SKIP
MANY = 1_073_741_816


@pytest.mark.parametrize(
    ("check", "fact", "status", "words"),
    [
        (open_files, OpenFiles(()), SKIP, ""),
        (open_files, OpenFiles((Holder("dockerd", 9, 40, 1048576), Holder("web", 8, 900, 1024))), PASS, "none of 2"),
        (open_files, OpenFiles((Holder("dockerd", 9, 63, 64),)), FAIL, "dockerd holds 63 of 64"),
        (open_files, OpenFiles((Holder("web", 9, 1024, 1024),)), FAIL, "web holds 1024 of 1024"),
        # An endless limit harms nobody by itself; a busy program may just be busy.
        (endless_files, OpenFiles((Holder("web", 9, 4, MANY, 0, 60, 0.01),)), PASS, ""),
        (endless_files, OpenFiles((Holder("web", 9, 4, 1024, 0, 60, 1.0),)), PASS, ""),
        (endless_files, OpenFiles((Holder("web", 9, 4, MANY, 0, 2, 1.0),)), PASS, ""),
        (
            endless_files,
            OpenFiles((Holder("web", 9, 4, MANY, 0, 60, 0.99),)),
            FAIL,
            "web has been busy for all of its 60 s",
        ),
        (inotify, Inotify("ok", "128", "8192"), PASS, "of 128"),
        (inotify, Inotify("EPERM", "128", "8192"), PASS, ""),
        (inotify, Inotify("EMFILE", "128", "8192"), FAIL, "its inotify instances (128)"),
        (inotify, Inotify("ENOSPC", "128", "8192"), FAIL, "its inotify watches (8192)"),
    ],
)
def test_verdict(check, fact, status, words):
    found = check.decide(fact)
    assert found.status is status
    assert words in found.summary
    assert bool(found.fix) is (status is FAIL)


def test_fixes_raise_the_limit_that_was_met():
    for hard, value in ((0, "65536:"), (1024, "1024:"), (64, "65536:65536")):
        fix = open_files.decide(OpenFiles((Holder("dockerd", 9, 64, 64, hard),))).fix
        assert fix[0] == f"prlimit --pid 9 --nofile={value}"
    assert inotify.decide(Inotify("EMFILE", "128", "8192")).fix[0] == "sysctl -w fs.inotify.max_user_instances=8192"
    assert inotify.decide(Inotify("ENOSPC", "128", "8192")).fix[0] == "sysctl -w fs.inotify.max_user_watches=524288"
