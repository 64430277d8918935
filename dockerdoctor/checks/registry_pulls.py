"""What users want to pull, and with whose help: images that failed lately, and the client's credential helpers."""

from __future__ import annotations

import difflib
import re

from dockerdoctor.checks.registry import MISSING_PROXY, PROXIES
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.engine import EngineVersion
from dockerdoctor.facts.helpers import Helpers
from dockerdoctor.facts.pulls import FailedPull, FailedPulls
from dockerdoctor.facts.registry import Registries, registry_of
from dockerdoctor.facts.registry_names import ago
from dockerdoctor.model import Evidence, Finding, Severity

_PLATFORM = re.compile(r"no match(?:ing manifest)? for (?:platform in manifest: )?(?P<platform>\w+/\w+(?:/\w+)?)")


# What is no answer of a registry's: engines before 23.0 try to read it as JSON.
_PAGE = re.compile(r"<html|<!doctype|invalid character '<'|config verification failed", re.IGNORECASE)
# What a registry answers, by distribution's specification; engines keep the image's name to themselves.
_ABSENT = re.compile(r"manifest unknown|name unknown|not found: manifest|repository name not known|does not exist")
_DENIED = re.compile(
    r"access denied|requested access to the resource is denied|^denied|unauthorized|no basic auth credentials",
    re.IGNORECASE,
)


@check(
    "registry.credential-helper",
    title="The client's credential helpers are there",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/reference/cli/docker/login/#credential-stores",
)
def credential_helper(helpers: Helpers) -> Finding:
    """
    "credsStore" and "credHelpers" in the client's configuration name programs; Docker Desktop leaves "desktop" there when it goes.

    Why it matters: `docker login` and builds end with "error getting credentials", and logins are not found.
    How to fix: install the helper, or take its name out: logins are then kept in the file itself, unencrypted.
    """
    if not helpers.all:
        return skipped("no credential helper is configured")
    sick = [h for h in helpers.all if not h.path or h.lacks]
    if not sick:
        return passed(f"{', '.join(sorted({h.path for h in helpers.all}))}: there")
    first = sick[0]
    program = f"docker-credential-{first.name}"
    key = "credHelpers" if first.registry else "credsStore"
    written = f'"{first.registry}"' if first.registry else '"credsStore"'
    pair = f'{written}[[:space:]]*:[[:space:]]*"{first.name}"'
    what = "is not there" if not first.path else f"lacks {first.lacks}"
    return failed(
        f"{program}, which {helpers.path} names, {what}",
        Evidence(f"{helpers.path} {key}", f"{first.registry or 'every registry'}: {first.name}"),
        Evidence(f"PATH, for {program}", first.path or "not found"),
        cause=f"The client runs {program} for {first.registry or 'every registry'}, and it {what}.",
        fix=(
            f"# install {program if not first.path else first.lacks}; or take it out, and logins are kept in the file itself:",
            f"cp -a --backup=numbered {helpers.path} {helpers.path}.bak",
            f"sed -z -i -E 's#,[[:space:]]*{pair}##; t; s#{pair}[[:space:]]*,?[[:space:]]*##' {helpers.path}",
        ),
    )


@check(
    "registry.image-name",
    title="The images that were asked for lately exist",
    severity=Severity.WARNING,
    docs="https://docs.docker.com/reference/cli/docker/image/pull/",
    upstream=("registry.login",),
)
def image_name(pulls: FailedPulls, registries: Registries | None) -> Finding:
    """
    A registry says the same of an image that is not there and of one that is not for everybody.

    Why it matters: "pull access denied … repository does not exist or may require 'docker login'", or "manifest unknown".
    How to fix: correct the name or the tag, log in, or build what was to be built here.
    """
    named = [p for p in pulls.all if not p.layers]
    wrong = [p for p in named if p.image or _ABSENT.search(p.error) or _DENIED.search(p.error)]
    if not wrong:
        return passed("no pull failed over an image's name")
    last = wrong[-1]
    absent = bool(_ABSENT.search(last.error)) and not _DENIED.search(last.error)
    names = [*pulls.here, *(t.partition(":")[0] for t in pulls.here)]
    near = difflib.get_close_matches(last.image, names, n=1, cutoff=0.7) if last.image else []
    fix = [f"# did you mean {near[0]}, which is on this host?"] if near else []
    if last.host and not absent:
        fix.append(f"# if it is private: docker login {last.host}")
    refused = {r.name for r in registries.all if r.login == "refused"} if registries else set()
    explained = all(_DENIED.search(p.error) and _asked(p) in {"", *refused} for p in wrong)
    return failed(
        f"{last.image or f'an image that was asked for {ago(last.ago)}'} is not there"
        + ("" if absent else ", or not for everybody"),
        *map(_seen, wrong),
        cause="The registry answers, and has no such image, or none with that tag."
        if absent
        else "The registry answers, and either has no such image or shows it to nobody without a login.",
        fix=(*fix, "# correct the name and the tag; log in if the image is private; build it if it is your own"),
        because=None if explained else (),
    )


def _asked(pull: FailedPull) -> str:
    """The registry, as a login is for it; empty where the words do not tell."""
    return "docker.io" if pull.of_hub else pull.host or registry_of(pull.image)


@check(
    "registry.platform",
    title="The images that were asked for lately are made for this machine",
    severity=Severity.WARNING,
    docs="https://docs.docker.com/build/building/multi-platform/",
)
def platform(pulls: FailedPulls, version: EngineVersion | None) -> Finding:
    """
    An image is built for certain kinds of processor, and its manifest lists them.

    Why it matters: "no matching manifest for linux/arm64/v8 in the manifest list entries".
    How to fix: choose another tag, or pull another platform's and have it emulated.
    """
    wrong = [(p, m["platform"]) for p in pulls.all if (m := _PLATFORM.search(p.error))]
    if not wrong:
        return passed("no pull failed over the processor that an image is made for")
    last, wanted = wrong[-1]
    return failed(
        f"an image that was pulled {ago(last.ago)} is not made for {wanted}",
        *(_seen(p) for p, _ in wrong),
        *((Evidence("GET /version", f"{version.os}/{version.arch}"),) if version else ()),
        cause=f"The image's manifest lists other platforms than {wanted}.",
        fix=(
            "# see what there is: docker manifest inspect IMAGE",
            "# choose a tag that is made for this machine, or: docker pull --platform linux/amd64 IMAGE, which needs emulation",
        ),
    )


@check(
    "registry.layer-refused",
    title="The layers that were asked for lately came",
    severity=Severity.WARNING,
    docs="https://docs.docker.com/desktop/setup/allow-list/",
    upstream=("registry.layers", "registry.rate-limit", "registry.login", *PROXIES, *MISSING_PROXY),
)
def layer_refused(pulls: FailedPulls) -> Finding:
    """
    Manifests come from the registry, layers from wherever it sends one; the daemon's log does not say where that is.

    Why it matters: "error pulling image configuration", or the same layer is tried again and again.
    How to fix: let the firewall or the proxy have the server that layers come from; it is seen by asking for one.
    """
    # Where the words name somebody, he has been asked again; what nobody awaited, failed over nothing.
    wrong = [p for p in pulls.all if p.layers and not p.url and "context canceled" not in p.error]
    if not wrong:
        return passed("no layer was refused")
    last = wrong[-1]
    page = bool(_PAGE.search(last.error))
    return failed(
        f"an image's layers did not come {ago(last.ago)}: "
        + ("a web page came instead" if page else last.error[-120:]),
        *map(_seen, wrong),
        cause="A filter in between answers for the server that layers come from, and not as a registry would."
        if page
        else "The registry handed out the manifest, and the server that its layers come from failed.",
        fix=(
            "# see where layers come from: curl -sI REGISTRY/v2/NAME/blobs/DIGEST, its Location",
            "# let the firewall or the proxy have that server as well as the registry",
        ),
    )


def _seen(pull: FailedPull) -> Evidence:
    return Evidence(f"the daemon's log, {ago(pull.ago)}", pull.error[:200])
