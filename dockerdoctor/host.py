"""The only door to the outside: files, commands, sockets, DNS, HTTP and the Docker API, each with a timeout."""

from __future__ import annotations

import contextlib
import copy
import errno
import fnmatch
import glob
import grp
import http.client
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    import ssl

    import docker
    import requests

# A file of this project's interest is some kilobytes; a hostile or broken one must not fill our memory.
MAX_FILE_BYTES = 4 << 20
CHUNK = 64 << 10
# A list of a thousand containers is two megabytes.
MAX_BODY_BYTES = 32 << 20
UNFINISHED = ".doctor"  # ends the name of a file that is still being written
USER_HZ = 100  # ticks of /proc in a second, on Linux
MISSING_COMMAND = 127  # as sh(1) says it
TIMED_OUT = 124  # as timeout(1) says it
# setresuid(2), by the names of uname(2); no others are asked.
SETRESUID = {"x86_64": 117, "aarch64": 147, "riscv64": 147, "ppc64le": 164, "s390x": 208}.get(os.uname().machine, 0)
# Ctrl-C, kill, and a closed terminal or a lost ssh session.
INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Completed:
    """A command that ended, was missing (code 127) or was killed at its timeout (code 124)."""

    code: int
    out: str
    err: str

    @property
    def ok(self) -> bool:
        """Whether it exited with 0."""
        return self.code == 0


@dataclass(frozen=True, slots=True)
class Dial:
    """One attempt to connect: "ok", or how it failed, as the errno's name ("ECONNREFUSED") or "timeout" or "EAI_NONAME"."""

    target: str  # "10.0.0.1:53", "/var/run/docker.sock"
    outcome: str
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether the connection was made."""
        return self.outcome == "ok"


@dataclass(frozen=True, slots=True)
class DnsAnswer:
    """What one nameserver said to one question over one transport."""

    server: str
    transport: str  # "udp" | "tcp"
    name: str
    outcome: str  # an rcode ("NOERROR", "NXDOMAIN", "SERVFAIL", "REFUSED"), "timeout", or an errno's name
    addresses: tuple[str, ...] = ()
    truncated: bool = False
    seconds: float = 0.0
    kind: str = "A"  # the type of record asked for

    @property
    def ok(self) -> bool:
        """Whether the server did its work; that a name does not exist is an answer too."""
        return self.outcome in {"NOERROR", "NXDOMAIN"}

    @property
    def silent(self) -> bool:
        """Whether nothing that speaks DNS was reached."""
        return not self.outcome.isupper() or self.outcome.startswith("E")


@dataclass(frozen=True, slots=True)
class FileState:
    """A file's bytes, and all else of it that a replacement must keep."""

    data: bytes
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    xattrs: tuple[tuple[str, bytes], ...] = ()  # ACLs and SELinux labels are among them
    mtime_ns: int = 0  # 0: the time of writing


@dataclass(frozen=True, slots=True)
class Linked:
    """A symbolic link in a file's place, where it leads to, and whose it is."""

    target: str
    uid: int = 0
    gid: int = 0


class UnixHTTPConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket, for the questions that must be asked before an API version is known."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self.path = path
        self.overdue = False
        self.raw: socket.socket | None = None  # http.client lets go of its own when the answer ends the connection

    def connect(self) -> None:
        """Connect to the socket instead of to a host."""
        self.raw = self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)

    def cut(self) -> None:
        """End the conversation, from another thread: whoever reads sees the end of the stream."""
        self.overdue = True
        if self.raw:
            with contextlib.suppress(OSError):
                self.raw.shutdown(socket.SHUT_RDWR)


def failure_name(error: BaseException) -> str:
    """Name why a connection failed, as one word: an errno ("ECONNREFUSED"), "timeout", or an EAI_ code."""
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, socket.gaierror):
        names = {getattr(socket, n): n for n in dir(socket) if n.startswith("EAI_")}
        return names.get(error.errno or 0, "EAI_FAIL")
    if isinstance(error, OSError) and error.errno:
        return "timeout" if error.errno == errno.ETIMEDOUT else errno.errorcode.get(error.errno, f"errno {error.errno}")
    return type(error).__name__


class Host:
    """
    The machine we run on, or a folder that looks like one.

    `root` is put before every absolute path of a file; commands and sockets are always the machine's own.
    """

    def __init__(self, root: str | Path = "/", env: Mapping[str, str] | None = None) -> None:
        self.root = Path(root)
        self.env: Mapping[str, str] = dict(os.environ) if env is None else env

    def without(self, names: Collection[str]) -> Host:
        """Give the same machine as a session sees it that has not these variables."""
        other = copy.copy(self)
        other.env = {name: value for name, value in self.env.items() if name not in names}
        return other

    # -- who we are ---------------------------------------------------------------------------------------------

    @property
    def uid(self) -> int:
        """The effective user id."""
        return os.geteuid()

    @property
    def name(self) -> str:
        """What this host calls itself."""
        return os.uname().nodename

    @property
    def machine(self) -> str:
        """The kernel's name for the processor: "x86_64", "armv7l"."""
        return os.uname().machine

    @property
    def is_root(self) -> bool:
        """Whether everything may be read."""
        return self.uid == 0

    @property
    def user(self) -> str:
        """The login name, or the number where the database has none."""
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return str(self.uid)

    @property
    def home(self) -> str:
        """The home folder whose ~/.docker the client reads."""
        return self.env.get("HOME") or pwd.getpwuid(self.uid).pw_dir

    @property
    def cwd(self) -> str:
        """The working directory; empty when it has been removed."""
        try:
            return self.env.get("PWD") or str(Path.cwd())
        except OSError:
            return ""

    @property
    def groups(self) -> frozenset[int]:
        """The groups of this very process, fixed at login."""
        return frozenset({*os.getgroups(), os.getegid()})

    def database_groups(self, user: str) -> frozenset[int]:
        """The groups that the database gives a user now (getgrouplist(3))."""
        try:
            return frozenset(os.getgrouplist(user, pwd.getpwnam(user).pw_gid))
        except KeyError:
            return frozenset()

    def group_id(self, name: str) -> int | None:
        """The number of a group, None when there is no such group."""
        try:
            return grp.getgrnam(name).gr_gid
        except KeyError:
            return None

    def group_name(self, gid: int) -> str:
        """The name of a group, or its number."""
        try:
            return grp.getgrgid(gid).gr_name
        except KeyError:
            return str(gid)

    def group_members(self, gid: int) -> tuple[str, ...]:
        """The users whom the database lists in a group."""
        try:
            return tuple(grp.getgrgid(gid).gr_mem)
        except KeyError:
            return ()

    # -- files --------------------------------------------------------------------------------------------------

    def path(self, path: str | Path) -> Path:
        """Where a path of the patient really lies."""
        return self.root / str(path).lstrip("/")

    def read_bytes(self, path: str | Path, limit: int = MAX_FILE_BYTES) -> bytes:
        """Read at most so many bytes; raises OSError. Never blocks on a FIFO or a device."""
        # O_NONBLOCK: opening a FIFO that somebody put in the file's place would block for ever.
        fd = os.open(self.path(path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        # Unbuffered, in small pieces: a sysctl refuses a reader with a buffer of megabytes (ENOMEM, proc_sysctl.c).
        data = b""
        with os.fdopen(fd, "rb", buffering=0) as file:
            while len(data) < limit and (more := file.read(min(CHUNK, limit - len(data)))):
                data += more
        return data

    def read(self, path: str | Path) -> str:
        """Read text; bytes that are no UTF-8 are shown as escapes; raises OSError."""
        return self.read_bytes(path).decode("utf-8", "backslashreplace")

    def text(self, path: str | Path, default: str = "") -> str:
        """Read text where a missing or unreadable file means `default`."""
        try:
            return self.read(path)
        except OSError:
            return default

    def lstat(self, path: str | Path) -> os.stat_result | None:
        """Status of the name itself; None when there is none; raises PermissionError."""
        try:
            return self.path(path).lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def stat(self, path: str | Path) -> os.stat_result | None:
        """Status of what a name leads to, links followed; None when there is nothing."""
        try:
            return self.path(path).stat()
        except OSError:
            return None

    def exists(self, path: str | Path) -> bool:
        """Whether a path, links followed, leads to something."""
        try:
            return self.path(path).exists()
        except OSError:
            return False

    def searchable(self, path: str | Path) -> bool:
        """Whether this user may look for files in a folder."""
        return os.access(self.path(path), os.X_OK)

    def readable(self, path: str | Path) -> bool:
        """Whether this user may read a file, links not followed: what a link leads to is not looked at."""
        return self.path(path).is_symlink() or os.access(self.path(path), os.R_OK)

    def executable(self, path: str | Path) -> bool:
        """Whether this user may run a file."""
        return os.access(self.path(path), os.X_OK)

    def has_acl(self, path: str | Path) -> bool:
        """Whether more than its mode decides who may use a file (acl(5))."""
        try:
            return "system.posix_acl_access" in os.listxattr(self.path(path))
        except OSError:
            return False

    def has_capabilities(self, path: str | Path) -> bool:
        """Whether a program's file gives it capabilities, as setcap(8) does."""
        try:
            return "security.capability" in os.listxattr(self.path(path))
        except OSError:
            return False

    def selinux_label(self, path: str | Path) -> str:
        """The label of a file; empty where it has none."""
        try:
            return os.getxattr(self.path(path), "security.selinux").decode("utf-8", "replace").rstrip("\0")
        except OSError:
            return ""

    def is_socket(self, path: str | Path) -> bool:
        """Whether a path, links followed, is a socket."""
        try:
            return stat.S_ISSOCK(self.path(path).stat().st_mode)
        except OSError:
            return False

    def readlink(self, path: str | Path) -> str:
        """Target of a symbolic link; empty when it is none."""
        try:
            return str(self.path(path).readlink())
        except OSError:
            return ""

    def real(self, path: str | Path) -> str:
        """The path with every link followed, as the patient would write it."""
        below = os.path.relpath(self.path(path).resolve(), self.root.resolve())
        return "/" if below == "." else f"/{below}"

    def listdir(self, path: str | Path, pattern: str = "*") -> tuple[str, ...]:
        """Sorted names in a folder that match; empty when the folder cannot be listed."""
        try:
            return tuple(sorted(fnmatch.filter((entry.name for entry in self.path(path).iterdir()), pattern)))
        except OSError:
            return ()

    def entry_types(self, path: str | Path) -> frozenset[int]:
        """The d_type of each entry of a folder (readdir(3)), which os.scandir keeps to itself; empty when it cannot be listed."""
        import ctypes  # noqa: PLC0415 - asked only where something is wrong

        libc = ctypes.CDLL(None, use_errno=True)
        libc.opendir.restype = libc.readdir.restype = ctypes.c_void_p
        libc.readdir.argtypes = libc.closedir.argtypes = [ctypes.c_void_p]
        if not (folder := libc.opendir(os.fsencode(self.path(path)))):
            return frozenset()
        found = set()
        # struct dirent: inode and offset of eight bytes, length of two, type of one, name.
        name_at, type_at = (19, 18) if sys.maxsize > 1 << 32 else (11, 10)
        while entry := libc.readdir(folder):
            if ctypes.string_at(entry + name_at) not in {b".", b".."}:
                found.add(ctypes.string_at(entry + type_at, 1)[0])
        libc.closedir(folder)
        return frozenset(found)

    def scan(self, path: str | Path) -> Iterator[tuple[str, bool, int]]:
        """The name of each thing in a folder, whether it is a folder itself, and its size; raises OSError."""
        with os.scandir(self.path(path)) as entries:
            for entry in entries:
                folder = entry.is_dir(follow_symlinks=False)
                yield entry.name, folder, 0 if folder else entry.stat(follow_symlinks=False).st_size

    def statvfs(self, path: str | Path) -> os.statvfs_result:
        """Space and inodes of the filesystem behind a path; raises OSError."""
        return os.statvfs(self.path(path))

    def sysctl(self, name: str) -> str:
        """A kernel setting ("net.ipv4.ip_forward"); empty when there is none."""
        return self.text(f"/proc/sys/{name.replace('.', '/')}").strip()

    # -- commands -----------------------------------------------------------------------------------------------

    def which(self, name: str) -> str:
        """Where a command lies; system folders are searched even when PATH lacks them; empty when nowhere."""
        path = f"{self.env.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"
        return shutil.which(name, path=path) or ""

    def run(
        self, *argv: str, timeout: float = 3.0, stdin: str | bytes = "", env: Mapping[str, str] | None = None
    ) -> Completed:
        """Run a command without a shell, in the C locale; it is killed at its timeout with all that it started."""
        program = self.which(argv[0]) if "/" not in argv[0] else argv[0]
        if not program:
            return Completed(MISSING_COMMAND, "", f"{argv[0]}: not found")
        try:
            # A session of its own, so that the whole group can be killed and a Ctrl-C is ours alone.
            process = subprocess.Popen(
                (program, *argv[1:]),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**self.env, "LC_ALL": "C", "SYSTEMD_PAGER": "", **(env or {})},
                start_new_session=True,
            )
        except OSError as no:
            return Completed(126, "", f"{program}: {no.strerror}")
        try:
            out, err = process.communicate(stdin.encode() if isinstance(stdin, str) else stdin, timeout=timeout)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            # Reaped if it dies; a process in uninterruptible sleep does not, and is not waited for.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.2)
            return Completed(TIMED_OUT, "", f"{argv[0]}: no answer within {timeout:g} s")
        except BaseException:  # interrupted
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            raise
        return Completed(process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))

    def start(self, *argv: str, stdin: IO[bytes], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start a command that talks while it works, on one pipe, in a session of its own; who starts it ends it."""
        return subprocess.Popen(
            argv,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**self.env, "LC_ALL": "C", **env},
            start_new_session=True,
        )

    # -- processes ----------------------------------------------------------------------------------------------

    def pids(self) -> tuple[int, ...]:
        """Every process, by number."""
        return tuple(sorted(int(n) for n in self.listdir("/proc", "[0-9]*") if n.isdigit()))

    def ours(self, pid: int) -> bool:
        """Whether a process runs on this host itself, and not in a container or a nested machine (pid_namespaces(7))."""
        theirs, own = (self.text(f"/proc/{p}/status").partition("NSpid:")[2].partition("\n")[0] for p in (pid, "self"))
        # One number for each namespace from ours down to the process's own; kernels before 4.1 show none.
        return not own or len(theirs.split()) == len(own.split())

    def cmdline(self, pid: int) -> tuple[str, ...]:
        """The arguments of a process; empty when it is gone or a kernel thread."""
        raw = self.text(f"/proc/{pid}/cmdline")
        return tuple(raw.rstrip("\0").split("\0")) if raw else ()

    def comm(self, pid: int) -> str:
        """The name of a process; empty when it is gone."""
        return self.text(f"/proc/{pid}/comm").strip()

    def process_stat(self, pid: int) -> tuple[str, ...]:
        """Fields of /proc/PID/stat from the third, its state, on (proc_pid_stat(5)); empty when it is gone."""
        # Its name, the second, is in brackets and may hold anything.
        return tuple(self.text(f"/proc/{pid}/stat").rpartition(")")[2].split())

    def age(self, pid: int) -> float:
        """Seconds since a process was started; 0 when it is gone."""
        fields, uptime = self.process_stat(pid), self.text("/proc/uptime").split()
        return max(0.0, float(uptime[0]) - int(fields[19]) / USER_HZ) if len(fields) > 19 and uptime else 0.0

    def try_inotify(self, uid: int = 0) -> str:
        """Ask for an inotify instance and a watch, and give both back: "ok", or the errno's name. Root may ask for others."""
        import ctypes  # noqa: PLC0415 - nobody else needs it

        libc = ctypes.CDLL(None, use_errno=True)
        said = ["?"]

        def ask() -> None:
            # Past the C library, which would change all threads: to the kernel each thread has a user of its own, and the
            # effective one is counted.
            if uid and libc.syscall(SETRESUID, -1, uid, -1):
                return
            instance = libc.inotify_init1(os.O_CLOEXEC)
            if instance < 0:
                said[0] = errno.errorcode.get(ctypes.get_errno(), "?")
                return
            deleted_itself = 0x400  # IN_DELETE_SELF: what never happens to the root folder
            watched = libc.inotify_add_watch(instance, b"/", deleted_itself)
            said[0] = "ok" if watched >= 0 else errno.errorcode.get(ctypes.get_errno(), "?")
            os.close(instance)

        if uid and not SETRESUID:
            return "?"
        # It ends with that user, and nobody else becomes it.
        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        thread.join(1)
        return said[0]

    # -- sockets ------------------------------------------------------------------------------------------------

    def clock(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds on a clock that nobody sets: for deadlines."""
        return time.monotonic()

    def dial(self, host: str, port: int, timeout: float = 2.0, stay: float = 0.0) -> Dial:
        """Open a TCP connection and close it; "closed" when the other side hangs up while we `stay` (seconds)."""
        began = time.monotonic()
        outcome = "ok"
        try:
            with socket.create_connection((host, port), timeout) as sock:
                if stay:
                    sock.settimeout(stay)
                    with contextlib.suppress(TimeoutError):
                        outcome = "ok" if sock.recv(1) else "closed"
        except ConnectionResetError:
            outcome = "closed"
        except OSError as no:
            outcome = failure_name(no)
        return Dial(f"{host}:{port}", outcome, round(time.monotonic() - began, 4))

    def source_towards(self, address: str) -> str:
        """The address that the kernel's routing gives packets to somebody; nothing is sent. Empty without a way."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            try:
                sock.connect((address, 9))
            except OSError:
                return ""
            return str(sock.getsockname()[0])

    def dial_unix(self, path: str, timeout: float = 2.0) -> Dial:
        """Open a Unix socket and close it."""
        began = time.monotonic()
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(timeout)
        try:
            with sock:
                sock.connect(str(self.path(path)))
            outcome = "ok"
        except OSError as no:
            outcome = failure_name(no)
        return Dial(path, outcome, round(time.monotonic() - began, 4))

    def peer_pid(self, path: str, timeout: float = 2.0) -> int:
        """Process that opened a Unix socket for listening (SO_PEERCRED of unix(7)): 1 for systemd; 0 when unknown."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(timeout)
        try:
            with sock:
                sock.connect(str(self.path(path)))
                # struct ucred: pid, uid, gid
                return int.from_bytes(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)[:4], sys.byteorder)
        except OSError:
            return 0

    def exchange(self, host: str, port: int, request: bytes, timeout: float = 2.0, limit: int = 4096) -> bytes | str:
        """Send bytes over TCP and return the first bytes that come back, or why none did (see `Dial.outcome`)."""
        try:
            with socket.create_connection((host, port), timeout) as sock:
                sock.settimeout(timeout)
                sock.sendall(request)
                return sock.recv(limit)
        except OSError as no:
            return failure_name(no)

    def resolve(self, name: str, timeout: float = 3.0) -> tuple[tuple[str, ...], str]:
        """Ask the host's own resolver (getaddrinfo(3)), as dockerd does; returns the addresses and the outcome."""
        # getaddrinfo takes no timeout: asked in a process that does.
        done = self.run("getent", "ahosts", name, timeout=timeout)
        if done.code == TIMED_OUT:
            return (), "timeout"
        addresses = tuple(dict.fromkeys(line.split()[0] for line in done.out.splitlines() if line.split()))
        return addresses, "ok" if addresses else "EAI_NONAME"

    def ask_dns(
        self, server: str, name: str, transport: str = "udp", timeout: float = 2.0, rdtype: str = "A"
    ) -> DnsAnswer:
        """Ask one nameserver one question over one transport (RFC 1035)."""
        import dns.exception  # noqa: PLC0415 - heavy, and not every run asks
        import dns.flags  # noqa: PLC0415
        import dns.message  # noqa: PLC0415
        import dns.query  # noqa: PLC0415
        import dns.rcode  # noqa: PLC0415

        began = time.monotonic()
        addresses: tuple[str, ...] = ()
        truncated = False
        try:
            query = dns.message.make_query(name, rdtype)
            ask = dns.query.udp if transport == "udp" else dns.query.tcp
            reply = ask(query, server, timeout=timeout)
            outcome = dns.rcode.to_text(reply.rcode())
            truncated = bool(reply.flags & dns.flags.TC)
            addresses = tuple(str(item) for rrset in reply.answer if rrset.rdtype == 1 for item in rrset)
        except dns.exception.Timeout:
            outcome = "timeout"
        except EOFError:
            outcome = "closed"
        except OSError as no:
            outcome = failure_name(no)
        except (dns.exception.DNSException, ValueError) as no:
            outcome = f"malformed ({type(no).__name__})"
        return DnsAnswer(server, transport, name, outcome, addresses, truncated, round(time.monotonic() - began, 4))

    def session(self) -> requests.Session:
        """HTTP that follows no proxy, credential or CA setting of our own environment: each probe says what it means."""
        import requests  # noqa: PLC0415 - heavy, and not every run asks

        session = requests.Session()
        session.trust_env = False
        return session

    # -- the Docker API -----------------------------------------------------------------------------------------

    def unix_http(
        self,
        path: str,
        target: str,
        timeout: float = 3.0,
        limit: int = MAX_BODY_BYTES,
        *,
        method: str = "GET",
        body: bytes = b"",
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> tuple[int, Mapping[str, str], bytes]:
        """
        Ask over a Unix socket; returns status, headers and at most `limit` bytes.

        Raises OSError or HTTPException.
        """
        connection = UnixHTTPConnection(str(self.path(path)), timeout)
        # The socket's own timeout begins anew with every byte: one that drips for ever is cut off as a whole.
        cut = threading.Timer(timeout, connection.cut)
        cut.daemon = True
        try:
            cut.start()
            connection.request(method, target, body or None, dict(headers))
            response = connection.getresponse()
            reply = response.status, dict(response.getheaders()), response.read(limit)
        except (OSError, http.client.HTTPException):
            if connection.overdue:
                raise TimeoutError from None
            raise
        finally:
            cut.cancel()
            connection.close()
        if connection.overdue:
            raise TimeoutError
        return reply

    def tcp_http(
        self, host: str, port: int, target: str, timeout: float, limit: int, trust: ssl.SSLContext | None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """GET over TCP, and over TLS where there is something to `trust`; raises OSError, SSLError or HTTPException."""
        connection = (
            http.client.HTTPSConnection(host, port, timeout=timeout, context=trust)
            if trust
            else http.client.HTTPConnection(host, port, timeout=timeout)
        )
        with contextlib.closing(connection):
            connection.request("GET", target)
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read(limit)

    def unix_stream(self, path: str, target: str, timeout: float) -> tuple[int, Iterator[bytes]]:
        """
        POST over a Unix socket; returns the status, and what follows as it comes, each piece within `timeout` seconds.

        Raises OSError or HTTPException, and so may the iterator.
        """
        connection = UnixHTTPConnection(str(self.path(path)), timeout)
        try:
            connection.request("POST", target)
            response = connection.getresponse()
        except BaseException:
            connection.close()
            raise

        def pieces() -> Iterator[bytes]:
            with contextlib.closing(connection), response:
                while piece := response.read1(CHUNK):
                    yield piece

        return response.status, pieces()

    def docker(self, url: str, version: str, timeout: float = 5.0) -> docker.APIClient:
        """Build a client of the engine's API; one per probe, since it is not thread-safe (docker/docker-py#3229)."""
        import docker  # noqa: PLC0415 - heavy, and not every run asks

        # An explicit version: without one the constructor asks the daemon, and hangs with it.
        return docker.APIClient(base_url=url, version=version, timeout=timeout)  # type: ignore[arg-type]  # a float is fine

    # -- changes, for fixes only --------------------------------------------------------------------------------

    def real_path(self, path: str) -> str:
        """Follow symbolic links to where a file lies, or would lie; raises OSError where they lead in a circle."""
        try:
            return f"/{self.path(path).resolve().relative_to(self.root.resolve())}"
        except RuntimeError as circle:  # pathlib's own, before Python 3.13
            raise OSError(errno.ELOOP, "too many links", path) from circle

    def file_state(self, path: str) -> FileState | None:
        """Read a file with all that a replacement must keep; None when there is none; raises OSError."""
        target = self.path(path)
        try:
            status = target.stat()
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        data = self.read_bytes(path, MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            # What was not read whole would not be put back whole.
            raise OSError(errno.EFBIG, "too big to be kept", path)
        try:
            xattrs = tuple((name, os.getxattr(target, name)) for name in os.listxattr(target))
        except OSError as no:
            if no.errno != errno.ENOTSUP:
                raise
            xattrs = ()  # a filesystem without them
        return FileState(data, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, xattrs, status.st_mtime_ns)

    def hard_linked(self, path: str) -> bool:
        """Whether a file has another name, which would keep the old content when this one is replaced."""
        status = self.stat(path)
        return bool(status and status.st_nlink > 1)

    def put_file(self, path: str, state: FileState) -> None:
        """
        Make a file be exactly this, or leave it as it was: no reader and no power cut ever sees half of it.

        Raises OSError, which names this file and not the one that was to take its place.
        """
        try:
            self._replace(self.path(path), state)
        except OSError as no:
            raise OSError(no.errno, no.strerror, path) from no

    def _replace(self, target: Path, state: FileState) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        # In the same folder: rename(2) is atomic within one filesystem only.
        fd, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=UNFINISHED, dir=target.parent)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(state.data)
                file.flush()
                os.fchown(fd, state.uid, state.gid)
                os.fchmod(fd, state.mode)
                for key, value in state.xattrs:
                    os.setxattr(fd, key, value)
                if state.mtime_ns:
                    os.utime(fd, ns=(state.mtime_ns, state.mtime_ns))
                os.fsync(fd)
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        self._sync_folder(target.parent)

    def link_state(self, path: str) -> Linked | None:
        """Read a symbolic link; None where there is none."""
        target, status = self.readlink(path), self.lstat(path)
        return Linked(target, status.st_uid, status.st_gid) if target and status else None

    def put_link(self, path: str, state: Linked) -> None:
        """Make a name a symbolic link, or leave it as it was; raises OSError, which names this path."""
        place = self.path(path)
        # symlink(2) replaces nothing, and rename(2) does. One that a kill leaves is swept like a file's.
        beside = place.with_name(f".{place.name}.link{UNFINISHED}")
        try:
            beside.unlink(missing_ok=True)
            beside.symlink_to(state.target)
            os.lchown(beside, state.uid, state.gid)
            beside.replace(place)
            self._sync_folder(place.parent)
        except OSError as no:
            raise OSError(no.errno, no.strerror, path) from no

    def create_file(self, path: str, data: bytes, mode: int) -> None:
        """Write a file that was not there; raises FileExistsError, and leaves no half of one behind."""
        target = self.path(path)
        # O_EXCL follows no link, either.
        fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            with os.fdopen(fd, "wb") as file:
                os.fchmod(fd, mode)  # whatever the umask
                file.write(data)
        except BaseException:
            target.unlink(missing_ok=True)
            raise

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link, in the place of one that is there; raises OSError."""
        place = self.path(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        # Never without one: the new one is made beside it and takes its name.
        draft = place.with_name(f".{place.name}.{os.getpid()}{UNFINISHED}")
        draft.symlink_to(target)
        draft.replace(place)

    def sweep_unfinished(self, path: str) -> None:
        """Remove what a `put_file` that was killed has left beside a file."""
        target = self.path(path)
        for left in target.parent.glob(f".{glob.escape(target.name)}.*{UNFINISHED}"):
            left.unlink(missing_ok=True)

    def make_folder(self, path: str, mode: int = 0o755) -> None:
        """Make one folder, for good even after a power cut; one that is there is no error."""
        target = self.path(path)
        try:
            target.mkdir(mode)
        except FileExistsError:
            if not target.is_dir():
                raise
            return
        self._sync_folder(target.parent)

    def remove_folder(self, path: str) -> None:
        """Remove a folder if it is empty."""
        with contextlib.suppress(OSError):
            self.path(path).rmdir()

    def append_line(self, path: str, line: str) -> None:
        """Add a line to a file of root's own, whole or not at all, and for good even after a power cut; raises OSError."""
        target = self.path(path)
        new = not target.exists()
        fd = os.open(target, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(fd).st_size
            # A line that a power cut left without its end must not become the beginning of ours.
            cut = size and os.pread(fd, 1, size - 1) != b"\n"
            data = f"{chr(10) * bool(cut)}{line}\n".encode()
            if os.write(fd, data) != len(data):
                os.ftruncate(fd, size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
            os.fsync(fd)
        finally:
            os.close(fd)
        if new:
            self._sync_folder(target.parent)

    def remove_file(self, path: str) -> None:
        """Remove a file, for good even after a power cut; one that is not there is no error."""
        target = self.path(path)
        target.unlink(missing_ok=True)
        self._sync_folder(target.parent)

    @staticmethod
    def _sync_folder(folder: Path) -> None:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    @contextlib.contextmanager
    def uninterrupted(self) -> Iterator[None]:
        """Ignore Ctrl-C and polite kills: what puts things back must not itself be cut short."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        held = {number: signal.signal(number, signal.SIG_IGN) for number in INTERRUPTIONS}
        try:
            yield
        finally:
            for number, handler in held.items():
                signal.signal(number, handler)

    def sleep(self, seconds: float) -> None:
        """Wait before asking again."""
        time.sleep(seconds)

    def locked(self, path: str) -> bool:
        """Whether another process holds a lock, which is not waited for and not kept."""
        import fcntl  # noqa: PLC0415

        try:
            with self.path(path).open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    @contextlib.contextmanager
    def lock(self, path: str) -> Iterator[None]:
        """Keep two doctors apart; raises BlockingIOError when another one is at work."""
        import fcntl  # noqa: PLC0415

        target = self.path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        # Not "w": the number in it is that of whoever has the lock.
        with target.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.truncate(0)
            print(os.getpid(), file=file, flush=True)
            yield
