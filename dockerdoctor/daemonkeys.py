"""
Every key of daemon.json: its type, its flag, and which engines know it.

Read from the structs, flags and reload functions of moby/moby over all release tags, and tried on 20.10 and 26.1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from dockerdoctor.facts.engine import version_parts

BOOL = "true or false"
INT = "a whole number"
STRING = "a string"
SIZE = 'a size in quotes, as "64M"'
STRINGS = "a list of strings"
ADDRESS = "an IP address in quotes"
ADDRESSES = "a list of IP addresses"
MAP = "an object of strings"
BOOLS = "an object of true and false"
MAPS = "an object of objects of strings"
OBJECT = "an object"
PROXIES = 'an object with "http-proxy", "https-proxy" and "no-proxy"'
RUNTIMES = 'an object of runtimes, each with a "path"'
ULIMITS = 'an object of limits, each with "Name", "Hard" and "Soft"'
POOLS = 'a list of objects with "base" and "size"'


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the file."""

    name: str
    type: str
    short: str = ""  # its flag's one-letter form
    flag: str | None = None  # the long flag when it is named otherwise; "" when there is none
    since: str = ""  # first engine that knows it; empty: 1.10 or older
    gone: str = ""  # first engine that refuses it
    instead: str = ""  # what replaced it
    reload: bool = False  # SIGHUP is enough
    refused: bool = False  # the engine has a field for it and yet takes the key for unknown
    idle: str = ""  # first engine that accepts it and does nothing with it

    @property
    def long(self) -> str:
        """The long flag that sets the same; empty when there is none."""
        return self.name if self.flag is None else self.flag

    def known(self, version: tuple[int, ...]) -> bool:
        """Whether this engine accepts the key; an unknown version () knows all that is not gone from every engine."""
        if self.refused:
            return False
        if not version:
            return not self.gone
        return version >= version_parts(self.since) and not (self.gone and version >= version_parts(self.gone))


KEYS: tuple[Key, ...] = (
    Key("allow-direct-routing", BOOL, since="28.2"),
    # The flag went with 28.0; the key is exempt from validation since.
    Key("allow-nondistributable-artifacts", STRINGS, since="17.6", idle="28.0"),
    Key("api-cors-header", STRING, gone="28.0", instead="a reverse proxy that sets the CORS headers"),
    Key("api-enable-cors", BOOL, gone="17.9", instead="a reverse proxy that sets the CORS headers"),
    Key("authorization-plugins", STRINGS, flag="authorization-plugin", reload=True),
    Key("bip", STRING),
    Key("bip6", STRING, since="28.0"),
    Key("bridge", STRING, short="b"),
    Key("bridge-accept-fwmark", STRING, since="29.0"),
    Key("builder", OBJECT, flag="", since="18.9"),
    Key("cdi-spec-dirs", STRINGS, flag="cdi-spec-dir", since="25.0"),
    Key("cgroup-parent", STRING),
    Key("cluster-advertise", STRING, gone="23.0", instead="swarm mode"),
    Key("cluster-store", STRING, gone="23.0", instead="swarm mode"),
    Key("cluster-store-opts", MAP, flag="cluster-store-opt", gone="23.0", instead="swarm mode"),
    Key("containerd", STRING, since="1.11"),
    Key("containerd-namespace", STRING, since="19.3.3"),
    Key("containerd-plugin-namespace", STRING, flag="containerd-plugins-namespace", since="19.3.3", refused=True),
    Key("cpu-rt-period", INT, since="1.13"),
    Key("cpu-rt-runtime", INT, since="1.13"),
    Key("cri-containerd", BOOL, since="18.9"),
    Key("data-root", STRING, since="17.5"),
    Key("debug", BOOL, short="D", reload=True),
    Key("default-address-pools", POOLS, flag="default-address-pool", since="18.6"),
    Key("default-cgroupns-mode", STRING, since="20.10", reload=True),
    Key("default-gateway", ADDRESS),
    Key("default-gateway-v6", ADDRESS),
    Key("default-init", STRING, flag="", refused=True),
    Key("default-ipc-mode", STRING, since="17.9", reload=True),
    Key("default-network-opts", MAPS, flag="default-network-opt", since="24.0"),
    Key("default-runtime", STRING, since="1.12", reload=True),
    Key("default-shm-size", SIZE, since="17.4", reload=True),
    Key("default-stop-timeout", INT, since="29.7", reload=True),
    Key("default-ulimits", ULIMITS, flag="default-ulimit"),
    Key("deprecated-key-path", STRING, since="17.6", idle="23.0"),
    Key("disable-legacy-registry", BOOL, gone="19.3", instead="nothing: legacy registries are never asked"),
    Key("dns", ADDRESSES),
    Key("dns-opts", STRINGS, flag="dns-opt"),
    Key("dns-search", STRINGS),
    Key("exec-opts", STRINGS, flag="exec-opt"),
    Key("exec-root", STRING),
    Key("experimental", BOOL, since="1.13"),
    Key("features", BOOLS, flag="feature", since="18.9", reload=True),
    Key("firewall-backend", STRING, since="29.0"),
    Key("fixed-cidr", STRING),
    Key("fixed-cidr-v6", STRING),
    Key("graph", STRING, short="g", gone="23.0", instead="data-root"),
    Key("group", STRING, short="G"),
    Key("host-gateway-ip", ADDRESS, since="20.10"),
    Key("host-gateway-ips", ADDRESSES, flag="host-gateway-ip", since="28.0"),
    Key("hosts", STRINGS, flag="host", short="H"),
    Key("icc", BOOL),
    Key("init", BOOL, since="1.13"),
    Key("init-path", STRING, since="1.13"),
    Key("insecure-registries", STRINGS, flag="insecure-registry", since="1.11", reload=True),
    Key("ip", ADDRESS),
    Key("ip-forward", BOOL),
    Key("ip-forward-no-drop", BOOL, since="28.0"),
    Key("ip-masq", BOOL, since="1.12"),
    Key("ip6tables", BOOL, since="20.10"),
    Key("iptables", BOOL),
    Key("ipv6", BOOL),
    Key("labels", STRINGS, flag="label", reload=True),
    Key("live-restore", BOOL, since="1.12", reload=True),
    Key("log-driver", STRING),
    Key("log-format", STRING, since="25.0"),
    Key("log-level", STRING, short="l"),
    Key("log-opts", MAP, flag="log-opt"),
    Key("max-concurrent-downloads", INT, since="1.12", reload=True),
    Key("max-concurrent-uploads", INT, since="1.12", reload=True),
    Key("max-download-attempts", INT, since="20.10", reload=True),
    Key("metrics-addr", STRING, since="1.13"),
    Key("min-api-version", STRING, flag="", since="29.0"),
    Key("mtu", INT),
    Key("network-control-plane-mtu", INT, since="17.9"),
    Key("network-diagnostic-port", INT, since="17.12", reload=True),
    Key("no-new-privileges", BOOL, since="17.4"),
    Key("node-generic-resources", STRINGS, flag="node-generic-resource", since="17.9"),
    Key("nri-opts", OBJECT, since="29.2", reload=True),
    Key("oom-score-adjust", INT, since="1.12", gone="25.0", instead="OOMScoreAdjust= in docker.service"),
    Key("pidfile", STRING, short="p"),
    Key("proxies", PROXIES, flag="", since="23.0"),
    Key("raw-logs", BOOL, since="1.11"),
    Key("registry-mirrors", STRINGS, flag="registry-mirror", since="1.11", reload=True),
    Key("resolv-conf", STRING, flag="", refused=True),
    Key("rootless", BOOL, since="19.3"),
    Key("runtimes", RUNTIMES, flag="add-runtime", since="1.12", reload=True),
    Key("seccomp-profile", STRING, since="1.13"),
    Key("selinux-enabled", BOOL),
    Key("shutdown-timeout", INT, since="1.13", reload=True),
    Key("storage-driver", STRING, short="s"),
    Key("storage-opts", STRINGS, flag="storage-opt"),
    Key("swarm-default-advertise-addr", STRING, since="1.12"),
    Key("swarm-raft-election-tick", INT, flag="", refused=True),
    Key("swarm-raft-heartbeat-tick", INT, flag="", refused=True),
    Key("tls", BOOL),
    Key("tlscacert", STRING),
    Key("tlscert", STRING),
    Key("tlskey", STRING),
    Key("tlsverify", BOOL),
    Key("userland-proxy", BOOL),
    Key("userland-proxy-path", STRING, since="1.13"),
    Key("userns-remap", STRING),
)
BY_NAME = {key.name: key for key in KEYS}

# Flags that are no settings: as keys they pass the daemon's look-up of flags, and do nothing.
BARE_FLAGS = {"config-file": "", "help": "", "restart": "", "version": "", "validate": "23.0"}
PROXY_KEYS = ("http-proxy", "https-proxy", "no-proxy")
# Objects that are settings as a whole; of every other object the daemon takes the contents for keys of the file.
WHOLE = {"log-opts": "", "runtimes": "", "default-ulimits": "", "features": "", "builder": "", "nri-opts": "29.2",
         "default-network-opts": "24.0", "cluster-store-opts": ""}  # fmt: skip
# Names from other files and other tools that are no misspelling of ours, but mean one of our keys.
MEANT = {
    "dns_servers": "dns", "dns-server": "dns", "dns-servers": "dns", "dnsservers": "dns", "nameservers": "dns",
    "nameserver": "dns", "search": "dns-search", "dns-options": "dns-opts", "dns-searches": "dns-search",
    "mirrors": "registry-mirrors", "registry-mirrors-url": "registry-mirrors", "registrymirrors": "registry-mirrors",
    "insecure_registry": "insecure-registries", "insecure-registrys": "insecure-registries",
    "data_root": "data-root", "root": "data-root", "data-dir": "data-root", "storage": "storage-driver",
    "address-pools": "default-address-pools", "ulimits": "default-ulimits", "ulimit": "default-ulimits",
    "runtime": "default-runtime", "logging": "log-opts", "logdriver": "log-driver", "logging-driver": "log-driver",
    "log-options": "log-opts", "bridge-ip": "bip", "proxy": "proxies", "userns": "userns-remap",
    "cgroupdriver": "exec-opts", "native.cgroupdriver": "exec-opts", "tls-verify": "tlsverify", "tls-cert": "tlscert",
    "tls-key": "tlskey", "tls-ca-cert": "tlscacert", "ip-tables": "iptables", "shm-size": "default-shm-size",
}  # fmt: skip


def keys_of_flag(argument: str) -> tuple[str, ...]:
    """The keys that a flag ("--dns", "-H") must not stand beside: all that set the same."""
    if not argument.startswith("--"):
        return tuple(key.name for key in KEYS if key.short and key.short == argument[1:2])
    name = argument[2:]
    if name in PROXY_KEYS:
        return (name,)
    # The one list that may be given in both places (moby, skipDuplicates).
    return tuple(key.name for key in KEYS if key.long == name and name and key.name != "runtimes")


def nearest(name: str, version: tuple[int, ...]) -> str:
    """The key that somebody who wrote `name` most likely meant; empty when nothing is near."""
    plain = name.strip().lower().replace("_", "-")
    known = [key.name for key in KEYS if key.known(version)]
    meant = MEANT.get(name.lower()) or MEANT.get(plain)
    if meant in known:
        return meant
    if plain in known:
        return plain
    squeezed = {k.replace("-", ""): k for k in known}
    if plain.replace("-", "") in squeezed:
        return squeezed[plain.replace("-", "")]
    singular = {key.long: key.name for key in KEYS if key.long != key.name and key.name in known}
    if plain in singular:
        return singular[plain]
    return next(iter(get_close_matches(plain, known, 1, 0.75)), "")


def flattened(settings: dict[str, object], version: tuple[int, ...]) -> Iterable[tuple[str, str]]:
    """The names that the daemon looks up: (name, the object it lies in or ""), as it flattens the file."""
    for name, value in settings.items():
        whole = name in WHOLE and (not version or version >= version_parts(WHOLE[name]))
        if isinstance(value, dict) and not whole:
            for inner in value:
                yield inner, name
        else:
            yield name, ""


def accepted(name: str, version: tuple[int, ...]) -> bool:
    """Whether the daemon's look-up of keys lets a name pass, be it of any use or not."""
    key = BY_NAME.get(name)
    if key and key.known(version):
        return key.name != "proxies"  # an object: its contents are looked up
    return bool(ignored_meaning(name, version)) or (name in PROXY_KEYS and (not version or version >= (23,)))


def ignored_meaning(name: str, version: tuple[int, ...]) -> str:
    """For a name that the look-up lets pass although no setting is called so: the key it stands for, or "nothing"."""
    if name in BARE_FLAGS and version >= version_parts(BARE_FLAGS[name]):
        return "nothing"
    for key in KEYS:
        if key.long == name != key.name and not (name in BY_NAME and BY_NAME[name].known(version)):
            if key.refused:
                return "nothing"
            if key.known(version) and (name != "feature" or version >= (27,)):
                return key.name
    return ""
