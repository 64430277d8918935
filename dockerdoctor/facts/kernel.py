"""What containers need of the kernel, and what keeps it from them: its modules, and the filter for system calls."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from dockerdoctor.facts.daemon_json import DaemonJson, flag_values
from dockerdoctor.facts.endpoint import ChosenEndpoint
from dockerdoctor.facts.engine import listed, table, texts
from dockerdoctor.host import Host
from dockerdoctor.measure import Unmeasured, probe


@dataclass(frozen=True, slots=True)
class Kernel:
    """The running kernel, /lib/modules, and the profile that every container gets."""

    release: str  # "6.1.0-18-amd64"
    modules: tuple[str, ...] = ()  # the releases that /lib/modules holds modules for
    profile: str = ""  # the file that "seccomp-profile" names
    clone3: str = ""  # what the profile does to clone3(2): "allowed", "ENOSYS", "EPERM"; empty where it cannot be told
    lacks: tuple[str, ...] = ()  # of the modules that Docker needs: those that this kernel was not built with
    locked: bool = False  # kernel.modules_disabled: nothing more can be loaded until a reboot
    apparmor: bool = False  # it is enabled
    apparmor_parser: str = ""  # the program that loads its profiles; empty where there is none
    libseccomp: str = ""  # its version, on machines of 32 bits with dpkg


@probe()
def kernel(host: Host, endpoint: ChosenEndpoint, config: DaemonJson | None) -> Kernel:
    """Read, and try nothing."""
    if not endpoint.local:
        raise Unmeasured("the engine is on another host", skipped=True)
    given = (config.settings or {}).get("seccomp-profile") if config else None
    flags = flag_values(config.flags, "seccomp-profile") if config else ()
    profile = given if isinstance(given, str) else flags[-1] if flags else ""
    profile = profile if profile.startswith("/") else ""  # "builtin" and "unconfined" are no files
    try:
        said = fate(json.loads(host.read(profile)), "clone3") if profile else ""
    except (OSError, ValueError):
        said = ""
    folders = tuple(name for name in host.listdir("/lib/modules") if host.listdir(f"/lib/modules/{name}"))
    release = host.text("/proc/sys/kernel/osrelease").strip()
    return Kernel(
        release,
        folders,
        profile,
        said,
        _lacks(host, release) if release in folders else (),
        host.sysctl("kernel.modules_disabled") == "1",
        host.text("/sys/module/apparmor/parameters/enabled").startswith("Y"),
        host.which("apparmor_parser"),
        _libseccomp(host) if host.machine in NARROW else "",
    )


# Of 32 bits, as uname(2) has them.
NARROW = frozenset({"armv6l", "armv7l", "armv8l", "i386", "i686", "mips", "mipsel"})


def _libseccomp(host: Host) -> str:
    """The version of libseccomp2, in dpkg's list of what is installed (dpkg-query(1))."""
    entry = host.text("/var/lib/dpkg/status").partition("\nPackage: libseccomp2\n")[2].partition("\n\n")[0]
    found = re.search(r"^Version: (\S+)", entry, re.MULTILINE)
    return found[1] if found else ""


# What no container gets its network or its files without.
NEEDED = ("veth", "bridge", "overlay", "nf_nat")


def _lacks(host: Host, release: str) -> tuple[str, ...]:
    """Look for those that are not loaded in the kernel's own lists (modprobe(8)); one that is built in has no folder."""
    absent = [name for name in NEEDED if not host.exists(f"/sys/module/{name}")]
    lists = (
        [host.text(f"/lib/modules/{release}/{name}") for name in ("modules.dep", "modules.builtin")] if absent else []
    )
    # Without its lists nothing can be said.
    return tuple(m for m in absent if all(lists) and not any(f"/{m}.ko" in listed for listed in lists))


ERRORS = {1: "EPERM", 38: "ENOSYS"}


def fate(profile: Any, call: str) -> str:
    """What a profile does to one system call, arguments and capabilities aside (docs: seccomp security profiles)."""
    profile = table(profile)
    rules = [table(r) for r in listed(profile.get("syscalls"))]
    mine = [r for r in rules if call in (*texts(r.get("names")), r.get("name"))]
    plain = [r for r in mine if not r.get("includes") and not r.get("excludes") and not r.get("args")]
    # Rules with a condition: a container without capabilities meets those that exclude one.
    chosen = (plain or [r for r in mine if not r.get("includes")] or [{}])[-1]
    action = chosen.get("action") or profile.get("defaultAction")
    if action in {"SCMP_ACT_ALLOW", "SCMP_ACT_LOG"}:
        return "allowed"
    if action != "SCMP_ACT_ERRNO":
        return ""
    number = chosen.get("errnoRet") if chosen else profile.get("defaultErrnoRet")
    return ERRORS.get(number if isinstance(number, int) else 1, f"errno {number}")
