"""Everything that is neither network, registry nor log."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from dockerdoctor.daemonvalues.wrong import (
    REMOVE,
    SIZE,
    UNSURE,
    Engine,
    Settings,
    Wrong,
    texts,
)


def numbers(settings: Settings, engine: Engine) -> Iterator[Wrong]:
    """Limits and sizes, which must not be negative."""
    least = {"max-concurrent-downloads": 0, "max-concurrent-uploads": 0, "max-download-attempts": 0, "mtu": 0}
    if engine and engine < (23,):
        least["max-download-attempts"] = 1
    if engine >= (29, 7):
        least["default-stop-timeout"] = 0
    for key, low in least.items():
        value = settings.get(key)
        if isinstance(value, int) and value < low:
            yield Wrong(key, f"{key}: {value} is less than {low}", REMOVE)
    score = settings.get("oom-score-adjust") or 0
    if not -1000 <= score <= 1000:
        yield Wrong("oom-score-adjust", f"oom-score-adjust: {score} is not between -1000 and 1000", REMOVE)


def words(settings: Settings, engine: Engine) -> Iterator[Wrong]:
    """Keys that take one of a few words."""
    levels = ("panic", "fatal", "error", "warn", "info", "debug", "trace")
    choices = {
        "default-ipc-mode": ("private", "shareable"),
        "default-cgroupns-mode": ("host", "private"),
        "log-format": ("text", "json"),
        # "warning" is one of logrus', which 25.0 stopped asking
        "log-level": levels if engine >= (25,) else (*levels, "warning"),
        "firewall-backend": ("iptables", "nftables"),
    }
    for key, choice in choices.items():
        value = settings.get(key)
        shown = value.lower() if key == "log-level" and isinstance(value, str) else value
        if value and shown not in choice:
            meant = {"verbose": "debug", "warning": "warn", "err": "error", "critical": "fatal"}.get(
                str(value).lower(), REMOVE
            )
            new = meant if key == "log-level" else REMOVE
            yield Wrong(key, f"{key}: {value!r} is none of {', '.join(choice)}", new)
    size = settings.get("default-shm-size")
    if isinstance(size, str) and not SIZE.fullmatch(size):
        yield Wrong("default-shm-size", f"default-shm-size: {size!r} is no size", REMOVE)


def labels(settings: Settings, _engine: Engine) -> Iterator[Wrong]:
    """key=value, and one value for each key."""
    listed = texts(settings, "labels")
    bad = [v for v in listed if "=" not in v]
    if bad:
        new = [v if "=" in v else f"{v}=" for v in listed if v] or REMOVE
        yield Wrong("labels", f"labels: {bad[0]!r} is not of the form key=value", new)
        return
    seen: dict[str, str] = {}
    for label in listed:
        key, _, value = label.partition("=")
        if seen.setdefault(key, value) != value:
            reason = f"labels: {key} has two values, {seen[key]} and {value}"
            yield Wrong("labels", reason, how=f"leave one value of the label {key}")
            return
    bad = [r for r in texts(settings, "node-generic-resources") if "=" not in r]
    if bad:
        how = "give every resource as NAME=COUNT"
        yield Wrong(
            "node-generic-resources", f"node-generic-resources: {bad[0]!r} is not of the form name=value", how=how
        )


def runtimes(settings: Settings, engine: Engine) -> Iterator[Wrong]:
    """The default runtime must be runc, one that is defined, or from 23.0 on one of containerd's."""
    defined = settings.get("runtimes") or {}
    if "runc" in defined:
        others = {name: value for name, value in defined.items() if name != "runc"}
        yield Wrong("runtimes", 'runtimes: the name "runc" is reserved', others or REMOVE)
    name = settings.get("default-runtime")
    own = {"runc", "io.containerd.runc.v2", "io.containerd.runtime.v1.linux"}
    of_containerd = "." in name.lstrip(".") and "/" not in name and (not engine or engine >= (23,)) if name else False
    if name and name not in own and name not in defined and not of_containerd:
        reason = f"default-runtime: no runtime {name!r} is defined under runtimes"
        yield Wrong("default-runtime", reason, REMOVE)


def drivers(settings: Settings, engine: Engine) -> Iterator[Wrong]:
    """Storage drivers that this version has, and the two ways to manage control groups."""
    driver = settings.get("storage-driver")
    gone = {"aufs": (24,), "overlay": (24,), "devicemapper": (25,)}
    has = {"overlay2", "fuse-overlayfs", "btrfs", "zfs", "vfs", *gone}
    features = settings.get("features") or {}
    # With containerd's image store the name is a snapshotter's, of which there may be any.
    graph = bool(engine) and engine < (29,) and features.get("containerd-snapshotter") is not True
    if driver and graph and (driver not in has or engine >= gone.get(driver, (99,))):
        why = "was removed" if driver in gone else "does not exist"
        yield Wrong("storage-driver", f"storage-driver: {driver!r} {why}", how="see docker info for the driver in use")
    for option in texts(settings, "exec-opts"):
        name, _, value = option.partition("=")
        if name.strip().lower() == "native.cgroupdriver" and value and value.strip() not in {"cgroupfs", "systemd"}:
            meant = [o for o in texts(settings, "exec-opts") if o != option] or REMOVE
            yield Wrong("exec-opts", f"exec-opts: {value.strip()!r} is neither cgroupfs nor systemd", meant)
        elif name == "isolation" and engine and engine >= (28,):  # accepted and without effect before
            meant = [o for o in texts(settings, "exec-opts") if o != option] or REMOVE
            yield Wrong("exec-opts", "exec-opts: isolation is for Windows", meant)
        elif name.strip().lower() == "native.cgroupdriver" and value.strip() == "systemd":
            parent = settings.get("cgroup-parent")
            if parent and not parent.endswith(".slice"):
                reason = f"cgroup-parent: {parent!r} must end in .slice with the systemd cgroup driver"
                yield Wrong("cgroup-parent", reason, f"{parent.strip('/').replace('/', '-')}.slice")


def together(settings: Settings, engine: Engine) -> Iterator[Wrong]:
    """Settings that do not go with each other."""
    if settings.get("icc") is False and settings.get("iptables") is False:
        reason = "icc: false needs iptables, which is false"
        yield Wrong("icc", reason, how='take out "icc": false or "iptables": false')
    if settings.get("graph") and settings.get("data-root"):
        yield Wrong("graph", "graph and data-root are the same setting", REMOVE)
    if settings.get("host-gateway-ip") and settings.get("host-gateway-ips"):
        yield Wrong("host-gateway-ip", "host-gateway-ip and host-gateway-ips are the same setting", REMOVE)
    if settings.get("containerd-namespace") == "plugins.moby":
        yield Wrong("containerd-namespace", "containerd-namespace: plugins.moby is the plugins' own", REMOVE)
    profile = settings.get("seccomp-profile")
    if profile in {"unconfined", "builtin"} and engine and engine < (23,):
        yield Wrong("seccomp-profile", f"seccomp-profile: {profile!r} is taken for a file before 23.0", REMOVE)
    data = settings.get("data-root")
    if data and not data.startswith("/") and engine and engine < (23,):
        # The engine loops for ever in search of its mount point.
        yield Wrong("data-root", f"data-root: {data!r} is no absolute path", how="give data-root an absolute path")
    metrics = settings.get("metrics-addr")
    if metrics and not re.search(r":\d+$", metrics):
        yield Wrong("metrics-addr", f"metrics-addr: {metrics!r} has no port", f"{metrics}:9323")


def sockets(settings: Settings, _engine: Engine) -> Iterator[Wrong]:
    """Where to listen: a scheme that dockerd knows, or host:port."""
    for host in texts(settings, "hosts"):
        scheme, colon, _ = host.partition("://")
        if colon and scheme not in {"unix", "tcp", "fd"}:
            new = [h for h in texts(settings, "hosts") if h != host]
            reason = f"hosts: {host!r} is none of unix://, tcp://, fd://"
            yield Wrong("hosts", reason, new or REMOVE)
            return


def certificates(settings: Settings, _engine: Engine) -> Iterator[Wrong]:
    """TLS needs a certificate and its key; `tlsverify` turns TLS on even when it is false."""
    on = settings.get("tls") is True or settings.get("tlsverify") is not None
    lacking = [key for key in ("tlscert", "tlskey") if not settings.get(key)]
    asked = "tlsverify" if settings.get("tlsverify") is not None else "tls"
    if on and lacking:
        how = "give tlscert and tlskey (and tlscacert for tlsverify) the paths of the certificates"
        meant = REMOVE if settings.get(asked) is False else UNSURE
        yield Wrong(asked, f"{asked} turns TLS on, and {' and '.join(lacking)} is missing", meant, how)


def files(settings: Settings, absent: Iterable[tuple[str, str]]) -> Iterator[Wrong]:
    """Files that settings name must exist; of the runtimes the engine looks only for the default one."""
    tls = settings.get("tls") is True or settings.get("tlsverify") is not None
    for name, path in absent:
        key, _, runtime = name.partition(".")
        if key == "runtimes":
            if settings.get("default-runtime") == runtime:
                yield Wrong(
                    "default-runtime", f"default-runtime: {path} of the runtime {runtime!r} does not exist", REMOVE
                )
        elif key == "seccomp-profile" or tls:
            yield Wrong(key, f"{key}: {path} does not exist", how=f"put the file {path} there, or take {key} out")
