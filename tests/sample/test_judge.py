import pytest

from dockerdoctor.checks import CATALOGUE
from dockerdoctor.facts.listeners import Listener
from dockerdoctor.model import Evidence, Status
from dockerdoctor.sample.judge import (
    HOPELESS,
    NO_REDIS,
    BuildLog,
    Holder,
    Layers,
    build_failed,
    counted,
    meaning,
    not_listening,
    packages,
    page_missing,
    page_parts,
    port_ours,
    port_privileged,
    port_taken,
    reached,
    telling,
)

ID = "8fc990912a14"


def page(visits=NO_REDIS, name="World", host=ID):
    return f"<h3>Hello {name}!</h3><b>Hostname:</b> {host}<br/><b>Visits:</b> {visits}"


PAGES = {
    "without Redis": (page(), "", "pass pass pass"),
    "with Redis": (page("17"), "redis (redis:7-alpine)", "pass pass pass"),
    "Redis there, and not used": (page(), "redis (redis:7-alpine)", "pass pass fail"),
    "greets somebody else": (page(name="Docker"), "", "fail pass pass"),
    "another container": (page(host="0123456789ab"), "", "pass fail pass"),
    "no number": (page("many"), "", "pass pass fail"),
    "something after it": (page("17") + "\n", "", "pass pass fail"),
    "something before it": (" " + page("17"), "", "fail pass pass"),
    "nothing": ("", "", "fail fail fail"),
    "another application": ("<html><h1>It works!</h1></html>", "", "fail fail fail"),
}


@pytest.mark.parametrize(("text", "redis", "expected"), PAGES.values(), ids=PAGES)
def test_page(text, redis, expected):
    assert [f.status.value for f in page_parts(text, ID, redis_expected=redis)] == expected.split()


# As Engine 20.10 sends it, in pieces of its own.
STREAM = (
    {"stream": "Step 1/4 : FROM python:3.13-slim"},
    {"stream": "\n"},
    {"stream": " ---> c619012cbc61\n"},
    {"stream": "Step 2/4 : WORKDIR /app"},
    {"stream": "\n"},
    {"stream": " ---> Using cache\n"},
    {"stream": " ---> 45cab5c3a6ea\n"},
    {"stream": "Step 3/4 : COPY sample_app /app"},
    {"stream": "\n"},
    {"stream": " ---> fecc6407da66\n"},
    {"stream": "Step 4/4 : RUN pip install -r requirements.txt"},
    {"stream": "\n"},
    {"stream": " ---> Running in 36460a3cda25\n"},
    {
        "stream": "\x1b[91mWARNING: Retrying (Retry(total=4, connect=None)) after connection broken by "
        "'NewConnectionError(': Failed to establish a new connection: [Errno -3] Temporary failure in name "
        "resolution')': /simple/flask/\n\x1b[0m"
    },
    {"stream": "\x1b[91mERROR: Could not find a version that satisfies the requirement Flask (from versions: none)\n"},
    {"stream": "ERROR: No matching distribution found for Flask\n\x1b[0m"},
    {"stream": "Removing intermediate container 36460a3cda25\n"},
    {
        "errorDetail": {"code": 1, "message": "The command returned a non-zero code: 1"},
        "error": "The command '/bin/sh -c pip install -r requirements.txt' returned a non-zero code: 1",
    },
)


def heard(*events):
    log = BuildLog()
    for event in events:
        log.hear(event)
    return log


def test_build_log_knows_what_this_build_made():
    log = heard(*STREAM)
    assert (log.steps, log.cached, log.layers, log.image) == (4, 1, ["fecc6407da66"], "")
    assert log.step == "Step 4/4 : RUN pip install -r requirements.txt"
    assert heard({"aux": {"ID": "sha256:7c64"}}, {"stream": "Successfully built 7c64\n"}).image == "sha256:7c64"
    assert heard({"stream": "Successfully built 7c64\n"}).image == "7c64"


def test_build_log_gives_whole_lines():
    log = BuildLog()
    assert log.hear({"stream": "Collecting"}) == ()
    assert log.hear({"stream": " flask\n\n"}) == ("Collecting flask",)
    assert log.hear({"stream": "1 MB\r2 MB\n"}) == ("2 MB",)


def test_failed_build_says_the_cause_and_not_pips_last_words():
    finding = build_failed(heard(*STREAM))
    assert finding.status is Status.FAIL
    assert finding.summary == "RUN pip install -r requirements.txt: it exited with status 1"
    assert "name of the server could not be resolved" in finding.cause
    assert "Temporary failure in name resolution" in finding.evidence[0].saw
    assert finding.evidence[-1].saw == "ERROR: No matching distribution found for Flask"


def test_late_build_says_so():
    finding = build_failed(heard(*STREAM[:14]), late="not done within 20 s")
    assert finding.summary == "RUN pip install -r requirements.txt: not done within 20 s"
    assert "could not be resolved" in finding.cause


SAID = {
    "dial tcp: lookup registry.test on 192.0.2.53:53: read udp 10.0.0.2:4->192.0.2.53:53: i/o timeout": "resolved",
    "Get https://registry.test/v2/: x509: certificate signed by unknown authority": "not trusted",
    "Get https://registry.test/v2/: net/http: TLS handshake timeout": "in time",
    "Get http://10.9.0.1:5000/v2/: dial tcp 10.9.0.1:5000: connect: connection refused": "nothing that serves",
    "ProxyError('Cannot connect to proxy.', OSError('Tunnel connection failed: 407 Proxy Authentication'))": "password",
    "SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed'))": "not trusted",
    "write /app/x: no space left on device": "full",
    "toomanyrequests: You have reached your pull rate limit": "log in",
    "manifest unknown": "otherwise",
}


@pytest.mark.parametrize(("said", "expected"), SAID.items())
def test_meaning(said, expected):
    assert expected in meaning([said], "otherwise")


def test_telling_lines_are_the_last_where_none_is_an_error():
    assert telling([f"line {n}" for n in range(9)]) == ("line 4", "line 5", "line 6", "line 7", "line 8")


def test_port_taken_needs_no_diagnosis():
    holder = Holder("process nginx (pid 812)", "or free the port: kill 812", Evidence("/proc/812/cmdline", "nginx"))
    finding = port_taken(4000, holder, 4001)
    assert finding.summary == "port 4000 is taken by process nginx (pid 812)"
    assert finding.fix[0] == "doctor run-sample --port 4001"
    assert finding.because == ()
    assert port_taken(4000, None, 4001).summary == "port 4000 is taken"


def test_page_missing_tells_an_application_that_ended_from_one_that_is_not_reached():
    ended = page_missing("http://localhost:4000", "", 1, 0.1, "exited with status 1", ("ImportError: no flask",))
    assert ended.cause.endswith("ImportError: no flask")
    runs = page_missing("http://localhost:4000", "connection reset", 40, 30, "running", ())
    assert "connection reset" in runs.summary


RUNS, LOG = "running", (" * Running on http://127.0.0.1:80",)
LISTENS = {
    "on the loopback only": ((Listener("tcp", "127.0.0.1", 80),), RUNS, "loopback only", ()),
    "on another port": ((Listener("tcp", "0.0.0.0", 8080),), RUNS, "0.0.0.0:8080, and not on port 80", ()),
    "nowhere": ((), RUNS, "nothing listens", None),
    "no more": ((), "exited with status 1", "ended: exited with status 1", None),
}


@pytest.mark.parametrize(("inside", "state", "expected", "because"), LISTENS.values(), ids=LISTENS)
def test_application_that_does_not_listen_where_it_should(inside, state, expected, because):
    finding = not_listening(inside, 80, 3, state, LOG)
    assert expected in finding.summary
    assert finding.because == because


def test_program_for_another_processor():
    finding = not_listening((), 80, 0, "exited with status 1", ("exec /usr/bin/python: exec format error",))
    assert "another processor" in finding.cause


COUNTS = {
    "as it should": ((1, 2, 3), 1, "pass"),
    "one that has counted before": ((7, 8, 9), 0, "pass"),
    "a new one that has counted": ((7, 8, 9), 1, "fail"),
    "one that forgets": ((1, 1, 1), 1, "fail"),
    "one that ends": ((1, NO_REDIS, NO_REDIS), 1, "fail"),
}


@pytest.mark.parametrize(("visits", "first", "expected"), COUNTS.values(), ids=COUNTS)
def test_counter(visits, first, expected):
    assert counted([page(str(n)) for n in visits], first).status.value == expected


WAYS = {
    "all": ({"127.0.0.1": "", "10.0.0.2": "", "::1": ""}, "pass", "127.0.0.1, 10.0.0.2, ::1"),
    "not IPv6": ({"127.0.0.1": "", "10.0.0.2": "", "::1": "refused"}, "pass", "not at ::1"),
    "the loopback only": ({"127.0.0.1": "", "10.0.0.2": "timeout", "::1": ""}, "fail", "10.0.0.2: timeout"),
    "none": ({"127.0.0.1": "refused", "10.0.0.2": "refused", "::1": "refused"}, "fail", "no page at 127.0.0.1"),
}


@pytest.mark.parametrize(("troubles", "status", "said"), WAYS.values(), ids=WAYS)
def test_ways_to_the_page(troubles, status, said):
    finding = reached(troubles, ("127.0.0.1", "10.0.0.2"))
    assert finding.status.value == status
    assert said in finding.summary


def test_packages_are_read_from_the_step_that_installs_them():
    log = heard({"stream": "Step 1/1 : RUN pip install -r x\nSuccessfully installed Flask-3.1.3 Redis-8.1.0\n"})
    assert packages(log.parts).summary == "Flask-3.1.3, Redis-8.1.0"
    cached = heard({"stream": "Step 1/2 : RUN pip install -r x\n ---> Using cache\nStep 2/2 : CMD x\n"})
    assert "cache" in packages(cached.parts).summary
    assert [part.said for part in cached.parts] == ["from the cache", ""]


def test_step_of_a_build_that_failed_is_the_last_one():
    log = heard(*STREAM)
    assert [part.status.value for part in log.parts] == ["pass", "pass", "pass", "fail"]
    assert "No matching distribution" in log.parts[-1].output[-1]


def test_layers_of_a_pull():
    layers = Layers()
    assert layers.hear({"status": "Pulling from library/python", "id": "3.13-slim"}, 0)
    assert layers.hear({"status": "Downloading", "id": "aaa"}, 1) == "aaa: Downloading"
    assert layers.hear({"status": "Downloading", "id": "aaa"}, 2) == ""
    layers.hear({"status": "Pull complete", "id": "aaa"}, 3)
    layers.hear({"status": "Waiting", "id": "bbb"}, 3)
    assert [(p.name, p.status.value, p.seconds) for p in layers.parts] == [("aaa", "pass", 2), ("bbb", "unknown", 0)]


def test_port_of_a_sample_that_was_left_running():
    there = {"Id": "8fc990912a14" + "0" * 52, "Names": ["/sample"], "Image": "friendlyhello", "Status": "Up 2 hours"}
    finding = port_ours(4000, there, 4001)
    assert finding.fix[0] == "doctor run-sample --stop"
    assert "4001" in finding.fix[1]


def test_port_that_is_roots():
    assert port_privileged(80, 1024, 4000).fix[0] == "doctor run-sample --port 4000"


def test_waiting_for_pip_is_hopeless_only_where_no_container_gets_out():
    assert set(HOPELESS) <= {one.id for one in CATALOGUE}
    log = heard(*STREAM[:13])
    assert not log.retrying
    log.hear(STREAM[13])
    assert log.retrying


def test_base_of_no_stage_is_a_layer_of_the_build():
    said = "Step 1/3 : FROM a AS x\n ---> aaaaaaaaaaaa\nStep 2/3 : RUN b\n ---> bbbbbbbbbbbb\nStep 3/3 : FROM a\n ---> aaaaaaaaaaaa\n"
    assert heard({"stream": said}).layers == ["bbbbbbbbbbbb"]
