"""Build, run, fetch, check, remove: each stage with its verdict, and a diagnosis at the first that fails."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from dockerdoctor import __version__
from dockerdoctor.diagnose import endpoint_of, engine_of, examine_host, now, pasteable
from dockerdoctor.examine import failed, passed, skipped
from dockerdoctor.facts.caller import Caller
from dockerdoctor.facts.containers import Containers
from dockerdoctor.facts.endpoint import ChosenEndpoint, ClientConfig, DaemonPing, Settings, mask_text
from dockerdoctor.facts.engine import EngineInfo, EngineVersion, client
from dockerdoctor.facts.probes import PROBES
from dockerdoctor.host import INTERRUPTIONS, Host, failure_name
from dockerdoctor.measure import FactsView, measure, required_probes
from dockerdoctor.model import Evidence, Finding, Report, Status
from dockerdoctor.sample import port, source
from dockerdoctor.sample.judge import (
    BuildLog,
    Holder,
    build_failed,
    hopeless,
    meaning,
    no_network,
    page_missing,
    page_parts,
    port_taken,
)
from dockerdoctor.sample.model import (
    BASE_IMAGE,
    BUILD,
    CLEANUP,
    ENDPOINT,
    GREETING,
    HOSTNAME,
    PAGE,
    PORT,
    PUBLISHED,
    STAGES,
    START,
    VISITS,
    SampleReport,
    Stage,
    Verdict,
    Wishes,
)
from dockerdoctor.sample.progress import Progress
from dockerdoctor.sample.stream import Stream, TooLate
from dockerdoctor.sample.surroundings import Surroundings, public_authorities, surroundings

# What a run starts carries this label, so that the next one finds what a kill left behind.
LABEL = "io.dockerdoctor.sample"
# Another one for the image: containers have their image's labels, and a person's own container is none of ours.
IMAGE_LABEL = f"{LABEL}.image"
CONTAINER_PORT = 80
# Creating and starting take half a second; an engine under load takes many times that.
ENGINE_PATIENCE = 60.0  # seconds
# The page waits two seconds for Redis; with a dead nameserver it waits for the name, up to 20 s with two of them.
PAGE_PATIENCE = 30.0
PAGE_LIMIT = 1 << 16  # bytes; the page has 140
STOP_PATIENCE = 3
# A person waits for this at Ctrl-C; a frozen engine must not keep them.
CLEANUP_PATIENCE = 10.0


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Let Ctrl-C, kill and a lost terminal wait until the end of the block, so that nothing is half made or half removed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in INTERRUPTIONS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


class SampleRun:
    """One run; `run` is to be called once."""

    def __init__(self, host: Host, settings: Settings, wishes: Wishes, progress: Progress) -> None:
        import docker.errors  # noqa: PLC0415 - heavy, and not every command needs it
        import requests  # noqa: PLC0415

        self.host, self.settings, self.wishes, self.progress = host, settings, wishes, progress
        self.id = secrets.token_hex(4)
        self.refusals = (docker.errors.DockerException, requests.RequestException, OSError)
        self.missing = docker.errors.NotFound
        self.facts = FactsView()
        self.verdicts: dict[Stage, Verdict] = {}
        self.streams: list[Stream] = []
        self.build = BuildLog()
        self.given = Surroundings()
        self.image = self.previous = self.container = self.page = ""
        self.diagnosis: Report | None = None

    # -- the whole

    def run(self) -> SampleReport:
        """Go through the stages; whatever happens, remove what they made."""
        began = now()
        with self.progress.shown():
            try:
                self._go_through()
            finally:
                with held_back():
                    self._judge(CLEANUP, self.clean_up_or_tell)
        return self._report(began)

    def _go_through(self) -> None:
        work: tuple[tuple[Stage, Callable[[], Finding]], ...] = (
            (ENDPOINT, self.find_engine),
            (PORT, self.look_at_port),
            (BASE_IMAGE, self.get_base_image),
            (BUILD, self.build_image),
            (START, self.start),
            (PUBLISHED, self.look_for_published),
            (PAGE, self.fetch_page),
        )
        for stage, step in work:
            if not self._judge(stage, step):
                return
        parts = page_parts(self.page, self.container[:12], redis_expected=self._redis_on_network())
        for stage, finding in zip((GREETING, HOSTNAME, VISITS), parts, strict=True):
            self.verdicts[stage] = Verdict(stage, finding)
        failure = next((f for f in parts if f.status is Status.FAIL), None)
        if failure:
            self._diagnose(failure)

    def _judge(self, stage: Stage, step: Callable[[], Finding]) -> bool:
        self.progress.begin(stage)
        began = time.monotonic()
        try:
            finding = step()
        except self.refusals as no:
            said = self._said(no)
            finding = failed(said, cause=meaning([said], "The engine refused, for the reason that it gives."))
        self.verdicts[stage] = Verdict(stage, pasteable(finding, self.facts), time.monotonic() - began)
        if finding.status is not Status.FAIL:
            return True
        if stage is not CLEANUP:
            self._diagnose(finding)
        return False

    def _diagnose(self, finding: Finding) -> None:
        """Ask what is wrong with the host while everything is as it was, unless the stage itself has measured it."""
        if finding.because != () and not self.diagnosis:
            self.progress.say(f"failed: {finding.summary}")
            self.progress.say("examining this host ...")
            self.diagnosis = examine_host(self.host, self.settings)

    def _report(self, began: tuple[datetime, float]) -> SampleReport:
        not_reached = skipped("not reached")
        return SampleReport(
            __version__,
            endpoint_of(self.facts),
            engine_of(self.facts),
            began[0],
            time.monotonic() - began[1],
            source.IMAGE,
            self.url,
            tuple(self.verdicts.get(stage, Verdict(stage, not_reached)) for stage in STAGES),
            self.page,
            self.given.notes,
            self.diagnosis,
        )

    # -- what stages share

    def _api(self, patience: float = ENGINE_PATIENCE) -> Any:
        endpoint, ping = self.facts.of(ChosenEndpoint), self.facts.of(DaemonPing)
        if not (endpoint and ping):
            raise OSError("the engine was not found")
        return client(self.host, endpoint, ping, patience)

    @property
    def url(self) -> str:
        """Where the page will be."""
        endpoint = self.facts.of(ChosenEndpoint)
        where = endpoint.address[0] if endpoint and not endpoint.local else "localhost"
        return f"http://{where}:{self.wishes.port}"

    @staticmethod
    def _said(no: Exception) -> str:
        """Give the engine's own message."""
        if "Read timed out" in str(no):
            return "the engine did not answer in time"
        explanation = getattr(no, "explanation", None)
        if isinstance(explanation, bytes):
            explanation = explanation.decode("utf-8", "replace")
        return mask_text(str(explanation or no or failure_name(no)))

    def _stream(self, call: Callable[[Any], Any]) -> Stream:
        """Start a long call on a client of its own, and keep it for hanging up."""
        api = self._api(self.wishes.timeout)
        stream = Stream(api, lambda: call(api))
        self.streams.append(stream)
        return stream

    @property
    def _ours(self) -> dict[str, str]:
        """Labels of what this run starts."""
        return {LABEL: self.id, f"{LABEL}.pid": str(os.getpid())}

    # -- the stages

    def find_engine(self) -> Finding:
        """Choose the engine as every command does, and ask whether it answers."""
        wanted = (ChosenEndpoint, DaemonPing, ClientConfig, EngineVersion, EngineInfo, Caller)
        facts, _ = measure(required_probes(PROBES, wanted), self.host, {Settings: self.settings})
        self.facts = facts
        endpoint, ping = facts.of(ChosenEndpoint), facts.of(DaemonPing)
        where = f"{endpoint.url or 'no endpoint'} ({endpoint.source})" if endpoint else "no endpoint"
        if ping and ping.answered:
            return passed(where)
        outcome = (ping.outcome or ping.connect) if ping else "not asked"
        return failed(
            f"no engine answers at {where}: {outcome}",
            Evidence("GET /_ping", outcome),
            cause="Docker is not running, or may not be used by this user, or is elsewhere.",
        )

    def look_at_port(self) -> Finding:
        """Remove what earlier runs left behind, then see whether the port can be had."""
        api = self._api()
        removed = [c for c in api.containers(all=True, filters={"label": LABEL}) if not self._alive(c)]
        for left in removed:
            with contextlib.suppress(self.missing):
                api.remove_container(left["Id"], force=True)
        taken = self._port_taken(api)
        if taken:
            return taken
        names = ", ".join(str(c["Names"][0]).lstrip("/") for c in removed)
        return passed(f"{self.wishes.port}" + (f"; removed {names}, left from an earlier run" if names else ""))

    def _alive(self, left: dict[str, Any]) -> bool:
        """Whether the run that started a container is still at work."""
        pid = (left.get("Labels") or {}).get(f"{LABEL}.pid", "")
        return pid.isdigit() and "run-sample" in self.host.cmdline(int(pid))

    def _port_taken(self, api: Any) -> Finding | None:
        endpoint = self.facts.of(ChosenEndpoint)
        holder: Holder | None = port.container_holder(self.wishes.port, api.containers())
        if not holder and (not (endpoint and endpoint.local) or port.is_free(self.wishes.port)):
            return None
        if not holder:
            known, _ = measure(required_probes(PROBES, (Containers,)), self.host, self.facts)
            holder = port.process_holder(self.host, self.wishes.port, known.of(Containers) or Containers(()))
        return port_taken(self.wishes.port, holder, port.next_free(self.wishes.port))

    def get_base_image(self) -> Finding:
        """Pull what the Dockerfile starts from, unless it is here."""
        api = self._api()
        base = source.base_image((source.folder() / "Dockerfile").read_text(encoding="utf-8"))
        with contextlib.suppress(self.missing):
            return passed(f"{base} is here ({api.inspect_image(base)['Id'].removeprefix('sha256:')[:12]})")
        stream = self._stream(lambda own: own.pull(base, stream=True, decode=True))
        shown: dict[str, str] = {}
        last = ""
        try:
            for event in stream.events(self.wishes.timeout):
                if "error" in event:
                    return self._not_pulled(base, mask_text(str(event["error"])))
                layer, status = str(event.get("id", "")), str(event.get("status", ""))
                last = f"{layer}: {status}" if layer else status
                if status and shown.get(layer) != status:
                    shown[layer] = status
                    self.progress.say(last)
        except TooLate:
            stream.hang_up()
            return self._not_pulled(base, f"not pulled within {self.wishes.timeout:g} s", last)
        except self.refusals as no:
            return self._not_pulled(base, self._said(no))
        return passed(f"{base} was pulled")

    @staticmethod
    def _not_pulled(base: str, said: str, last: str = "") -> Finding:
        return failed(
            f"{base} could not be pulled: {said}",
            Evidence(f"docker pull {base}", last or said),
            cause=meaning([said], "The registry, or what is between it and the engine, did not give the image."),
        )

    def build_image(self) -> Finding:
        """Build with what this host's network demands."""
        api = self._api()
        with contextlib.suppress(self.missing):
            self.previous = api.inspect_image(source.IMAGE)["Id"]
        self.given = surroundings(self.host, self.facts.of(ClientConfig), public_authorities())
        for note in self.given.notes:
            self.progress.say(f"given to the build: {note}")
        with source.archive(source.folder(), self.given.files) as context:
            return self._build(context)

    def _build(self, context: Any) -> Finding:
        stream = self._stream(
            lambda own: own.build(
                fileobj=context,
                custom_context=True,
                tag=source.IMAGE,
                buildargs=self.given.arguments,
                labels={IMAGE_LABEL: ""},
                rm=True,
                forcerm=True,
                decode=True,
            )
        )
        # pip tries again for a minute and more, and then says that there is no such package: look ourselves meanwhile.
        asked = threading.Thread(target=self._examine_meanwhile, args=(stream,), daemon=True)
        try:
            for event in stream.events(self.wishes.timeout):
                for line in self.build.hear(event):
                    self.progress.say(line)
                if self.build.retrying and not asked.ident:
                    self.progress.say("examining this host meanwhile ...")
                    asked.start()
                if "diagnosis" in event and (why := hopeless(event["diagnosis"])):
                    self.diagnosis = event["diagnosis"]
                    self._end_build(stream)
                    return build_failed(self.build, late=f"given up while pip was trying again, since {why}")
        except TooLate:
            self._end_build(stream)
            return build_failed(self.build, late=f"not done within {self.wishes.timeout:g} s")
        if self.build.error or not self.build.image:
            self.build.error = self.build.error or "the engine ended the build without a word"
            return build_failed(self.build)
        self.image = self.build.image
        short = self.image.removeprefix("sha256:")[:12]
        cached = f", {self.build.cached} of {self.build.steps} steps from the cache" if self.build.cached else ""
        return passed(f"{source.IMAGE} is {short}{cached}")

    def _examine_meanwhile(self, stream: Stream) -> None:
        stream.interject({"diagnosis": examine_host(self.host, self.settings)})

    def _end_build(self, stream: Stream) -> None:
        for event in stream.hang_up():
            self.build.hear(event)

    def start(self) -> Finding:
        """Create and start as `docker run -p` does."""
        api = self._api()
        bindings = {CONTAINER_PORT: self.wishes.port}
        config = api.create_host_config(port_bindings=bindings, network_mode=self.wishes.network or "default")
        try:
            with held_back():
                self.container = api.create_container(
                    self.image,
                    name=f"dockerdoctor-sample-{self.id}",
                    host_config=config,
                    ports=[CONTAINER_PORT],
                    labels=self._ours,
                    # Python as a container's first process heeds this one, and not SIGTERM.
                    stop_signal="SIGINT",
                )["Id"]
            api.start(self.container)
        except self.refusals as no:
            said = self._said(no)
            if "already" in said and (taken := self._port_taken(api)):
                return taken
            if f"network {self.wishes.network} not found" in said:
                return no_network(self.wishes.network)
            otherwise = "The engine could not start the container, for the reason that it gives."
            return failed(f"the container did not start: {said}", cause=meaning([said], otherwise))
        return passed(f"{self.container[:12]} on {self.wishes.network or 'the default bridge'}")

    def look_for_published(self) -> Finding:
        """Ask the engine where the container's port is."""
        data = self._api().inspect_container(self.container)
        table = (data["NetworkSettings"].get("Ports") or {}).get(f"{CONTAINER_PORT}/tcp") or ()
        bound = [f"{b['HostIp']}:{b['HostPort']}" for b in table]
        seen = Evidence(f"docker inspect {self.container[:12]}", f"NetworkSettings.Ports 80/tcp: {bound or 'none'}")
        if any(b["HostPort"] == str(self.wishes.port) for b in table):
            return passed(f"{', '.join(bound)} → {CONTAINER_PORT}", seen)
        state, logs = self._state()
        if not state.startswith("running"):
            return page_missing(self.url, "not asked", 0, 0, state, logs)
        return failed(
            f"the engine does not publish port {CONTAINER_PORT} of the container",
            seen,
            cause=f"The network {self.wishes.network or 'bridge'} publishes no ports.",
        )

    def fetch_page(self) -> Finding:
        """Ask for the page until it comes, the container ends, or patience does."""
        import requests  # noqa: PLC0415

        began = time.monotonic()
        patience, tries, last = min(PAGE_PATIENCE, self.wishes.timeout), 0, ""
        session = self.host.session()
        while (left := began + patience - time.monotonic()) > 0:
            tries += 1
            asked = time.monotonic()
            try:
                with session.get(self.url, timeout=(min(2.0, left), left), stream=True, allow_redirects=False) as reply:
                    body = reply.raw.read(PAGE_LIMIT).decode("utf-8", "replace")
                if reply.ok:
                    self.page = body
                    return passed(f"{self.url} after {time.monotonic() - asked:.1f} s", Evidence(self.url, body[:300]))
                last = f"HTTP {reply.status_code}: {body[:200]}"
            except (requests.RequestException, OSError) as no:
                last = _outcome(no)
            state, logs = self._state()
            if not state.startswith("running"):
                break
            time.sleep(0.1)
        state, logs = self._state()
        return page_missing(self.url, last, tries, time.monotonic() - began, state, logs)

    def _state(self) -> tuple[str, tuple[str, ...]]:
        """Whether the application runs, and what it said last."""
        api = self._api()
        state = api.inspect_container(self.container)["State"]
        text = str(state["Status"])
        if text == "exited":
            text += f" with status {state.get('ExitCode')}{', out of memory' if state.get('OOMKilled') else ''}"
        logs = api.logs(self.container, tail=8).decode("utf-8", "replace").splitlines()
        return text, tuple(line for line in logs if line.strip())

    def _redis_on_network(self) -> str:
        """Name the container that `redis` means on the sample's network; empty where nothing has that name."""
        if not self.wishes.network:
            return ""  # the default bridge has no names
        with contextlib.suppress(*self.refusals):
            api = self._api()
            for listed in api.containers(filters={"network": self.wishes.network}):
                data = api.inspect_container(listed["Id"])
                attached = (data["NetworkSettings"].get("Networks") or {}).get(self.wishes.network) or {}
                if data["Name"] == "/redis" or "redis" in (attached.get("Aliases") or ()):
                    return f"{data['Name'].lstrip('/')} ({data['Config'].get('Image')}) has the name redis"
        return ""

    # -- the end

    def clean_up_or_tell(self) -> Finding:
        """Clean up, or say what may be left and how it goes away."""
        try:
            return self.clean_up()
        except self.refusals as no:
            return failed(
                f"could not remove what was started: {self._said(no)}",
                cause="The engine does not answer now. The next `doctor run-sample` removes what is left.",
                fix=(f"docker ps -aq --filter label={LABEL} | xargs -r docker rm -f",),
            )

    def clean_up(self) -> Finding:
        """Stop and remove what this run started; the image stays unless it is not wanted."""
        for stream in self.streams:
            self._end_build(stream)
        if not (ping := self.facts.of(DaemonPing)) or not ping.answered:
            return skipped("nothing was started")
        api = self._api(CLEANUP_PATIENCE)
        gone: list[str] = []
        for one in api.containers(all=True, filters={"label": f"{LABEL}={self.id}"}):
            with contextlib.suppress(*self.refusals):
                api.stop(one["Id"], timeout=STOP_PATIENCE)
            with contextlib.suppress(self.missing):
                api.remove_container(one["Id"], force=True)
            gone.append(f"container {one['Id'][:12]}")
        if kept_by := self._remove_images(api):
            return kept_by
        if left := api.containers(all=True, filters={"label": f"{LABEL}={self.id}"}):
            return failed(f"{len(left)} container is still there", cause="The engine did not remove it.")
        if self.image and self.wishes.remove_image:
            gone.append(f"image {source.IMAGE}")
        kept = "" if self.wishes.remove_image or not self.image else f"; {source.IMAGE} is kept"
        return passed(f"removed {', '.join(gone) or 'nothing: nothing was started'}{kept}")

    def _remove_images(self, api: Any) -> Finding | None:
        """Remove the image if it is not wanted, what it replaced if that was ours, and what a failed build leaves."""
        if self.image and self.wishes.remove_image:
            try:
                api.remove_image(source.IMAGE)
            except self.refusals as no:
                cause = "Somebody else's container uses the image."
                return failed(f"{source.IMAGE} was not removed: {self._said(no)}", cause=cause)
        if self.image and self.previous not in {"", self.image}:
            # Ours of an earlier run, untagged by this one's; refused where it is in use or has another tag.
            with contextlib.suppress(*self.refusals):
                image = api.inspect_image(self.previous)
                if IMAGE_LABEL in (image["Config"].get("Labels") or {}) and not image.get("RepoTags"):
                    api.remove_image(self.previous)
        if not self.image:
            for layer in reversed(self.build.layers):
                with contextlib.suppress(*self.refusals):
                    api.remove_image(layer, noprune=True)
        return None


def _outcome(no: Exception) -> str:
    """Say in a word or two how a request failed, whatever it is wrapped in."""
    inner: BaseException | None = no
    while inner is not None:
        if isinstance(inner, TimeoutError) or (isinstance(inner, OSError) and inner.errno):
            return {"ECONNREFUSED": "connection refused", "ECONNRESET": "connection reset"}.get(
                failure_name(inner), failure_name(inner)
            )
        inner = inner.__context__
    return type(no).__name__
