"""fstab(5) against what is mounted."""

import pytest

from dockerdoctor.checks.storage_mount import mount
from dockerdoctor.facts.mounts import data_root_mount
from dockerdoctor.facts.storage import Filesystem, Storage
from dockerdoctor.host import Host
from dockerdoctor.model import Status

ROOT = Storage((Filesystem("/srv/docker", "data root"),))


@pytest.mark.parametrize(
    ("fstab", "mounts", "status"),
    [
        ("", "", Status.SKIP),
        ("/dev/a / ext4 defaults 0 1\n", "/dev/a / ext4 rw 0 0\n", Status.SKIP),
        ("/dev/b /srv/docker ext4 nofail 0 2\n", "/dev/a / ext4 rw 0 0\n", Status.FAIL),
        ("/dev/b /srv ext4 defaults 0 2\n", "/dev/a / ext4 rw 0 0\n", Status.FAIL),
        ("/dev/b /srv/docker ext4 defaults\n", "/dev/b /srv/docker ext4 rw 0 0\n", Status.PASS),
        ("/dev/b /srv/docker ext4 noauto 0 2\n", "", Status.SKIP),
        ("#/dev/b /srv/docker ext4 defaults 0 2\n/dev/c none swap sw 0 0\n/dev/d /srv/dock ext4 defaults\n", "", Status.SKIP),
    ],
)  # fmt: skip
def test_mount(tmp_path, fstab, mounts, status):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/fstab").write_text(fstab)
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/mounts").write_text(mounts)
    assert mount.decide(data_root_mount.measure(Host(tmp_path, {}), ROOT)).status is status
