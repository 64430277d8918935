"""Faults of the kernel's protections and modules: what a machine can show of them, since all share one kernel."""

from tests.lab.fault import Fault
from tests.lab.faults.unit import RUN

RESTART = "systemctl reset-failed docker.service docker.socket; systemctl restart docker"
PROFILE = """
    cat > /etc/docker/seccomp.json <<'END'
{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]}
END
    sed -i '1s|.*|{ "seccomp-profile": "/etc/docker/seccomp.json",|' /etc/docker/daemon.json
    systemctl reset-failed docker.service docker.socket
    systemctl restart docker
"""
# What a distribution's upgrade leaves: another release's modules. This kernel is in one piece, and needs none of its own.
MODULES = "mkdir -p /lib/modules/$(uname -r); touch /lib/modules/$(uname -r)/modules.dep"
UPGRADED = "mv /lib/modules/$(uname -r) /lib/modules/6.1.0-99-amd64"
# As iptables says it where the module of the table cannot be loaded.
NO_TABLE = r"""
    mv /usr/sbin/iptables /usr/sbin/iptables.real
    cat > /usr/sbin/iptables <<'END'
#!/bin/sh
echo "iptables v1.8.9 (legacy): can't initialize iptables table \`nat': Table does not exist (do you need to insmod?)" >&2
exit 3
END
    chmod 755 /usr/sbin/iptables
"""
# The engine believes these files, which a kernel with AppArmor has; its own profile is then loaded by the program.
APPARMOR = """
    mount -o remount,rw /sys
    mkdir -p /sys/module/apparmor/parameters
    echo Y > /sys/module/apparmor/parameters/enabled
    mount -t tmpfs none /sys/kernel/security
    mkdir /sys/kernel/security/apparmor
    touch /sys/kernel/security/apparmor/profiles
"""
NO_APPARMOR = f"umount /sys/kernel/security; rm -r /sys/module; {RESTART}"


def parser(words: str) -> str:
    """A program apparmor_parser that knows its version, and refuses what it is given."""
    return f"""
        cat > /usr/sbin/apparmor_parser <<'END'
#!/bin/sh
[ "$1" = --version ] && echo "AppArmor parser version 3.0.8" && exit
echo "{words}" >&2
exit 1
END
        chmod 755 /usr/sbin/apparmor_parser
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
    Fault(
        "kern-modules-gone-after-upgrade",
        "kernel.modules",
        setup=MODULES,
        inject=UPGRADED,
        broken="cat /lib/modules/$(uname -r)/modules.dep",
        severity="warning",
        cure="mv /lib/modules/6.1.0-99-amd64 /lib/modules/$(uname -r)",
    ),
    Fault(
        "kern-modules-gone-after-upgrade:tables",
        "kernel.modules-needed",
        setup=MODULES,
        inject=f"{UPGRADED}{NO_TABLE}{RESTART} || true; sleep 1",
        broken=RUN,
        cure="mv /lib/modules/6.1.0-99-amd64 /lib/modules/$(uname -r); mv /usr/sbin/iptables.real /usr/sbin/iptables;"
        f"{RESTART}",
    ),
    Fault(
        "kern-apparmor-profile-unloadable",
        "kernel.apparmor",
        inject=f"{APPARMOR} {RESTART}",
        broken=RUN,
        cure=NO_APPARMOR,
        engines=("20.10",),  # later ones do without a profile where there is no program for it
    ),
    Fault(
        "kern-apparmor-profile-unloadable:syntax",
        "kernel.apparmor",
        inject=APPARMOR
        + parser(
            "AppArmor parser error for /var/lib/docker/tmp/docker-default654 in /etc/apparmor.d/tunables/home.d/ubuntu at "
            "line 8: syntax error, unexpected TOK_EQUALS, expecting TOK_MODE"
        )
        + RESTART,
        broken=RUN,
        cure=NO_APPARMOR,
    ),
    Fault(
        "kern-apparmor-profile-unloadable:confined",
        "kernel.apparmor",
        inject=APPARMOR
        + parser("Unable to replace docker-default.  Permission denied; attempted to load a profile while confined?")
        + RESTART,
        broken=RUN,
        cure=NO_APPARMOR,
    ),
)
