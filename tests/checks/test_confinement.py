"""One row for each verdict on what a security module keeps from containers; the messages are real ones."""

import pytest

from dockerdoctor.checks.confinement import apparmor, selinux_label
from dockerdoctor.facts.containers import Container, Containers
from dockerdoctor.facts.inside import Inside, View
from dockerdoctor.facts.kernel import Kernel
from dockerdoctor.facts.labels import LabelledMount, Labels, refusals
from dockerdoctor.model import Status
from tests.checks.test_daemon_json import info_of
from tests.checks.test_startup import PROGRAMS, units

PASS, FAIL, SKIP = Status.PASS, Status.FAIL, Status.SKIP
ENABLED, COMPLETE = (
    Kernel("6.1", apparmor=True),
    Kernel("6.1", apparmor=True, apparmor_parser="/usr/sbin/apparmor_parser"),
)
DEFAULT = "AppArmor enabled on system but the docker-default profile could not be loaded: "
# moby/moby#36952, moby/moby#30218 and others
NO_PROGRAM = (
    f"{DEFAULT}running `apparmor_parser apparmor_parser --version` failed with output: \n"
    'error: exec: "apparmor_parser": executable file not found in $PATH'
)
CONFINED = (
    f"{DEFAULT}running `/sbin/apparmor_parser apparmor_parser -Kr /var/lib/docker/tmp/docker-default123` failed with output: "
    '/sbin/apparmor_parser: Unable to replace "docker-default".  Permission denied; attempted to load a profile while confined?'
)  # fmt: skip
SYNTAX = (
    f"{DEFAULT}running `/sbin/apparmor_parser apparmor_parser -Kr /var/lib/docker/tmp/docker-default654` failed with output: "
    "AppArmor parser error for /var/lib/docker/tmp/docker-default654 in /etc/apparmor.d/tunables/home.d/ubuntu at line 8: "
    "syntax error, unexpected TOK_EQUALS, expecting TOK_MODE"
)


def inside(error):
    return Inside(View("host"), View("default bridge", error=error), View("user network", error=error))


@pytest.mark.parametrize(
    ("kernel", "error", "status", "words"),
    [
        (Kernel("6.1"), "", SKIP, ""),
        (COMPLETE, "", PASS, ""),
        (ENABLED, "", PASS, ""),  # newer engines do without a profile where there is no program for it
        (ENABLED, NO_PROGRAM, FAIL, "not installed"),
        (COMPLETE, CONFINED, FAIL, "confined by a profile itself"),
        (COMPLETE, SYNTAX, FAIL, "does not understand /etc/apparmor.d/tunables/home.d/ubuntu"),
        (COMPLETE, f"{DEFAULT}something new", FAIL, "cannot be loaded or applied"),
        (COMPLETE, "no space left on device", PASS, ""),
    ],
)
def test_apparmor(kernel, error, status, words):
    found = apparmor.decide(kernel, inside(error), None, PROGRAMS, units())
    assert found.status is status
    assert words in found.summary
    by_container = Containers((Container("1", "web", "web", "exited", "Exited (128)", error=error),))
    assert apparmor.decide(kernel, None, by_container, PROGRAMS, units()).status is status


def test_apparmor_is_installed_by_the_hosts_own_means():
    fix = apparmor.decide(ENABLED, inside(NO_PROGRAM), None, PROGRAMS, units()).fix
    assert fix[0] == "apt-get install -y apparmor"


HOME = LabelledMount("web", "/home/me/site", "/usr/share/nginx/html", "unconfined_u:object_r:user_home_t:s0")
GOOD = LabelledMount("db", "/srv/db", "/var/lib/db", "system_u:object_r:container_file_t:s0:c1,c2")
# Fedora 33, RHEL 8: the audit log's own form; a library's labels, a denial of somebody else's, and an old one.
AVC = (
    'type=AVC msg=audit(1612345678.123:456): avc:  denied  { read } for  pid=2345 comm="nginx" name="index.html" dev="dm-0" '
    "ino=123 scontext=system_u:system_r:container_t:s0:c123,c456 tcontext=unconfined_u:object_r:user_home_t:s0 tclass=file "
    "permissive=0"
)
OTHERS = AVC.replace("container_t", "httpd_t")


@pytest.mark.parametrize(("line", "now", "found"), [(AVC, 0, True), (OTHERS, 0, False), (AVC, 7200, False)])
def test_refusals(line, now, found):
    assert bool(list(refusals([line], (HOME, GOOD), 1612345678 + now))) is found


SELINUX = info_of(security_options=("name=seccomp,profile=default", "name=selinux"))


@pytest.mark.parametrize(
    ("labels", "info", "status"),
    [
        (Labels(), SELINUX, SKIP),
        (Labels(True, (HOME,), (("web", AVC),)), info_of(), SKIP),
        (Labels(True, (HOME, GOOD)), SELINUX, PASS),
        (Labels(True, (GOOD,), (("db", AVC),)), SELINUX, PASS),
        (Labels(True, (HOME, GOOD), (("web", AVC),)), SELINUX, FAIL),
    ],
)
def test_selinux_label(labels, info, status):
    assert selinux_label.decide(labels, info).status is status


def test_a_home_as_a_whole_is_not_relabelled():
    fix = selinux_label.decide(Labels(True, (HOME,), (("web", AVC),)), SELINUX).fix
    assert fix[0] == "chcon -Rt container_file_t /home/me/site"
    whole = LabelledMount("web", "/home", "/h", HOME.label)
    assert (
        selinux_label.decide(Labels(True, (whole,), (("web", AVC),)), SELINUX)
        .fix[0]
        .startswith("# do not relabel /home")
    )
