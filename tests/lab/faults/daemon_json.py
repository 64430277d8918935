"""Faults of /etc/docker/daemon.json: its text, its keys, its values, and what contradicts it."""

from collections.abc import Callable
from typing import Any

from tests.lab.fault import Fault
from tests.lab.machine import Machine

FILE = "/etc/docker/daemon.json"
DROP_IN = "/etc/systemd/system/docker.service.d/lab.conf"
# Allowed to restart as often as a case needs: three in a minute is Docker's limit.
RESTART = "systemctl reset-failed docker.service docker.socket; systemctl restart docker"
OLD = ("20.10",)  # later ones accept it
WORKS = "timeout 20 docker version"
# The next start, judged by dockerd itself; before 23.0: it reads the file first, and stops at this level afterwards.
STARTS_AGAIN = r"""
    flags=$(systemctl show -p ExecStart --value docker.service | sed 's/.*argv\[\]=[^ ]* //; s/ ;.*//; s/[$][A-Z_]*//g')
    if dockerd --help | grep -q -e --validate; then dockerd $flags --validate
    else dockerd $flags --log-level=lab 2>&1 | grep 'unable to parse logging level: lab'; fi
"""
MIRROR = '"registry-mirrors": ["http://{gateway}:5000"]'


def restarted_with(text: str) -> Callable[[Machine], None]:
    """Write the file and restart Docker, which may well fail."""

    def inject(machine: Machine) -> None:
        machine.write(FILE, text)
        machine.run(RESTART, check=False)

    return inject


def written(text: str) -> Callable[[Machine], None]:
    """Write the file only: the daemon runs on with its older settings."""
    return lambda machine: machine.write(FILE, text)


def broken_start(fault_id: str, check: str, text: str, **more: Any) -> Fault:
    """A file with which dockerd does not start, and which the finding's own commands repair."""
    return Fault(fault_id, f"daemon-json.{check}", restarted_with(text), WORKS, verify_fix=True, **more)


SYNTAX = (
    broken_start("daemon-json-syntax:trailing-comma", "syntax", "{\n  " + MIRROR + ',\n  "debug": false,\n}\n'),
    broken_start("daemon-json-syntax:missing-comma", "syntax", "{\n  " + MIRROR + '\n  "debug": false\n}\n'),
    broken_start("daemon-json-syntax:comment", "syntax", "{\n  // nearest first\n  " + MIRROR + " # ours\n}\n"),
    broken_start("daemon-json-syntax:typographic-quotes", "syntax", "{" + MIRROR + ", “labels”: [“a=it's”]}\n"),
    broken_start("daemon-json-syntax:single-quotes", "syntax", "{" + MIRROR + ", 'labels': ['a=b']}\n"),
    broken_start(
        "daemon-json-syntax:unclosed", "syntax", "{\n  " + MIRROR + ',\n  "log-opts": {\n    "max-size": "10m"\n  }\n'
    ),
    broken_start("daemon-json-syntax:literals", "syntax", "{" + MIRROR + ', "debug": False, "labels": ["a=\tb"]}\n'),
    Fault(
        "daemon-json-syntax:html",
        "daemon-json.syntax",
        restarted_with("<!DOCTYPE html>\n<html><body>404</body></html>\n"),
        WORKS,
        cure="echo '{" + MIRROR + "}' > " + FILE + "; " + RESTART,
    ),
    Fault(
        "daemon-json-syntax:still-running",
        "daemon-json.syntax",
        written("{\n  " + MIRROR + ',\n  "dns": ["{gateway}",],\n}\n'),
        STARTS_AGAIN,
        verify_fix=True,
    ),
    broken_start("daemon-json-empty", "empty", "", engines=OLD),
    broken_start("daemon-json-empty:blank", "empty", " \n\n", engines=OLD),
    broken_start("daemon-json-bom", "encoding", "\ufeff{" + MIRROR + "}\n", engines=OLD),
    Fault(
        "daemon-json-bom:utf-16",
        "daemon-json.encoding",
        f"iconv -t UTF-16 {FILE} > /tmp/wide; cat /tmp/wide > {FILE}; {RESTART} || true",
        WORKS,
        verify_fix=True,
        engines=OLD,
    ),
    Fault(
        "daemon-json-trailing-second-object",
        "daemon-json.second-object",
        restarted_with("{" + MIRROR + '}\n{"debug": true}\n'),
        "docker info --format '{{.Debug}}' | grep true",
        machine={"daemon_json": {"debug": True}},
        verify_fix=True,
    ),
    Fault(
        "daemon-json-duplicate-key",
        "daemon-json.duplicate-key",
        restarted_with("{" + MIRROR + ',\n "labels": ["a=1"],\n "labels": ["b=2"]}\n'),
        "docker info --format '{{.Labels}}' | grep a=1",
        machine={"daemon_json": {"labels": ["a=1", "b=2"]}},
        verify_fix=True,
        severity="warning",
    ),
)

KEYS = (
    broken_start("daemon-json-unknown-key:misspelt", "known-keys", "{" + MIRROR + ', "dns_servers": "{gateway}"}\n'),
    broken_start("daemon-json-unknown-key:case", "known-keys", "{" + MIRROR + ', "Debug": true}\n'),
    broken_start("daemon-json-unknown-key:foreign", "known-keys", "{" + MIRROR + ', "auths": {"x": {}}}\n'),
    broken_start(
        "daemon-json-unknown-key:newer",
        "version",
        "{" + MIRROR + ', "proxies": {"http-proxy": "http://{gateway}:8888"}}\n',
        engines=OLD,
    ),
    broken_start(
        "daemon-json-unknown-key:newest",
        "version",
        "{" + MIRROR + ', "firewall-backend": "nftables"}\n',
        engines=("26.1", "28.5"),
    ),
    Fault(
        "daemon-json-unknown-key:singular",
        "daemon-json.ignored-keys",
        restarted_with("{" + MIRROR + ', "label": ["rack=7"]}\n'),
        "docker info --format '{{.Labels}}' | grep rack=7",
        machine={"daemon_json": {"labels": ["rack=7"]}},
        verify_fix=True,
        severity="warning",
    ),
    Fault(
        "daemon-json-unknown-key:misplaced",
        "daemon-json.ignored-keys",
        restarted_with("{" + MIRROR + ', "daemon": {"labels": ["rack=7"]}}\n'),
        "docker info --format '{{.Labels}}' | grep rack=7",
        machine={"daemon_json": {"labels": ["rack=7"]}},
        verify_fix=True,
        severity="warning",
    ),
    broken_start("daemon-json-wrong-type:string-for-list", "types", "{" + MIRROR + ', "dns": "{gateway}"}\n'),
    broken_start("daemon-json-wrong-type:string-for-bool", "types", "{" + MIRROR + ', "debug": "true"}\n'),
    broken_start(
        "log-driver-invalid-opt:number", "types", "{" + MIRROR + ', "log-opts": {"max-size": "10m", "max-file": 3}}\n'
    ),
)

VALUES = (
    broken_start("daemon-json-bad-mirror-url", "values", '{"registry-mirrors": ["{gateway}:5000"]}\n'),
    broken_start("bip-invalid:no-prefix", "values", "{" + MIRROR + ', "bip": "172.26.0.1"}\n'),
    broken_start("bip-invalid:network-address", "values", "{" + MIRROR + ', "bip": "172.26.0.0/16"}\n'),
    broken_start("default-runtime-missing", "values", "{" + MIRROR + ', "default-runtime": "nvidia"}\n'),
    broken_start(
        "log-driver-invalid-opt", "values", "{" + MIRROR + ', "log-opts": {"max-size": "10m", "max-files": "3"}}\n'
    ),
)

UNIT = "[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock %s\n"


def flag(fault_id: str, options: str, setting: str, **files: str) -> Fault:
    """A flag of the unit and a key of the file that set the same."""

    def inject(machine: Machine) -> None:
        machine.write(DROP_IN, UNIT % options)
        for path, text in files.items():
            machine.write(path, text)
        machine.write(FILE, "{" + MIRROR + ", " + setting + "}\n")
        machine.run(f"systemctl daemon-reload; {RESTART}", check=False)

    return Fault(fault_id, "daemon-json.flag-conflict", inject, WORKS, verify_fix=True)


STATE = (
    broken_start(
        "daemon-json-hosts-conflict",
        "flag-conflict",
        "{" + MIRROR + ', "hosts": ["unix:///var/run/docker.sock", "tcp://127.0.0.1:2375"]}\n',
    ),
    Fault(
        "daemon-json-hosts-conflict:still-running",
        "daemon-json.flag-conflict",
        written("{" + MIRROR + ', "hosts": ["fd://"]}\n'),
        STARTS_AGAIN,
        verify_fix=True,
    ),
    flag("daemon-json-flag-conflict-other:drop-in", "--dns={gateway}", '"dns": ["{gateway}"]'),
    flag("daemon-json-flag-conflict-other:letter", "-D", '"debug": false'),
    flag(
        "daemon-json-flag-conflict-other:environment-file",
        "$DOCKER_OPTS",
        '"live-restore": true',
        **{"/etc/default/docker": '# lab\nDOCKER_OPTS="--live-restore --mtu 1400"\n'},
    ),
    Fault(
        "daemon-json-not-reloaded",
        "daemon-json.applied",
        # A file's time counts in whole ticks, a process's start too.
        'sleep 1.1; sed -i \'s/{/{"labels": ["rack=7"],/\' ' + FILE,
        f"""! grep -q rack {FILE} || docker info --format '{{{{.Labels}}}}' | grep rack=7""",
        verify_fix=True,
        severity="warning",
    ),
    Fault(
        "daemon-json-not-reloaded:restart",
        "daemon-json.applied",
        'sleep 1.1; sed -i \'s/{/{"bip": "172.26.0.1\\/16",/\' ' + FILE,
        f"! grep -q bip {FILE} || ip address show docker0 | grep 172.26.0.1/16",
        verify_fix=True,
        severity="warning",
    ),
)

FAULTS: tuple[Fault, ...] = (*SYNTAX, *KEYS, *VALUES, *STATE)
