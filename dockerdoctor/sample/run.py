"""Go through the stages: each with its verdict, and a diagnosis of the host at the first that fails."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import datetime

from dockerdoctor import __version__
from dockerdoctor.diagnose import endpoint_of, engine_of, examine_host, now, pasteable
from dockerdoctor.examine import skipped, unknown
from dockerdoctor.facts.endpoint import Settings
from dockerdoctor.host import Host
from dockerdoctor.model import Finding, Status
from dockerdoctor.sample import build, cleanup, container, engine, hello, page, ports, pull, redis
from dockerdoctor.sample.model import NOT_REACHED, SampleReport, Stage, Verdict, Wishes
from dockerdoctor.sample.progress import Progress
from dockerdoctor.sample.scene import Scene, held_back

# In the order of a person's own doing, and of the report.
STAGES: tuple[Stage, ...] = (
    engine.endpoint,
    hello.hello_world,
    ports.port,
    pull.base_image,
    build.context,
    build.build,
    build.packages,
    build.image,
    redis.redis,
    container.container,
    container.start,
    container.listening,
    container.published,
    page.page,
    page.greeting,
    page.hostname,
    page.visits,
    page.addresses,
    page.neighbour,
)
# For what goes on beside the others, once these are done.
ASIDE_PATIENCE = 60.0  # seconds


@dataclass
class Aside:
    """A stage that goes on beside the others."""

    stage: Stage
    findings: list[Finding] = field(default_factory=list)
    seconds: float = 0.0
    thread: threading.Thread | None = None


class SampleRun:
    """One run; `run` is to be called once."""

    def __init__(self, host: Host, settings: Settings, wishes: Wishes, progress: Progress) -> None:
        self.scene = Scene(host, settings, wishes, progress)
        self.verdicts: dict[str, Verdict] = {}
        self.lost: dict[str, str] = {}  # stages that brought nothing, and the failed stage that is why
        self.asides: dict[str, Aside] = {}

    def run(self) -> SampleReport:
        """Go through the stages; whatever happens, remove what they made."""
        began, scene = now(), self.scene
        with scene.progress.shown():
            try:
                for stage in STAGES:
                    if not stage.aside:
                        self._go_through(stage)
                    self._begin_asides()
                for stage in STAGES:
                    if stage.aside:
                        self._go_through(stage)
                well = not any(v.failed for v in self.verdicts.values())
                scene.stays = scene.wishes.keep or (scene.wishes.stay and well)
            finally:
                with held_back():
                    self._go_through(cleanup.cleanup)
        return self._report(began)

    def _go_through(self, stage: Stage) -> None:
        scene, began = self.scene, time.monotonic()
        scene.parts.clear()
        lost = next((self.lost[need] for need in stage.needs if need in self.lost), "")
        if lost:
            finding, seconds = skipped(f"{NOT_REACHED}{lost} failed"), 0.0
        else:
            # What has gone on beside the others and is done already need not be announced.
            if not stage.aside or not self.asides[stage.id].findings:
                scene.progress.begin(stage)
            finding = self._collect(stage) if stage.aside else self._work(stage)
            seconds = self.asides[stage.id].seconds if stage.aside else time.monotonic() - began
        parts, instead = tuple(scene.parts), ""
        if finding.status is Status.FAIL:
            self._diagnose(finding)
        if lost or finding.status is Status.FAIL:
            instead = self._otherwise(stage)
            if not instead:
                self.lost[stage.id] = lost or stage.id
        verdict = self.verdicts[stage.id] = Verdict(stage, finding, seconds, parts, instead)
        scene.progress.end(verdict)

    def _work(self, stage: Stage) -> Finding:
        try:
            finding = stage.work(self.scene)
        except self.scene.refusals as no:
            finding = self.scene.refused(no)
        return pasteable(finding, self.scene.facts)

    # -- what goes on beside

    def _begin_asides(self) -> None:
        for stage in STAGES:
            ready = all(need in self.verdicts and need not in self.lost for need in stage.needs)
            # Whoever asks for the page counts a visit, where visits are counted.
            waits = self.scene.redis and "visits" not in self.verdicts
            if stage.aside and ready and stage.id not in self.asides and not waits:
                aside = self.asides[stage.id] = Aside(stage)
                aside.thread = threading.Thread(target=self._aside, args=(aside,), daemon=True)
                aside.thread.start()

    def _aside(self, aside: Aside) -> None:
        began = time.monotonic()
        finding = self._work(aside.stage)
        aside.seconds = time.monotonic() - began
        aside.findings.append(finding)

    def _collect(self, stage: Stage) -> Finding:
        aside = self.asides[stage.id]
        if aside.thread:
            aside.thread.join(ASIDE_PATIENCE)
        return aside.findings[0] if aside.findings else unknown(f"not done within {ASIDE_PATIENCE:g} s")

    # -- what fails

    def _otherwise(self, stage: Stage) -> str:
        """Try to have what a stage should have brought about another way."""
        # Nothing is had from an engine that does not answer.
        if not stage.otherwise or "endpoint" in self.lost:
            return ""
        try:
            return stage.otherwise(self.scene)
        except self.scene.refusals as no:
            self.scene.progress.say(self.scene.said(no))
            return ""

    def _diagnose(self, finding: Finding) -> None:
        """Ask what is wrong with the host while everything is as it was, unless the stage itself has measured it."""
        scene = self.scene
        scene.progress.say(f"failed: {finding.summary}")
        if finding.because != () and not scene.diagnosis:
            scene.progress.say("examining this host ...")
            scene.diagnosis = examine_host(scene.host, scene.settings)

    def _report(self, began: tuple[datetime, float]) -> SampleReport:
        scene = self.scene
        return SampleReport(
            __version__,
            endpoint_of(scene.facts),
            engine_of(scene.facts),
            began[0],
            time.monotonic() - began[1],
            scene.image_name,
            scene.url,
            tuple(self.verdicts[stage.id] for stage in (*STAGES, cleanup.cleanup) if stage.id in self.verdicts),
            scene.page,
            scene.container,
            scene.stays,
            scene.given.notes,
            scene.diagnosis,
        )
