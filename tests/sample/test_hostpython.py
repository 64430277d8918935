import io
import os
import tarfile

import pytest

from dockerdoctor.host import Host
from dockerdoctor.sample.hostpython import (
    LEFT_OUT,
    LOADED,
    HostPython,
    NoPython,
    Tree,
    ca_bundle,
    host_python,
    interpreter,
    libraries,
    pack_python,
)

GLIBC = """\
/usr/bin/python3.11:
\tlinux-vdso.so.1 (0x00007ffd3b5f2000)
\tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007f0f4a0c5000)
\tlibmissing.so.1 => not found
\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f0f49ee4000)
\t/lib64/ld-linux-x86-64.so.2 (0x00007f0f4a1c8000)
"""
MUSL = """\
\t/lib/ld-musl-x86_64.so.1 (0x7f2b8d5a5000)
\tlibpython3.12.so.1.0 => /usr/lib/libpython3.12.so.1.0 (0x7f2b8d1b5000)
\tlibc.musl-x86_64.so.1 => /lib/ld-musl-x86_64.so.1 (0x7f2b8d5a5000)
"""


def test_what_the_loader_lists():
    assert LOADED.findall(GLIBC) == [
        "/lib/x86_64-linux-gnu/libm.so.6",
        "/lib/x86_64-linux-gnu/libc.so.6",
        "/lib64/ld-linux-x86-64.so.2",
    ]
    assert set(LOADED.findall(MUSL)) == {"/lib/ld-musl-x86_64.so.1", "/usr/lib/libpython3.12.so.1.0"}


def names(tree_of):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        tree_of(tar)
    raw.seek(0)
    with tarfile.open(fileobj=raw) as tar:
        return {entry.name: entry for entry in tar}


def test_links_on_the_way_are_packed_and_followed(tmp_path):
    """/lib → usr/lib, and a library that is a link to its version: the loader finds all of them as here."""
    (tmp_path / "usr/lib/x").mkdir(parents=True)
    (tmp_path / "usr/lib/x/libz.so.1.2").write_bytes(b"z")
    (tmp_path / "usr/lib/x/libz.so.1").symlink_to("libz.so.1.2")
    (tmp_path / "lib").symlink_to("usr/lib")
    (tmp_path / "usr/bin").mkdir()
    (tmp_path / "usr/bin/python").symlink_to("/lib/x/../x/libz.so.1")
    host = Host(tmp_path)

    def fill(tar):
        tree = Tree(host, tar)
        tree.add("/usr/bin/python")
        tree.add("/lib/x/libz.so.1")

    packed = names(fill)
    assert list(packed) == [
        *("usr", "usr/bin", "usr/bin/python", "lib", "usr/lib", "usr/lib/x", "usr/lib/x/libz.so.1"),
        "usr/lib/x/libz.so.1.2",
    ]
    assert packed["lib"].linkname == "usr/lib"
    assert packed["usr/lib/x/libz.so.1.2"].isfile()


def test_links_in_a_circle(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="too many links"):
        names(lambda tar: Tree(Host(tmp_path), tar).add("/a"))


def test_what_is_of_no_use_is_left_out(tmp_path):
    for name in ("json/__init__.py", "test/x.py", "json/__pycache__/x.pyc", "EXTERNALLY-MANAGED", "site-packages/a.py"):
        (tmp_path / "lib" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "lib" / name).touch()
    (tmp_path / "lib/dangling").symlink_to("nowhere")
    assert set(names(lambda tar: Tree(Host(tmp_path), tar).add("/lib"))) == {"lib", "lib/json", "lib/json/__init__.py"}


@pytest.mark.parametrize("path", ["/l/lib-dynload/_tkinter.cpython-311.so", "/l/lib-dynload/_testcapi.cpython-311.so"])
def test_extensions_that_nobody_needs(path):
    assert LEFT_OUT.search(path)


def test_bundle(tmp_path):
    assert ca_bundle(Host(tmp_path)) == ""
    (tmp_path / "etc/ssl").mkdir(parents=True)
    (tmp_path / "etc/ssl/cert.pem").touch()
    assert ca_bundle(Host(tmp_path)) == "/etc/ssl/cert.pem"


def test_no_python():
    with pytest.raises(NoPython, match="/bin/false does not say where it lies: status 1"):
        host_python(Host(), "/bin/false")
    with pytest.raises(NoPython, match="ldd"):
        libraries(Host(env={"PATH": "/nowhere"}) if not Host().which("ldd") else NoLdd(), ["/bin/sh"])


class NoLdd(Host):
    def run(self, *argv, **options):
        return super().run("no-such-command", **options) if argv[0] == "ldd" else super().run(*argv, **options)


def test_this_interpreter_is_packed_whole():
    """Seen in a root of its own where that may be had; here: all that it names is in it."""
    host = Host()
    python = host_python(host, interpreter())
    assert isinstance(python, HostPython)
    packed = names(lambda tar: pack_python(Tree(host, tar), python))
    assert os.path.realpath(interpreter()).lstrip("/") in packed
    assert packed["usr/local/bin/python"].issym() or packed["usr/local/bin/python"].isfile()
    assert f"{python.library[0]}/json/__init__.py".lstrip("/") in packed
    assert {"etc/passwd", "tmp", os.path.realpath("/bin/sh").lstrip("/")} <= set(packed)
    assert not any("__pycache__" in name or "EXTERNALLY" in name for name in packed)
