"""What a security module keeps from containers: AppArmor's profile that cannot be loaded, SELinux's labels."""

from __future__ import annotations

import re
from shlex import quote

from dockerdoctor.checks.prerequisites import INSTALL
from dockerdoctor.checks.rewriting import restarted
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.containers import Containers
from dockerdoctor.facts.engine import EngineInfo, Installed, Units
from dockerdoctor.facts.inside import Inside
from dockerdoctor.facts.kernel import Kernel
from dockerdoctor.facts.labels import Labels
from dockerdoctor.model import Evidence, Finding, Severity

NOT_LOADED = re.compile(
    r"docker-default profile could not be loaded|unable to apply apparmor profile|apparmor failed to apply profile",
    re.IGNORECASE,
)
BROKEN_FILE = re.compile(
    r"(?:AppArmor parser error for|syntax error).*?(?P<file>/etc/apparmor\.d/\S+?)(?: at line|,|:|\s)"
)


@check(
    "kernel.apparmor",
    title="AppArmor accepts the profile of containers",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/engine/security/apparmor/",
)
def apparmor(
    kernel: Kernel,
    inside: Inside | None,
    containers: Containers | None,
    programs: Installed | None,
    units: Units | None,
) -> Finding:
    """
    Where the kernel has AppArmor, dockerd has apparmor_parser load the profile docker-default before each container.

    Why it matters: no container starts: "AppArmor enabled on system but the docker-default profile could not be loaded".
    How to fix: install AppArmor's programs; or mend the file below /etc/apparmor.d that they do not understand.
    """
    said = [("docker run", v.error) for v in (inside.bridge, inside.user)] if inside else []
    said += [(f"docker inspect {c.name}: State.Error", c.error) for c in (containers.all if containers else ())]
    where, text = next(((w, t) for w, t in said if NOT_LOADED.search(t)), ("", ""))
    if not text:
        return passed("AppArmor keeps no container from starting") if kernel.apparmor else skipped("no AppArmor here")
    seen = (Evidence(where, text[:400]), Evidence("apparmor_parser", kernel.apparmor_parser or "not found"))
    install = INSTALL.get(programs.package_manager if programs else "", ("# install docker.io",))[0].rpartition(" ")[0]
    if "executable file not found" in text or not kernel.apparmor_parser:
        return failed(
            "the profile of containers cannot be loaded: apparmor_parser is not installed",
            *seen,
            cause="The kernel has AppArmor enabled, and the program that loads profiles is missing.",
            fix=(f"{install} apparmor", *restarted(units)),
            impact="restarts dockerd",
        )
    if "load a profile while confined" in text or "ermission denied" in text:
        return failed(
            "the profile of containers cannot be loaded: this system is confined by a profile itself",
            *seen,
            cause="Docker runs in a container (LXC), whose own profile forbids to load others.",
            fix=(
                "# on the host of this container: lxc config set NAME security.nesting=true, or lxc.apparmor.profile=unconfined",
            ),
        )
    if match := BROKEN_FILE.search(text):
        return failed(
            f"the profile of containers cannot be loaded: AppArmor does not understand {match['file']}",
            *seen,
            cause="docker-default includes files below /etc/apparmor.d, and this one has an error.",
            fix=(
                f"# correct {match['file']}; this shows the error:",
                f"apparmor_parser -Q {quote(match['file'])}",
                *restarted(units),
            ),
            impact="restarts dockerd",
        )
    return failed(
        "AppArmor's profile of containers cannot be loaded or applied",
        *seen,
        cause="AppArmor refused it, for the reason in the message.",
        fix=("systemctl restart apparmor.service", *restarted(units)),
        impact="restarts dockerd",
    )


# What containers may read; the rest of the policy's types is other programs' (container-selinux, container_selinux(8)).
CONTAINER_TYPES = frozenset(
    {
        "container_file_t",
        "container_ro_file_t",
        "container_share_t",
        "container_var_lib_t",
        "svirt_sandbox_file_t",
        "nfs_t",
    }
    | {"cifs_t", "fusefs_t", "sysfs_t", "proc_t", "cgroup_t", "device_t", "tmpfs_t"}
)
# Relabelled, these leave the system unable to log anybody in.
PRECIOUS = ("/", "/etc", "/home", "/usr", "/var", "/root", "/boot", "/bin", "/lib", "/opt", "/srv")


@check(
    "containers.selinux-label",
    title="What is mounted into containers bears their label",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/engine/storage/bind-mounts/#configure-the-selinux-label",
)
def selinux_label(labels: Labels, info: EngineInfo | None) -> Finding:
    """
    SELinux gives containers a type that may read files of few other types, whatever owner and mode say.

    Why it matters: "Permission denied" on a mounted folder that everybody may read.
    How to fix: `:Z` (or `:z`, for several containers) after the mount relabels it; not for /home or /etc as a whole.
    """
    if not labels.enforcing:
        return skipped("SELinux does not enforce anything here")
    if info and not any("selinux" in option for option in info.security_options):
        return skipped("dockerd was started without SELinux: its containers are not confined")
    wrong = [m for m in labels.mounts if m.type not in CONTAINER_TYPES and m.container in labels.denied]
    if not wrong:
        return passed("nothing that containers mount was refused to them by its label")
    first = wrong[0]
    precious = first.source.rstrip("/") in PRECIOUS or not first.source.rstrip("/")
    relabel = (
        f"# do not relabel {first.source} as a whole: mount a folder made for {first.container} instead"
        if precious
        else f"chcon -Rt container_file_t {quote(first.source)}"
    )
    return failed(
        f"SELinux refuses {first.container} the use of {first.source}: its label is {first.type}",
        *(Evidence(f"ls -Zd {m.source}", m.label) for m in wrong),
        *(Evidence("audit", labels.denied[name]) for name in dict.fromkeys(m.container for m in wrong)),
        cause="The folder's label is not one that containers may use; owner and mode do not matter to SELinux.",
        fix=(
            relabel,
            *(() if precious else (f"docker restart {first.container}",)),
            f"# so that it lasts: -v {first.source}:{first.destination}:Z, for this container alone, or :z",
        ),
    )
