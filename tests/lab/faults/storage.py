"""Faults of space, and of the file system below."""

import subprocess
from collections.abc import Callable

from tests.lab.fault import Fault
from tests.lab.machine import Machine

# A data root of its own: what fills it must not fill the host.
SMALL = """
    systemctl stop docker.socket docker.service
    mkdir -p /srv/docker
    mount -t tmpfs -o size=300m{options} tmpfs /srv/docker
    sed -i '1s|.*|{{ "data-root": "/srv/docker",|' /etc/docker/daemon.json
    systemctl reset-failed docker.service docker.socket
    systemctl start docker.socket docker.service
    docker pull busybox
"""
WRITES = "timeout 20 docker run --rm busybox dd if=/dev/zero of=/file bs=1M count=20"

# Docker on /srv/docker, with these keys in daemon.json beside it.
MOVED = """
    systemctl stop docker.socket docker.service
    sed -i '1s|.*|{{ "data-root": "/srv/docker",{keys}|' /etc/docker/daemon.json
    systemctl reset-failed docker.service docker.socket
    systemctl start docker.socket docker.service
"""


def disk(mkfs: str, then: str = "") -> Callable[[Machine], None]:
    """Mount a file system that `mkfs` made on /srv/docker, from a file of the machine's; then go on."""

    def make(m: Machine) -> None:
        image = m.slot.home / "root/srv/disk.img"
        with image.open("wb") as file:
            file.truncate(600 << 20)
        subprocess.run([*mkfs.split(), str(image)], check=True, capture_output=True)
        # The kernel lets go of the device with its last user, at the machine's end; somebody keeps it over an umount.
        m.run(
            """
            mknod /dev/loop-control c 10 237
            for n in $(seq 0 31); do mknod /dev/loop$n b 7 $n; done
            mkdir -p /srv/docker
            mount -o loop /srv/disk.img /srv/docker
            device=$(findmnt -no SOURCE /srv/docker)
            systemd-run --quiet --unit=keeper sh -c "exec sleep infinity < $device"
            """
        )
        m.run(then)

    return make


# The trees of the newer engines have no tune2fs.
NO_E2FSPROGS = {engine: {"verify_fix": False, "cure": ""} for engine in ("26.1", "28.5")}

LOG = "$(docker inspect -f '{{.LogPath}}' chatty)"

FAULTS = (
    Fault(
        "disk-json-logs",
        "storage.logs",
        severity="warning",
        setup="docker run -d --name chatty --stop-signal KILL busybox sleep 1000",
        # A file with a hole: it takes no space, and has the length of one that does.
        inject=f"truncate --size 1200M {LOG}",
        broken=f"test $(stat -c %s {LOG}) -lt 100000000",
        verify_fix=True,
    ),
    Fault(
        "disk-overlay-on-overlay-vfs",
        "storage.driver",
        severity="warning",
        # The machine's own tree is an overlay.
        inject="""sed -i '1s|.*|{ "data-root": "/srv/docker",|' /etc/docker/daemon.json; systemctl restart docker""",
        broken="docker info -f '{{.Driver}}' | grep overlay2",
    ),
    # This kernel has no XFS of version 4, the only one that can be without d_type; an ext4 can.
    Fault(
        "disk-xfs-no-dtype:ext4",
        "storage.d-type",
        inject=disk("mkfs.ext4 -q -F -O ^filetype", MOVED.format(keys="")),
        broken="docker info -f '{{.Driver}}' | grep overlay2",
        severity="warning",
        verify_fix=True,
        on=NO_E2FSPROGS,
    ),
    Fault(
        "disk-xfs-no-dtype:asked-for-overlay2",
        "engine.started",
        inject=disk("mkfs.ext4 -q -F -O ^filetype", MOVED.format(keys=' "storage-driver": "overlay2",') + "true"),
        broken="timeout 20 docker version",
        cure="""
            systemctl stop docker.socket docker.service
            device=$(findmnt -no SOURCE /srv/docker)
            umount /srv/docker
            tune2fs -O filetype $device
            e2fsck -fy $device || test $? -eq 1
            mount $device /srv/docker
            systemctl reset-failed docker.service docker.socket
            systemctl start docker.socket docker.service""",
        on=NO_E2FSPROGS,
    ),
    Fault(
        "disk-full-data-root",
        "storage.space",
        setup=SMALL.format(options=""),
        inject="docker run --name hog busybox dd if=/dev/zero of=/file bs=1M count=292",
        broken=WRITES,
        # Nobody but a person removes what a container has written.
        cure="docker rm hog",
    ),
    Fault(
        "disk-full-data-root:log",
        "storage.space",
        setup=SMALL.format(options=""),
        inject="""
            docker run -d --name chatty busybox sh -c 'yes "$(printf %01000d 0)"; sleep 1000'
            while [ $(df --output=avail /srv/docker | tail -1) -gt 8192 ]; do sleep 0.5; done
            docker stop -t0 chatty""",
        broken=WRITES,
        cure=f"truncate --size 0 {LOG}",
    ),
    # Images without a name are removed for good, where somebody has asked for that.
    Fault(
        "disk-full-data-root:dangling-image",
        "storage.space",
        setup=SMALL.format(options=""),
        inject="cd /srv; mkdir big; dd if=/dev/zero of=big/file bs=1M count=285 status=none; tar -C big -c file | docker import -; rm -r big",
        broken=WRITES,
        verify_fix=True,
    ),
    Fault(
        "disk-build-cache",
        "storage.build-cache",
        setup=SMALL.format(options=""),
        inject=r"""
            mkdir /srv/b
            printf 'FROM busybox\nRUN dd if=/dev/zero of=/a bs=1M count=140\nRUN dd if=/dev/zero of=/b bs=1M count=140\n' > /srv/b/Dockerfile
            tar -C /srv/b -cf /srv/b/context.tar Dockerfile
            systemd-run --quiet --unit=contexts --working-directory=/srv/b python3 -m http.server --bind 127.0.0.1 8000
            curl -s --retry 9 --retry-connrefused --retry-delay 1 http://127.0.0.1:8000/ >/dev/null
            # What `docker build` with BuildKit asks for, without its client, which newer engines' packages lack.
            curl -s -X POST --unix-socket /var/run/docker.sock \
                'http://docker/build?version=2&t=big&remote=http://127.0.0.1:8000/context.tar' >/dev/null
            docker rmi big""",
        broken=WRITES,
        severity="warning",
        verify_fix=True,
    ),
    Fault(
        "disk-deleted-open-files",
        "storage.held-files",
        setup=SMALL.format(options=""),
        inject="""
            docker run -d --name chatty busybox sh -c '[ -e /said ] || { : > /said; yes "$(printf %01000d 0)"; }; sleep 1000'
            while [ $(df --output=avail /srv/docker | tail -1) -gt 8192 ]; do sleep 0.5; done
            docker exec chatty killall yes
            rm $(docker inspect -f '{{.LogPath}}' chatty)""",
        broken=WRITES,
        severity="warning",
        verify_fix=True,
    ),
    Fault(
        "disk-deleted-open-files:of-a-container",
        "storage.held-files",
        setup=SMALL.format(options=""),
        inject="""
            docker run -d --name app busybox sh -c \
                '[ -e /done ] || { exec 3> /big; dd if=/dev/zero bs=1M count=285 >&3; rm /big; : > /done; }; sleep 1000'
            until docker exec app test -e /done; do sleep 0.2; done""",
        broken=WRITES,
        severity="warning",
        verify_fix=True,
    ),
    Fault(
        "disk-deleted-open-files:of-the-host",
        "storage.held-files",
        setup=SMALL.format(options=""),
        inject="""
            systemd-run --quiet --unit=collector sh -c \
                'exec 3> /srv/docker/big; dd if=/dev/zero bs=1M count=285 >&3; rm /srv/docker/big; sleep 1000'
            while [ -e /srv/docker/big -o $(df --output=avail /srv/docker | tail -1) -gt 20000 ]; do sleep 0.2; done""",
        broken=WRITES,
        severity="warning",
        cure="systemctl stop collector",
    ),
    Fault(
        "disk-inodes-exhausted",
        "storage.inodes",
        setup=SMALL.format(options=",nr_inodes=4000"),
        # Some are left: with none the engine could not even note that the container has ended.
        inject=r"""
            docker run -d --name hog busybox sleep 1000
            many=$(( $(df --output=iavail /srv/docker | tail -1) - 14 ))
            docker exec hog sh -c "for n in \$(seq $many); do : > /\$n; done"
            docker stop -t0 hog""",
        broken="timeout 20 docker run --rm busybox true",
        cure="docker rm hog",
    ),
    Fault(
        "disk-inodes-exhausted:dangling-image",
        "storage.inodes",
        setup=SMALL.format(options=",nr_inodes=4000"),
        inject=r"""
            many=$(( $(df --output=iavail /srv/docker | tail -1) - 170 ))
            mkdir /srv/many && (cd /srv/many; for n in $(seq $many); do : > $n; done)
            tar -C /srv/many -c . | docker import -""",
        broken="timeout 20 docker run --rm busybox sh -c 'for n in $(seq 200); do : > /$n; done'",
        verify_fix=True,
    ),
    Fault(
        "disk-data-root-readonly",
        "storage.read-only",
        setup=SMALL.format(options=""),
        # The engine holds files open: as after a disk's failure, only new writes meet a read-only filesystem.
        inject="mount --bind /srv/docker /srv/docker && mount -o remount,bind,ro /srv/docker",
        broken="timeout 20 docker run --rm busybox true",
        verify_fix=True,
        symptoms=("containers.start", "network.egress"),
        # Newer engines make a container's folder before all else, so no question is asked from one: unknown, not failing.
        on={engine: {"symptoms": ("containers.start",)} for engine in ("26.1", "28.5")},
    ),
    Fault(
        "disk-data-root-mount-missing",
        "storage.mount",
        # The disk, a tmpfs kept elsewhere too, so that it outlives being unmounted.
        setup="""
            mkdir -p /mnt/disk && mount -t tmpfs -o size=300m tmpfs /mnt/disk
            echo '/mnt/disk /srv/docker none bind,nofail 0 0' >> /etc/fstab
        """
        + SMALL.format(options="").replace("mount -t tmpfs -o size=300m tmpfs /srv/docker", "mount /srv/docker"),
        inject="""
            systemctl stop docker.socket docker.service
            umount -l /srv/docker
            systemctl reset-failed docker.service docker.socket
            systemctl start docker.socket docker.service""",
        broken="docker image inspect busybox >/dev/null",
        verify_fix=True,
    ),
    Fault(
        "disk-data-root-mount-missing:unit",
        "storage.mount",
        setup="""
            mkdir -p /mnt/disk && mount -t tmpfs -o size=300m tmpfs /mnt/disk
            printf '[Mount]\\nWhat=/mnt/disk\\nWhere=/srv/docker\\nOptions=bind\\n[Install]\\nWantedBy=multi-user.target\\n' \\
                > /etc/systemd/system/srv-docker.mount
            systemctl enable --quiet --now srv-docker.mount
        """
        + SMALL.format(options="").replace("mount -t tmpfs -o size=300m tmpfs /srv/docker", ""),
        inject="""
            systemctl stop docker.socket docker.service
            systemctl stop srv-docker.mount
            systemctl reset-failed docker.service docker.socket
            systemctl start docker.socket docker.service""",
        broken="docker image inspect busybox >/dev/null",
        verify_fix=True,
    ),
    # What ext4 keeps back for root is no use to others.
    Fault(
        "disk-full-data-root:reserved",
        "storage.space",
        setup=disk(
            "mkfs.ext4 -q -F -m 30",
            MOVED.format(keys="")
            + "docker pull -q busybox; docker volume create data; chmod 777 /srv/docker/volumes/data/_data",
        ),
        inject="""
            while [ $(df --output=avail /srv/docker | tail -1) -gt 0 ]; do
                head -c 20M /dev/zero >> /srv/docker/backup
            done""",
        broken="docker run --rm --user 1000 -v data:/data busybox dd if=/dev/zero of=/data/file bs=1M count=5",
        cure="rm /srv/docker/backup",
    ),
)
