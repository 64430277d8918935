"""One row for each verdict on space."""

from dataclasses import replace

import pytest

from dockerdoctor.checks.storage import inodes, low_space, read_only, size, space
from dockerdoctor.checks.storage_takers import build_cache, held_files
from dockerdoctor.checks.storage_use import d_type, driver, logs
from dockerdoctor.facts.container_details import Details
from dockerdoctor.facts.containers import Container, Containers
from dockerdoctor.facts.daemon_json import DaemonJson
from dockerdoctor.facts.endpoint import Settings
from dockerdoctor.facts.engine import Unit, Units
from dockerdoctor.facts.held import HeldFile, HeldFiles
from dockerdoctor.facts.preferences import Preferences, Thresholds
from dockerdoctor.facts.storage import DiskUsage, EntryTypes, Filesystem, Logs, Storage
from dockerdoctor.model import Status
from tests.checks.test_registry import info

UNITS = Units(True, Unit("docker.service"), Unit("docker.socket"), Unit("containerd.service"))
GB, MB = 1 << 30, 1 << 20
WELL = Filesystem(
    "/var/lib/docker", "data root", "GET /info", "/", "ext4", "/dev/vda1", "", 100 * GB, 50 * GB, 45 * GB, 10**6, 10**5
)
RUN = Filesystem(
    "/var/run/docker", "exec root", "default", "/run", "tmpfs", "tmpfs", "", 50 * MB, 40 * MB, 40 * MB, 10**5, 10**5
)
PASS, FAIL, SKIP, UNKNOWN = Status.PASS, Status.FAIL, Status.SKIP, Status.UNKNOWN


def disks(*more, **changes):
    return Storage((replace(WELL, **changes), *more))


@pytest.mark.parametrize(
    ("check", "storage", "status", "words"),
    [
        (read_only, disks(), PASS, "writable"),
        (read_only, disks(read_only=True), FAIL, "read-only filesystem"),
        (read_only, disks(problem="EACCES"), UNKNOWN, "EACCES"),
        (space, disks(), PASS, "50 GB free"),
        (space, disks(free=0), FAIL, "0 B of 100 GB free"),
        (space, disks(free=63 * MB), FAIL, "63 MB"),
        (space, disks(free=65 * MB), PASS, "65 MB free"),
        (space, disks(free=5 * GB, available=0), FAIL, "the 5 GB that are left of 100 GB are kept for root"),
        # A small tmpfs is small on purpose.
        (space, disks(RUN), PASS, "50 GB free"),
        (space, disks(replace(RUN, free=0)), FAIL, "exec root"),
        (space, disks(size=0, free=0), PASS, "free"),
        (space, disks(kind="squashfs", free=0), PASS, "free"),
        (inodes, disks(), PASS, "100000 inodes free"),
        (inodes, disks(inodes_free=3), FAIL, "3 of 1000000 inodes"),
        (inodes, disks(inodes=0, inodes_free=0, kind="btrfs"), PASS, "btrfs makes inodes as needed"),
        # Few in all, as on a small tmpfs, is not none left.
        (inodes, disks(inodes=3000, inodes_free=400), PASS, "400 inodes free"),
        (low_space, disks(), PASS, "50 GB of 100 GB free"),
        (low_space, disks(free=4 * GB), FAIL, "only 4 GB"),
        (low_space, disks(size=20 * GB, free=2 * GB), PASS, "2 GB of 20 GB"),
        (low_space, disks(size=4000 * GB, free=6 * GB), PASS, "6 GB"),
        (low_space, disks(size=400 * MB, free=100 * MB), PASS, "100 MB"),
        # The engine does without it.
        (space, disks(replace(RUN, path="/tmp", purpose="temporary files", free=0)), PASS, "50 GB free"),
        (low_space, disks(replace(RUN, path="/tmp", purpose="temporary files", free=0)), FAIL, "/tmp is full"),
    ],
)
def test_verdict(check, storage, status, words):
    missing = {read_only.id: 0, inodes.id: 1}.get(check.id, 2)
    said = check.decide(storage, *[None] * missing)
    assert said.status is status
    assert words in said.summary


def test_the_safest_comes_first_and_what_cannot_be_made_again_is_a_person_s_to_remove():
    usage = DiskUsage(
        asked=True,
        build_cache=5 * MB,
        dangling_images=1,
        unused_images=2 * GB,
        stopped=(("old", 7 * MB), ("older", 1 * MB), ("empty", 0)),
        volumes=(("data", 9 * GB),),
        logs=(("/var/lib/docker/containers/x/x-json.log", 3 * GB),),
    )
    fix = space.decide(disks(free=0), usage, None).fix
    commands = [line for line in fix if not line.startswith("#")]
    assert commands == ["docker builder prune --all --force", "docker image prune --force"]
    assert any(line.endswith("old (7 MB), older (1 MB); if nobody needs it: docker rm old older") for line in fix)
    assert any(
        line.startswith("# 3 GB") and line.endswith("truncate --size 0 /var/lib/docker/containers/x/x-json.log")
        for line in fix
    )
    assert any("volumes hold data" in line and "data (9 GB)" in line for line in fix)


def test_what_frees_nothing_is_not_offered():
    said = space.decide(disks(free=0), DiskUsage(asked=True, stopped=(("a", 1),)), None)
    assert not [line for line in said.fix if "prune" in line]
    known = DiskUsage(asked=True, all=90 * GB)
    assert space.decide(disks(free=0), known, None).fix[0].startswith("# nothing of Docker's")
    (strangers,) = space.decide(disks(free=0), replace(known, all=GB), None).fix
    assert strangers.startswith("# 99 GB on / are none of Docker's")


CACHED = DiskUsage(asked=True, build_cache=40 * GB)
HELD = HeldFiles((HeldFile(7, "dockerd", "/var/lib/docker/containers/x/x-json.log", 40 * GB, "w" * 64),))


@pytest.mark.parametrize(
    ("free", "usage", "held", "because"),
    [
        (0, CACHED, None, ("storage.build-cache",)),
        (0, None, HELD, ("storage.held-files",)),
        (0, CACHED, HELD, ("storage.build-cache", "storage.held-files")),
        # Were it gone, there would still be too little.
        (0, DiskUsage(asked=True, build_cache=3 * GB), None, ()),
        (0, None, None, ()),
    ],
)
def test_what_alone_fills_it_explains_that_it_is_full(free, usage, held, because):
    assert space.decide(disks(free=free), usage, held).because == because
    assert low_space.decide(disks(free=free), usage, held).because == ("storage.space",)
    assert low_space.decide(disks(free=free + GB), usage, held).because == because
    # What fills the data root's disk does not fill another.
    other = space.decide(disks(replace(RUN, free=0)), usage, held)
    assert other.because == ()


@pytest.mark.parametrize(
    ("free", "usage", "status"),
    [
        (50 * GB, CACHED, SKIP),
        (GB, DiskUsage(), SKIP),
        (GB, CACHED, FAIL),
        (GB, DiskUsage(asked=True, build_cache=5 * GB), PASS),
        (GB, replace(CACHED, unused_images=60 * GB), PASS),
        (GB, replace(CACHED, volumes=(("data", 60 * GB),)), PASS),
    ],
)
def test_build_cache(free, usage, status):
    assert build_cache.decide(disks(free=free), usage).status is status


def test_held_files():
    web = Containers((Container("w" * 64, "web", "busybox", "running", "Up"),))
    assert held_files.decide(disks(), HELD, web).status is SKIP
    assert held_files.decide(disks(free=0), HeldFiles(), web).status is PASS
    said = held_files.decide(disks(free=0), HELD, web)
    assert (said.status, said.fix) == (FAIL, ("docker restart web",))
    assert "dockerd (for the container web)" in said.summary
    assert held_files.decide(disks(free=0), HELD, None).fix == ("docker restart wwwwwwwwwwww",)
    other = held_files.decide(disks(free=0), HeldFiles((replace(HELD.all[0], container="", program="rsyslogd"),)), None)
    assert other.fix[0].startswith("# restart rsyslogd")


@pytest.mark.parametrize(
    ("config", "steps"),
    [
        (DaemonJson("/etc/docker/daemon.json", exists=False), ["mkdir", "tee", "systemctl", "systemctl"]),
        (DaemonJson("/d", exists=True, text="{}", settings={}), ["cp", "tee", "systemctl", "systemctl"]),
        (
            DaemonJson("/d", exists=True, text='{"log-opts": {"tag": "x"}}', settings={"log-opts": {"tag": "x"}}),
            ["cp", "tee", "systemctl", "systemctl"],
        ),
        # New ones have a limit already, or another driver's; a flag would be in the way.
        (DaemonJson("/d", exists=True, text="{}", settings={"log-opts": {"max-size": "1g"}}), []),
        (DaemonJson("/d", exists=True, text="{}", settings={"log-driver": "local"}), []),
        (DaemonJson("/d", exists=True, text="{}", settings={}, flags=("--log-opt", "tag=x")), ["#"]),
        (DaemonJson("/d", exists=True, text="{", settings=None), ["#"]),
    ],
)
def test_new_containers_get_a_log_with_a_limit(config, steps):
    kept = Logs((("w", "/var/lib/docker/containers/w/w-json.log", 2 * GB),))
    found = logs.decide(disks(), kept, None, config=config, units=UNITS)
    assert [step.split()[0] for step in found.fix[:-3]] == steps
    assert bool(found.impact) is ("tee" in steps)


def test_size():
    assert [size(n) for n in (0, 2048, 3 << 20, 4 << 30, 5 << 40)] == ["0 B", "2 KB", "3 MB", "4 GB", "5.0 TB"]


@pytest.mark.parametrize(
    ("length", "disk", "status"),
    [
        (900 * MB, disks(), PASS),
        (2 * GB, disks(), FAIL),
        (100 * MB, disks(size=500 * MB, free=300 * MB), SKIP),  # space is short: named there
        (900 * MB, disks(size=8 * GB, free=6 * GB), FAIL),
    ],
)
def test_long_logs(length, disk, status):
    kept = Logs((("w" * 64, "/var/lib/docker/containers/w/w-json.log", length),))
    web = Container("w" * 64, "web", "busybox", "running", "Up", details=Details())
    found = logs.decide(disk, kept, Containers((web,)))
    assert found.status is status
    assert ("without max-size" in found.cause) is (status is FAIL)
    # Who set a limit, set this one; whose engine is silent, is told no more than what was seen.
    assert logs.decide(disk, kept, Containers((replace(web, details=Details(log_limit="5g")),))).status is not FAIL
    unknown = logs.decide(disk, kept, None)
    assert unknown.status is status
    assert "max-size" not in unknown.cause
    if status is FAIL:
        # What somebody said goes last, and is said to go for good right before.
        assert found.fix[-2].startswith("truncate")
        assert "for good" in found.fix[-3]
    assert logs.decide(disks(), Logs(), None).status is PASS


@pytest.mark.parametrize(
    ("name", "settings", "status"),
    [("overlay2", {}, PASS), ("vfs", {}, FAIL), ("vfs", {"storage-driver": "vfs"}, PASS)],
)
def test_driver(name, settings, status):
    config = DaemonJson("/etc/docker/daemon.json", exists=True, settings=settings)
    assert driver.decide(info(driver=name), disks(kind="overlay"), config).status is status


@pytest.mark.parametrize(
    ("warnings", "kind", "types", "status", "step"),
    [
        ((), "ext4", EntryTypes(), PASS, ""),
        ((), "ext4", EntryTypes(told=True), PASS, ""),
        ((), "ext4", None, PASS, ""),
        ((), "ext4", EntryTypes(told=False), FAIL, "tune2fs -O filetype /dev/vdb"),
        (("WARNING: overlay2: the backing xfs filesystem is formatted without d_type support",), "xfs", None, FAIL, ""),
    ],
)
def test_d_type(warnings, kind, types, status, step):
    found = d_type.decide(info(warnings=warnings), disks(kind=kind, mount_point="/srv", device="/dev/vdb"), types)
    assert found.status is status
    assert (step in found.fix) is bool(step)
    # Nobody unmounts the root.
    assert not [s for s in d_type.decide(info(), disks(), EntryTypes(told=False)).fix if not s.startswith("#")]


@pytest.mark.parametrize(("percent", "status"), [(40, PASS), (60, FAIL)])
def test_how_much_space_is_enough_may_be_chosen(percent, status):
    chosen = Settings(preferences=Preferences(thresholds=Thresholds(disk_free_percent=percent)))
    assert low_space.decide(disks(), None, None, chosen).status is status
    assert low_space.decide(disks(), None, None, Settings()).status is PASS
