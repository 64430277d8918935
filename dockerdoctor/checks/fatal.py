"""
What dockerd says when it gives up, and what that means: data, in the order in which a start goes.

Every row has a test with the real line. `{name}` in a text is filled in from the pattern's group of that name, and with
`config` (the configuration file), `root` (the data root) and `install` (the package manager's command).
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Signature:
    """One way in which a start ends."""

    id: str
    pattern: str
    meaning: str  # a few words, after "dockerd failed to start: "
    cause: str
    issue: str  # where it was seen and explained
    fix: tuple[str, ...] = ()  # before Docker is started again
    because: tuple[str, ...] = ()  # checks that measure this very cause
    configuration: bool = False  # the checks of daemon.json measure it
    flags: tuple[str, ...] = ()  # those that are to blame; the pattern's group "flag" names one too


SIGNATURES: tuple[Signature, ...] = (
    Signature(
        "pre-command",
        r"Control process exited, code=(?P<why>.+)",
        "a command that the unit runs before it failed: {why}",
        "ExecStartPre= of docker.service has to succeed before dockerd is run.",
        "https://www.freedesktop.org/software/systemd/man/latest/systemd.service.html#ExecStartPre=",
        ("systemctl cat docker.service", "# correct the command that ExecStartPre= names"),
    ),
    Signature(
        "program-missing",
        r"Failed at step EXEC spawning (?P<program>\S+): (?P<why>.+)|Failed to locate executable (?P<program2>\S+)",
        "the unit's program cannot be run",
        "systemd could not run the program that the unit names in ExecStart=.",
        "https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html#Process%20Exit%20Codes",
        ("systemctl cat docker.service", "# install the program that ExecStart= names, or correct its path"),
        because=("engine.installed", "engine.unit-program"),
    ),
    Signature(
        "environment-file",
        r"docker\.service: Failed to load environment files: (?P<why>.+)",
        "a file that EnvironmentFile= names cannot be loaded: {why}",
        "systemd loads the files of variables before it runs dockerd, and ends the start where one is missing.",
        "https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html#EnvironmentFile=",
        ("systemctl cat docker.service", "# put the file there, or a dash before its path"),
        because=("engine.unit-environment",),
    ),
    Signature(
        "unit-user",
        r"Failed to determine user credentials: (?P<why>.+)|Failed at step (?:USER|GROUP) spawning \S+: (?P<why2>.+)|"
        r"dockerd needs to be started with root",
        "the unit runs it as another user than root, or as one that does not exist",
        "The system's dockerd needs root, and the unit sets another User= or Group=.",
        "https://docs.docker.com/engine/security/rootless/",
        ("systemctl cat docker.service", "# take User= and Group= out"),
        because=("engine.unit-user",),
    ),
    Signature(
        "unit-step",
        r"Failed at step (?P<step>\w+) spawning (?P<program>\S+): (?P<why>.+)",
        "systemd could not prepare its process ({step}): {why}",
        "A setting of the unit, of the kind that the step's name tells, cannot be carried out.",
        "https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html#Process%20Exit%20Codes",
        ("systemctl cat docker.service", "# correct the setting that belongs to {step}"),
    ),
    Signature(
        "flag-unknown",
        r"unknown flag: (?P<flag>--[\w-]+)|unknown shorthand flag: '\w' in (?P<flag2>-\w+)|"
        r"(?P<flag3>--[\w-]+) has been (?:deprecated and )?removed",
        "it knows no flag {flag}",
        "{place} gives dockerd a flag that this version does not have.",
        "https://docs.docker.com/reference/cli/dockerd/",
        ("# take {flag} out of {place}",),
    ),
    Signature(
        "flag-value",
        r"invalid argument \"(?P<value>[^\"]*)\" for \"(?:(?P<letter>-\w), )?(?P<flag>--[\w-]+)\" flag: (?P<why>.+)|"
        r"flag needs an argument: (?:'\w' in )?(?P<flag2>--?[\w-]+)",
        "the value of {flag} is not accepted: {why}",
        "{place} gives {flag} a value of another form than it takes.",
        "https://docs.docker.com/reference/cli/dockerd/",
        ("# correct {flag} in {place}",),
    ),
    Signature(
        "argument",
        r"\"dockerd\" accepts no argument",
        "a word of its command line belongs to no flag",
        "docker.service gives dockerd a word without a dash: a flag's second value, or what a wrong quote left over.",
        "https://docs.docker.com/reference/cli/dockerd/",
        ("systemctl cat docker.service", "# correct ExecStart=, or the variable that it refers to"),
    ),
    Signature(
        "log-level",
        r"(?:unable to parse|invalid) logging level: (?P<value>.+)",
        "it knows no log level {value}",
        "A log level is one of debug, info, warn, error and fatal.",
        "https://docs.docker.com/reference/cli/dockerd/",
        ("# correct the level in {place}",),
        flags=("--log-level", "-l"),
    ),
    Signature(
        "configuration",
        r"unable to configure the Docker daemon with file (?P<file>\S+): (?P<why>.+)",
        "{why}",
        "{file} is not accepted.",
        "https://docs.docker.com/engine/daemon/troubleshoot/#unable-to-configure-the-docker-daemon",
        ("# correct {file}: {why}",),
        configuration=True,
    ),
    Signature(
        "data-root-is-file",
        r"Unable to get the full path to root \((?P<root>[^)]*)\): (?P<why>.+)",
        "the data root {root} cannot be used: {why}",
        "The folder for images and containers cannot be opened as a folder.",
        "https://docs.docker.com/engine/daemon/#daemon-data-directory",
        ("# make {root} a folder, or correct data-root in {config}",),
    ),
    Signature(
        "data-root-unwritable",
        r"mkdir (?P<root>/\S+): (?P<why>read-only file system|permission denied|not a directory|input/output error)",
        "the data root {root} cannot be created: {why}",
        "dockerd must write below its data root.",
        "https://docs.docker.com/engine/daemon/#daemon-data-directory",
        ("findmnt --target $(dirname {root})", "# make it writable, or correct data-root in {config}"),
    ),
    Signature(
        "no-space",
        r"no space left on device",
        "there is no space left on the file system of {root}",
        "dockerd writes several small files at its start.",
        "https://github.com/linuxkit/linuxkit/issues/348",
        ("df -h {root}", "df -i {root}", "# make room there"),
    ),
    Signature(
        "pid-file",
        r"pid file found, ensure docker is not running or delete (?P<file>\S+)|process with PID (?P<pid>\d+) is still running",
        "its PID file names a process that is alive",
        "dockerd believes that another dockerd runs.",
        "https://github.com/moby/moby/issues/46988",
        because=("engine.pid-file",),
    ),
    Signature(
        "socket-is-directory",
        r"can't create unix socket (?P<path>\S+): is a directory",
        "{path} is a folder",
        "A folder lies where the socket should be.",
        "https://github.com/moby/moby/issues/30348",
        because=("engine.socket-file",),
    ),
    Signature(
        "group-missing",
        r"can't create unix socket (?P<path>\S+): group (?P<group>\S+) not found",
        "there is no group {group}",
        "The socket is to be given to a group that does not exist.",
        "https://docs.docker.com/engine/install/linux-postinstall/",
        ("groupadd --system {group}",),
        because=("engine.socket-group",),
    ),
    Signature(
        "port-taken",
        r"failed to load listeners: listen tcp (?P<address>\S+):(?P<port>\d+): bind: address already in use",
        "another process listens on {address}:{port}",
        "The flags or the configuration make dockerd listen there, and somebody else does already.",
        "https://docs.docker.com/engine/daemon/remote-access/",
        ("ss -ltnp 'sport = :{port}'", "# stop that process, or take the address out of dockerd's hosts"),
    ),
    Signature(
        "address-absent",
        r"failed to load listeners: listen tcp (?P<address>\S+): bind: cannot assign requested address",
        "this host has no address {address}",
        "dockerd is told to listen on an address that no interface has, or does not have yet at boot.",
        "https://docs.docker.com/engine/daemon/remote-access/",
        ("ip address", "# correct the address in dockerd's hosts"),
    ),
    Signature(
        "no-activation",
        r"no sockets found via socket activation: make sure the service was started by systemd",
        "systemd handed it no socket",
        "-H fd:// makes dockerd use the socket of docker.socket, which does not run.",
        "https://github.com/moby/moby/issues/22847",
        ("systemctl enable --now docker.socket",),
    ),
    Signature(
        "tls-files",
        r"Could not load X509 key pair \(cert: \"(?P<cert>[^\"]*)\", key: \"(?P<key>[^\"]*)\"\): (?P<why>.+)",
        "its TLS certificate cannot be loaded: {why}",
        "TLS is on, and {cert} or {key} is missing, unreadable, or one does not belong to the other.",
        "https://docs.docker.com/engine/security/protect-access/",
        ("ls -l {cert} {key}", "# put the files there, or correct tlscert and tlskey in {config}"),
    ),
    Signature(
        "containerd",
        r"failed to dial \"(?P<address>[^\"]*containerd[^\"]*)\"|timeout waiting for containerd to start|"
        r"failed to start containerd|Error while dialing.*containerd",
        "containerd does not answer",
        "dockerd waits for containerd at its start, and gave up.",
        "https://github.com/docker/for-linux/issues/517",
        ("systemctl restart containerd.service",),
        because=("engine.containerd",),
    ),
    Signature(
        "several-drivers",
        r"(?P<root>/\S+) contains several valid graphdrivers: (?P<drivers>[^;]+);",
        "{root} holds data of several storage drivers: {drivers}",
        "dockerd does not guess which of them to use.",
        "https://github.com/docker/docker-install/issues/114",
        ("du -sh {root}/*", '# set "storage-driver" in {config} to the one that holds your images'),
    ),
    Signature(
        "prior-driver",
        r"prior storage driver (?P<driver>\S+?):? (?:is not supported|failed): (?P<why>.+)",
        "the storage driver that wrote {root} does not work any more",
        "Images and containers there were written by a driver that this kernel or this engine lacks.",
        "https://github.com/moby/moby/issues/14026",
        (
            "modprobe overlay",
            "# if that does not help: move {root} aside, or save the images with the old engine and load them into a new one",
        ),
    ),
    Signature(
        "removed-driver",
        r"(?P<driver>[\w-]+) storage-driver has been deprecated and removed",
        "this engine has no storage driver {driver} any more",
        "Images and containers that it wrote can be read by an older engine only.",
        "https://docs.docker.com/engine/deprecated/",
        (
            '# take "storage-driver" out of {config}, if it is there',
            "# to keep what {root}/{driver} holds: save its images with the old engine; then move it aside",
        ),
        configuration=True,
        flags=("--storage-driver", "-s"),
    ),
    Signature(
        "d-type",
        r"the backing (?P<kind>\w+) filesystem is formatted without d_type support",
        "the file system below {root} does not tell the types of entries (d_type), which its storage driver needs",
        "It was made without: an XFS with ftype=0, or an ext4 without the feature `filetype`.",
        "https://github.com/moby/moby/issues/27358",
        (
            "findmnt --target {root}",
            "# XFS: make a new file system (mkfs.xfs -n ftype=1), and move {root} there",
            "# ext4: unmount it; tune2fs -O filetype DEVICE; e2fsck -fy DEVICE; mount it again",
        ),
    ),
    Signature(
        "storage-driver",
        r"error initializing graphdriver: (?P<why>.+)",
        "the storage driver cannot be used: {why}",
        'The driver that "storage-driver" names, or the one that fits {root}, is not supported by this kernel or by the '
        "file system below.",
        "https://docs.docker.com/engine/storage/drivers/select-storage-driver/",
        ("findmnt --target {root}", '# take "storage-driver" out of {config}, or set it to "overlay2"'),
        flags=("--storage-driver", "-s"),
    ),
    Signature(
        "database-locked",
        r"(?:metadata database|boltdb|bolt db|\.db)\S*: timeout",
        "another process holds its database in {root}",
        "A second dockerd, or one that did not end, uses the same data root.",
        "https://github.com/moby/moby/issues/29519",
        ("pgrep -a dockerd", "# end the one that should not run"),
    ),
    Signature(
        "volume-database",
        r"error while opening volume store metadata database: (?P<why>.+)",
        "its database of volumes, {root}/volumes/metadata.db, is damaged: {why}",
        "It was not written to its end, most often for want of space or by a crash. Without it dockerd lists the volumes' "
        "folders afresh; their labels and options are lost.",
        "https://github.com/moby/moby/issues/32680",
        ("df -h {root}", "mv {root}/volumes/metadata.db {root}/volumes/metadata.db.broken"),
    ),
    Signature(
        "network-database",
        r"failed to get bridge network configurations from store|error while populating kmap|"
        r"obtaining controller instance: .*(?:file size too small|invalid database|checksum error|version mismatch)|"
        r"conflicts with network \S+ \(\S+\): networks have same bridge name",
        "its database of networks, {root}/network/files/local-kv.db, is damaged",
        "It was not written to its end, most often by a crash or a full disk. Without it dockerd starts afresh; "
        "user-defined networks must be made again.",
        "https://github.com/moby/moby/issues/49291",
        ("mv {root}/network/files/local-kv.db {root}/network/files/local-kv.db.broken",),
    ),
    Signature(
        "bip",
        r"failed to allocate gateway \((?P<ip>[^)]*)\): Address already in use|invalid CIDR address: (?P<cidr>\S+)",
        "the address for the default bridge is not one that a host can have",
        '"bip" must be the address of the bridge itself with its prefix, such as 172.26.0.1/16.',
        "https://docs.docker.com/engine/network/drivers/bridge/#configure-the-default-bridge-network",
        ('# correct "bip" in {config}',),
        configuration=True,
        flags=("--bip",),
    ),
    Signature(
        "iptables-missing",
        r"[Ii]ptables not found|failed to find iptables|exec: \"iptables\": executable file not found",
        "iptables is not found",
        "dockerd isolates and publishes containers with iptables; the program is not installed, or not in the daemon's PATH.",
        "https://github.com/moby/libnetwork/issues/1469",
        ("{install} iptables",),
        because=("engine.programs",),
    ),
    Signature(
        "nat-table",
        r"iptables failed: (?P<command>iptables .*?): (?P<why>.*(?:Table does not exist|Failed to initialize nft|"
        r"can't initialize iptables table|Protocol not supported|Operation not supported|CHAIN_ADD failed|"
        r"No chain/target/match by that name|Could not fetch rule set).*)",
        "iptables cannot use the kernel's tables: {why}",
        "The kernel lacks what this flavour of iptables needs, or its modules are those of another kernel version.",
        "https://github.com/moby/moby/issues/46400",
        (
            "iptables -t nat -L -n",
            "# if the running kernel was updated: reboot, so that its modules fit",
            "# or use the other flavour: update-alternatives --set iptables /usr/sbin/iptables-legacy",
        ),
        because=("kernel.modules-needed",),
    ),
    Signature(
        "firewalld-zone",
        r"ZONE_CONFLICT: '(?P<bridge>\S+)' already bound to (?:a zone|'(?P<zone>[^']+)')",
        "firewalld has {bridge} in another zone than docker's",
        "dockerd wants its bridge in the zone `docker`, and it was bound to another by hand.",
        "https://github.com/moby/moby/issues/41609",
        (
            "firewall-cmd --permanent --zone=$(firewall-cmd --get-zone-of-interface={bridge}) --remove-interface={bridge}",
            "firewall-cmd --reload",
        ),
    ),
    Signature(
        "no-subnet",
        r"no available network|could not find an available, non-overlapping IPv4 address pool|"
        r"all predefined address pools have been fully subnetted",
        "every network that it may use overlaps one of this host's routes",
        "dockerd picks a subnet that no route covers, and found none; VPNs that route whole private ranges do this.",
        "https://github.com/docker/for-linux/issues/123",
        (
            "ip route",
            '# set "bip" in {config} to an address in a range that no route above covers, such as 10.213.0.1/24',
        ),
    ),
    Signature(
        "cgroups",
        r"Devices cgroup isn't mounted|cgroup mountpoint does not exist|cannot find cgroup mount destination",
        "the kernel's control groups are not mounted",
        "Nothing mounted them, or this engine is older than the version of control groups that the host uses.",
        "https://github.com/docker/for-linux/issues/219",
        ("mount -t cgroup,cgroup2", "# mount them (cgroupfs-mount), or install a newer engine"),
        because=("cgroups.mounted", "cgroups.version"),
    ),
    Signature(
        "bug",
        r"^panic: (?P<why>.+)|^fatal error: (?P<why2>.+)",
        "it crashed",
        "This is a bug in the engine, or damaged memory or data.",
        "https://github.com/moby/moby/issues",
        ("journalctl -u docker.service -b -n 200 --no-pager", "# look for it in the issues, or report it"),
    ),
)


def signature_of(line: str) -> tuple[Signature | None, dict[str, str]]:
    """Recognise a line; the first row that matches, and what its groups caught: "why2" is "why" in another alternative."""
    for known in SIGNATURES:
        if match := re.search(known.pattern, line):
            caught = {name.rstrip("23456789"): "" for name in match.groupdict()}
            return known, caught | {n.rstrip("23456789"): v for n, v in match.groupdict().items() if v}
    return None, {}
