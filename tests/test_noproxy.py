"""NO_PROXY by the rules of each program; the rows were seen with curl 7.88 and 8.14, GNU wget 1.21, Python 3.13, requests 2.34, apt 3.0."""

import pytest

from dockerdoctor.noproxy import APT, BUSYBOX, CURL, GO, OLD_CURL, REQUESTS, URLLIB, WGET, meant, ways

IP, NAME, SUB = "10.0.0.1", "reg.lab", "a.reg.lab"


@pytest.mark.parametrize(
    ("host", "no_proxy", "past"),
    [
        (IP, "10.0.0.0/24", {GO, CURL, REQUESTS}),
        (IP, "10.0.0.0/24,localhost", {GO, CURL, REQUESTS}),
        (IP, IP, {GO, CURL, OLD_CURL, REQUESTS, URLLIB, WGET, APT}),
        (IP, f"x, {IP}", {GO, CURL, OLD_CURL, REQUESTS, URLLIB, WGET}),
        (IP, "10.0.0.*", set()),
        (IP, "10.0.0", set()),
        (NAME, "10.0.0.0/24", set()),
        (NAME, NAME, {GO, CURL, OLD_CURL, REQUESTS, URLLIB, WGET, APT}),
        (NAME, ".reg.lab", {CURL, OLD_CURL, REQUESTS, URLLIB}),
        (SUB, ".reg.lab", {GO, CURL, OLD_CURL, REQUESTS, URLLIB, WGET, APT}),
        (SUB, "reg.lab", {GO, CURL, OLD_CURL, REQUESTS, URLLIB, WGET, APT}),
        (SUB, "*.reg.lab", {GO}),
        (NAME, "*", {GO, CURL, OLD_CURL, REQUESTS, URLLIB}),
        (NAME, "reg.lab:5000", {GO, REQUESTS, URLLIB}),
        (NAME, "reg.lab:99", set()),
        (NAME, "localhost reg.lab", set()),
        (NAME, "localhost;reg.lab", set()),
        (NAME, "http://reg.lab", set()),
        (NAME, "REG.LAB", {GO, CURL, OLD_CURL, REQUESTS, URLLIB, WGET, APT}),
        ("localhost", "", {GO}),
        ("127.0.0.1", "127.0.0.0/8", {GO, CURL, REQUESTS}),
        ("127.0.0.1", "localhost", {GO}),
    ],
)
def test_past(host, no_proxy, past):
    env = {"http_proxy": "http://p:1", "no_proxy": no_proxy}
    everybody = (GO, CURL, OLD_CURL, REQUESTS, URLLIB, WGET, APT, BUSYBOX)
    assert {c.name for c in everybody if not c.proxy(env, "http", host, 5000)} == {c.name for c in past}


@pytest.mark.parametrize(
    ("name", "asks"),
    [
        ("http_proxy", {GO, CURL, REQUESTS, URLLIB, WGET, BUSYBOX}),
        ("HTTP_PROXY", {GO, REQUESTS, URLLIB}),
        ("ALL_PROXY", {CURL, REQUESTS}),
        ("all_proxy", {CURL, REQUESTS}),
        ("https_proxy", set()),
    ],
)
def test_spelling(name, asks):
    everybody = (GO, CURL, REQUESTS, URLLIB, WGET, BUSYBOX)
    assert {c.name for c in everybody if c.proxy({name: "http://p:1"}, "http", IP, 80)} == {c.name for c in asks}


def test_ways():
    env = {"HTTP_PROXY": "http://p:1", "no_proxy": "10.0.0.0/8"}
    assert ways(env, "http", IP, 80) == (("Python's urllib",), ("Go", "Python's requests"))


@pytest.mark.parametrize(
    ("no_proxy", "entry", "why"),
    [
        ("localhost,10.0.0.0/8", "10.0.0.0/8", "a name"),
        ("http://reg.lab", "http://reg.lab", "scheme"),
        ("reg.lab/", "reg.lab/", "ends with"),
        ("reg.*", "reg.*", "counts for nothing"),
        ("localhost reg.lab", "localhost reg.lab", "commas"),
        ("localhost;reg.lab", "localhost;reg.lab", "commas"),
        (".reg.lab", ".reg.lab", "below"),
        ("*.reg.lab", "*.reg.lab", "below"),
        ("reg.lab:99", "reg.lab:99", "another port"),
        ("localhost", "", ""),
        ("192.0.2.0/24", "", ""),
    ],
)
def test_meant(no_proxy, entry, why):
    found, said = meant(no_proxy, NAME, (IP,))
    assert found == entry
    assert why in said
