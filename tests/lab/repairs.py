"""What `doctor fix` repairs on machines, what it leaves to a person and why, and the kinds of steps at which it is killed."""

from fnmatch import fnmatchcase

from tests.lab.fault import Fault

COPIES = "files inside a container are copied out and in by a shell; the next container from the image has them not"
BELOW = "owners of everything below a folder would have to be kept"
MOUNTS = "mounts and control groups are the host's, and the order of its start-up"
PACKAGES = "what pip has installed for a program is for whoever keeps that program"
BUILDS = "nothing is changed: a file's time is"
INSIDE = "rules inside a container are its own, and gone with it"
WRITTEN = "what containers have written and said may be wanted: build cache and images without a name alone are pruned, when asked for"
REINSTALLED = "to dpkg the package is there: reinstalling it brings its files back, and cannot be taken back"
OTHERS = "keys, known hosts and accounts are for whoever answers for the other host"
JUMPS = "a clock that jumps cannot be taken back, and whatever runs sees it: a person chooses the moment"
ANEW = "a container would have to be made anew, with all that it was once given"
OPENED = "whoever reaches Redis may read and write all of it: whom to let in is for a person to say"
INIT = "nothing that could be asked restarts dockerd there"
PROFILE = "what a profile should say is for its author; around a confined system it is another host's"
UNKNOWN = "which IPv4 address the registry has is nothing that this host can know"
MEANT = "it is off on purpose most often: which containers belong together is for a person to say"
MOUNTED = "the file is mounted into a container, which would keep the old one if another took its place"
PROCESS = "a process that has ended does not come back"
LETS_GO = "what is mounted, or written to again, is in use at once, and is not let go of while it is"
NETWORK = (
    "another network in its place is another network to whatever has its id, and its containers leave it meanwhile"
)
LOGIN = "a login is for the person who has it"
# By patterns of their ids.
BY_HAND = {
    "disk-full-data-root": WRITTEN,
    "disk-full-data-root:log": WRITTEN,
    "disk-full-data-root:reserved": WRITTEN,
    "disk-inodes-exhausted": WRITTEN,
    "docker-not-installed:engine-removed": REINSTALLED,
    "docker-not-installed:nothing": REINSTALLED,
    "docker-not-installed:podman": REINSTALLED,
    "iptables-missing": REINSTALLED,
    "docker-host-wrong-env:ssh-*": OTHERS,
    "registry-clock-skew": JUMPS,
    "net-network-not-found:shared": ANEW,
    "proxy-hostname-unresolvable-in-container:running-container": ANEW,
    "redis-bind-loopback*": OPENED,
    "redis-firewalled-timeout": INSIDE,
    "net-icc-disabled": MEANT,
    "cgroup-driver-systemd-without-systemd*": INIT,
    "kern-apparmor-profile-unloadable*": PROFILE,
    "registry-ipv6-unreachable*": UNKNOWN,
    "buildx-missing:old-builder": "a variable is for the caller's own shell to set",
    "dns-stale-container-resolvconf:own-*": MOUNTED,
    "ctr-exec-format-error": COPIES,
    "ctr-entrypoint-crlf": COPIES,
    "ctr-exit-127-126:not-executable": COPIES,
    "disk-bind-mount-permission": BELOW,
    "disk-bind-mount-permission:goes-on": BELOW,
    "kern-no-memory-cgroup:not-mounted": MOUNTS,
    "cgroup-v1-v2-mismatch:not-mounted": MOUNTS,
    "cgroup-v1-v2-mismatch:running": MOUNTS,
    "cgroup-v1-v2-mismatch:none": MOUNTS,
    "compose-missing-or-v1:missing": "apt-get update comes first, and is not run for a person",
    "docker-py-requests-http-docker:*": PACKAGES,
    "proxy-config-json-invalid:owner": BELOW,
    "registry-x509-unknown-authority:self-signed": "whom to trust is for a person to say, with the fingerprint at hand",
    "disk-xfs-no-dtype:ext4": "a file system is changed for good",
    "dns-buildkit-differs*": BUILDS,
    "dns-embedded-resolver-broken:kill-switch*": INSIDE,
    "disk-data-root-mount-missing*": LETS_GO,
    "disk-data-root-readonly*": LETS_GO,
    "daemon-start-failure:network-database": "dockerd makes another database at once, which nobody may overwrite",
    "port-in-use-by-host-process:loopback": PROCESS,
    "port-ipv6-localhost*": PROCESS,
    "port-shadowed-host-service*": PROCESS,
    "port-stale-docker-proxy*": PROCESS,
    "net-subnet-overlap*": NETWORK,
    "net-address-pool-exhausted": NETWORK,
    "registry-auth-expired*": LOGIN,
    "redis-name-not-resolved:nobody": "a container that is not there is made by whoever knows what it needs",
    "redis-protected-mode*": "what a server inside a container is told is its own, and gone with it",
    "storage-driver-unsupported:environment-file": "flags of a service are where somebody has put them",
    "net-policy-routing:ipsec*": "policies of IPsec are whoever's that has the tunnel, with its keys",
    "dns-daemon-json-dead-server:flag": "a flag goes first, then `doctor fix-dns` does the rest",
}


# One of each kind: the doctor is killed after every line of its journal.
KINDS = {
    "daemon-json-syntax:still-running": "a file, and dockerd restarted",
    "net-ip-forward-off": "a setting of the kernel, and files that keep it",
    "net-forward-drop-other-firewall:chain": "a rule of the firewall",
    "proxy-percent-systemd": "a drop-in, units read again, dockerd restarted",
    "docker-unit-masked:service": "a unit unmasked and started",
    "dns-daemon-json-dead-server:silent": "nameservers, by `doctor fix-dns`",
    "net-mtu-blackhole:nft": "a rule of nftables, known by its handle",
    "net-policy-routing": "routing rules",
    "redis-name-not-resolved": "a network made, and containers that join it",
    "res-oom-killed": "limits of a container",
    "sock-group-missing": "a group, and who owns the socket",
    "stale-docker-context:dead": "the client's configuration",
}
KILLED = "{} (killed)"


def by_hand(fault: Fault) -> str:
    """Say why a fault's repair is left to a person; nothing if it is not."""
    return next((why for pattern, why in BY_HAND.items() if fnmatchcase(fault.id, pattern)), "")
