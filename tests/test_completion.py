"""What may come next on the command line."""

import json

import pytest
import typer

from dockerdoctor.checks import CATALOGUE
from dockerdoctor.cli import app
from dockerdoctor.completion import VALUES, Directive, answer, candidates
from dockerdoctor.host import Host
from dockerdoctor.render import ReportFormat

IDS = [c.id for c in CATALOGUE]
FORMATS = [f.value for f in ReportFormat]


@pytest.fixture
def host(tmp_path):
    meta = tmp_path / "home/al/.docker/contexts/meta"
    for name, text in {"0a": json.dumps({"Name": "far", "Metadata": {"Description": "over there"}}), "0b": "{"}.items():
        (meta / name).mkdir(parents=True)
        (meta / name / "meta.json").write_text(text)
    return Host(tmp_path, {"HOME": "/home/al", "PWD": "/"})


@pytest.mark.parametrize(
    ("line", "expected", "directive"),
    [
        ("che", ["check", "checks"], Directive.NO_FILES),
        ("check --form", ["--format"], Directive.NO_FILES),
        ("check --format ", FORMATS, Directive.NO_FILES),
        ("check --format j", ["json", "junit"], Directive.NO_FILES),
        ("check --format=j", ["--format=json", "--format=junit"], Directive.NO_FILES),
        ("check --report html --report j", ["json=", "junit="], Directive.NO_FILES | Directive.NO_SPACE),
        ("check --report json=./re", [], Directive.DEFAULT),
        ("check --output ", [], Directive.DEFAULT),
        ("check -o ", [], Directive.DEFAULT),
        ("check --config ", [], Directive.DEFAULT),
        ("check --output=./re", [], Directive.DEFAULT),
        ("check --timeout ", [], Directive.NO_FILES),
        ("check --only dns.server", ["dns.server-dead"], Directive.NO_FILES),
        ("check --only dns.server-dead,dns.udp", ["dns.server-dead,dns.udp-blocked"], Directive.NO_FILES),
        ("check --context ", ["default", "far"], Directive.NO_FILES),
        ("check -c f", ["far"], Directive.NO_FILES),
        ("check no", [], Directive.NO_FILES),
        ("explain ", IDS, Directive.NO_FILES),
        ("explain dns.server-dead dns.server", [], Directive.NO_FILES),
        ("fix engine.reachable engine.respons", ["engine.responsive"], Directive.NO_FILES),
        ("diff a.json ", [], Directive.DEFAULT),
        ("undo ", [], Directive.NO_FILES),
        ("plugin ", ["install", "uninstall"], Directive.NO_FILES),
        ("plugin install --", ["--system", "--help"], Directive.NO_FILES),
        ("nonsense ", [], Directive.NO_FILES),
    ],
)
def test_candidates(host, line, expected, directive):
    found, told = candidates(line.split(" "), host)
    assert ([value for value, _ in found], told) == (expected, directive)


def test_an_option_that_was_given_is_not_offered_again_unless_it_may_be(host):
    found = [value for value, _ in candidates(["check", "--passive", "--skip", "dns.*", "--"], host)[0]]
    assert "--passive" not in found
    assert {"--skip", "--timeout"} <= set(found)


def test_a_line_each_with_its_help_and_the_directive_at_the_end(host):
    lines = answer(["check", "--context", "fa"], host).splitlines()
    assert lines == ["far\tover there", ":4"]


def test_every_parameter_with_values_of_its_own_is_there():
    group = typer.main.get_command(app)
    assert set(VALUES) <= {p.name for command in group.commands.values() for p in command.params}
