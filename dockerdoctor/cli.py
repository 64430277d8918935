"""The command line: parse, call, render, exit code; it decides nothing."""

from __future__ import annotations

import contextlib
import fnmatch
import io
import os
import platform
import shutil
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Annotated, NoReturn

import typer

from dockerdoctor import __version__, inhost, outputs
from dockerdoctor.checks import CATALOGUE
from dockerdoctor.commands import cut_short
from dockerdoctor.commands.completion import completion
from dockerdoctor.commands.plugin import plugin
from dockerdoctor.commands.settings import (
    ConfigOption,
    ImageOption,
    RedisOption,
    TargetOption,
    settings_for,
    with_targets,
)
from dockerdoctor.commands.timer import timer
from dockerdoctor.diagnose import measure_host, now, report_on
from dockerdoctor.exits import ExitStatus
from dockerdoctor.facts.endpoint import Settings
from dockerdoctor.facts.probe_container import sweep_abandoned
from dockerdoctor.facts.probes import PROBES
from dockerdoctor.facts.upstreams import usable
from dockerdoctor.fixes.dns import Verdict
from dockerdoctor.host import INTERRUPTIONS, Host
from dockerdoctor.measure import Facts
from dockerdoctor.model import Check, Report, Severity
from dockerdoctor.nearest import nearest
from dockerdoctor.render import FORMATS, Format, ReportFormat
from dockerdoctor.render.terminal import MAX_WIDTH, Options
from dockerdoctor.render.words import tame
from dockerdoctor.sample.builder import BuilderWish
from dockerdoctor.sample.model import BaseWish
from dockerdoctor.saved import Unreadable, dump, load

app = typer.Typer(
    name="doctor",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Find out why Docker on Linux misbehaves: the cause, the evidence, the fix, and the proof.",
)

HostOption = Annotated[str, typer.Option("--host", "-H", metavar="URL", help="Engine to examine, as docker -H.")]
ContextOption = Annotated[str, typer.Option("--context", "-c", metavar="NAME", help="Docker context to examine.")]


# As other programs take it, instead of a file's name.
STANDARD_OUTPUT = Path("-")

# Between two examinations of --wait: what is being started needs some seconds, and each starts two containers.
PAUSE = 2.0


def ignore(text: str) -> None:
    """Say nothing."""


def talk(text: str) -> None:
    """Say something that is not the report."""
    typer.echo(text, err=True)


def show(text: str) -> None:
    """The same, of what a host has a part in: a terminal obeys what it is sent."""
    talk(tame(text))


def select(checks: Iterable[Check], only: Iterable[str], skip: Iterable[str]) -> tuple[Check, ...]:
    """Choose checks by glob patterns; raises BadParameter for a pattern that matches none."""
    checks = tuple(checks)

    def matching(patterns: Iterable[str]) -> set[str]:
        found: set[str] = set()
        for pattern in (p for given in patterns for p in given.split(",")):
            hits = fnmatch.filter([c.id for c in checks], pattern)
            if not hits:
                near = nearest(pattern, [c.id for c in checks])
                meant = f"nearest: {', '.join(near)}" if near else "`doctor checks` lists them all"
                raise typer.BadParameter(f"no check matches {pattern!r}; {meant}")
            found |= set(hits)
        return found

    only, skip = tuple(only), tuple(skip)
    kept = matching(only) if only else {c.id for c in checks}
    return tuple(c for c in checks if c.id in kept - matching(skip))


# What says that a terminal shows ASCII; Python itself writes UTF-8 there (PEP 538, PEP 540).
PLAIN = frozenset({"C", "POSIX"})


def plain_locale(env: Mapping[str, str]) -> bool:
    """Whether somebody asked for the plain locale; C.UTF-8 in LC_CTYPE is what Python itself makes of it (PEP 538)."""
    if env.get("LC_ALL"):
        return env["LC_ALL"] in PLAIN
    return env.get("LC_CTYPE", "") in PLAIN or (
        env.get("LC_CTYPE", "C.UTF-8") == "C.UTF-8" and env.get("LANG") in PLAIN
    )


def options_for(*, verbose: bool, every: bool) -> Options:
    """How wide, how colourful: as the terminal allows (NO_COLOR, https://no-color.org)."""
    color = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    unicode = "utf" in (sys.stdout.encoding or "").lower() and not plain_locale(os.environ)
    return Options(shutil.get_terminal_size((80, 24)).columns, color, verbose, every, unicode)


def in_a_file(options: Options) -> Options:
    """Show it as it may be read anywhere: a file has no terminal's width and colours."""
    return replace(options, width=MAX_WIDTH, color=False, unicode=True)


@app.command()
def check(
    only: Annotated[list[str] | None, typer.Option(metavar="GLOB", help="Only these checks: 'dns.*'.")] = None,
    skip: Annotated[list[str] | None, typer.Option(metavar="GLOB", help="Leave these checks out.")] = None,
    passive: Annotated[
        bool, typer.Option("--passive", help="Start no probe container; change nothing at all.")
    ] = False,
    fail_on: Annotated[Severity, typer.Option(help="Exit with 1 for findings this bad or worse.")] = Severity.ERROR,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", min=0.5, help="Wait for no measurement longer.")] = 10.0,
    output_format: Annotated[ReportFormat, typer.Option("--format", help="Of the report.")] = ReportFormat.TEXT,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the report there, not to the terminal.")
    ] = None,
    report_files: Annotated[
        list[str] | None,
        typer.Option("--report", metavar="FORMAT=FILE", help="Write it in this format, too; may be repeated."),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="What is well, too, and our own bugs in full.")
    ] = False,
    every: Annotated[
        bool, typer.Option("--all", help="Open the symptoms under each cause; what is reached from where.")
    ] = False,
    save: Annotated[Path | None, typer.Option(metavar="FILE", help="Keep the measured facts.")] = None,
    replay: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="Examine kept facts, or those of a report, not this host."),
    ] = None,
    listing: Annotated[bool, typer.Option("--list", help="Show the catalogue and examine nothing.")] = False,
    short: Annotated[bool, typer.Option("--short", help="One line for each cause: mark, id, summary.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show nothing; the exit status says it.")] = False,
    wait: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="Examine again until Docker is well, this long at most.")
    ] = 0.0,
    watch: Annotated[
        bool, typer.Option("--watch", help="Examine again and again, and show what changed; Ctrl-C ends it.")
    ] = False,
    interval: Annotated[
        float, typer.Option(metavar="SECONDS", min=1, help="Between two examinations of --watch.")
    ] = 5.0,
    targets: TargetOption = None,
    redis: RedisOption = None,
    images: ImageOption = None,
    host_url: HostOption = "",
    context: ContextOption = "",
    config: ConfigOption = "",
) -> None:
    """Examine this host and name what keeps Docker from working."""
    checks = select(CATALOGUE, only or (), skip or ())
    if listing:
        for one in checks:
            typer.echo(f"{one.id:34} {one.severity.value:8} {one.title}")
        return
    files = _report_files(report_files)
    if output and output != STANDARD_OUTPUT:
        files.append((output_format, output))
    if short and output_format is not ReportFormat.TEXT:
        raise typer.BadParameter(f"--short is a form of the text, and {output_format.value} was asked for")
    if replay and (
        asks := [
            n
            for n, given in (
                ("--wait", wait),
                ("--watch", watch),
                ("--target", targets),
                ("--redis", redis),
                ("--image", images),
            )
            if given
        ]
    ):
        raise typer.BadParameter(f"{asks[0]} examines this host, and --from does not")
    if watch and (wait or quiet or save or files or output or output_format is not ReportFormat.TEXT):
        raise typer.BadParameter("--watch shows the text on a terminal; it neither waits nor writes files")
    _prove([path for _, path in files] + ([save] if save else []))
    options = replace(options_for(verbose=verbose, every=every), short=short, fail_on=fail_on)
    if replay:
        facts = _load(replay)
        report = report_on(facts, checks)
    else:
        _on_linux()
        if not any(one.id == "changes.unfinished" for one in checks):
            cut_short.tell(Host(), ignore if quiet else talk)
        settings = with_targets(settings_for(host_url, context, config), targets, redis, images)

        def examined() -> tuple[Facts, Report]:
            began = now()
            facts, seconds = measure_host(Host(), settings, checks, passive=passive, patience=timeout)
            return facts, report_on(facts, checks, seconds, began)

        if watch:
            _watch(examined, options, interval)
        facts, report = _until_well(examined, fail_on, wait, say=ignore if quiet else talk)
    if save:
        _write(save, dump(facts))
    for form, path in files:
        _write(path, FORMATS[form](report, in_a_file(options)))
    if not quiet and output in {None, STANDARD_OUTPUT}:
        typer.echo(FORMATS[output_format](report, options), nl=False)
    # The reader has it while the probe containers are being removed, which `main` waits for.
    sys.stdout.flush()
    raise typer.Exit(report.exit_status(fail_on))


def _report_files(given: Iterable[str] | None) -> list[tuple[ReportFormat, Path]]:
    """Read FORMAT=FILE, as often as it was given."""
    files = []
    for one in given or ():
        name, equals, path = one.partition("=")
        if name not in [form.value for form in ReportFormat] or not equals or not path:
            raise typer.BadParameter(f"{one!r} is not FORMAT=FILE, with one of {', '.join(f.value for f in FORMATS)}")
        if Path(path) == STANDARD_OUTPUT:
            raise typer.BadParameter(f"--report writes files; for standard output, --format {name}")
        files.append((ReportFormat(name), Path(path)))
    return files


def _prove(paths: list[Path]) -> None:
    """Find out before anything is examined what could not be written afterwards."""
    twice = [p for n, p in enumerate(paths) if p.absolute() in [q.absolute() for q in paths[:n]]]
    if twice:
        raise typer.BadParameter(f"{twice[0]} is named twice, and would hold the last of both only")
    try:
        for path in paths:
            outputs.prove(path)
    except OSError as no:
        talk(f"{path}: {no.strerror}; nothing was examined")
        raise typer.Exit(ExitStatus.USAGE) from None


def _until_well(
    examined: Callable[[], tuple[Facts, Report]], fail_on: Severity, seconds: float, say: Callable[[str], None]
) -> tuple[Facts, Report]:
    """Examine until nothing is found, or the time is over; an examination that has begun is finished."""
    _, began = now()
    while True:
        facts, report = examined()
        left = began + seconds - now()[1]
        # Our own bug does not go away by waiting.
        if report.exit_status(fail_on) is not ExitStatus.FINDINGS or left <= 0:
            return facts, report
        say(f"not well: {', '.join(r.check.id for r in report.root_causes)}; waiting, {left:.0f} s left")
        sweep_abandoned()
        Host().sleep(min(PAUSE, left))


def _watch(examined: Callable[[], tuple[Facts, Report]], options: Options, interval: float) -> NoReturn:
    from dockerdoctor.commands.watch import watch  # noqa: PLC0415 - examinations do without

    def show(report: Report) -> str:
        return FORMATS[ReportFormat.TEXT](report, replace(options, width=shutil.get_terminal_size((80, 24)).columns))

    watch(lambda: examined()[1], show, interval, screen=sys.stdout.isatty() and os.environ.get("TERM") != "dumb")


def _on_linux() -> None:
    if not sys.platform.startswith("linux"):
        talk(f"doctor examines Linux hosts; this is {sys.platform}")
        raise typer.Exit(ExitStatus.UNEXAMINED)


def _load(path: Path) -> Facts:
    from dockerdoctor.archive import NoArchive  # noqa: PLC0415 - examinations do without
    from dockerdoctor.support import FACTS, member  # noqa: PLC0415

    try:
        return load(member(path.read_bytes(), FACTS), PROBES, (Settings,))
    except (OSError, NoArchive, Unreadable) as no:
        talk(f"{path}: {no}")
        raise typer.Exit(ExitStatus.USAGE) from None


def _write(path: Path, text: str) -> None:
    try:
        outputs.put(path, text)
    except OSError as no:
        talk(f"{path}: {no.strerror}")
        raise typer.Exit(ExitStatus.USAGE) from None


@app.command("report")
def report_command(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="The archive: dockerdoctor-HOST-DATE.tar.gz here.")
    ] = None,
    passive: Annotated[
        bool, typer.Option("--passive", help="Start no probe container; change nothing at all.")
    ] = False,
    host_url: HostOption = "",
    context: ContextOption = "",
    config: ConfigOption = "",
) -> None:
    """Examine, and put the report, what was measured and the engine's log into one file to pass on, without secrets."""
    from dockerdoctor.archive import pack  # noqa: PLC0415 - examinations do without all this
    from dockerdoctor.facts.known_secrets import known_secrets  # noqa: PLC0415
    from dockerdoctor.facts.log import RecentLog  # noqa: PLC0415
    from dockerdoctor.redact import redact  # noqa: PLC0415
    from dockerdoctor.support import members, missing, name_of  # noqa: PLC0415

    _on_linux()
    host, began = Host(), now()
    folder = name_of(host.name, began[0])
    path = (file or Path(f"{folder}.tar.gz")).absolute()
    if os.path.lexists(path):
        _taken(path)
    facts, seconds = measure_host(
        host, settings_for(host_url, context, config), CATALOGUE, passive=passive, also=(RecentLog,)
    )
    report, secrets = report_on(facts, CATALOGUE, seconds, began), known_secrets(host, facts)
    packed = pack(members(facts, report, platform.python_version(), secrets), folder, began[0], secrets)
    try:
        host.create_file(str(path), packed, 0o600)
    except FileExistsError:
        _taken(path)
    except OSError as no:
        talk(f"{path}: {no.strerror}")
        raise typer.Exit(ExitStatus.USAGE) from None
    for line in redact("\n".join(missing(facts)), secrets).splitlines():
        talk(f"not in it: {line}")
    talk("Passwords, tokens and keys were taken out; look into it before you pass it on.")
    typer.echo(path)


def _taken(path: Path) -> NoReturn:
    talk(f"{path} is there already and was left as it is; name another file")
    raise typer.Exit(ExitStatus.USAGE)


@app.command("diff")
def diff_command(
    before: Annotated[
        Path, typer.Argument(metavar="A", help="A file of --save, a JSON report, or a report's archive.")
    ],
    after: Annotated[Path, typer.Argument(metavar="B", help="The newer one, of any of these kinds.")],
    fail_on: Annotated[
        Severity, typer.Option(help="Exit with 1 for what newly fails and is this bad or worse.")
    ] = Severity.INFO,
    output_format: Annotated[Format, typer.Option("--format", help="Of the comparison.")] = Format.TEXT,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="What does not fail, too.")] = False,
) -> None:
    """Compare two examinations: what newly fails, what is repaired, what says something else."""
    from dockerdoctor.compare import Run, compare, read_run  # noqa: PLC0415 - examinations do without
    from dockerdoctor.render.compare import COMPARISON_FORMATS  # noqa: PLC0415

    def read(path: Path) -> Run:
        try:
            return read_run(str(path), path.read_bytes())
        except (OSError, Unreadable) as no:
            talk(f"{path}: {no.strerror if isinstance(no, OSError) else no}")
            raise typer.Exit(ExitStatus.USAGE) from None

    comparison = compare(read(before), read(after))
    typer.echo(COMPARISON_FORMATS[output_format](comparison, options_for(verbose=verbose, every=False)), nl=False)
    raise typer.Exit(ExitStatus.FINDINGS if comparison.worse(fail_on) else ExitStatus.WELL)


@app.command("checks")
def checks_command(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[GLOB]...", help="Only these checks: 'dns.*'.")] = None,
    output_format: Annotated[Format, typer.Option("--format", help="Of the list.")] = Format.TEXT,
) -> None:
    """List what can be examined: the checks, area by area."""
    from dockerdoctor.render.catalogue import CATALOGUE_FORMATS  # noqa: PLC0415 - examinations do without

    checks, options = select(CATALOGUE, ids or (), ()), options_for(verbose=False, every=False)
    typer.echo(CATALOGUE_FORMATS[output_format](checks, options), nl=False)


@app.command("explain")
def explain_command(
    ids: Annotated[list[str], typer.Argument(metavar="CHECK...", help="Ids or globs: 'dns.*'.")],
) -> None:
    """Say what a check looks at, why it matters, and how to repair what it finds."""
    from dockerdoctor.render.catalogue import explain_text  # noqa: PLC0415 - examinations do without

    checks, options = select(CATALOGUE, ids, ()), options_for(verbose=False, every=False)
    typer.echo(explain_text(checks, options), nl=False)


@app.command("run-sample")
def run_sample(
    port: Annotated[
        int, typer.Option(metavar="N", min=0, max=65535, help="Port of this host; 0: any that is free.")
    ] = 4000,
    network: Annotated[str, typer.Option(metavar="NAME", help="Docker network, as docker run --network.")] = "",
    redis: Annotated[bool, typer.Option("--redis", help="Start Redis too: the page counts visits.")] = False,
    foreground: Annotated[
        bool, typer.Option("--foreground", "-f", help="Stay until Ctrl-C, and show what the container says.")
    ] = False,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Leave it running, and print the container's id.")
    ] = False,
    stop: Annotated[bool, typer.Option("--stop", help="End what was left running; start nothing.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave what was started, however it ends.")] = False,
    opens: Annotated[bool, typer.Option("--open", help="Show the page in a browser, and stay until Ctrl-C.")] = False,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", min=1, help="Wait for no stage longer.")] = 600.0,
    remove_image: Annotated[bool, typer.Option("--rm-image", help="Remove the built image, too.")] = False,
    output_format: Annotated[Format, typer.Option("--format", help="Of the report.")] = Format.TEXT,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Each layer and step, and what the build was given.")
    ] = False,
    base: Annotated[
        BaseWish, typer.Option(help="Pull the base image, or make it of this host's Python.")
    ] = BaseWish.AUTO,
    image: Annotated[str, typer.Option(metavar="NAME", help="Base image, in the place of the Dockerfile's.")] = "",
    builder: Annotated[BuilderWish, typer.Option(help="Else the one of docker build.")] = BuilderWish.AUTO,
    proxy: Annotated[str, typer.Option(metavar="URL", help="For the build, in the place of this host's.")] = "",
    no_proxy: Annotated[str, typer.Option(metavar="LIST", help="Hosts that it asks directly.")] = "",
    ca_bundle: Annotated[str, typer.Option(metavar="FILE", help="Certificate authorities for the build.")] = "",
    index_url: Annotated[str, typer.Option(metavar="URL", help="Package index for the build.")] = "",
    build_arg: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="As docker build's.")] = None,
    host_url: HostOption = "",
    context: ContextOption = "",
    config: ConfigOption = "",
) -> None:
    """Build and run the tutorial's hello page, and say at which stage and why it fails, if it does."""
    # Examinations do without all this.
    from dockerdoctor.commands import run_sample as command  # noqa: PLC0415
    from dockerdoctor.sample.model import Wishes  # noqa: PLC0415
    from dockerdoctor.sample.surroundings import Asked, arguments  # noqa: PLC0415

    if foreground and (detach or keep):
        raise typer.BadParameter("--foreground ends with Ctrl-C; --detach and --keep leave it running")
    _on_linux()
    cut_short.tell(Host(), talk)
    settings = settings_for(host_url, context, config)
    if stop:
        raise typer.Exit(command.stop(Host(), settings, talk))
    given = arguments(build_arg or (), os.environ)
    asked = Asked(proxy, no_proxy, index_url, ca_bundle, given)
    wishes = Wishes(port, network, timeout, remove_image, base, image, builder, asked, redis=redis, keep=keep)
    manner = command.Manner(foreground, detach, opens)
    options = options_for(verbose=verbose, every=False)
    raise typer.Exit(command.perform(Host(), settings, wishes, manner, output_format, options, talk))


def _nameserver(given: list[str] | None) -> list[str]:
    for server in given or ():
        if not usable(server):
            raise typer.BadParameter(f"{server!r} is no address that a container could ask")
    return given or []


@app.command("fix-dns")
def fix_dns_command(
    write: Annotated[
        bool, typer.Option("--write", help="Do it: write, restart dockerd, prove it or put back.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before.")] = False,
    restart: Annotated[bool, typer.Option("--restart/--no-restart", help="Restart dockerd, and prove it.")] = True,
    dns: Annotated[
        list[str] | None, typer.Option(metavar="IP", help="Consider this nameserver too.", callback=_nameserver)
    ] = None,
    output_format: Annotated[Format, typer.Option("--format", help="Of the outcome.")] = Format.TEXT,
    host_url: HostOption = "",
    context: ContextOption = "",
    config: ConfigOption = "",
) -> None:
    """Give containers nameservers that answer them; without --write, show what would be done."""
    _somebody_to_ask(write=write, yes=yes)
    # Examinations do without all this.
    from dockerdoctor.fixes.fix_dns import Order, fix_dns  # noqa: PLC0415
    from dockerdoctor.render.fix import FIX_FORMATS, plan_text  # noqa: PLC0415

    _on_linux()
    cut_short.tell(Host(), talk)
    options = options_for(verbose=False, every=False)

    def agreed(plan: Verdict) -> bool:
        typer.echo(plan_text(plan, options), err=True, nl=False)
        return _says_yes("Go ahead?", yes=yes)

    verdict = fix_dns(
        Host(),
        settings_for(host_url, context, config),
        Order(write, restart, tuple(dns or ())),
        agreed=agreed,
        observe=show,
    )
    typer.echo(FIX_FORMATS[output_format](verdict, options), nl=False)
    raise typer.Exit(verdict.ending.exit_status)


@app.command("fix")
def fix_command(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[CHECK]...", help="Root causes to fix: all errors.")
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Do it: change, prove it, or put back.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before.")] = False,
    irreversible: Annotated[
        bool,
        typer.Option(
            "--irreversible", help="Even what cannot be undone: build cache, images without a name, old logs."
        ),
    ] = False,
    output_format: Annotated[Format, typer.Option("--format", help="Of the outcome.")] = Format.TEXT,
    host_url: HostOption = "",
    context: ContextOption = "",
    config: ConfigOption = "",
) -> None:
    """Repair the root causes of what `doctor check` finds; without --write, show what would be done."""
    _fix(
        ids or [],
        write=write,
        yes=yes,
        irreversible=irreversible,
        output_format=output_format,
        settings=settings_for(host_url, context, config),
    )


@app.command("fix-proxy")
def fix_proxy_command(
    write: Annotated[bool, typer.Option("--write", help="Do it: change, prove it, or put back.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before.")] = False,
    output_format: Annotated[Format, typer.Option("--format", help="Of the outcome.")] = Format.TEXT,
    host_url: HostOption = "",
    context: ContextOption = "",
    config: ConfigOption = "",
) -> None:
    """Repair what is wrong with proxies, as `doctor fix 'proxy.*'` does; without --write, show what would be done."""
    _fix(
        ["proxy.*"], write=write, yes=yes, output_format=output_format, settings=settings_for(host_url, context, config)
    )


def _fix(
    ids: list[str], *, write: bool, yes: bool, output_format: Format, settings: Settings, irreversible: bool = False
) -> None:
    _somebody_to_ask(write=write, yes=yes)
    from dockerdoctor.fixes.fix import Order, Treated, fix  # noqa: PLC0415
    from dockerdoctor.render.treated import FIX_FORMATS, plan_text  # noqa: PLC0415

    _on_linux()
    cut_short.tell(Host(), talk)
    options = options_for(verbose=False, every=False)
    chosen = tuple(one.id for one in select(CATALOGUE, ids, ())) if ids else ()
    named = tuple(one for one in chosen if one in ids)

    def agreed(plan: Treated) -> bool:
        typer.echo(plan_text(plan, options), err=True, nl=False)
        return _says_yes("Go ahead?", yes=yes)

    treated = fix(Host(), settings, Order(chosen, write, named, irreversible), agreed=agreed, observe=show)
    typer.echo(FIX_FORMATS[output_format](treated, options), nl=False)
    raise typer.Exit(max((one.outcome.exit_status for one in treated), default=ExitStatus.WELL))


@app.command("undo")
def undo_command(
    entry_id: Annotated[str, typer.Argument(metavar="[ID]", help="Of doctor history: the newest that stands.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before.")] = False,
    leave: Annotated[
        bool, typer.Option("--leave", help="Take nothing back: all is right as it is, and stays so.")
    ] = False,
) -> None:
    """Take back what a fix has changed: every file, and what was told to services and the kernel."""
    _somebody_to_ask(write=True, yes=yes)
    from dockerdoctor.fixes import undo  # noqa: PLC0415
    from dockerdoctor.fixes.treatment import Refused, Stranded, by_hand, to_take_back  # noqa: PLC0415
    from dockerdoctor.render.treated import history_text  # noqa: PLC0415

    _on_linux()
    host = Host()
    try:
        entry = undo.to_undo(host, entry_id)
        if isinstance(entry, undo.NothingToUndo):
            talk(entry.reason)
            raise typer.Exit(ExitStatus.USAGE if entry_id else ExitStatus.WELL)
        typer.echo(history_text([entry]), err=True, nl=False)
        for line in () if leave else by_hand(to_take_back(entry)):
            show(f"  {line}")
        if not _says_yes("Leave it as it is, for good?" if leave else "Take it back?", yes=yes):
            raise typer.Exit(ExitStatus.FINDINGS)
        if leave:
            undo.leave(host, entry)
        else:
            undo.undo(host, entry, show)
    except Refused as no:
        _refused(no.reason, *no.manual)
    except OSError as no:
        _refused(str(no))
    except Stranded as no:
        show(f"it could not be taken back whole: {no.reason}; what remains:")
        for line in no.commands:
            show(f"  {line}")
        raise typer.Exit(ExitStatus.STRANDED) from None
    typer.echo(f"{entry.id} {'is left as it is' if leave else 'was taken back'}")


def _refused(reason: str, *manual: str) -> NoReturn:
    show(f"refused, nothing was changed: {reason}")
    for line in manual:
        show(f"  {line}")
    raise typer.Exit(ExitStatus.FINDINGS)


@app.command("history")
def history_command(
    output_format: Annotated[Format, typer.Option("--format", help="Of the list.")] = Format.TEXT,
) -> None:
    """List what the doctor has changed on this host, and how that ended."""
    from dockerdoctor.facts.changes import LOCK  # noqa: PLC0415
    from dockerdoctor.fixes.undo import history  # noqa: PLC0415
    from dockerdoctor.render.treated import HISTORY_FORMATS  # noqa: PLC0415

    _on_linux()
    host = Host()
    try:
        typer.echo(HISTORY_FORMATS[output_format](history(host), at_work=host.locked(LOCK)), nl=False)
    except PermissionError as no:
        talk(f"{no.filename} is root's own: sudo doctor history")
        raise typer.Exit(ExitStatus.UNEXAMINED) from None


def _says_yes(question: str, *, yes: bool) -> bool:
    """Ask; a terminal that is at its end has not agreed, and what was done before is still to be reported."""
    try:
        return yes or typer.confirm(question, err=True)
    except typer.Abort:
        return False


def _somebody_to_ask(*, write: bool, yes: bool) -> None:
    if write and inhost.entered():
        talk(
            "from inside a container nothing is changed: what restarts Docker would end the doctor, too. Run it on the host."
        )
        raise typer.Exit(ExitStatus.USAGE)
    if write and not yes and not sys.stdin.isatty():
        talk("nobody can be asked: there is no terminal; nothing was changed. Add --yes to go ahead.")
        raise typer.Exit(ExitStatus.USAGE)


@app.command()
def version() -> None:
    """Show the doctor's version."""
    typer.echo(f"dockerdoctor {__version__}")


app.add_typer(plugin, name="plugin")
app.add_typer(timer, name="timer")
app.command()(completion)


def _interrupted(*_: object) -> None:
    with contextlib.suppress(OSError):  # the terminal may be what has gone
        talk("interrupted")
    sys.exit(ExitStatus.INTERRUPTED)


def _our_bug(kind: type[BaseException], bug: BaseException, trace: TracebackType | None) -> None:
    """Show it, leave nothing behind, and end with a status of its own."""
    sys.__excepthook__(kind, bug, trace)
    talk("this is a bug in the doctor, and says nothing about this host")
    sweep_abandoned()
    os._exit(ExitStatus.BUG)


def main(called: str = "") -> None:
    """Run the command; every way out has its documented exit code. `called`: as what, if not by the program's name."""
    # Ctrl-C and SIGTERM unwind alike, so that nothing is left behind; click would make an exit status 1 of the first.
    for number in INTERRUPTIONS:
        signal.signal(number, _interrupted)
    sys.excepthook = _our_bug
    # What a host says may hold what its terminal cannot show, or what is no character at all.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        # Not app(): Typer would put a hook of its own in the place of ours.
        typer.main.get_command(app)(prog_name=called or None, standalone_mode=True)
    except SystemExit as done:
        code = done.code if isinstance(done.code, int) else int(done.code is not None)
    except BrokenPipeError:
        code = int(ExitStatus.WELL)
    sweep_abandoned()
    sys.stdout.flush()
    # Probes that are overdue are daemon threads: leave without joining anything.
    os._exit(code)
