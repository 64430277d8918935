"""Faults of the kernel's protections: what a machine can show of them, since all share one kernel."""

from tests.lab.fault import Fault

PROFILE = """
    cat > /etc/docker/seccomp.json <<'END'
{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]}
END
    sed -i '1s|.*|{ "seccomp-profile": "/etc/docker/seccomp.json",|' /etc/docker/daemon.json
    systemctl reset-failed docker.service docker.socket
    systemctl restart docker
"""

FAULTS = (
    Fault(
        "kern-seccomp-clone3",
        "kernel.clone3",
        machine={"images": ("python:3.13-slim",)},
        inject=PROFILE,
        broken="timeout 30 docker run --rm python:3.13-slim python3 -c 'import threading; threading.Thread(target=print).start()'",
        cure="""sed -i 's/"errnoRet": 1}/"errnoRet": 38}/' /etc/docker/seccomp.json; systemctl restart docker""",
    ),
)
