"""`doctor timer` with a real systemd."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.lab.machine import Machine

pytestmark = pytest.mark.lab

METRICS = "/var/lib/prometheus/node-exporter/dockerdoctor.prom"


def failed(text):
    (family,) = (f for f in text_string_to_metric_families(text) if f.name == "dockerdoctor_check_root_cause")
    return {s.labels["check"] for s in family.samples if s.value}


def test_timer():
    with Machine.boot() as m:
        assert m.doctor("timer", "install", user="alice").returncode == 2
        assert m.doctor("timer", "install", "--every", "soon").returncode == 2
        m.run("doctor timer install --every 1h")
        units = "/etc/systemd/system/dockerdoctor.service /etc/systemd/system/dockerdoctor.timer"
        judged = m.run(f"systemd-analyze verify {units}")
        assert judged.stdout + judged.stderr == ""
        assert "dockerdoctor.timer" in m.run("systemctl list-timers --no-pager dockerdoctor.timer").stdout
        assert m.run("systemctl is-enabled dockerdoctor.timer").stdout == "enabled\n"
        m.run("systemctl start dockerdoctor.service")
        assert failed(m.read(METRICS)) == set()
        # A sick host is no failure of the unit, and the metrics name the cause.
        m.run("echo '{' > /etc/docker/daemon.json; systemctl start dockerdoctor.service")
        assert "daemon-json.syntax" in failed(m.read(METRICS))
        # Made anew, it is another time and place; and all of it can be removed.
        m.run("doctor timer install --every 30min --passive --textfile '/srv/with blank/50%.prom'")
        assert m.run(f"systemd-analyze verify {units}").stderr == ""
        m.run("systemctl start dockerdoctor.service")
        assert "daemon-json.syntax" in failed(m.read("/srv/with blank/50%.prom"))
        m.run("doctor timer uninstall")
        assert m.run(f"ls {units} '/srv/with blank/50%.prom' 2>/dev/null", check=False).stdout == ""
        assert "no timer" in m.run("doctor timer uninstall").stdout
