"""Go through the stages: each with its verdict, and a diagnosis of the host at the first that fails."""

from __future__ import annotations

import time
from datetime import datetime

from dockerdoctor import __version__
from dockerdoctor.diagnose import endpoint_of, engine_of, examine_host, now, pasteable
from dockerdoctor.examine import skipped
from dockerdoctor.facts.endpoint import Settings
from dockerdoctor.host import Host
from dockerdoctor.model import Finding, Status
from dockerdoctor.sample import build, cleanup, container, engine, page, ports, pull
from dockerdoctor.sample.model import SampleReport, Stage, Verdict, Wishes
from dockerdoctor.sample.progress import Progress
from dockerdoctor.sample.scene import Scene, held_back

# In the order of a person's own doing, and of the report.
STAGES: tuple[Stage, ...] = (
    engine.endpoint,
    ports.port,
    pull.base_image,
    build.build,
    container.start,
    container.published,
    page.page,
    page.greeting,
    page.hostname,
    page.visits,
)


class SampleRun:
    """One run; `run` is to be called once."""

    def __init__(self, host: Host, settings: Settings, wishes: Wishes, progress: Progress) -> None:
        self.scene = Scene(host, settings, wishes, progress)
        self.verdicts: list[Verdict] = []
        self.lost: dict[str, str] = {}  # stages that brought nothing, and the failed stage that is why

    def run(self) -> SampleReport:
        """Go through the stages; whatever happens, remove what they made."""
        began = now()
        with self.scene.progress.shown():
            try:
                for stage in STAGES:
                    self._go_through(stage)
            finally:
                with held_back():
                    self._go_through(cleanup.cleanup)
        return self._report(began)

    def _go_through(self, stage: Stage) -> None:
        scene, began = self.scene, time.monotonic()
        scene.progress.begin(stage)
        scene.parts.clear()
        lost = next((self.lost[need] for need in stage.needs if need in self.lost), "")
        finding = skipped(f"not reached: {lost} failed") if lost else self._work(stage)
        seconds, parts, instead = time.monotonic() - began, tuple(scene.parts), ""
        if finding.status is Status.FAIL:
            self._diagnose(finding)
        if lost or finding.status is Status.FAIL:
            instead = self._otherwise(stage)
            if not instead:
                self.lost[stage.id] = lost or stage.id
        self.verdicts.append(Verdict(stage, finding, seconds, parts, instead))

    def _work(self, stage: Stage) -> Finding:
        try:
            finding = stage.work(self.scene)
        except self.scene.refusals as no:
            finding = self.scene.refused(no)
        return pasteable(finding, self.scene.facts)

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
            tuple(self.verdicts),
            scene.page,
            scene.given.notes,
            scene.diagnosis,
        )
