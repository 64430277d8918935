"""What is read of filesystems and of /system/df."""

import pytest

from dockerdoctor.facts.endpoint import ChosenEndpoint
from dockerdoctor.facts.storage import mount_of, storage, usage
from dockerdoctor.host import Host

MOUNTS = """\
/dev/vda1 / ext4 rw,relatime 0 0
tmpfs /run tmpfs rw 0 0
/dev/vdb /srv/my\\040disk xfs ro 0 0
old /data ext4 rw 0 0
new /data btrfs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/var/lib/docker", ("/", "ext4", "/dev/vda1")),
        ("/run/docker", ("/run", "tmpfs", "tmpfs")),
        ("/running", ("/", "ext4", "/dev/vda1")),
        ("/srv/my disk/docker", ("/srv/my disk", "xfs", "/dev/vdb")),
        ("/data", ("/data", "btrfs", "new")),
    ],
)
def test_mount(path, found):
    assert mount_of(MOUNTS, path) == found


def test_a_data_root_that_is_not_there_yet(tmp_path):
    (tmp_path / "var").mkdir()
    said = storage.measure(Host(tmp_path, {}), ChosenEndpoint("unix:///var/run/docker.sock", "default"), None, None)
    assert said.data_root.path == "/var/lib/docker"
    assert said.data_root.size > 0
    assert not said.data_root.problem


def test_usage():
    said = usage(
        {
            "Images": [
                {"Containers": 1, "RepoTags": ["used:1"], "Size": 100, "SharedSize": 0},
                {"Containers": 0, "RepoTags": ["idle:1"], "Size": 70, "SharedSize": 20},
                {"Containers": 0, "RepoTags": ["<none>:<none>"], "Size": 30, "SharedSize": 0},
                {"Containers": -1, "RepoTags": None, "Size": 7, "SharedSize": -1},
            ],
            "Containers": [
                {"Names": ["/web"], "State": "running", "SizeRw": 50 << 20},
                {"Names": ["/old"], "State": "exited", "SizeRw": 9},
                {"Names": ["/new"], "State": "created"},
            ],
            "Volumes": [
                {"Name": "a", "UsageData": {"RefCount": 0, "Size": 5}},
                {"Name": "b", "UsageData": {"RefCount": 1, "Size": 6}},
                {"Name": "c", "UsageData": {"RefCount": 2, "Size": 60 << 20}},
            ],
            "BuildCache": [{"Size": 11, "InUse": False}, {"Size": 12, "InUse": True}, {"Size": 13, "Shared": True}],
        }
    )
    assert said.all == (50 << 20) + 9 + 5 + 6 + (60 << 20) + 11 + 12
    assert (said.dangling_images, said.unused_images, said.build_cache) == (37, 87, 11)
    assert said.stopped == (("old", 9), ("new", 0))
    assert said.running_writers == (("web", 50 << 20),)
    assert (said.volumes, said.used_volumes) == ((("a", 5),), (("c", 60 << 20),))


def test_nonsense_is_nothing():
    assert usage({"Images": None, "Containers": ["x"]}).unused_images == 0
