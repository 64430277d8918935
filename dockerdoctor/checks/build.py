"""`docker build .` in the working directory: which builder it would get, and what of the context stands in its way."""

from __future__ import annotations

from shlex import quote

from dockerdoctor.checks.endpoint import exported
from dockerdoctor.checks.plugins import BUILDX, install
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.build import BuildFile, Context
from dockerdoctor.facts.caller import Caller
from dockerdoctor.facts.endpoint import ClientConfig, DaemonPing, Exports, Settings
from dockerdoctor.facts.plugins import Cli, Plugins
from dockerdoctor.model import Evidence, Finding, Severity

BUILDKIT = "https://docs.docker.com/build/buildkit/"
CONTEXT = "https://docs.docker.com/build/concepts/context/"
# As Go reads a boolean (strconv.ParseBool).
TRUE = frozenset({"1", "t", "T", "true", "True", "TRUE"})
FALSE = frozenset({"0", "f", "F", "false", "False", "FALSE"})
# A context that is sent by mistake has somebody's data in it; a large one of sources has some hundred megabytes.
HUGE = 1 << 30


def _asked(exports: Exports) -> str:
    return exports.env.get("DOCKER_BUILDKIT", "")


def _classic(cli: Cli, plugins: Plugins, exports: Exports, ping: DaemonPing | None) -> bool:
    """Whether the old builder would be used, or none (docker/cli, processBuilder)."""
    asked = _asked(exports)
    if asked in FALSE:
        return True
    if cli.delegates:
        return not plugins.buildx.works
    return asked not in TRUE and not (ping and ping.builder == "2")


@check(
    "client.buildx",
    title="Where BuildKit is asked for the client has buildx",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/go/buildx/",
    upstream=("client.plugins",),
)
def buildx(plugins: Plugins, cli: Cli, config: ClientConfig, exports: Exports, file: BuildFile | None) -> Finding:
    """
    Since version 23 the client builds with the plugin buildx; without it, with the old builder, unless BuildKit was asked for.

    Why it matters: "BuildKit is enabled but the buildx component is missing or broken", "the --mount option requires BuildKit".
    How to fix: install buildx, or ask for BuildKit no more.
    """
    if plugins.buildx.works:
        return passed(f"buildx is here: {plugins.buildx.path}")
    if not cli.delegates:
        return skipped(f"the client {cli.version or 'here'} needs no buildx for BuildKit")
    asked = _asked(exports)
    seen = [Evidence("docker-buildx in the client's plugin folders", plugins.buildx.problem or "not found")]
    where, unset = exported(exports, "DOCKER_BUILDKIT")
    if asked in TRUE:
        seen += [Evidence("environment", f"DOCKER_BUILDKIT={asked}"), *where]
        summary = f"DOCKER_BUILDKIT={asked} asks for BuildKit, and buildx is not installed: docker build fails"
    elif config.builder and asked not in FALSE:
        seen.append(Evidence(f"{config.path}, aliases", f'"builder": "{config.builder}"'))
        summary = f"{config.path} makes docker build use {config.builder}, which is not installed"
    elif file and (file.needs or file.needs_newer) and asked not in FALSE:
        seen += _lines(file, (*file.needs, *file.needs_newer))
        summary = f"{file.path} needs BuildKit, and buildx is not installed"
    else:
        return passed("buildx is not installed, and nothing here asks for BuildKit", *seen)
    return failed(
        summary,
        *seen,
        cause=f"The client {cli.version} leaves BuildKit to the plugin buildx, which is a package of its own.",
        fix=(
            *install(BUILDX, plugins),
            *(
                (f"# or build without BuildKit: {'; '.join(unset)}",)
                if asked in TRUE and not (file and file.needs)
                else ()
            ),
        ),
    )


def _lines(file: BuildFile, lines: tuple[tuple[int, str], ...]) -> tuple[Evidence, ...]:
    return tuple(Evidence(f"{file.path}:{n}", text) for n, text in lines[:3])


@check(
    "build.builder",
    title="The builder understands what the Dockerfile says",
    severity=Severity.ERROR,
    docs=BUILDKIT,
    upstream=("client.buildx", "client.plugins"),
)
def builder(cli: Cli, plugins: Plugins, exports: Exports, ping: DaemonPing | None, file: BuildFile | None) -> Finding:
    """
    RUN --mount and its like are BuildKit's; the old builder knows none of them, and DOCKER_BUILDKIT chooses between the two.

    Why it matters: "the --mount option requires BuildKit", or no build at all for a value that is no boolean.
    How to fix: let BuildKit do it.
    """
    asked = _asked(exports)
    where, unset = exported(exports, "DOCKER_BUILDKIT")
    if asked and asked not in TRUE | FALSE:
        return failed(
            f"DOCKER_BUILDKIT is {asked!r}, which is no boolean: docker build fails",
            Evidence("environment", f"DOCKER_BUILDKIT={asked}"),
            *where,
            cause="The client takes 1, true, 0 and false, and ends with an error for anything else.",
            fix=unset,
        )
    if file is None:
        return skipped("there is no Dockerfile here")
    needs = (*file.needs, *file.needs_newer) if cli.delegates else file.needs
    if not needs or not _classic(cli, plugins, exports, ping):
        return passed(f"{file.path} asks for nothing that its builder does not know")
    if asked not in FALSE and cli.delegates:
        return passed("that buildx is missing is judged by itself")
    off = asked in FALSE
    return failed(
        f"{file.path} needs BuildKit, and {'DOCKER_BUILDKIT=' + asked + ' turns it off' if off else 'nothing turns it on'}",
        *_lines(file, needs),
        Evidence("environment", f"DOCKER_BUILDKIT={asked}" if asked else "DOCKER_BUILDKIT is not set"),
        *where,
        cause="The old builder does not know these options."
        if off
        else f"The client {cli.version} uses the old builder unless it is told otherwise.",
        fix=unset if off else ("export DOCKER_BUILDKIT=1",),
    )


@check(
    "build.context-readable",
    title="What is sent to the builder can be read",
    severity=Severity.ERROR,
    docs=CONTEXT,
)
def context_readable(
    file: BuildFile,
    context: Context,
    caller: Caller,
    cli: Cli,
    plugins: Plugins,
    exports: Exports,
    ping: DaemonPing | None,
) -> Finding:
    """
    The client reads the whole folder around the Dockerfile, or with BuildKit what COPY and ADD name of it.

    Why it matters: one folder of another user's, a database's data most often, and the build ends before it began: "no
    permission to read from", "error checking context", "permission denied".
    How to fix: name it in .dockerignore, or keep it elsewhere.
    """
    classic = _classic(cli, plugins, exports, ping)
    met = [p for p in context.unreadable if classic or file.wants_all or any(_within(p, c.source) for c in file.copies)]
    # It looks into a folder before it asks whether that is kept out (docker/cli, ValidateContextDirectory; path/filepath.Walk).
    closed = context.closed if classic else ()
    if not met and not closed:
        return passed(f"{caller.user} can read what would be sent of {context.folder}")
    ignore = context.ignore_file or f"{context.folder}/.dockerignore"
    return failed(
        f"{caller.user} may not read {', '.join((*met, *closed))} in {context.folder}, which docker build . would look at",
        *(Evidence(f"{context.folder}/{path}", "permission denied") for path in met),
        *(Evidence(f"{context.folder}/{path}", f"permission denied, though {ignore} keeps it out") for path in closed),
        Evidence(".dockerignore", context.ignore_file or "not there"),
        cause="It belongs to another user; the client fails on what it cannot read, whether the image needs it or not.",
        fix=(
            *(f"echo {quote(path)} >> {quote(ignore)}" for path in met),
            *(
                (
                    "# the old builder looks into folders even if they are kept out: move them elsewhere, or use BuildKit:",
                    *(install(BUILDX, plugins) if cli.delegates else ("export DOCKER_BUILDKIT=1",)),
                )
                if classic
                else ()
            ),
        ),
    )


def _within(path: str, source: str) -> bool:
    return path == source or path.startswith(f"{source}/") or source.startswith(f"{path}/")


@check(
    "build.context-excludes",
    title="What the Dockerfile copies is in the context",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/build/concepts/context/#dockerignore-files",
)
def context_excludes(file: BuildFile, context: Context) -> Finding:
    """
    A file that .dockerignore keeps out is not there for COPY; and names are compared letter by letter.

    Why it matters: "COPY failed: file not found in build context or excluded by .dockerignore", though one sees it lying there.
    How to fix: let it in again with a line that begins with "!", or correct the name.
    """
    if context.excluded:
        first = context.excluded[0]
        ignore = context.ignore_file
        return failed(
            f"{file.path}:{first.line} copies {first.source}, which {first.rule.partition(' ')[0]} keeps out",
            *(Evidence(f"{file.path}:{e.line}", f"copies {e.source}") for e in context.excluded),
            *(Evidence(*e.rule.split(" ", 1)) for e in context.excluded),
            cause="A rule of .dockerignore matches it, so it is not sent to the builder.",
            fix=tuple(f"echo {quote(f'!{e.source}')} >> {quote(ignore)}" for e in context.excluded),
        )
    if context.other_case:
        line, source, there = context.other_case[0]
        return failed(
            f"{file.path}:{line} copies {source}, and what is there is called {there}",
            *(Evidence(f"{file.path}:{n}", f"copies {s}; there is {t}") for n, s, t in context.other_case),
            cause="Names of files differ by capital letters here, which they do not on every system.",
            fix=tuple(f"sed -i {quote(f'{n}s#{s}#{t}#')} {quote(file.path)}" for n, s, t in context.other_case),
        )
    return passed(f"nothing that {file.path} copies is kept out")


@check(
    "build.context-size",
    title="What is sent to the builder is not gigabytes by mistake",
    severity=Severity.WARNING,
    docs=CONTEXT,
)
def context_size(
    file: BuildFile,
    context: Context,
    cli: Cli,
    plugins: Plugins,
    exports: Exports,
    ping: DaemonPing | None,
    settings: Settings | None = None,
) -> Finding:
    """
    Without a .dockerignore all that lies around the Dockerfile is sent, data and history included.

    Why it matters: builds that take minutes before the first step, a full disk, and secrets in images.
    How to fix: a .dockerignore that names what the image does not need.
    """
    size = f"{'' if context.complete else 'at least '}{context.size / HUGE:.1f} GiB"
    chosen = settings.preferences.thresholds.build_context_mib if settings else None
    huge = HUGE if chosen is None else chosen * (1 << 20)
    if context.ignore_file or context.size < huge:
        return passed(f"{context.folder}: {size}{', with ' + context.ignore_file if context.ignore_file else ''}")
    if not (file.wants_all or _classic(cli, plugins, exports, ping)):
        return passed(f"{context.folder} holds {size}, of which BuildKit takes what is copied")
    named = {c.source for c in file.copies}
    heavy = [(name, size) for name, size in context.largest if size > huge / 10 and name not in named]
    if sum(size for _, size in heavy) < huge:
        return passed(f"{context.folder}: {size}, most of which the Dockerfile copies by name")
    return failed(
        f"docker build . sends {size}: {context.folder} has no .dockerignore",
        *(Evidence(f"{context.folder}/{name}", f"{size / HUGE:.1f} GiB") for name, size in heavy),
        cause="Without a .dockerignore the whole folder is the build's context.",
        fix=(
            "# name what the image does not need:",
            *(f"echo {quote(name)} >> {quote(f'{context.folder}/.dockerignore')}" for name, _ in heavy),
        ),
    )
