"""Files and folders, their owners and modes: replaced whole by the doctor, never written by the programs themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from dockerdoctor.fixes.shell import NotOurs, Simple, said
from dockerdoctor.fixes.steps import Back, Folder, Run, Step
from dockerdoctor.fixes.vocabulary.desk import Desk
from dockerdoctor.host import FileState, Linked

# Gone after another boot, though they look like files too.
PASSING_FOLDERS = ("/run/", "/tmp/")  # noqa: S108 - only compared with


def tee(one: Simple, desk: Desk) -> Iterator[Step]:
    """A file gets what the command is fed."""
    if one.fed is None or len(one.words) != 2:
        raise NotOurs("it is not told what is written")
    yield desk.write(one.words[1], _ended_as(desk.file(desk.path(one.words[1])), one.fed))


# What may stand behind the last brace of JSON.
BLANK = " \t\r\n"


def _ended_as(before: FileState | None, text: str) -> str:
    """A here-string ends with one newline; JSON that ended otherwise keeps its end, which no fix is about."""
    was = before.data.decode("utf-8", "surrogateescape") if before else ""
    bare, corrected = was.rstrip(BLANK), text.rstrip(BLANK)
    return corrected + was[len(bare) :] if bare.endswith("}") and corrected.endswith("}") else text


def echo(one: Simple, desk: Desk) -> Iterator[Step]:
    """A file gets what the command says, or more of it."""
    if not one.output:
        raise NotOurs("it says something, and changes nothing")
    before = desk.file(desk.path(one.output)) if one.append else None
    try:
        text = (before.data.decode() if before else "") + said(one.words)
    except UnicodeDecodeError as no:
        raise NotOurs(f"{one.output} is no text") from no
    yield desk.write(one.output, text)


def install(one: Simple, desk: Desk) -> Iterator[Step]:
    """A file with its folders, mode and owner."""
    options, names = _options(one.words[1:], "m")
    if len(names) != 2 or set(options) - {"D", "m"}:
        raise NotOurs("its options are not known here")
    source, target = names
    real, mode = desk.itself(target), int(options.get("m") or "755", 8)
    yield from _folders(target.rpartition("/")[0], desk)
    if isinstance(desk.state(real), Linked):
        if one.fed is None:
            raise NotOurs(f"{target} is a link")
        # install(1) takes a link's place, and writes through none.
        yield desk.put(real, FileState(one.fed.encode(), mode))
    elif source == "/dev/stdin" and one.fed is not None:
        yield desk.write(target, one.fed, mode)
    else:
        yield desk.put(desk.path(target), replace(_there(source, desk), mode=mode, uid=0, gid=0, xattrs=(), mtime_ns=0))


def cp(one: Simple, desk: Desk) -> Iterator[Step]:
    """A file that is like another; a backup is the journal's business."""
    options, names = _options(one.words[1:], "")
    if "-backup=numbered" in options:
        return  # the journal keeps what was
    if len(names) != 2 or set(options) - {"a", "p"}:
        raise NotOurs("its options are not known here")
    found = _there(names[0], desk)
    yield desk.put(desk.path(names[1]), found if options else replace(found, uid=0, gid=0, xattrs=(), mtime_ns=0))


def mv(one: Simple, desk: Desk) -> Iterator[Step]:
    """A file under another name."""
    options, names = _options(one.words[1:], "")
    if len(names) != 2 or options:
        raise NotOurs("its options are not known here")
    found = _there(names[0], desk)
    if any(isinstance(desk.state(desk.itself(name)), Linked) for name in names):
        raise NotOurs("one of both is a link")
    yield desk.put(desk.itself(names[1]), found)
    yield desk.put(desk.itself(names[0]), None)


# A container's log of the driver json-file.
LOG = re.compile(r"/containers/(?P<id>[0-9a-f]{64})/(?P=id)-json\.log")


def truncate(one: Simple, desk: Desk) -> Iterator[Step]:
    """What a container has said, for good: by the engine's own hand the file stays open, so it is cut and not replaced."""
    path = one.words[-1]
    log = LOG.search(path)
    if one.words[1:-1] != ("--size", "0") or not log:
        raise NotOurs("only a container's log may be cut")
    length = _status(path, desk).st_size
    yield Run(one.words, forever=f"what {log['id'][:12]} has said: {length / 1e6:.0f}MB of its log")


def rm(one: Simple, desk: Desk) -> Iterator[Step]:
    """Files that are there no more."""
    options, names = _options(one.words[1:], "")
    if set(options) - {"f"}:
        raise NotOurs("whole folders are not kept")
    for name in names:
        real = desk.itself(name)
        if not desk.state(real) and options:
            continue
        if not desk.state(real):
            raise NotOurs(f"{name} is not there")
        # A program's own while it runs, and gone with the next boot: whoever starts writes another in the place of a stale one.
        yield Run(("rm", "-f", real)) if real.startswith("/run/") else desk.put(real, None)


def ln(one: Simple, desk: Desk) -> Iterator[Step]:
    """A symbolic link, in the place of another, of a file, or of nothing."""
    options, names = _options(one.words[1:], "")
    if "s" not in options or set(options) - {"s", "f", "n"} or len(names) != 2:
        raise NotOurs("its options are not known here")
    target, name = names
    real = desk.itself(name)
    if desk.state(real) and "f" not in options:
        raise NotOurs(f"{name} is there already")
    yield desk.put(real, Linked(target))


def mkdir(one: Simple, desk: Desk) -> Iterator[Step]:
    """Folders, and those they lie in."""
    options, names = _options(one.words[1:], "")
    if set(options) - {"p"}:
        raise NotOurs("its options are not known here")
    for name in names:
        yield from _folders(name, desk)


def rmdir(one: Simple, desk: Desk) -> Iterator[Step]:
    """Empty folders, with the owner and the mode that they had."""
    for name in one.words[1:]:
        status = _status(real := desk.itself(name), desk)
        owner = ("-o", str(status.st_uid), "-g", str(status.st_gid))
        made = ("install", "-d", "-m", f"{status.st_mode & 0o7777:o}", *owner, real)
        yield Run(("rmdir", real), (Back(made, ("test", "-e", real), expected=False, lasting=_lasts(real)),))


def sed(one: Simple, desk: Desk) -> Iterator[Step]:
    """A file as sed would write it; sed itself is only asked."""
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


def _there(name: str, desk: Desk) -> FileState:
    if not (found := desk.file(desk.path(name))):
        raise NotOurs(f"{name} is not there")
    return found


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


def chmod(one: Simple, desk: Desk) -> Iterator[Step]:
    """A mode, and the one before."""
    path = _two(one, desk)
    yield Run((*one.words[:2], path), (_mode_back(path, desk),))


def chown(one: Simple, desk: Desk) -> Iterator[Step]:
    """An owner or a group, and those before."""
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
