"""What the daemon's log tells of pulls, in lines that were really said."""

import pytest

from dockerdoctor.facts.pulls import FailedPulls, failed_in

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


CONFIGURATION = (
    "Not continuing with pull after error: error pulling image configuration: download failed after attempts=6: "
)


@pytest.mark.parametrize(
    ("said", "url", "layers"),
    [
        ("Download failed, retrying (1/5): dial tcp 198.51.100.9:80: connect: connection refused", "http://198.51.100.9:80/", True),
        (CONFIGURATION + "dial tcp 198.51.100.9:443: i/o timeout", "https://198.51.100.9:443/", True),
        (CONFIGURATION + "dial tcp [2001:db8::9]:443: connect: network is unreachable", "https://[2001:db8::9]:443/", True),
        (CONFIGURATION + "dial tcp: lookup cdn.test on 10.0.0.1:53: no such host", "https://cdn.test/", True),
        (CONFIGURATION + "dial tcp: lookup cdn.test: i/o timeout", "https://cdn.test/", True),
        # The proxy's checks name it.
        (CONFIGURATION + "proxyconnect tcp: dial tcp 10.0.0.8:3128: connect: connection refused", "", True),
        (CONFIGURATION + "denied: <html>Blocked</html>", "", True),
        ("Not continuing with pull after error: manifest unknown: dial tcp 198.51.100.9:80: x", "", False),
    ],
)  # fmt: skip
def test_layers_that_do_not_come(said, url, layers):
    (one,) = failed_in(f'1.0 h d: level=info msg="{said}"\n', 3.0)
    assert (one.url, one.layers) == (url, layers)
    assert FailedPulls((one,)).of_layers is layers
    assert list(FailedPulls((one,)).elsewhere.values()) == ([url] if url else [])


def test_other_lines_are_no_pulls():
    said = 'level=error msg="Handler for POST /v1.41/containers/create returned error: No such image: x:latest"'
    assert failed_in(f"1000.5 host dockerd[7]: {said}\nnonsense\n", 1001.0) == ()


def test_docker_hub_is_told_from_others():
    hub, other = failed_in(f'1.0 h d: msg="{HANDLER}: {HUB}"\n2.0 h d: msg="{HANDLER}: {CDN}"\n', 3.0)
    assert (hub.of_hub, other.of_hub) == (True, False)
