"""Faults whose commands, as shown, repair; and which the doctor leaves to a person all the same, and why."""

COPIES = "files inside a container are copied out and in by a shell; the next container from the image has them not"
BELOW = "owners of everything below a folder would have to be kept"
NETWORKS = "a network's way back would need all that its containers had on it"
DATA = "data is taken away for good"
MOUNTS = "mounts and control groups are the host's, and the order of its start-up"
BY_HAND = {
    "ctr-exec-format-error": COPIES,
    "ctr-entrypoint-crlf": COPIES,
    "ctr-exit-127-126:not-executable": COPIES,
    "disk-bind-mount-permission": BELOW,
    "disk-bind-mount-permission:goes-on": BELOW,
    "net-network-not-found": NETWORKS,
    "net-network-not-found:made-anew": NETWORKS,
    "net-network-not-found:not-tried": NETWORKS,
    "kern-no-memory-cgroup:not-mounted": MOUNTS,
    "cgroup-v1-v2-mismatch:not-mounted": MOUNTS,
    "cgroup-v1-v2-mismatch:running": MOUNTS,
    "cgroup-v1-v2-mismatch:none": MOUNTS,
    "dns-daemon-json-dead-server:flag": "a flag goes first, then `doctor fix-dns` does the rest",
}
