"""From a report to text: one pure module per format."""

from collections.abc import Callable
from enum import Enum

from dockerdoctor.model import Report
from dockerdoctor.render.json import render as render_json
from dockerdoctor.render.terminal import Options
from dockerdoctor.render.terminal import render as render_text


class Format(str, Enum):
    """What --format takes."""

    TEXT = "text"
    JSON = "json"


FORMATS: dict[Format, Callable[[Report, Options], str]] = {Format.TEXT: render_text, Format.JSON: render_json}
