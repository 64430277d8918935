"""Which nameservers are chosen, from what answered where; and what a restart does to containers."""

import pytest

from dockerdoctor.facts.containers import Container
from dockerdoctor.facts.inside import View
from dockerdoctor.facts.trial import Trial
from dockerdoctor.facts.upstreams import Candidate, Upstreams
from dockerdoctor.fixes.dns import candidates, choose, diff_of, impact
from dockerdoctor.host import DnsAnswer


def answers(**outcomes):
    return tuple(DnsAnswer(s.replace("_", "."), "udp", "x", o) for s, o in outcomes.items())


def view(place, own, **outcomes):
    return View(place, nameservers=own, dns=answers(**outcomes))


def trial(*answering, user=None):
    bridge = {f"_{s}": "NOERROR" for s in answering}
    there = bridge if user is None else {f"_{s}": "NOERROR" for s in user}

    def place(name, said):
        return View(name, dns=tuple(DnsAnswer(s[1:], "udp", "x", o) for s, o in said.items()))

    return Trial(place("default bridge", bridge), place("user network", there))


def host(*servers, gateways=()):
    return Upstreams(tuple(Candidate(s, "f") for s in servers), tuple(Candidate(g, "g") for g in gateways))


CHOICES = {
    # name: (in daemon.json, the host's, --dns, gateways, answering, chosen)
    "the host's": ((), ("10.0.0.1",), (), (), ("10.0.0.1", "8.8.8.8"), ["10.0.0.1"]),
    "only what answers": ((), ("10.0.0.1", "10.0.0.2"), (), (), ("10.0.0.2",), ["10.0.0.2"]),
    "what is there and works stays first": (
        ("10.9.9.9", "10.0.0.5"),
        ("10.0.0.1",),
        (),
        (),
        ("10.0.0.5", "10.0.0.1"),
        ["10.0.0.5", "10.0.0.1"],
    ),
    "--dns after the host's": (
        (),
        ("10.0.0.1",),
        ("10.7.7.7",),
        (),
        ("10.0.0.1", "10.7.7.7"),
        ["10.0.0.1", "10.7.7.7"],
    ),
    "--dns always has its place": (
        (),
        ("10.0.0.1", "10.0.0.2", "10.0.0.3"),
        ("10.7.7.7",),
        (),
        ("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.7.7.7"),
        ["10.0.0.1", "10.0.0.2", "10.7.7.7"],
    ),
    "--dns that does not answer": ((), ("10.0.0.1",), ("10.7.7.7",), (), ("10.0.0.1",), ["10.0.0.1"]),
    "three at most": (
        (),
        ("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"),
        (),
        (),
        ("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"),
        ["10.0.0.1", "10.0.0.2", "10.0.0.3"],
    ),
    "the router before strangers": ((), (), (), ("10.0.0.254",), ("10.0.0.254", "8.8.8.8"), ["10.0.0.254"]),
    "strangers last": ((), ("10.0.0.1",), (), ("10.0.0.254",), ("8.8.8.8", "9.9.9.9"), ["8.8.8.8", "9.9.9.9"]),
    "never loopback": (("127.0.0.53", "::1"), ("127.0.0.1",), (), (), ("127.0.0.53", "127.0.0.1"), []),
    "one spelling": (("2001:DB8::0:1",), (), (), (), ("2001:db8::1",), ["2001:db8::1"]),
    "nonsense": (("dns.example", "10.0.0.1 "), (), (), (), ("dns.example",), []),
    "none": ((), ("10.0.0.1",), (), (), (), []),
}


@pytest.mark.parametrize(("present", "own", "named", "gateways", "answering", "chosen"), CHOICES.values(), ids=CHOICES)
def test_choice(present, own, named, gateways, answering, chosen):
    ranked = candidates(present, "/etc/docker/daemon.json", host(*own, gateways=gateways), named)
    tried = choose(ranked, trial(*answering), named)
    assert [t.candidate.server for t in tried if t.chosen] == chosen
    assert all(t.why for t in tried)


def test_a_server_must_answer_on_every_kind_of_network():
    ranked = candidates((), "", host("10.0.0.1", "10.0.0.2"), ())
    tried = choose(ranked, trial("10.0.0.1", "10.0.0.2", user=("10.0.0.2",)))
    assert [t.candidate.server for t in tried if t.chosen] == ["10.0.0.2"]


@pytest.mark.parametrize(
    ("servers", "outcomes", "well"),
    [
        (("10.0.0.1",), {"10_0_0_1": "NOERROR"}, True),
        (("10.0.0.1",), {"10_0_0_1": "NXDOMAIN"}, True),
        (("10.0.0.1",), {"10_0_0_1": "timeout"}, False),
        (("10.0.0.1",), {"10_0_0_1": "REFUSED"}, False),
        (("10.0.0.1",), {}, False),
        ((), {}, False),
        # The second is asked at once where the first refuses, and after five seconds where it is silent.
        (("127.0.0.53", "10.0.0.1"), {"127_0_0_53": "ECONNREFUSED", "10_0_0_1": "NOERROR"}, True),
        (("10.9.9.9", "10.0.0.1"), {"10_9_9_9": "timeout", "10_0_0_1": "NOERROR"}, False),
        (("10.0.0.1", "10.9.9.9"), {"10_0_0_1": "NOERROR", "10_9_9_9": "timeout"}, True),
    ],
)
def test_well(servers, outcomes, well):
    fine = view("user network", ("127.0.0.11",), **{"127_0_0_11": "NOERROR"})
    assert Trial(view("default bridge", servers, **outcomes), fine).well is well


def test_a_place_that_could_not_be_asked_does_not_count():
    fine = view("user network", ("127.0.0.11",), **{"127_0_0_11": "NOERROR"})
    assert Trial(View("default bridge", error="no default bridge"), fine).well
    assert not Trial(View("default bridge", error="x"), View("user network", error="x")).well


def test_one_lost_packet_condemns_nobody():
    lost = view("default bridge", ("10.0.0.1",), **{"10_0_0_1": "timeout"})
    fine = view("default bridge", ("10.0.0.1",), **{"10_0_0_1": "NOERROR"})
    user = View("user network", error="none")
    assert Trial(lost, user).or_else(Trial(fine, user)).serves("10.0.0.1")


RUNNING = (
    Container("1", "web", "i", "running", "Up", restart_policy="no"),
    Container("2", "db", "i", "running", "Up", restart_policy="always"),
    Container("3", "own", "i", "running", "Up", restart_policy="unless-stopped", dns=("10.9.9.9",)),
)


def test_impact_of_a_restart():
    met = impact(RUNNING, live_restore=False)
    assert met.stop == ("web",)
    assert met.return_by_policy == ("db", "own")
    assert met.recreate == ("own",)
    assert met.afterwards[0] == "docker start web"
    assert impact((), live_restore=False).words == ("restarts dockerd", "no container runs")
    assert "not known" in impact(None, live_restore=False).words[1]


def test_live_restore_keeps_containers_and_their_old_servers():
    met = impact(RUNNING, live_restore=True)
    assert met.stop == met.return_by_policy == ()
    assert met.keep_running == ("web", "db", "own")
    assert met.afterwards[0] == "docker restart web db"


def test_the_diff_can_be_printed_whatever_the_file_holds():
    lines = diff_of("/f", b'\xef\xbb\xbf{"labels": ["\xff"]}', b'\xef\xbb\xbf{"labels": ["\xff"], "dns": ["a"]}')
    assert lines[-1] == '+{"labels": ["\ufffd"], "dns": ["a"]}'
    assert diff_of("/f", None, b"{}\n")[:2] == ("--- /dev/null", "+++ /f")


def test_the_diff_shows_no_login_that_stands_beside_the_change():
    was = b'{\n "auths": {"r.example": {"auth": "dXNlcjpwYXNz"}},\n "httpProxy": "http://u:hidden@p:1",\n "credsStore": "a"\n}\n'
    shown = "\n".join(diff_of("/f", was, was.replace(b'"a"', b'"b"')))
    assert '- "credsStore": "a"' in shown
    assert "dXNlcjpwYXNz" not in shown
    assert "hidden" not in shown
