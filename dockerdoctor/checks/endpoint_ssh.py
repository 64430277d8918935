"""An engine behind ssh: whether the other host lets us in, and has an engine that its user may use."""

from __future__ import annotations

from shlex import quote
from urllib.parse import urlsplit

from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.endpoint import ChosenEndpoint, DaemonPing
from dockerdoctor.model import Evidence, Finding, Severity

# What ssh, the shell over there and the docker command over there say, the cause in words, and what to do; first match.
SAYS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("executable file not found", "there is no ssh program here", ("# install the ssh client (openssh-client)",)),
    (
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "its host key is not the one that is remembered",
        (
            "# if the host was installed anew, and only then, forget the old key:",
            "ssh-keygen -R {known}",
            "ssh {to} true",
        ),
    ),
    ("Host key verification failed", "its host key is not known here, and nobody was asked", ("ssh {to} true",)),
    (
        "Could not resolve hostname",
        "its name does not exist",
        ("getent hosts {host}", "# correct the name in the address"),
    ),
    (
        "Permission denied (",
        "it lets us in with no key that we have",
        ("ssh-copy-id {to}", "ssh -o BatchMode=yes {to} true"),
    ),
    # The client says the same of an engine that is down and of one that its user may not use.
    *(
        (said, "we are let in, and that user reaches no engine there", ("ssh {to} docker version", "ssh {to} id"))
        for said in ("permission denied while trying to connect", "Cannot connect to the Docker daemon")
    ),
    ("not found", "we are let in, and the docker command is not there", ("# install docker on {host}",)),
    (
        "Connection refused",
        "no ssh server listens there",
        ("# start sshd on {host}, or correct the port in the address",),
    ),
    *(
        (said, "its ssh server hangs up at once, as after too many failed logins", ("ssh {to} true",))
        for said in ("Connection closed", "Connection reset")
    ),
    *(
        (said, "nothing came back", ("# see whether {host} is on, and its port for ssh open",))
        for said in ("timed out", "no answer within")
    ),
    ("No route to host", "there is no way to it", ("ip route get $(getent hosts {host} | cut -d' ' -f1)",)),
)


@check(
    "engine.ssh",
    title="The engine's host can be reached by ssh",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/engine/security/protect-access/#use-ssh-to-protect-the-docker-daemon-socket",
    upstream=("engine.tls-files",),
)
def ssh(endpoint: ChosenEndpoint, ping: DaemonPing) -> Finding:
    """
    The client logs in to the other host without a word, and has the docker command there lead it to the socket.

    Why it matters: the message speaks of a URL and an exit status, and what ssh said stands at its very end.
    How to fix: make `ssh HOST docker version` work, without a question asked.
    """
    if not endpoint.url.startswith("ssh://"):
        return skipped("the endpoint is not reached by ssh")
    if ping.answered:
        return passed(f"{endpoint.url} leads to an engine")
    if endpoint.problem or ping.connect == "EINVAL":
        return passed(f"{endpoint.url} was not tried: {ping.outcome}")
    parts = urlsplit(endpoint.url)
    host, user = parts.hostname or "", parts.username or ""
    port = f"-p {parts.port} " if parts.port else ""
    words = {
        "host": host,
        "known": quote(f"[{host}]:{parts.port}" if parts.port else host),
        "user": user or "USER",
        "to": f"{port}{quote(f'{user}@{host}' if user else host)}",
    }
    what, fix = next(
        ((what, steps) for said, what, steps in SAYS if said in ping.outcome),
        ("the docker command does not get through", ("ssh {to} docker version",)),
    )
    return failed(
        f"{endpoint.url}: {what}",
        Evidence(f"docker -H {endpoint.url} version", ping.outcome),
        Evidence("chosen by", endpoint.source),
        cause=f"The client cannot reach the engine of {host} through ssh: {what}.",
        fix=tuple(step.format(**words) for step in fix),
    )
