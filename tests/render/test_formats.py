"""Each format, read by a real reader of it: on patients of all kinds, and on a host that says what would break it."""

import json
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jsonschema import Draft4Validator, Draft202012Validator
from junitparser import JUnitXml
from markdown_it import MarkdownIt
from prometheus_client.parser import text_string_to_metric_families

from dockerdoctor.diagnose import report_on
from dockerdoctor.facts.endpoint import Settings
from dockerdoctor.facts.probes import PROBES
from dockerdoctor.model import Endpoint, Severity, Status
from dockerdoctor.render import FORMATS, ReportFormat
from dockerdoctor.render.terminal import Options
from dockerdoctor.render.words import details, one_line, steps, tame_report
from dockerdoctor.saved import load
from tests.render.patients import REPORTS

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs"
EXTENSIONS = {ReportFormat.MARKDOWN: "md", ReportFormat.JUNIT: "junit.xml", ReportFormat.PROMETHEUS: "prom"} | {
    form: "txt" if form in {ReportFormat.TEXT, ReportFormat.GITHUB} else form.value
    for form in ReportFormat
    if form not in {ReportFormat.MARKDOWN, ReportFormat.JUNIT, ReportFormat.PROMETHEUS}
}
EXTENSIONS[ReportFormat.GITHUB] = "github.txt"


def patients():
    yield from (pytest.param(one, id=name) for name, one in REPORTS.items())
    for path in sorted((HERE.parent / "cases").glob("*.json")):
        saved = json.dumps(json.loads(path.read_text(encoding="utf-8"))["saved"])
        yield pytest.param(report_on(load(saved, PROBES, (Settings,))), id=path.stem)


every_patient = pytest.mark.parametrize("patient", list(patients()))


def shown(form, patient):
    text = FORMATS[form](patient, Options(width=100, verbose=True))
    # As the command line writes it.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def failures(patient):
    return [r for r in tame_report(patient).results if r.finding.status is Status.FAIL]


@pytest.mark.parametrize("form", list(ReportFormat))
@pytest.mark.parametrize("name", REPORTS)
def test_golden(name, form):
    """GOLDEN=write makes them anew; look at what changed before you commit it."""
    path = HERE / "golden" / f"{name}.{EXTENSIONS[form]}"
    text = shown(form, REPORTS[name])
    if os.environ.get("GOLDEN") == "write":
        path.write_bytes(text.encode())
    assert text.encode() == path.read_bytes()


def strict(schema):
    """Allow nothing that a schema does not name, which its readers must do, and its writer must not."""
    if isinstance(schema, dict):
        closed = {"additionalProperties": False} if "properties" in schema else {}
        return {key: strict(value) for key, value in schema.items()} | closed
    return schema


@every_patient
def test_json_is_as_its_published_schema_says(patient):
    schema = json.loads((DOCS / "report.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    document = json.loads(shown(ReportFormat.JSON, patient))
    Draft202012Validator(strict(schema)).validate(document)
    Draft202012Validator(schema).validate(document | {"added_later": 1})


@every_patient
def test_sarif(patient):
    schema = json.loads((HERE / "schemas" / "sarif-2.1.0.json").read_text(encoding="utf-8"))
    document = json.loads(shown(ReportFormat.SARIF, patient))
    Draft4Validator(schema, format_checker=Draft4Validator.FORMAT_CHECKER).validate(document)
    (run,) = document["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [r["ruleId"] for r in run["results"]] == [r.check.id for r in failures(patient)]
    for result, ours in zip(run["results"], failures(patient)):
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert (result["level"] == "error") is (not ours.because and ours.check.severity is Severity.ERROR)
        assert result["properties"]["fix"] == list(ours.finding.fix)
        assert [s["justification"] for s in result.get("suppressions", ())] == [ours.ignored] * bool(ours.ignored)
        assert not re.search(r"\]\(", result["message"]["text"])
        for place in result["locations"]:
            assert re.fullmatch(
                r"(%[0-9A-F]{2}|[\w/:@.~-])+", place["physicalLocation"]["artifactLocation"]["uri"], re.ASCII
            )
    assert run["invocations"][0]["executionSuccessful"] is not bool(patient.counts[Status.CRASH])


def test_sarif_points_at_the_file_and_line():
    (run,) = json.loads(shown(ReportFormat.SARIF, REPORTS["sick"]))["runs"]
    assert run["results"][0]["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": "file:///etc/docker/daemon.json"},
                "region": {"startLine": 1},
            }
        }
    ]


@pytest.mark.parametrize(
    ("url", "uri"),
    [
        ("tcp://[::1]:2375", "tcp://[::1]:2375"),
        ("ssh://me@host.example:22", "ssh://me@host.example:22"),
        ("unix:///a [b]%20.sock", "unix:///a%20%5Bb%5D%2520.sock"),
    ],
)
def test_sarif_writes_any_endpoint_as_a_uri(url, uri):
    (run,) = json.loads(shown(ReportFormat.SARIF, replace(REPORTS["sick"], endpoint=Endpoint(url, ""))))["runs"]
    assert run["results"][1]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == uri


@every_patient
@pytest.mark.parametrize("fail_on", list(Severity))
def test_junit(patient, fail_on):
    text = FORMATS[ReportFormat.JUNIT](patient, Options(fail_on=fail_on))
    document = JUnitXml.fromstring(text.encode())
    tests = {case.name: case for suite in document for case in suite}
    assert set(tests) == {r.check.id for r in patient.results}
    wrong = [r for r in failures(patient) if r.check.severity.rank <= fail_on.rank and not r.ignored]
    assert document.tests == len(patient.results)
    assert document.failures == len(wrong)
    assert document.errors == patient.counts[Status.CRASH]
    assert document.skipped == patient.counts[Status.SKIP] + patient.counts[Status.UNKNOWN]
    # What a pipeline makes of it is what the exit status says.
    assert (document.failures == 0 and document.errors == 0) is (patient.exit_status(fail_on) == 0)
    for result in failures(patient):
        case = tests[result.check.id]
        if result in wrong:
            (failure,) = case.result
            assert failure.text == details(result)
            assert failure.message.endswith(one_line(result.finding.summary))
        else:
            assert case.is_passed
            assert result.finding.summary in case.system_out


@every_patient
def test_prometheus(patient):
    text = shown(ReportFormat.PROMETHEUS, patient)
    assert text.endswith("\n")
    families = {f.name: f for f in text_string_to_metric_families(text)}
    assert list(families) == [
        f"dockerdoctor_{name}"
        for name in (
            "info",
            "run_timestamp_seconds",
            "run_duration_seconds",
            "checks",
            "check_failed",
            "check_root_cause",
            "target_reached",
            "target_seconds",
        )
    ]
    (info,) = families["dockerdoctor_info"].samples
    tamed = tame_report(patient)
    assert info.labels == {
        "version": tamed.version,
        "endpoint": tamed.endpoint.url,
        "engine": tamed.engine.version,
        "os": tamed.engine.os,
        "kernel": tamed.engine.kernel,
    }
    failed = {s.labels["check"] for s in families["dockerdoctor_check_failed"].samples if s.value}
    roots = {s.labels["check"] for s in families["dockerdoctor_check_root_cause"].samples if s.value}
    assert failed == {r.check.id for r in failures(patient)}
    assert roots == {r.check.id for r in patient.root_causes}
    counts = {s.labels["status"]: s.value for s in families["dockerdoctor_checks"].samples}
    assert counts == {status.value: count for status, count in patient.counts.items()}


def decode(said, *encoded):
    for code in (*encoded, "%0D", "%0A", "%25"):
        said = said.replace(code, bytes.fromhex(code[1:]).decode())
    return said


@every_patient
def test_github(patient):
    *commands, last = shown(ReportFormat.GITHUB, patient).removesuffix("\n").split("\n")
    assert re.fullmatch(r"[\w ,·.]+", last)
    found = []
    for line in commands:
        command, title, said = re.fullmatch(r"::(error|warning|notice) title=([^:,\n]*)::([^\r\n]*)", line).groups()
        found.append((command, decode(title, "%3A", "%2C"), decode(said)))
    roots = tame_report(patient).root_causes
    levels = {Severity.ERROR: "error", Severity.WARNING: "warning"}
    for root, (command, title, said) in zip(roots, found):
        assert (command, title) == (levels[root.check.severity], root.check.id)
        assert said.startswith(f"{root.finding.summary}\n{details(root)}")
    assert sum(command == "error" for command, _, _ in found) == (
        sum(r.check.severity is Severity.ERROR for r in roots) + patient.counts[Status.CRASH]
    )


WANTED = {
    "heading_open", "heading_close", "paragraph_open", "paragraph_close", "inline", "bullet_list_open",
    "bullet_list_close", "list_item_open", "list_item_close", "fence", "text", "code_inline", "strong_open",
    "strong_close", "link_open", "link_close", "hardbreak", "text_special", "table_open", "table_close", "thead_open",
    "thead_close", "tbody_open", "tbody_close", "tr_open", "tr_close", "th_open", "th_close", "td_open", "td_close",
}  # fmt: skip


@every_patient
def test_markdown(patient):
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(shown(ReportFormat.MARKDOWN, patient))
    inner = [child for token in tokens for child in token.children or ()]
    assert {t.type for t in (*tokens, *inner)} <= WANTED
    docs = {r.check.docs for r in patient.results}
    assert {t.attrs["href"] for t in inner if t.type == "link_open"} <= docs
    titles = {"What is reached from where", "Ignored", "Bugs in the doctor", "Not known", "Passed", "Does not apply"}
    roots = tame_report(patient).root_causes
    heads = [
        t.children for t, before in zip(tokens[1:], tokens) if before.type == "heading_open" and before.tag == "h2"
    ]
    said = ["".join(c.content for c in children) for children in heads]
    marks = {Severity.ERROR: "✗", Severity.WARNING: "!"}
    assert [s for s in said if s not in titles] == [
        f"{marks[r.check.severity]} {one_line(r.finding.summary)}".strip() for r in roots
    ]
    fences = [t.content for t in tokens if t.type == "fence"]
    assert fences[: len([r for r in roots if r.finding.fix])] == [
        "\n".join(steps(r.finding)) + "\n" for r in roots if r.finding.fix
    ]
    cells = len([t for t in tokens if t.type in {"td_open", "th_open"}])
    matrix = patient.matrix
    shown_too = len(matrix.rows) + 1 if matrix.rows else 0
    assert cells == shown_too * (len(matrix.places) + 1)
    spans = [t.content for t in inner if t.type == "code_inline"]
    for root in roots:
        for seen in root.finding.evidence:
            assert not one_line(seen.saw) or one_line(seen.saw) in spans


class Page(HTMLParser):
    """Reads tags, attributes and text as a browser does."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.open, self.texts = [], [], [], {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *a) for a in attrs]
        self.open.append(tag)
        self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        for tag in set(self.open):
            self.texts[tag][-1] += data


@every_patient
def test_html(patient):
    page = Page(shown(ReportFormat.HTML, patient))
    assert page.tags.count("script") == page.tags.count("style") == page.tags.count("title") == 1
    assert not {"img", "iframe", "object", "form", "base"} & set(page.tags)
    assert not [a for a in page.attributes if a[1].startswith("on") or a[1] in {"src", "style"}]
    ids = {r.check.id for r in patient.results}
    links = {value for tag, name, value in page.attributes if name == "href"}
    assert links <= {"data:,", *(f"#{i}" for i in ids), *(r.check.docs for r in patient.results)}
    assert [v for tag, name, v in page.attributes if (tag, name) == ("details", "id")] == [
        r.check.id for r in patient.results
    ]
    tamed = tame_report(patient)
    for result in tamed.results:
        for seen in result.finding.evidence:
            assert seen.saw in page.texts["dd"]
        for step in result.finding.fix:
            assert step.startswith("#") or step in page.texts["pre"]
    assert page.texts["h2"][: len(tamed.root_causes)] == [
        f"{'✗' if r.check.severity is Severity.ERROR else '!'} {r.finding.summary}" for r in tamed.root_causes
    ]


def test_the_html_page_fetches_nothing():
    text = shown(ReportFormat.HTML, REPORTS["sick"])
    assert "default-src 'none'" in text
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|innerHTML|https?://(?!d\")", text)
