"""Whether the kernel gives containers what they need: threads, modules that fit it, limits."""

from __future__ import annotations

import re

from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.containers import Containers
from dockerdoctor.facts.engine import version_parts
from dockerdoctor.facts.inside import Inside
from dockerdoctor.facts.kernel import Kernel
from dockerdoctor.facts.log import StartLog
from dockerdoctor.model import Evidence, Finding, Severity


@check(
    "kernel.clone3",
    title="Containers may start threads: clone3 is allowed, or said not to exist",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/engine/security/seccomp/",
)
def clone3(kernel: Kernel) -> Finding:
    """
    The C library, since 2.34, falls back from clone3 to clone only where it is told ENOSYS (moby/moby#42680).

    Why it matters: "can't start new thread", "getaddrinfo() thread failed to start", in every new image.
    How to fix: bring the profile up to date, or do without one of your own.
    """
    if not kernel.profile:
        return skipped("the engine's own profile is in force")
    if kernel.clone3 != "EPERM":
        return passed(f"{kernel.profile}: clone3 is {kernel.clone3 or 'not judged'}")
    return failed(
        f"{kernel.profile} answers clone3 with EPERM",
        Evidence(kernel.profile, "clone3: SCMP_ACT_ERRNO, EPERM"),
        cause="A profile of your own is older than the system call: to a program EPERM means no, and only ENOSYS "
        "means that it should use the older call.",
        fix=(
            f"# in {kernel.profile}: allow clone3 where clone is allowed, else give it errnoRet 38 (ENOSYS)",
            "# or take seccomp-profile out of the daemon's configuration",
            "# then: systemctl restart docker",
        ),
        impact="restarts dockerd",
    )


@check(
    "kernel.modules",
    title="The running kernel's modules are there",
    severity=Severity.WARNING,
    docs="https://docs.docker.com/engine/daemon/troubleshoot/",
    upstream=("kernel.modules-needed",),
)
def modules(kernel: Kernel) -> Finding:
    """
    An upgrade may remove the modules of the kernel that still runs (moby/moby#42107).

    Why it matters: what is not loaded yet cannot be: "failed to add the host <=> sandbox pair interfaces: operation not supported".
    How to fix: reboot into the new kernel.
    """
    # No modules at all is how containers, and kernels in one piece, look.
    if not kernel.modules:
        return skipped("this system has no kernel modules on its disk")
    if kernel.release in kernel.modules:
        return passed(f"/lib/modules/{kernel.release} is there")
    return failed(
        f"the modules of the running kernel, {kernel.release}, are gone; there are those of {', '.join(kernel.modules[:3])}",
        Evidence("/proc/sys/kernel/osrelease", kernel.release),
        Evidence("/lib/modules", ", ".join(kernel.modules)),
        cause="The kernel was upgraded, and the old one still runs: it can load no module any more.",
        fix=("# reboot, when it suits the containers",),
    )


# What is said where a module is needed and cannot be had; each with the module (moby/moby#42107, moby/moby#15341).
NOT_HAD = (
    ("veth", r"pair interfaces: (?:operation not supported|unknown device type)|veth\S*: operation not supported"),
    ("ipvlan", r"ipvlan\S*(?: port)?: operation not supported"),
    ("macvlan", r"macvlan\S*(?: port)?: operation not supported"),
    ("vxlan", r"vxlan\S*(?: interface)?: operation not supported"),
    ("bridge", r"bridge\S*(?: interface)?(?: \S+)?: operation not supported"),
    ("overlay", r"'?overlay'? not found as a supported filesystem|unknown filesystem type '?overlay|mount \S*overlay\S*.*: no such device"),
    ("ip_tables", r"can't initialize ip6?tables table|Table does not exist \(do you need to insmod|do you need to insmod"),
    ("nf_tables", r"Could not fetch rule set generation id|Failed to initialize nft: Protocol not supported"),
    ("xt_addrtype", r"No chain/target/match by that name|CHAIN_ADD failed|Couldn't load match"),
)  # fmt: skip


@check(
    "kernel.modules-needed",
    title="The kernel has, or can load, what Docker asks of it",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/engine/daemon/troubleshoot/",
)
def modules_needed(
    kernel: Kernel, inside: Inside | None, log: StartLog | None, containers: Containers | None
) -> Finding:
    """
    Bridges, pairs of interfaces, overlay mounts and NAT are modules of the kernel, loaded when they are first used.

    Why it matters: after an upgrade the modules of the running kernel are gone, and what was not used yet cannot be:
    "failed to add the host <=> sandbox pair interfaces: operation not supported".
    How to fix: reboot into the new kernel; or install the modules that this kernel lacks.
    """
    said = [("docker run", v.error) for v in (inside.bridge, inside.user) if v.error] if inside else []
    said += [(log.source, log.complaint)] if log and log.failed else []
    said += [
        (f"docker inspect {c.name}: State.Error", c.error) for c in (containers.all if containers else ()) if c.error
    ]
    found = [(name, where, text) for where, text in said for name, words in NOT_HAD if re.search(words, text)]
    if not found:
        return passed("nothing was refused for want of a module")
    name, where, text = found[0]
    gone = bool(kernel.modules) and kernel.release not in kernel.modules
    lists = Evidence("/lib/modules", ", ".join(kernel.modules) or "not there")
    seen = (Evidence(where, text[:300]), Evidence("/proc/sys/kernel/osrelease", kernel.release), lists)
    if gone:
        return failed(
            f"{name} cannot be loaded: the modules of the running kernel, {kernel.release}, are gone",
            *seen,
            cause=f"The kernel was upgraded to {kernel.modules[-1]}, and the old one still runs: it can load no module.",
            fix=("# reboot into the new kernel: systemctl reboot",),
            impact="a reboot stops everything",
        )
    if name in kernel.lacks:
        return failed(
            f"{name} is not part of this kernel, {kernel.release}",
            *seen,
            Evidence(f"/lib/modules/{kernel.release}/modules.dep, modules.builtin", f"no {name}.ko"),
            cause="The kernel was built without it, or its package of further modules is not installed.",
            fix=(
                f"# Ubuntu: apt-get install linux-modules-extra-{kernel.release}",
                "# a kernel of the provider's or of one's own: one with this module",
            ),
        )
    if kernel.locked:
        return failed(
            f"{name} cannot be loaded: this kernel is told to load nothing more",
            *seen,
            Evidence("/proc/sys/kernel/modules_disabled", "1"),
            cause="kernel.modules_disabled=1, a hardening that lasts until a reboot, came before Docker loaded its modules.",
            fix=(
                "grep -rn modules_disabled /etc/sysctl.conf /etc/sysctl.d",
                "# take it out, or load the modules before it, and reboot",
            ),
        )
    # The words alone are no proof: a table may be missing for other reasons, and be named by another check.
    return passed(f"{name} was refused, and not for want of its module as far as can be told: {text[:120]}")


# From this one on it knows the system calls for times after 2038 (moby/moby#40734).
KNOWS_TIME64 = (2, 4, 2)


@check(
    "kernel.time64",
    title="Containers of 32 bits may ask for the time",
    severity=Severity.WARNING,
    docs="https://docs.docker.com/engine/security/seccomp/",
)
def time64(kernel: Kernel) -> Finding:
    """
    Newer systems of 32 bits use system calls that an older libseccomp does not know, and so cannot allow.

    Why it matters: it is 1970 in such a container: "At least one invalid signature was encountered", TLS fails.
    How to fix: a newer libseccomp2 on the host.
    """
    parts = version_parts(kernel.libseccomp)
    if not parts:
        return skipped("this host is not of 32 bits, or its libseccomp is not known")
    if parts >= KNOWS_TIME64:
        return passed(f"libseccomp {kernel.libseccomp} knows the calls for 64-bit times")
    return failed(
        f"libseccomp {kernel.libseccomp} does not know the calls with which newer systems of 32 bits ask for the time",
        Evidence("/var/lib/dpkg/status", f"libseccomp2 {kernel.libseccomp}"),
        cause="What it does not know is refused with EPERM: in containers of Debian 11, Ubuntu 20.10, Alpine 3.13 and later "
        "the time is wrong.",
        fix=(
            "# Debian 10: add the backports to the package sources, then:",
            "apt-get update",
            "apt-get install -y -t buster-backports libseccomp2",
            "systemctl restart docker",
        ),
        impact="restarts dockerd",
    )
