"""One row for each verdict on what users want to pull."""

import pytest

from dockerdoctor.checks.registry_pulls import credential_helper, image_name, layer_refused, platform
from dockerdoctor.facts.helpers import Helper, Helpers
from dockerdoctor.facts.pulls import FailedPull, FailedPulls
from dockerdoctor.facts.registry import Registries, Registry
from dockerdoctor.model import Status
from dockerdoctor.web import Attempt

PASS, FAIL, SKIP = Status.PASS, Status.FAIL, Status.SKIP
CONFIG = "/root/.docker/config.json"


@pytest.mark.parametrize(
    ("helpers", "status", "words"),
    [
        ((), SKIP, ""),
        ((Helper("pass", "", "/usr/bin/docker-credential-pass"),), PASS, ""),
        ((Helper("desktop", "", ""),), FAIL, "docker-credential-desktop, which /root/.docker/config.json names, is not there"),
        ((Helper("pass", "", "/x", "the program `pass`"),), FAIL, "lacks the program"),
        ((Helper("ecr-login", "1.ecr.test", ""),), FAIL, "docker-credential-ecr-login"),
    ],
)  # fmt: skip
def test_credential_helper(helpers, status, words):
    said = credential_helper.decide(Helpers(CONFIG, helpers))
    assert said.status is status
    assert words in said.summary


def denied(image):
    return FailedPull(f"pull access denied for {image}, repository does not exist", 90, image=image)


def test_image_name():
    assert image_name.decide(FailedPulls(), None).status is PASS
    said = image_name.decide(FailedPulls((denied("busybx"),), ("busybox:latest", "redis:7")), None)
    assert said.status is FAIL
    assert "did you mean busybox, which" in said.fix[0]
    assert "not for everybody" in said.summary
    gone = FailedPull("manifest for reg.test/app:2 not found: manifest unknown", 90, image="reg.test/app:2")
    assert image_name.decide(FailedPulls((gone,)), None).summary == "reg.test/app:2 is not there"
    nameless = FailedPull("manifest unknown: manifest unknown", 90)
    assert (
        "an image that was asked for 90 seconds ago is not there"
        in image_name.decide(FailedPulls((nameless,)), None).summary
    )
    private = image_name.decide(FailedPulls((FailedPull("unauthorized: authentication required", 9),)), None)
    assert "not for everybody" in private.summary
    assert (
        image_name.decide(FailedPulls((FailedPull('Get "https://x/v2/": EOF', 9, "https://x/v2/"),)), None).status
        is PASS
    )


@pytest.mark.parametrize(
    ("pull", "because"),
    [
        (FailedPull("unauthorized: authentication required", 9, "https://reg.test/v2/a/manifests/1"), None),
        (FailedPull("unauthorized: unauthorized", 9), None),
        (FailedPull("unauthorized: unauthorized", 9, "https://other.test/v2/"), ()),
        (FailedPull("manifest unknown: manifest unknown", 9), ()),
    ],
)
def test_a_login_that_is_refused_explains_what_is_denied(pull, because):
    there = Registries((Registry("reg.test", "named", "a test", Attempt("https://reg.test/v2/"), login="refused"),))
    assert image_name.decide(FailedPulls((pull,)), there).because == because


def test_a_layer_that_is_denied_is_no_image_s_name():
    filtered = FailedPull("denied: <html>Blocked</html>", 9, layers=True)
    assert image_name.decide(FailedPulls((filtered,)), None).status is PASS


@pytest.mark.parametrize(
    ("pull", "status", "words"),
    [
        (FailedPull("denied: <html>Blocked</html>", 9, layers=True), FAIL, "a web page came instead"),
        (FailedPull("error parsing HTTP 403 response body: invalid character '<'", 9, layers=True), FAIL, "a web page"),
        (FailedPull("received unexpected HTTP status: 503 Service Unavailable", 9, layers=True), FAIL, "503"),
        (FailedPull("error pulling image configuration: context canceled", 9, layers=True), PASS, ""),
        (FailedPull("dial tcp 192.0.2.9:80: i/o timeout", 9, "http://192.0.2.9:80/", layers=True), PASS, ""),
        (FailedPull("denied: denied", 9), PASS, ""),
    ],
)
def test_layer_refused(pull, status, words):
    said = layer_refused.decide(FailedPulls((pull,)))
    assert said.status is status
    assert words in said.summary


def test_who_has_no_login_is_told_where():
    none = FailedPull("no basic auth credentials", 9, "http://reg.test:5000/v2/a/manifests/1")
    said = image_name.decide(FailedPulls((none,)), None)
    assert (said.status, said.fix[0]) == (FAIL, "# if it is private: docker login reg.test:5000")


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        ("no matching manifest for linux/arm64/v8 in the manifest list entries", "linux/arm64/v8"),
        ("no match for platform in manifest: not found", ""),
        ("no matching manifest for linux/amd64 in the manifest list entries: no match", "linux/amd64"),
    ],
)
def test_platform(error, wanted):
    said = platform.decide(FailedPulls((FailedPull(error, 5),)), None)
    assert (said.status is FAIL) == bool(wanted)
    assert wanted in said.summary
