"""From a report to text: one pure module per format."""

from collections.abc import Callable
from enum import Enum

from dockerdoctor.model import Report
from dockerdoctor.render.github import render as render_github
from dockerdoctor.render.html import render as render_html
from dockerdoctor.render.json import render as render_json
from dockerdoctor.render.junit import render as render_junit
from dockerdoctor.render.markdown import render as render_markdown
from dockerdoctor.render.prometheus import render as render_prometheus
from dockerdoctor.render.sarif import render as render_sarif
from dockerdoctor.render.terminal import Options
from dockerdoctor.render.terminal import render as render_text


class Format(str, Enum):
    """What every command's --format takes."""

    TEXT = "text"
    JSON = "json"


class ReportFormat(str, Enum):
    """What --format of `doctor check` takes."""

    TEXT = "text"
    JSON = "json"
    HTML = "html"
    MARKDOWN = "markdown"
    JUNIT = "junit"
    SARIF = "sarif"
    GITHUB = "github"
    PROMETHEUS = "prometheus"


FORMATS: dict[ReportFormat, Callable[[Report, Options], str]] = {
    ReportFormat.TEXT: render_text,
    ReportFormat.JSON: render_json,
    ReportFormat.HTML: render_html,
    ReportFormat.MARKDOWN: render_markdown,
    ReportFormat.JUNIT: render_junit,
    ReportFormat.SARIF: render_sarif,
    ReportFormat.GITHUB: render_github,
    ReportFormat.PROMETHEUS: render_prometheus,
}
