"""The units of `doctor timer`."""

import configparser
import shlex

from dockerdoctor.commands.timer import schedule, service


def read(unit):
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str
    parser.read_string(unit)
    return parser


def test_the_service_examines_and_writes_metrics():
    unit = read(service("/usr/local/bin/doctor", "/srv/a.prom", passive=True))
    words = shlex.split(unit["Service"]["ExecStart"])
    assert words == ["/usr/local/bin/doctor", "check", "--quiet", "--passive", "--report", "prometheus=/srv/a.prom"]
    assert unit["Service"]["SuccessExitStatus"] == "1"


def test_what_systemd_would_take_for_its_own_is_escaped():
    command = read(service("/opt/my doctor/doctor", "/srv/50%/$x.prom"))["Service"]["ExecStart"]
    assert command.startswith('"/opt/my doctor/doctor" check')
    assert "/srv/50%%/$$x.prom" in command


def test_the_timer_comes_again():
    assert read(schedule("1h"))["Timer"]["OnUnitActiveSec"] == "1h"
