"""
The report as annotations of GitHub Actions: workflow commands, one a line.

| ours                      | GitHub                                              |
|---------------------------|-----------------------------------------------------|
| root cause                | `::error`, `::warning` or `::notice`, as its severity |
| symptom                   | named in its root cause's annotation                |
| UNKNOWN                   | one `::notice` for each reason                      |
| CRASH                     | `::error`                                           |

A step shows ten annotations of each kind, so what follows from a cause gets none of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

from dockerdoctor.model import Report, Severity, Status
from dockerdoctor.render.terminal import Options
from dockerdoctor.render.words import details, reasons, tally, tame_report, verdict

COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}
# As actions/toolkit does (packages/core/src/command.ts): a runner decodes these, and nothing else.
DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
PROPERTY = DATA | str.maketrans({":": "%3A", ",": "%2C"})


def render(report: Report, options: Options) -> str:  # noqa: ARG001 - one signature for all formats
    """One annotation for whatever a person should look at, and a line for the log."""
    return "".join(f"{line}\n" for line in _lines(tame_report(report)))


def _lines(report: Report) -> Iterator[str]:
    for root in report.root_causes:
        symptoms = [s.check.id for s in report.symptoms_of(root.check.id) if s.finding.status is Status.FAIL]
        also = f"\nWhat follows from this: {', '.join(symptoms)}" if symptoms else ""
        said = f"{root.finding.summary}\n{details(root)}{also}"
        yield _annotation(COMMANDS[root.check.severity], root.check.id, said)
    for result in report.results:
        if result.finding.status is Status.CRASH:
            yield _annotation("error", f"{result.check.id}: a bug in the doctor", result.finding.summary)
    unknown = (r for r in report.results if r.finding.status is Status.UNKNOWN and not r.because)
    for reason, ids in reasons(unknown):
        yield _annotation("notice", "not known", f"not known: {reason}\n{', '.join(ids)}")
    # Nothing of the host's is in it: in a line that is no command, a runner still looks for the old form, "##[error]".
    yield f"{verdict(report)} · {tally(report)}"


def _annotation(command: str, title: str, said: str) -> str:
    return f"::{command} title={title.translate(PROPERTY)}::{said.translate(DATA)}"
