"""Whether the kernel gives containers what they need: threads, modules that fit it, limits."""

from __future__ import annotations

from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.kernel import Kernel
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
