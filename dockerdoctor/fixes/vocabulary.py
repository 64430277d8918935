"""
What each command of a fix does, and what takes it back; what cannot be taken back is left to a person.

One function a program: from its words to steps. Files are never written by the programs themselves but replaced whole by
the doctor, so that the change can be shown before, and no moment exists at which half of it is there.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from dockerdoctor.fixes.shell import NotOurs, Simple, commands, said
from dockerdoctor.fixes.steps import DOCKER_UNITS, HANDLE, Back, Folder, Put, Run, Step
from dockerdoctor.host import FileState, Host

# Of the person's own session: no other process can do it for them.
SESSION = frozenset({"unset", "export", "newgrp", "cd", "source", "exec", "sudo"})
# What stands in the place of a password in all that is shown.
MASK = "***"
# Not files, though they look like it.
KERNEL_FOLDERS = ("/proc/", "/sys/", "/dev/")
# Gone after another boot, though they look like files too.
PASSING_FOLDERS = ("/run/", "/tmp/")  # noqa: S108 - only compared with
# Docker mounts these into a container, which would keep the old one.
MOUNTED = re.compile(r"/containers/[0-9a-f]{64}/")


@dataclass(frozen=True, slots=True)
class Steps:
    """What the commands of one fix come to."""

    steps: tuple[Step, ...]
    remains: tuple[str, ...]  # for a person, afterwards


class Desk:
    """The host's files, and on top of them what the steps so far make of them."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.planned: dict[str, FileState | None] = {}
        self.chains: dict[tuple[str, ...], list[str]] = {}
        self.anchors: set[tuple[tuple[str, ...], str]] = set()  # rules behind which others are put back

    def path(self, path: str) -> str:
        """Where a file really lies: links are followed and kept; raises NotOurs."""
        if not path.startswith("/"):
            raise NotOurs(f"{path} depends on the folder it is said in")
        try:
            real = self.host.real_path(path)
        except OSError as no:
            raise NotOurs(f"{path}: {no.strerror}") from no
        if f"{real}/".startswith(KERNEL_FOLDERS):
            raise NotOurs(f"{real} is no file")
        if MOUNTED.search(real):
            raise NotOurs(f"{real} is mounted into a container, which would not see another in its place")
        return real

    def itself(self, path: str) -> str:
        """A file that a command takes the place of, or away: a link to one would be lost; raises NotOurs."""
        if self.host.readlink(path):
            raise NotOurs(f"{path} is a link")
        return self.path(path)

    def state(self, path: str) -> FileState | None:
        """How a file will be by now; raises NotOurs for what is none."""
        if path not in self.planned:
            try:
                self.planned[path] = self.host.file_state(path)
            except OSError as no:
                raise NotOurs(f"{path}: {no.strerror}") from no
            if self.host.hard_linked(path):
                raise NotOurs(f"{path} has another name (a hard link), and would be cut off from it")
        return self.planned[path]

    def put(self, path: str, after: FileState | None) -> Put:
        """Plan that a file becomes this."""
        step = Put(path, self.state(path), after)
        self.planned[path] = after
        return step

    def write(self, path: str, text: str, mode: int | None = None) -> Put:
        """Plan a file's content; owner and mode stay what they are."""
        before = self.state(real := self.path(path))
        after = replace(before, data=text.encode(), mtime_ns=0) if before else FileState(text.encode())
        return self.put(real, replace(after, mode=mode) if mode is not None else after)

    def chain(self, *listing: str) -> list[str]:
        """Give the lines of a chain as they will be by now; who plans a change of it makes it here too. Raises NotOurs."""
        if listing not in self.chains:
            self.chains[listing] = self.run(*listing).splitlines()
        return self.chains[listing]

    def run(self, *argv: str) -> str:
        """Ask the host something; raises NotOurs if it does not say."""
        done = self.host.run(*argv, timeout=10)
        if not done.ok:
            raise NotOurs(f"{shlex.join(argv)}: {done.err.strip() or done.code}")
        return done.out


def understand(fix: Iterable[str], host: Host) -> Steps:
    """Plan the commands of a fix, in order; raises NotOurs at the first that a person must type."""
    desk = Desk(host)
    steps: list[Step] = []
    remains: list[str] = []
    for line in fix:
        if line.startswith("#") or line.split()[0] in SESSION:
            remains.append(line)
            continue
        # What was said before a command is about that command, or about what may be done in its place.
        remains = [one for one in remains if not one.startswith("#")]
        if MASK in line:
            raise NotOurs("a password stands in it, which facts do not hold")
        for one in commands(line):
            word = WORDS.get(one.words[0].rpartition("/")[2])
            if word is None:
                raise NotOurs(f"{one.words[0]} is not among the commands that the doctor can take back")
            try:
                steps += word(one, desk)
            except (IndexError, ValueError) as no:  # fewer words than it needs, a mode that is no number
                raise NotOurs(f"{shlex.join(one.words)}: not as it is known here") from no
    return Steps(tuple(steps), tuple(remains))


def automatic(fix: Iterable[str]) -> bool:
    """Whether the doctor knows each command of a fix; what it finds on the host may still forbid it. Pure."""
    mine = [line for line in fix if not line.startswith("#") and line.split()[0] not in SESSION]
    if is_fix_dns(mine):
        return True
    try:
        return bool(mine) and all(WORDS.get(one.words[0]) for line in mine for one in commands(line))
    except NotOurs:
        return False


def is_fix_dns(fix: Iterable[str]) -> bool:
    """Whether the fix is `doctor fix-dns`, and nothing else."""
    words = [line.split() for line in fix if not line.startswith("#")]
    return len(words) == 1 and words[0][0].rpartition("/")[2] == "doctor" and "fix-dns" in words[0]


# -- files


def _tee(one: Simple, desk: Desk) -> Iterator[Step]:
    if one.fed is None or len(one.words) != 2:
        raise NotOurs("it is not told what is written")
    yield desk.write(one.words[1], one.fed)


def _echo(one: Simple, desk: Desk) -> Iterator[Step]:
    if not one.output:
        raise NotOurs("it says something, and changes nothing")
    before = desk.state(desk.path(one.output)) if one.append else None
    try:
        text = (before.data.decode() if before else "") + said(one.words)
    except UnicodeDecodeError as no:
        raise NotOurs(f"{one.output} is no text") from no
    yield desk.write(one.output, text)


def _install(one: Simple, desk: Desk) -> Iterator[Step]:
    options, names = _options(one.words[1:], "m")
    if len(names) != 2 or set(options) - {"D", "m"}:
        raise NotOurs("its options are not known here")
    source, target = names
    desk.itself(target)
    yield from _folders(target.rpartition("/")[0], desk)
    mode = int(options.get("m") or "755", 8)
    if source == "/dev/stdin" and one.fed is not None:
        yield desk.write(target, one.fed, mode)
    else:
        yield desk.put(desk.path(target), replace(_there(source, desk), mode=mode, uid=0, gid=0, xattrs=(), mtime_ns=0))


def _cp(one: Simple, desk: Desk) -> Iterator[Step]:
    options, names = _options(one.words[1:], "")
    if "-backup=numbered" in options:
        return  # the journal keeps what was
    if len(names) != 2 or set(options) - {"a", "p"}:
        raise NotOurs("its options are not known here")
    found = _there(names[0], desk)
    yield desk.put(desk.path(names[1]), found if options else replace(found, uid=0, gid=0, xattrs=(), mtime_ns=0))


def _mv(one: Simple, desk: Desk) -> Iterator[Step]:
    options, names = _options(one.words[1:], "")
    if len(names) != 2 or options:
        raise NotOurs("its options are not known here")
    found = _there(names[0], desk)
    yield desk.put(desk.itself(names[1]), found)
    yield desk.put(desk.itself(names[0]), None)


def _rm(one: Simple, desk: Desk) -> Iterator[Step]:
    options, names = _options(one.words[1:], "")
    if set(options) - {"f"}:
        raise NotOurs("whole folders are not kept")
    for name in names:
        if _there(name, desk, missing=bool(options)):
            yield desk.put(desk.itself(name), None)


def _mkdir(one: Simple, desk: Desk) -> Iterator[Step]:
    options, names = _options(one.words[1:], "")
    if set(options) - {"p"}:
        raise NotOurs("its options are not known here")
    for name in names:
        yield from _folders(name, desk)


def _rmdir(one: Simple, desk: Desk) -> Iterator[Step]:
    for name in one.words[1:]:
        status = _status(real := desk.itself(name), desk)
        owner = ("-o", str(status.st_uid), "-g", str(status.st_gid))
        made = ("install", "-d", "-m", f"{status.st_mode & 0o7777:o}", *owner, real)
        yield Run(("rmdir", real), (Back(made, ("test", "-e", real), expected=False, lasting=_lasts(real)),))


def _sed(one: Simple, desk: Desk) -> Iterator[Step]:
    options, names = _options(one.words[1:], "")
    # Links are followed here in any case.
    options.pop("-follow-symlinks", None)
    if "i" not in options or set(options) - {"i", "E", "z"} or len(names) != 2:
        raise NotOurs("its options are not known here")
    script, name = names
    found = _there(name, desk)
    try:
        text = found.data.decode()
    except UnicodeDecodeError as no:
        raise NotOurs(f"{name} is no text") from no
    flags = [f"-{letter}" for letter in options if letter != "i"]
    # No w, e or r: GNU sed's --sandbox rejects what reads, writes or runs anything else.
    done = desk.host.run("sed", "--sandbox", *flags, script, timeout=10, stdin=text)
    if not done.ok:
        raise NotOurs(done.err.strip())
    # In the C locale it counts bytes, and may have cut a letter in two.
    if done.out.count("\ufffd") != text.count("\ufffd"):
        raise NotOurs(f"{name} has letters that this would cut")
    yield desk.write(name, done.out)


def _there(name: str, desk: Desk, *, missing: bool = False) -> FileState:
    found = desk.state(desk.path(name))
    if found is None and not missing:
        raise NotOurs(f"{name} is not there")
    return found  # type: ignore[return-value]  # None only where the caller said so


def _folders(path: str, desk: Desk) -> Iterator[Step]:
    """Make a folder, and those it lies in."""
    real, parts = desk.path(path), []
    while real != "/" and not desk.host.exists(real):
        parts.append(real)
        real = real.rpartition("/")[0] or "/"
    yield from (Folder(part) for part in reversed(parts))


def _options(words: Sequence[str], valued: str) -> tuple[dict[str, str], list[str]]:
    """Tell options from names; `valued` are the letters that take a value."""
    options: dict[str, str] = {}
    names: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word.startswith("--"):
            options[word[1:]] = ""
        elif word.startswith("-") and len(word) > 1:
            for letter in word[1:]:
                options[letter] = rest.pop(0) if letter in valued and rest else ""
        else:
            names.append(word)
    return options, names


# -- permissions: of sockets too, which cannot be replaced


def _chmod(one: Simple, desk: Desk) -> Iterator[Step]:
    path = _two(one, desk)
    yield Run((*one.words[:2], path), (_mode_back(path, desk),))


def _chown(one: Simple, desk: Desk) -> Iterator[Step]:
    path = _two(one, desk)
    status = _status(path, desk)
    back = Back(("chown", f"{status.st_uid}:{status.st_gid}", path), ("test", "-e", path), lasting=_lasts(path))
    # A new owner takes the set-user-ID bit away (chown(2)).
    yield Run((*one.words[:2], path), (back, _mode_back(path, desk)))


def _mode_back(path: str, desk: Desk) -> Back:
    mode = f"{_status(path, desk).st_mode & 0o7777:o}"
    return Back(("chmod", mode, path), ("test", "-e", path), lasting=_lasts(path))


def _two(one: Simple, desk: Desk) -> str:
    """Give the file that a mode or an owner is for: links are followed, as the programs do."""
    if len(one.words) != 3 or one.words[1].startswith("-"):
        raise NotOurs("what lies below is not kept")
    return desk.path(one.words[2])


def _lasts(path: str) -> bool:
    return not path.startswith(PASSING_FOLDERS)


def _status(path: str, desk: Desk):  # type: ignore[no-untyped-def]  # noqa: ANN202 - os.stat_result, and os is not for here
    status = desk.host.lstat(path)
    if not status:
        raise NotOurs(f"{path} is not there")
    return status


# -- services


def _systemctl(one: Simple, desk: Desk) -> Iterator[Step]:
    verb, units = one.words[1], [word for word in one.words[2:] if not word.startswith("-")]
    if verb == "daemon-reload":
        yield Run(one.words, again=one.words)
    elif not units:
        raise NotOurs("it is not told for which unit")
    elif verb == "reset-failed":
        # Again before the last restart, too: a start that failed counts against the start limit.
        yield Run(one.words, again=one.words, lenient=True)
    elif verb == "reload":
        yield Run(one.words, again=one.words)
    elif verb in {"restart", "start"}:
        idle = tuple(unit for unit in units if not _active(unit, desk))
        busy = tuple(unit for unit in units if unit not in idle)
        back = (Back(("systemctl", "stop", *idle)),) if idle else ()
        yield Run(one.words, back, again=("systemctl", "restart", *busy) if busy else ())
    elif verb == "stop":
        running = tuple(unit for unit in units if _active(unit, desk))
        yield Run(one.words, (Back(("systemctl", "start", *running)),) if running else ())
    elif verb == "unmask":
        masked = {where: tuple(u for u in units if _masked(u, where, desk)) for where in ("etc", "run")}
        backs = [(("--runtime",) if where == "run" else (), units) for where, units in masked.items() if units]
        yield Run(
            one.words,
            tuple(Back(("systemctl", "mask", *how, *units), lasting=not how) for how, units in backs),
        )
    elif verb == "enable":
        off = tuple(unit for unit in units if _disabled(unit, desk))
        back = (Back(("systemctl", "disable", *off), lasting=True),) if off else ()
        idle = tuple(unit for unit in units if "--now" in one.words and not _active(unit, desk))
        yield Run(one.words, (*back, *((Back(("systemctl", "stop", *idle)),) if idle else ())))
    elif verb == "kill" and set(units) <= DOCKER_UNITS:
        yield Run(one.words)
    else:
        raise NotOurs(f"systemctl {verb} is not among what the doctor can take back")


def _masked(unit: str, where: str, desk: Desk) -> bool:
    """Whether a link to nothing masks a unit; one that is masked by an empty file cannot be masked again so."""
    name = unit if "." in unit else f"{unit}.service"
    return desk.host.readlink(f"/{where}/systemd/system/{name}") == "/dev/null"


def _disabled(unit: str, desk: Desk) -> bool:
    """Whether to disable a unit makes it as it was; raises NotOurs where that would take a link away that was there."""
    done = desk.host.run("systemctl", "is-enabled", unit)
    if done.ok:
        return False
    if done.out.strip() != "disabled":
        raise NotOurs(f"{unit} is {done.out.strip() or 'not known'}")
    return True


def _active(unit: str, desk: Desk) -> bool:
    return desk.host.run("systemctl", "is-active", "--quiet", unit).ok


def _update_ca_certificates(one: Simple, desk: Desk) -> Iterator[Step]:  # noqa: ARG001
    if one.words[1:]:
        raise NotOurs("its options are not known here")
    # It makes the bundle of what lies in its folders: again, once these are as they were.
    yield Run(one.words, again=one.words)


def _networkctl(one: Simple, desk: Desk) -> Iterator[Step]:  # noqa: ARG001 - one signature for all
    if one.words[1:] != ("reload",):
        raise NotOurs("only its reload is known here")
    yield Run(one.words, again=one.words)


# -- the kernel


def _sysctl(one: Simple, desk: Desk) -> Iterator[Step]:
    if one.words[1:2] != ("-w",) or len(one.words) != 3:
        raise NotOurs("only sysctl -w NAME=VALUE is known here")
    name = one.words[2].partition("=")[0]
    ask = ("sysctl", "-n", name)
    # Those of a bridge go with it.
    yield Run(one.words, (Back(("sysctl", "-w", f"{name}={desk.run(*ask).strip()}"), ask),))


def _iptables(one: Simple, desk: Desk) -> Iterator[Step]:
    program, *words = one.words
    table = words[words.index("-t") + 1] if "-t" in words else "filter"
    if "-t" in words:
        del words[words.index("-t") : words.index("-t") + 2]
    act, chain, *spec = words
    base = (program, "-t", table)
    listing = (*base, "-S", chain)
    lines = desk.chain(*listing)
    if act == "-P":
        policy = next((line.split()[2] for line in lines if line.startswith("-P ")), "")
        if not policy:
            raise NotOurs(f"{chain} has no policy")
        yield Run(one.words, (Back((*base, "-P", chain, policy)),))
        return
    first = next((at for at, line in enumerate(lines) if line.startswith("-A ")), len(lines))
    rules = [shlex.split(line)[2:] for line in lines[first:]]
    if act in {"-I", "-A"}:
        place = int(spec.pop(0)) if spec[:1] and spec[0].isdecimal() else 1 if act == "-I" else len(rules) + 1
        test: tuple[tuple[str, ...], str, int] = ((*base, "-C", chain, *spec), "", 0)
        if spec in rules:
            # The first such rule is the one that is deleted: that must be this one.
            if place > rules.index(spec) + 1:
                raise NotOurs(f"{chain} has such a rule before it")
            test = (listing, f"{lines[first + rules.index(spec)]}\n", rules.count(spec))
        elif desk.host.run(*test[0], timeout=10).ok:
            raise NotOurs(f"{chain} has such a rule, in other words")
        lines.insert(first + place - 1, shlex.join(("-A", chain, *spec)))
        yield Run(one.words, (Back((*base, "-D", chain, *spec), *test),))
    elif act == "-D":
        if spec not in rules:
            raise NotOurs(f"{chain} has no such rule")
        at = rules.index(spec)
        put = (*base, "-I", chain, str(at + 1), *spec)
        test = ((*base, "-C", chain, *spec), "", 0)
        if rules.count(spec) > 1:
            test = (listing, f"{lines[first + at]}\n", rules.count(spec) - 1)
        del lines[first + at]
        yield Run(one.words, (Back(put, *test, expected=False),))
    else:
        raise NotOurs(f"{program} {act} is not among what the doctor can take back")


# What nft shows of rules that iptables made, and cannot read itself.
FOREIGN = re.compile(r"\bxt (match|target)\b|#")


def _nft(one: Simple, desk: Desk) -> Iterator[Step]:
    """A rule is deleted by its handle, and put back behind the one before it; one that is added is known by its new handle."""
    act, kind, *words = one.words[1:]
    where = words[:3]
    if kind != "rule" or act not in {"delete", "insert", "add"} or len(words) < 5:
        raise NotOurs("of nft only single rules can be taken back")
    listing = ("nft", "--stateless", "--handle", "list", "chain", *where)
    lines = desk.chain(*listing)
    rules = [line.rpartition(" # handle ")[::2] for line in lines if line.startswith("\t\t") and " # handle " in line]
    handles = tuple(handle for _, handle in rules)
    if act != "delete":
        if words[3] in {"position", "index", "handle"}:
            raise NotOurs("of nft only rules at the beginning or the end of a chain can be taken back")
        text = " ".join(words[3:])
        back = Back(("nft", "delete", "rule", *where, "handle", HANDLE), listing, text, handles=handles)
        yield Run(one.words, (back,))
        return
    if words[3] != "handle" or words[4] not in handles:
        raise NotOurs(f"{' '.join(where)} has no such rule")
    place = handles.index(words[4])
    shown = rules[place][0]
    rule = shown.strip()
    if rule.count("{") != rule.count("}") or FOREIGN.search(rule) or [r for r, _ in rules].count(shown) > 1:
        raise NotOurs(f"{' '.join(where)} shows the rule in a way that it cannot be put back from")
    del lines[lines.index(f"{shown} # handle {words[4]}")]
    # The one before may be deleted, too: then it has another handle when it is back.
    if (listing, words[4]) in desk.anchors:
        raise NotOurs("another rule is to be put back behind it")
    if place:
        desk.anchors.add((listing, handles[place - 1]))
    before = ("add", "rule", *where, "position", handles[place - 1]) if place else ("insert", "rule", *where)
    test = ("nft", "--stateless", "list", "chain", *where)
    yield Run(one.words, (Back(("nft", *before, rule), test, f"{shown}\n", expected=False),))


def _ip(one: Simple, desk: Desk) -> Iterator[Step]:
    words = [word for word in one.words if word != "dev"]
    if words[:3] == ["ip", "link", "set"] and words[4:] == ["up"]:
        up = "UP" in desk.run("ip", "-o", "link", "show", "dev", words[3]).partition("<")[2].partition(">")[0].split(
            ","
        )
        yield Run(one.words, () if up else (Back(("ip", "link", "set", "dev", words[3], "down"), lenient=True),))
    elif words[:3] == ["ip", "address", "add"]:
        address, device = words[3], one.words[one.words.index("dev") + 1]
        if f" {address} " in desk.run("ip", "-o", "address", "show", "dev", device):
            raise NotOurs(f"{device} has {address} already")
        yield Run(one.words, (Back(("ip", "address", "del", address, "dev", device), lenient=True),))
    else:
        raise NotOurs("of ip only links that come up and addresses that are added can be taken back")


def _bridge(one: Simple, desk: Desk) -> Iterator[Step]:  # noqa: ARG001
    if one.words[1:4] != ("link", "set", "dev") or one.words[5:] != ("hairpin", "on"):
        raise NotOurs("only its hairpin mode is known here")
    # The port may have gone with its container.
    yield Run(one.words, (Back((*one.words[:-1], "off"), lenient=True),))


def _kill(one: Simple, desk: Desk) -> Iterator[Step]:  # noqa: ARG001
    if one.words[1:2] != ("-CONT",):
        raise NotOurs("a process that has ended does not come back")
    yield Run(one.words)


def _prlimit(one: Simple, desk: Desk) -> Iterator[Step]:
    """A limit of a running process: its soft one, as it was."""
    if one.words[1:2] != ("--pid",) or len(one.words) != 4 or not one.words[3].startswith("--nofile="):
        raise NotOurs("only --pid PID --nofile=LIMITS is known here")
    pid = one.words[2]
    now = desk.run("prlimit", "--pid", pid, "--nofile", "--output", "SOFT,HARD", "--noheadings", "--raw").split()
    began = desk.host.process_stat(int(pid))[19]
    # The process may have ended by then, and its limits with it; and its number may be another's, which began later.
    test = ("cat", f"/proc/{pid}/stat")
    yield Run(
        one.words, (Back(("prlimit", "--pid", pid, f"--nofile={':'.join(now)}"), test, f" {began} ", lenient=True),)
    )


def _mount(one: Simple, desk: Desk) -> Iterator[Step]:  # noqa: ARG001
    if one.words[1:3] != ("-o", "remount,rw") or len(one.words) != 4:
        raise NotOurs("of mounts only one that becomes writable can be taken back")
    yield Run(one.words, (Back(("mount", "-o", "remount,ro", one.words[3])),))


def _conntrack(one: Simple, desk: Desk) -> Iterator[Step]:  # noqa: ARG001
    if one.words[1:2] != ("-D",):
        raise NotOurs("only the deletion of single entries is known here")
    # The kernel makes such an entry anew with the next packet; none to delete is no failure.
    yield Run(one.words, lenient=True)


# -- users


def _groupadd(one: Simple, desk: Desk) -> Iterator[Step]:
    name = one.words[-1]
    if desk.host.group_id(name) is not None:
        raise NotOurs(f"there is a group {name} already")
    yield Run(one.words, (Back(("groupdel", name), ("getent", "group", name), lasting=True),))


def _usermod(one: Simple, desk: Desk) -> Iterator[Step]:
    if one.words[1] != "-aG" or len(one.words) != 4:
        raise NotOurs("only membership of a group is known here")
    group, user = one.words[2:]
    number = desk.host.group_id(group)
    if number is not None and user in desk.host.group_members(number):
        raise NotOurs(f"{user} is a member of {group} already")
    # Who is no member any more, or not yet, cannot be taken out.
    yield Run(one.words, (Back(("gpasswd", "-d", user, group), lenient=True, lasting=True),))


# -- containers and networks


def _docker(one: Simple, desk: Desk) -> Iterator[Step]:
    words = one.words[1:]
    last = words[-1]
    if words[0] in {"restart", "start", "stop"} and any(word.startswith("-") for word in words[1:]):
        raise NotOurs("its options are not known here")
    if words[0] == "restart":
        yield Run(one.words)
    elif words[0] == "start":
        idle = tuple(name for name in words[1:] if desk.host.run(*_state(name), timeout=10).out.strip() != "true")
        yield Run(one.words, (Back(("docker", "stop", *idle), lenient=True),) if idle else ())
    elif words[0] == "stop":
        busy = tuple(name for name in words[1:] if desk.run(*_state(name)).strip() == "true")
        yield Run(one.words, (Back(("docker", "start", *busy), lenient=True),) if busy else ())
    elif words[:2] == ("network", "create"):
        if last in desk.run("docker", "network", "ls", "--format", "{{.Name}}").split():
            raise NotOurs(f"there is a network {last} already")
        yield Run(one.words, (Back(("docker", "network", "rm", last), lenient=True, lasting=True),))
    elif words[:2] == ("network", "connect"):
        network, container = words[-2:]
        joined = desk.run("docker", "inspect", "--format", "{{json .NetworkSettings.Networks}}", container)
        if network in json.loads(joined):
            raise NotOurs(f"{container} is on {network} already")
        yield Run(
            one.words, (Back(("docker", "network", "disconnect", network, container), lenient=True, lasting=True),)
        )
    elif words[0] == "update":
        back = ("docker", "update", *_limits(words[1:-1], last, desk), last)
        yield Run(one.words, (Back(back, lasting=True),))
    elif words[-3:-1] == ("context", "use"):
        there = desk.run("docker", "context", "show").strip()
        yield Run(one.words, (Back(("docker", "context", "use", there), lasting=True),))
    else:
        raise NotOurs(f"docker {words[0]} is not among what the doctor can take back")


def _state(container: str) -> tuple[str, ...]:
    """Ask whether a container runs."""
    return ("docker", "inspect", "--format", "{{.State.Running}}", container)


# The API takes 0 for "as it is": a limit that was none before cannot be told to be none again, but for these.
LIMITS = {"--memory": ("Memory", ""), "--memory-swap": ("MemorySwap", "-1"), "--pids-limit": ("PidsLimit", "-1")}


def _limits(options: Sequence[str], container: str, desk: Desk) -> Iterator[str]:
    """Give the options that make a container's limits what they are now."""
    now = json.loads(desk.run("docker", "inspect", "--format", "{{json .HostConfig}}", container))
    for option in options[::2]:
        key, none = LIMITS.get(option, ("", ""))
        value = str(now.get(key) or none)
        if not value:
            raise NotOurs(f"docker update {option} cannot be taken back here")
        yield from (option, value)


Word = Callable[[Simple, Desk], Iterable[Step]]
FIREWALL = ("iptables", "ip6tables", "iptables-legacy", "ip6tables-legacy", "iptables-nft", "ip6tables-nft")
WORDS: Mapping[str, Word] = dict.fromkeys(FIREWALL, _iptables) | {
    "bridge": _bridge,
    "chgrp": _chown,
    "chmod": _chmod,
    "chown": _chown,
    "conntrack": _conntrack,
    "cp": _cp,
    "docker": _docker,
    "echo": _echo,
    "groupadd": _groupadd,
    "install": _install,
    "ip": _ip,
    "kill": _kill,
    "mkdir": _mkdir,
    "mount": _mount,
    "mv": _mv,
    "networkctl": _networkctl,
    "nft": _nft,
    "printf": _echo,
    "prlimit": _prlimit,
    "rm": _rm,
    "rmdir": _rmdir,
    "sed": _sed,
    "sysctl": _sysctl,
    "systemctl": _systemctl,
    "tee": _tee,
    "update-ca-certificates": _update_ca_certificates,
    "usermod": _usermod,
}
