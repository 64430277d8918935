"""
Make the pictures of the README, of the machine that `make demo` shows: `make screenshots`.

The terminal is an SVG that needs no font from anywhere; the HTML report is photographed by a headless Chromium.
"""

import io
import json
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.text import Text

from dockerdoctor.diagnose import report_on
from dockerdoctor.facts.endpoint import Settings
from dockerdoctor.facts.probes import PROBES
from dockerdoctor.model import Report
from dockerdoctor.render import FORMATS, ReportFormat
from dockerdoctor.render.terminal import Options
from dockerdoctor.saved import load
from tests.lab.demo import sick_machine

IMAGES = Path(__file__).parent / "images"
WIDTH = 100  # of the terminal, in characters
WINDOW = (1000, 970)  # of the browser, in pixels


def main() -> int:
    """Make both pictures."""
    with sick_machine() as machine:
        machine.run("doctor check --report json=/root/report.json --save /root/facts.json", check=False)
        kept, seconds = machine.read("/root/facts.json"), json.loads(machine.read("/root/report.json"))["seconds"]
    report = report_on(load(kept, PROBES, (Settings,)))
    # Without what the builder of this host's kernel calls it.
    engine = replace(report.engine, kernel=report.engine.kernel.partition("-")[0])
    report = replace(report, seconds=seconds, engine=engine)
    IMAGES.mkdir(exist_ok=True)
    (IMAGES / "terminal.svg").write_text(terminal(report), encoding="utf-8")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if not chromium:
        print("there is no Chromium here: only the terminal was drawn", file=sys.stderr)
        return 1
    photograph(chromium, FORMATS[ReportFormat.HTML](report, Options()), IMAGES / "report.png")
    for picture in sorted(IMAGES.iterdir()):
        print(f"{picture.name}: {picture.stat().st_size // 1000} kB")
    return 0


def terminal(report: Report) -> str:
    """Draw what `doctor check` shows, with its colours."""
    shown = FORMATS[ReportFormat.TEXT](report, Options(width=WIDTH, color=True))
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text("# ", end="") + Text("doctor check", style="bold"))
    console.print(Text.from_ansi(shown))
    drawn = console.export_svg(title="doctor check", unique_id="doctor")
    # It would fetch its font from the network; any monospaced one will do.
    drawn = re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)
    return drawn.replace("Fira Code,monospace", "Fira Code,DejaVu Sans Mono,Menlo,Consolas,monospace")


def photograph(chromium: str, page: str, target: Path) -> None:
    """Open a page as a browser does, and keep what is to be seen without scrolling."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.html"
        file.write_text(page, encoding="utf-8")
        words = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={folder}/profile",
        ]
        size = f"--window-size={WINDOW[0]},{WINDOW[1]}"
        subprocess.run(
            [chromium, *words, size, f"--screenshot={target}", file.as_uri()],
            check=True,
            capture_output=True,
            timeout=120,
        )


if __name__ == "__main__":
    sys.exit(main())
