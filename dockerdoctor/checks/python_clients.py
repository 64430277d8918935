"""Programs in Python that talk to the engine."""

from __future__ import annotations

from shlex import quote

from dockerdoctor.checks.plugins import COMPOSE, install
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.endpoint import ChosenEndpoint
from dockerdoctor.facts.plugins import Plugins
from dockerdoctor.facts.python_clients import PythonClient, PythonClients
from dockerdoctor.model import Evidence, Finding, Severity

DISTRIBUTION = "/usr/lib/python3/dist-packages"


@check(
    "client.docker-py",
    title="Python's library for Docker fits the libraries it rests on",
    severity=Severity.ERROR,
    docs="https://github.com/docker/docker-py/issues/3256",
)
def docker_py(endpoint: ChosenEndpoint, clients: PythonClients, plugins: Plugins | None) -> Finding:
    """
    For Unix sockets docker-py takes the place of parts of requests and urllib3, and these have changed.

    Why it matters: "Not supported URL scheme http+docker", or "unexpected keyword argument 'chunked'", from every program
    that uses it, Compose version 1 and Ansible's modules among them; the engine is well.
    How to fix: a docker-py that knows the newer libraries; Compose version 2 in place of version 1.
    """
    if not endpoint.local:
        return skipped("the engine is not reached over a Unix socket")
    if not clients.all:
        return skipped("no Python at hand has docker-py")
    wrong = [client for client in clients.all if client.problem]
    if not wrong:
        there = ", ".join(f"{c.docker or 'of unknown version'} ({c.program})" for c in clients.all)
        return passed(f"docker-py {there} fits what it rests on")
    first = wrong[0]
    other = first.requests if first.problem == "requests" else first.urllib3
    says = (
        "Not supported URL scheme http+docker"
        if first.problem == "requests"
        else "request() got an unexpected keyword argument 'chunked'"
    )
    return failed(
        f"{first.program}: docker-py {first.docker} cannot work with {first.problem} {other}",
        *(
            Evidence(
                f"{c.folder}, for {c.interpreter}", f"docker {c.docker}, requests {c.requests}, urllib3 {c.urllib3}"
            )
            for c in wrong
        ),
        cause=f"{first.problem} has changed what docker-py of that version replaces: it fails with {says!r} before it "
        "has asked the engine anything.",
        fix=tuple(dict.fromkeys(step for client in wrong for step in _mend(client, plugins))),
    )


def _mend(client: PythonClient, plugins: Plugins | None) -> tuple[str, ...]:
    pip = f"{quote(client.interpreter)} -m pip"
    allow = " --break-system-packages" if client.managed else ""
    older = "requests<2.32" if client.problem == "requests" else "urllib3<2"
    if client.folder == DISTRIBUTION != client.problem_folder:
        # The distribution's docker-py, and in front of its requests another one: that is what does not belong.
        return (f"{pip} uninstall -y{allow} {client.problem}",)
    if client.compose:
        return (
            "# Compose version 1 gets no repairs any more: use version 2, docker compose",
            *install(COMPOSE, plugins),
            *((f"# or, in its own environment: {pip} install {quote(older)}",) if client.own else ()),
        )
    newer = " 'requests>=2.32.2'" if client.problem == "requests" else ""
    return (f"{pip} install{allow} 'docker>=7.1'{newer}",)
