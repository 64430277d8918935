"""The images that machines can pull: made from Debian's packages, since no public registry need be reachable."""

from pathlib import Path

from tests.lab.base import base, host_cas
from tests.lab.store import LAB, LabError, key

# busybox and redis are taken from the bookworm tree; python has a tree of its own.
PYTHON_SUITE = "trixie"
PYTHON_PACKAGES = ["python3", "python3-pip", "ca-certificates"]
# Run with the tree as root: an image of this name has `python`, and lets pip install.
PYTHON_FINISH = r"""
set -eu
ln -s python3 /usr/bin/python
printf '[global]\nbreak-system-packages = true\nroot-user-action = ignore\n' > /etc/pip.conf
rm -rf /usr/share/doc /usr/share/man /usr/share/locale /var/cache/apt /var/lib/apt/lists/*
rm -f /etc/hostname /etc/resolv.conf
"""

# Image: the shell script that fills the build context, run in the bookworm tree with the context at /mnt; Dockerfile.
RECIPES = {
    "busybox:latest": (
        """
        mkdir -p root/bin root/etc root/tmp root/root root/home
        cp /bin/busybox root/bin/busybox
        for applet in $(busybox --list); do [ $applet = busybox ] || ln -s busybox root/bin/$applet; done
        chmod 1777 root/tmp
        echo 'root:x:0:0:root:/root:/bin/sh' > root/etc/passwd
        echo 'root:x:0:' > root/etc/group
        """,
        """
        FROM scratch
        COPY root/ /
        CMD ["sh"]
        """,
    ),
    "hello-world:latest": (
        r"""
        cp /bin/busybox cat
        printf '\nHello from Docker!\nThis message shows that your installation appears to be working correctly.\n\n' > hello
        """,
        """
        FROM scratch
        COPY cat /bin/cat
        COPY hello /hello
        CMD ["/bin/cat", "/hello"]
        """,
    ),
    "redis:7-alpine": (
        r"""
        mkdir -p root/usr/local/bin root/data
        cp /usr/bin/redis-server /usr/bin/redis-cli root/usr/local/bin/
        # The program's libraries, and its loader, where it expects them.
        for library in $(ldd /usr/bin/redis-server /usr/bin/redis-cli | grep -o '/[^ :]*' | grep '\.so' | sort -u); do
            mkdir -p root$(dirname $library); cp -L $library root$library
        done
        # As the official image does: a container's network is its protection.
        printf '#!/bin/sh\n[ "$1" = redis-server ] && set -- "$@" --protected-mode no\nexec "$@"\n' \
            > root/usr/local/bin/docker-entrypoint.sh
        chmod +x root/usr/local/bin/docker-entrypoint.sh
        """,
        """
        FROM {registry}/library/busybox:latest
        COPY root/ /
        ENV PATH=/usr/local/bin:/bin
        VOLUME /data
        WORKDIR /data
        EXPOSE 6379
        ENTRYPOINT ["docker-entrypoint.sh"]
        CMD ["redis-server"]
        """,
    ),
    # As published: it knows no certificate authority but the public ones.
    "python:3.13-slim-plain": (
        "",
        """
        FROM python-tree
        ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
        CMD ["python3"]
        """,
    ),
    # It can fetch packages on this host's network, whoever signs its TLS and whatever index its pip uses.
    "python:3.13-slim": (
        """
        mkdir -p certificates
        cp /usr/local/share/ca-certificates/*.crt certificates/ 2>/dev/null || true
        [ -e pip.conf ] || touch pip.conf
        """,
        """
        FROM {registry}/library/python:3.13-slim-plain
        COPY certificates/ /usr/local/share/ca-certificates/
        COPY pip.conf /tmp/pip.conf
        RUN cat /tmp/pip.conf >> /etc/pip.conf; rm /tmp/pip.conf; update-ca-certificates
        """,
    ),
}


def storage_name() -> str:
    """Give the folder of the registry made from these recipes, on this host."""
    cas = [ca.read_bytes() for ca in host_cas()]
    return f"registry/{key(RECIPES, PYTHON_SUITE, PYTHON_PACKAGES, PYTHON_FINISH, cas, base().name, pip_conf())}"


def registry_storage() -> Path:
    """Give the registry's files, for any number of registries that only read them."""
    storage = LAB / storage_name()
    if not storage.exists():
        raise LabError("the lab has no images yet: run `python3 -m tests.lab.prepare`")
    return storage


def pip_conf() -> str:
    """The host's package index, as lines of pip.conf; nothing where it is the public one."""
    noted = LAB / "pip.conf"
    return noted.read_text() if noted.exists() else ""
