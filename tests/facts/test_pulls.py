"""What the daemon's log tells of pulls, in lines that were really said."""

import pytest

from dockerdoctor.facts.pulls import failed_in

HANDLER = "Handler for POST /v1.41/images/create returned error"
NEXT = "Attempting next endpoint for pull after error"
HUB = r"Get \"https://registry-1.docker.io/v2/\": dial tcp: lookup registry-1.docker.io on 10.0.0.1:53: no such host"
CDN = r"Get \"https://cdn.test/registry-v2/x?sig=1\": dial tcp 192.0.2.1:443: i/o timeout"


@pytest.mark.parametrize(
    ("line", "url", "host", "image"),
    [
        (f"{HANDLER}: {HUB}", "https://registry-1.docker.io/v2/", "registry-1.docker.io", ""),
        (NEXT + r': Get \"https://10.0.0.1:5000/v2/\": http: server gave HTTP response to HTTPS client', "https://10.0.0.1:5000/v2/", "10.0.0.1:5000", ""),
        (HANDLER + ": pull access denied for busybx, repository does not exist or may require 'docker login': denied", "", "", "busybx"),
        (HANDLER + ": manifest for 10.0.0.1:5000/library/busybox:nosuch not found: manifest unknown: manifest unknown", "", "", "10.0.0.1:5000/library/busybox:nosuch"),
        (f"Not continuing with pull after error: error pulling image configuration: {CDN}", "https://cdn.test/registry-v2/x", "", ""),
        (f"Download failed, retrying (1/5): {CDN}", "https://cdn.test/registry-v2/x", "", ""),
        (r'Attempting next endpoint for push after error: Get \"https://reg.test/v2/\": EOF', "https://reg.test/v2/", "reg.test", ""),
    ],
)  # fmt: skip
def test_failed_pull(line, url, host, image):
    said = f'host dockerd[7]: time="2026-11-24T05:58:37.4Z" level=error msg="{line}"'
    (one,) = failed_in(f"1000.500000 {said}\n1000.600000 {said}\n", 1060.7)
    assert (one.url, one.host, one.image, one.ago) == (url, host, image, 60)


def test_other_lines_are_no_pulls():
    said = 'level=error msg="Handler for POST /v1.41/containers/create returned error: No such image: x:latest"'
    assert failed_in(f"1000.5 host dockerd[7]: {said}\nnonsense\n", 1001.0) == ()


def test_docker_hub_is_told_from_others():
    hub, other = failed_in(f'1.0 h d: msg="{HANDLER}: {HUB}"\n2.0 h d: msg="{HANDLER}: {CDN}"\n', 3.0)
    assert (hub.of_hub, other.of_hub) == (True, False)
