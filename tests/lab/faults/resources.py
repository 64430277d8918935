"""Faults of what the kernel rations."""

from tests.lab.fault import Fault
from tests.lab.faults.unit import RUN, setting

RESTART = "systemctl reset-failed docker.service docker.socket; systemctl restart docker"
# One of a user of its own: the limit is each user's, and the host's other users must not feel it.
WATCHER = "python3 -c 'import ctypes; exit(ctypes.CDLL(None).inotify_init() < 0)'"
HOARDER = (
    "import ctypes, time\\n"
    "init = ctypes.CDLL(None).inotify_init\\n"
    "while init() >= 0: pass\\n"
    "print(1, flush=True)\\n"
    "time.sleep(1000)"
)


def ulimit(hard: int) -> str:
    """Give every container a limit of open files."""
    limits = f'"default-ulimits": {{"nofile": {{"Name": "nofile", "Hard": {hard}, "Soft": 1024}}}}'
    return f"sed -i '1s|.*|{{ {limits},|' /etc/docker/daemon.json; {RESTART}"


FAULTS = (
    Fault(
        "res-nofile-too-low",
        "resources.open-files",
        # Fewer than it has open now: it may open no more.
        inject="n=$(ls /proc/$(pidof dockerd)/fd | wc -l); prlimit --nofile=$((n-3)): --pid $(pidof dockerd)",
        broken="timeout 5 docker ps",
        verify_fix=True,
    ),
    Fault(
        "res-nofile-too-low:unit",
        "resources.open-files",
        inject=setting("LimitNOFILE=30"),
        broken=RUN,
        verify_fix=True,
    ),
    Fault(
        "res-nofile-infinity:above-the-kernels",
        "resources.default-ulimits",
        inject=ulimit(1073741816),
        broken=RUN,
        verify_fix=True,
    ),
    Fault(
        "res-inotify-exhausted",
        "resources.inotify",
        machine={"images": ("python:3.13-slim",)},
        inject=f"docker run -d --name hoarder --user 47113 python:3.13-slim python3 -c \"$(printf '{HOARDER}')\";"
        "until docker logs hoarder | grep -q 1; do sleep 0.1; done",
        broken=f"timeout 20 docker run --rm --user 47113 python:3.13-slim {WATCHER}",
        cure="docker rm -f hoarder",
    ),
)  # fmt: skip
