"""Whether builders of buildx know how the registries are to be spoken to: they read nothing of the daemon's."""

from __future__ import annotations

from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.builds import Builder
from dockerdoctor.facts.registry import Registries, Registry
from dockerdoctor.model import Evidence, Finding, Severity
from dockerdoctor.web import is_loopback_host, split_port

OWN = "docker-container"


@check(
    "registry.builder",
    title="The builder that is in use knows registries without TLS, and private authorities, as the daemon does",
    severity=Severity.WARNING,
    docs="https://docs.docker.com/build/buildkit/configure/#setting-registry-certificates",
)
def builder(builder: Builder, registries: Registries) -> Finding:
    """
    A builder in a container of its own goes by its buildkitd.toml, and neither by insecure-registries nor by certs.d.

    Why it matters: `docker pull` and `docker push` work, and `docker buildx build --push` to the same registry ends with
    "server gave HTTP response to HTTPS client" or "certificate signed by unknown authority" (docker/buildx#1642).
    How to fix: name the registry in a buildkitd.toml and make the builder anew with it; or use the daemon's own builder.
    """
    if builder.driver != OWN:
        return skipped(
            "builds go by the daemon's own settings" if not builder.driver else f"the driver is {builder.driver}"
        )
    missing = [
        r for r in registries.all if r.serves and r.name not in builder.registries and (_plain(r) or r.authorities)
    ]
    missing = [r for r in missing if r.role != "mirror"]
    if not missing:
        return passed(f"{builder.name} is told of every registry that wants it")
    names = ", ".join(r.name for r in missing)
    return failed(
        f"the builder {builder.name} is not told of {names}",
        Evidence(builder.path, f"{OWN}; buildkitd.toml names {', '.join(builder.registries) or 'no registry'}"),
        *(
            Evidence(f"GET {r.asked.url}", "plain HTTP" if _plain(r) else f"verified by {r.authorities[0]}")
            for r in missing
        ),
        cause=f"The daemon is told how to speak to {names}; {builder.name} is a BuildKit of its own, and reads none of it.",
        fix=(
            *(f"# in a file buildkitd.toml: {_section(r)}" for r in missing),
            "# make the builder anew with it, its cache goes:",
            f"# docker buildx rm {builder.name}",
            f"# docker buildx create --name {builder.name} --driver {OWN} --config buildkitd.toml --use",
            "# or build with the daemon's own: docker buildx use default",
        ),
    )


def _plain(registry: Registry) -> bool:
    """Whether the daemon speaks to it without TLS; this host's own is another one to a container."""
    return registry.asked.url.startswith("http:") and not is_loopback_host(split_port(registry.host_port)[0])


def _section(registry: Registry) -> str:
    how = "http = true" if _plain(registry) else f'ca = ["{registry.authorities[0]}"]'
    return f'[registry."{registry.name}"] {how}'
