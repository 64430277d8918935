"""The client's plugins: whether those that are there can be run, and those that are needed are there."""

from __future__ import annotations

from dataclasses import replace
from shlex import quote

from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.engine import version_parts
from dockerdoctor.facts.plugins import DANGLING, Cli, Plugin, Plugins
from dockerdoctor.model import Evidence, Finding, Severity

BUILDX, COMPOSE = "buildx", "compose"
PAGES = {
    BUILDX: "https://github.com/docker/buildx#installing",
    COMPOSE: "https://docs.docker.com/compose/install/linux/",
}
# The distributions' own names for the two; Docker's own packages have others.
PACKAGES = {
    "apt-get": {BUILDX: "docker-buildx", COMPOSE: "docker-compose"},
    "dnf": {BUILDX: "docker-buildx", COMPOSE: "docker-compose"},
    "zypper": {BUILDX: "docker-buildx", COMPOSE: "docker-compose"},
    "apk": {BUILDX: "docker-cli-buildx", COMPOSE: "docker-cli-compose"},
    "pacman": {BUILDX: "docker-buildx", COMPOSE: "docker-compose"},
}
# What a release calls it, where that is not what the distribution calls it now; empty where it has none.
RELEASES = {
    ("ubuntu", COMPOSE): "docker-compose-v2",
    ("debian 11", COMPOSE): "",
    ("debian 12", COMPOSE): "",  # version 1 has the name there
    ("debian 11", BUILDX): "",
    ("debian 12", BUILDX): "",
}
COMMANDS = {
    "apt-get": ("apt-get update", "apt-get install -y {}"),
    "dnf": ("dnf install -y {}",),
    "yum": ("yum install -y {}",),
    "zypper": ("zypper install -y {}",),
    "apk": ("apk add {}",),
    "pacman": ("pacman -S --noconfirm {}",),
}


def install(name: str, plugins: Plugins | None) -> tuple[str, ...]:
    """How this distribution installs a plugin; a page to read where it has none."""
    page = f"# no package of this distribution has it; how to install it: {PAGES[name]}"
    if plugins is None:
        return (page,)
    package = PACKAGES.get(plugins.package_manager, {}).get(name, "")
    for release in (plugins.distribution, plugins.distribution.partition(" ")[0]):
        package = RELEASES.get((release, name), package)
    if plugins.docker_packages:
        package = f"docker-{name}-plugin"
    commands = COMMANDS.get(plugins.package_manager, ())
    return tuple(command.format(package) for command in commands) if package and commands else (page,)


@check(
    "client.plugins",
    title="The client's plugins that are installed can be run",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/build/concepts/overview/",
)
def usable(plugins: Plugins, cli: Cli | None) -> Finding:
    """
    The client takes the first file of a plugin's name, the user's own before the system's, whatever it is.

    Why it matters: "docker: 'buildx' is not a docker command", builds without BuildKit, though a plugin is there.
    How to fix: take away what cannot be run, or make it executable.
    """
    wrong = [p for p in (plugins.buildx, plugins.compose) if p.problem and not p.dangling]
    # A link that leads nowhere is passed over, but for `docker build` of some versions (docker/cli, GetPlugin).
    in_the_way = cli is not None and (23,) <= version_parts(cli.version) < (27,)
    if plugins.buildx.link and plugins.buildx.works and in_the_way:
        wrong = [replace(plugins.buildx, path=plugins.buildx.link, problem=DANGLING, shadows=(plugins.buildx.path,))]
    if not wrong:
        there = [p.path for p in (plugins.buildx, plugins.compose) if p.works]
        return (
            passed(f"{' and '.join(there)} can be run")
            if there
            else skipped("neither buildx nor compose is a plugin here")
        )
    first = wrong[0]
    return failed(
        f"{first.path} {first.problem}",
        *(Evidence(p.path, p.problem) for p in wrong),
        *(Evidence(path, f"could be run, and is not reached behind {p.path}") for p in wrong for path in p.shadows[:1]),
        cause="What lies there under the plugin's name is not a program that this user can run: a failed download, a copy "
        "without its mode, one for another processor, or what is left of Docker Desktop.",
        fix=tuple(step for p in wrong for step in _mend(p, plugins)),
    )


def _mend(plugin: Plugin, plugins: Plugins) -> tuple[str, ...]:
    path = quote(plugin.path)
    if plugin.problem == "may not be executed" and not plugin.shadows:
        return (f"chmod +x {path}",)
    return (f"rm {path}", *(() if plugin.shadows else install(plugin.name, plugins)))


@check(
    "client.compose",
    title="Where there is a compose file there is Compose",
    severity=Severity.ERROR,
    docs=PAGES[COMPOSE],
    upstream=("client.plugins",),
)
def compose(plugins: Plugins) -> Finding:
    """
    Compose is no part of the engine: version 2 is a plugin of the client's (docker compose), installed by itself.

    Why it matters: "docker: 'compose' is not a docker command", "unknown shorthand flag: 'f' in -f",
    "docker-compose: command not found".
    How to fix: install the plugin.
    """
    if plugins.compose.works or plugins.docker_compose:
        return passed(f"Compose is here: {plugins.compose.path if plugins.compose.works else plugins.docker_compose}")
    if not plugins.compose_file:
        return skipped("Compose is not installed, and nothing here asks for it")
    return failed(
        f"there is a {plugins.compose_file} here, and Compose is not installed",
        Evidence("docker-compose in the client's plugin folders", plugins.compose.problem or "not found"),
        Evidence("docker-compose in PATH", "not found"),
        cause="The engine and its client came without Compose.",
        fix=install(COMPOSE, plugins),
    )


@check(
    "client.compose-v1",
    title="Compose is version 2",
    severity=Severity.WARNING,
    docs="https://docs.docker.com/compose/releases/migrate/",
    upstream=("client.plugins",),
)
def compose_v1(plugins: Plugins) -> Finding:
    """
    Version 1, the command docker-compose in Python, ended in 2023; version 2 is called as docker compose.

    Why it matters: scripts and instructions of today say `docker compose`, which is then "not a docker command"; and version
    1 breaks with newer libraries and engines.
    How to fix: install version 2; both can be there.
    """
    if not plugins.compose_v1 or plugins.compose.works:
        return passed("no version 1 stands in for version 2")
    if not plugins.compose_file:
        return skipped("nothing here asks for Compose")
    return failed(
        f"Compose is version 1 only ({plugins.docker_compose}): docker compose does not work",
        Evidence(plugins.docker_compose, "Compose version 1: Python"),
        Evidence("docker-compose in the client's plugin folders", "not found"),
        cause="The distribution's package docker-compose is version 1, or it was installed by pip.",
        fix=("# as long as version 2 is not here, write docker-compose for docker compose", *install(COMPOSE, plugins)),
    )
