"""Containers whose program the kernel could not execute, or that miss what it needs. Pure."""

from __future__ import annotations

import re
import shlex

from dockerdoctor.checks.ended_bounds import NO_RIGHT
from dockerdoctor.checks.ended_starts import FORMAT, no_right
from dockerdoctor.checks.endings import (
    Case,
    Scene,
    Trouble,
    anew,
    begin,
    does,
    meanwhile,
    mended,
    state_of,
    words,
)
from dockerdoctor.facts.containers import Container
from dockerdoctor.facts.endings import PATH, Ending
from dockerdoctor.facts.program import Program
from dockerdoctor.model import Evidence

NOT_EXECUTED = re.compile(r"^exec [^:]*:|exec user process caused", re.IGNORECASE)
NO_FILE = re.compile(r"no such file or directory", re.IGNORECASE)
# How shells and env(1) write a carriage return: as it is, as ^M, or as \r within quotes.
CARRIAGE_RETURN = re.compile(r"(?:\r|\^M|\\r)['’\"]?(?::|$| )|\$'\\r'")
COMPLAINT = re.compile(
    r"not found|no such file|bad interpreter|illegal option|invalid option|syntax error|unexpected|bad trap",
    re.IGNORECASE,
)
LIBRARY = re.compile(
    r"error while loading shared libraries: (?P<glibc>[^:\s]+)|Error loading shared library (?P<musl>[^:\s]+)"
    r"|version `(?P<version>[^']+)' not found|Error relocating [^:]+: (?P<symbol>\S+): symbol not found"
)
NO_TOOL = re.compile(r"(?:^|: )(?P<file>[^\s:]+): (?:command )?not found|exec: (?P<exec>[^\s:]+): not found")


def kernel_said(ending: Ending, words_: re.Pattern[str]) -> str:
    """Find the line in which runc says that the kernel did not execute the program."""
    return next((x for x in reversed(ending.lines) if NOT_EXECUTED.search(x) and words_.search(x)), "")


def file_of(container: Container, file: Program | None) -> str:
    """The path of the program."""
    return file.path if file else container.command[0]


def wrong_format(container: Container, ending: Ending, how: Trouble, scene: Scene) -> Case | None:
    """The kernel does not know its format."""
    if not kernel_said(ending, FORMAT):
        return None
    file, ours = ending.program, scene.architecture
    path = file_of(container, file)
    seen = [state_of(container, how), *words(container, ending, 1)]
    theirs = file.machine if file and file.machine else ending.architecture
    last = (begin(container), "# and build the image with it")
    if file and file.kind in {"text", "empty"}:
        seen.append(
            Evidence(
                f"{container.name}:{path}", "an empty file" if file.kind == "empty" else 'no "#!" at its beginning'
            )
        )
        cause = (
            f"{path} is {'empty' if file.kind == 'empty' else 'a script without a first line that says what runs it'}."
        )
        fix: tuple[str, ...] = (f"# {path} is empty in the image {container.image}: build it again",)
        if file.kind == "text":
            fix = (mended(container, path, "sed -i '1i #!/bin/sh'"), *last)
    elif theirs and ours and theirs != ours:
        seen.append(
            Evidence(
                f"{container.name}:{path}" if file and file.machine else f"docker image inspect {container.image}",
                theirs,
            )
        )
        cause = f"It is made for {theirs}, and this machine is {ours}."
        image = shlex.quote(container.image)
        fix = (
            f"docker pull --platform linux/{ours} {image}",
            f"# if there is none for {ours}, build it: docker build --platform linux/{ours} …",
            anew(container, "the new image"),
            f"# or have the kernel emulate {theirs}: install qemu-user-static and binfmt-support",
        )
    else:
        cause = "The kernel cannot execute it: it is of another architecture, or no program at all."
        fix = (f"docker cp {container.name}:{path} - | tar -xO | head -c 20 | od -c", "# build the image again")
    return Case(
        "exec-format",
        container,
        f"{does(container, how)}: the kernel cannot execute {path}",
        cause,
        tuple(seen),
        (*fix, *meanwhile(container, how)),
    )


def wrong_line_ends(container: Container, ending: Ending, how: Trouble, _: Scene) -> Case | None:
    """Its script has the line ends of Windows."""
    file = ending.program
    said = next((x for x in ending.lines if CARRIAGE_RETURN.search(x) and COMPLAINT.search(x)), "")
    if not said and not (file and file.carriage_return and kernel_said(ending, NO_FILE)):
        return None
    named_ = [p for p in PATH.findall(said) if not p.startswith(("/bin/", "/usr/bin/"))]
    scripts = [w for w in container.command if w.startswith("/") and w.endswith((".sh", ".bash", ".py"))]
    path = file.path if file else (*named_, *scripts, "")[0].rstrip("\r")
    first = (
        f'"#!{file.interpreter}{f" {file.argument}" if file.argument else ""}\\r"'
        if file and file.kind == "script"
        else ""
    )
    seen = (
        state_of(container, how),
        *words(container, ending, 2),
        *((Evidence(f"{container.name}:{path}", first),) if first else ()),
    )
    fix: tuple[str, ...] = (f"# convert the script: sed -i 's/\\r$//' FILE, then: {begin(container)}",)
    if path:
        fix = (mended(container, path, "sed -i 's/\\r$//'"), begin(container))
    return Case(
        "line-endings",
        container,
        f"{does(container, how)}: {path or 'its script'} has the line ends of Windows (CRLF)",
        "The kernel takes the carriage return for a part of the interpreter's name, and a shell for a part of each command.",
        seen,
        (
            *fix,
            '# so that it lasts: "*.sh text eol=lf" in .gitattributes, check it out anew, and build the image again',
            *meanwhile(container, how),
        ),
    )


def no_interpreter(container: Container, ending: Ending, how: Trouble, _: Scene) -> Case | None:
    """What is to run its program is not in the image."""
    if not kernel_said(ending, NO_FILE):
        return None
    file = ending.program
    path = file_of(container, file)
    runs = file.interpreter if file else ""
    seen = [state_of(container, how), *words(container, ending, 1)]
    if file and file.kind == "missing":
        cause = f"{path} is not there (any more)."
        fix = anew(container, "the right path")
    elif file and file.kind == "script":
        seen.append(Evidence(f"{container.name}:{path}", f"#!{runs}"))
        cause = f"The script is run by {runs}, which the image {container.image} does not have."
        fix = "# build the image with it (Alpine: RUN apk add bash), or let the script say #!/bin/sh"
    elif file and file.kind == "elf":
        seen.append(Evidence(f"{container.name}:{path}", f"interpreter {runs}"))
        libc = "musl" if "musl" in runs else "glibc"
        cause = f"The program is linked against {libc}, whose loader {runs} the image {container.image} does not have."
        fix = f"# build it statically, or on an image with {libc}" + (
            " (Debian instead of Alpine)" if libc == "glibc" else " (Alpine)"
        )
    else:
        cause = f"{path} is there, or the container had not been started: what runs it, its interpreter or loader, is missing."
        fix = f"docker cp {container.name}:{path} - | tar -xO | head -c 60"
    return Case(
        "interpreter",
        container,
        f"{does(container, how)}: {runs or 'what is to run it'}, which {path} needs, is not in its image",
        cause,
        tuple(seen),
        (fix, *meanwhile(container, how)),
    )


def no_right_inside(container: Container, ending: Ending, how: Trouble, _: Scene) -> Case | None:
    """What its shell was to execute may not be executed."""
    said = kernel_said(ending, NO_RIGHT) or next(
        (x for x in reversed(ending.lines) if how.code == 126 and NO_RIGHT.search(x)), ""
    )
    if not said:
        return None
    paths = PATH.findall(said) or [container.command[0]]
    return no_right(container, paths[-1], state_of(container, how), *words(container, ending, 1))


def no_library(container: Container, ending: Ending, how: Trouble, _: Scene) -> Case | None:
    """A shared library that its program needs is not in the image."""
    match = next((m for x in ending.lines if (m := LIBRARY.search(x))), None)
    if not match:
        return None
    what = next(v for v in match.groups() if v)
    return Case(
        "libraries",
        container,
        f"{does(container, how)}: {what} is not in its image",
        "The program is linked against a library that the image does not have, or has in another version.",
        (state_of(container, how), *words(container, ending, 2)),
        (
            f"# install the package that has {what} where the image is built, and build it again",
            *meanwhile(container, how),
        ),
    )


def no_tool(container: Container, ending: Ending, how: Trouble, _: Scene) -> Case | None:
    """Its shell did not find a program."""
    match = next((m for x in reversed(ending.lines) if (m := NO_TOOL.search(x))), None)
    if how.code != 127 or not match:
        return None
    what = match["exec"] or match["file"]
    return Case(
        "command-found",
        container,
        f"{does(container, how)}: {what} is not in its image",
        f"The container's shell was told to run {what}, and there is no such program in {container.image}.",
        (state_of(container, how), *words(container, ending, 2)),
        (f"# install {what} where the image is built, or correct its name", *meanwhile(container, how)),
    )
