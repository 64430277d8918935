"""Which engine the client talks to, and whether they understand each other."""

from __future__ import annotations

from shlex import quote

from dockerdoctor.examine import check, failed, passed
from dockerdoctor.facts.endpoint import (
    ChosenEndpoint,
    ClientConfig,
    DaemonPing,
    Exports,
)
from dockerdoctor.facts.ping import OtherEngines
from dockerdoctor.model import Evidence, Finding, Severity

# What explains by itself that a chosen endpoint does not answer.
OF_THE_WAY = ("engine.ssh", "engine.tls-files", "engine.tls", "engine.certificate", "engine.client-certificate")
CONTEXTS = "https://docs.docker.com/engine/manage-resources/contexts/"


@check(
    "engine.client-config",
    title="The client's configuration can be read",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/reference/cli/docker/#docker-cli-configuration-file-configjson-properties",
)
def client_config(config: ClientConfig) -> Finding:
    """
    ~/.docker/config.json holds logins, proxies and the current context.

    Why it matters: a client that cannot read it goes on without any of them, and programs that use the API do so silently.
    How to fix: correct the file where it breaks off, or give it back to its user.
    """
    if not config.exists:
        return passed(f"there is no {config.path}, which is fine")
    if not config.problem:
        return passed(f"{config.path} is well-formed")
    seen = Evidence(config.path, config.problem)
    folder = config.path.rpartition("/")[0]
    if config.problem.lower() == "permission denied":
        return failed(
            f"{config.path}: permission denied",
            seen,
            cause="The file belongs to another user, most often to root since docker was once run with sudo.",
            fix=(f"chown -R $(stat -c %u:%g {quote(folder.rpartition('/')[0] or '/')}) {quote(folder)}",),
        )
    return failed(
        f"{config.path} is no valid JSON: {config.problem}",
        seen,
        cause="The client takes a broken file for an empty one: logins, proxies and the current context are gone.",
        fix=tuple(f"sed -i -E {quote(script)} {quote(config.path)}" for script in config.corrections)
        or (
            f"python3 -m json.tool {quote(config.path)}",
            "# correct the line that it names; or start afresh, and log in again:",
            f"mv {quote(config.path)} {quote(f'{config.path}.broken')}",
        ),
    )


def exported(exports: Exports | None, name: str) -> tuple[tuple[Evidence, ...], tuple[str, ...]]:
    """Where a variable comes from, and how to be rid of it."""
    lines = exports.of(name) if exports else ()
    evidence = tuple(Evidence(line.where, f"{name}={line.value}") for line in lines)
    steps = []
    for line in lines:
        path, _, number = line.where.rpartition(":")
        steps.append(f"sed -i '{number}s/^/# /' {quote(path)}")
    return evidence, (*steps, f"unset {name}")


@check(
    "engine.docker-host",
    title="DOCKER_HOST names an engine that answers",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/reference/cli/docker/#environment-variables",
    upstream=OF_THE_WAY,
)
def docker_host(
    endpoint: ChosenEndpoint, ping: DaemonPing, exports: Exports | None, others: OtherEngines | None
) -> Finding:
    """
    DOCKER_HOST goes before every context; one that was exported long ago sends the client nowhere.

    Why it matters: the engine is well, and yet nothing works; restarting it does not help.
    How to fix: unset the variable, and take out the line that sets it.
    """
    if endpoint.source not in {"DOCKER_HOST", "--host"}:
        return passed(f"DOCKER_HOST does not choose the engine: {endpoint.source} does")
    if ping.answered:
        return passed(f"the engine at {endpoint.url} answers")
    where, unset = exported(exports, "DOCKER_HOST")
    given = endpoint.source == "--host"
    seen = (Evidence(endpoint.source, endpoint.url), *(() if given else where))
    if endpoint.problem:
        return failed(
            f"{endpoint.source} cannot be used: {endpoint.problem}",
            *seen,
            cause="The client does not get as far as connecting.",
            fix=("# give an address such as unix:///var/run/docker.sock",) if given else unset,
        )
    if not others or not others.answering:
        return passed(f"{endpoint.url} does not answer, and no other engine was found that does")
    return failed(
        f"{endpoint.source} points at {endpoint.url}, which does not answer ({ping.outcome})",
        *seen,
        *(Evidence(f"GET {other}/_ping", "an engine answers") for other in others.answering),
        cause=f"The engine of this host is well; {endpoint.source} makes the client look elsewhere.",
        fix=(f"docker -H {quote(others.answering[0])} version",) if given else unset,
    )


@check(
    "engine.context",
    title="The current context leads to an engine",
    severity=Severity.ERROR,
    docs=CONTEXTS,
    upstream=("engine.client-config", *OF_THE_WAY),
)
def context(
    endpoint: ChosenEndpoint,
    ping: DaemonPing,
    config: ClientConfig,
    exports: Exports | None,
    others: OtherEngines | None,
) -> Finding:
    """
    `docker context use` is remembered in ~/.docker/config.json, and outlives the engine that it names.

    Why it matters: after Docker Desktop or a rootless engine is removed, the client still looks for it.
    How to fix: go back to the default context.
    """
    if not endpoint.source.startswith("context "):
        return passed(f"no context chooses the engine: {endpoint.source} does")
    if ping.answered:
        return passed(f"{endpoint.source} leads to {endpoint.url}, which answers")
    seen = [Evidence(endpoint.source, endpoint.url or endpoint.problem)]
    name = endpoint.source.split()[1]
    from_file = f"({config.path})" in endpoint.source
    # --context: with one that does not exist, the client refuses even to leave it.
    fix = ("docker --context default context use default",) if from_file else exported(exports, "DOCKER_CONTEXT")[1]
    if endpoint.problem:
        return failed(
            endpoint.problem,
            *seen,
            cause=f"The context {name} was removed, or never made, and is still the one in use.",
            fix=fix,
        )
    if not others or not others.answering:
        return passed(f"{endpoint.url} does not answer, and no other engine was found that does")
    seen += [Evidence(f"GET {other}/_ping", "an engine answers") for other in others.answering]
    return failed(
        f"the context {name} points at {endpoint.url}, which does not answer ({ping.outcome})",
        *seen,
        cause="Another engine of this host is well; the context makes the client look elsewhere.",
        fix=fix,
    )
