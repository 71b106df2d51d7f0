"""One request from its arrival to its answer, whichever protocol it came through."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from faceserve.engines.base import Images, Output
from faceserve.errors import InferenceFailed, ModelHangs, NoModel, Overloaded, TooLate
from faceserve.inference.admission import Admission
from faceserve.inference.apart import Answered, GivenUp, aside
from faceserve.inference.batching import Batcher
from faceserve.metrics import Metrics, Observed
from faceserve.models.generation import Generation
from faceserve.rollout.lifecycle import ModelLifecycleManager
from faceserve.rollout.snapshot import Canary, Lease, Side

log = logging.getLogger(__name__)

# More copies than this are dropped: shadow traffic must not pile up behind a busy server.
_MAX_MIRRORED = 16
# A copy that finds no quiet moment within this time is dropped, too.
_IDLE_SECONDS = 1.0


@dataclass(frozen=True)
class Asked:
    """What a request asks for; an empty `version` means the one that serves.

    `deadline` is in seconds of the monotonic clock; `wanted` says whether the caller still waits. `demand` raises what
    the version that answers, and no other, refuses the images with.
    """

    model: str
    version: str = ""
    task_id: str = ""
    deadline: float = float("inf")
    wanted: Callable[[], bool] = lambda: True
    size_bytes: int = 0
    demand: Callable[[Generation, Images], None] = lambda generation, images: None


@dataclass(frozen=True)
class Answer:
    output: Output
    generation: Generation
    epoch: int
    side: Side


class Answering:
    def __init__(
        self, manager: ModelLifecycleManager, batcher: Batcher, admission: Admission, metrics: Metrics
    ) -> None:
        self._manager = manager
        self._admission = admission
        self._batcher = batcher
        self._metrics = metrics
        self._mirrored = threading.BoundedSemaphore(_MAX_MIRRORED)

    def demand_room(self, model: str) -> None:
        """Before anything of a request is read. Raises `Overloaded` if it would be refused whatever it says."""
        if sentence := self._admission.full:
            self._metrics.turned_away(model)
            raise Overloaded(sentence)

    def answer(self, asked: Asked, read: Callable[[], Images]) -> Answer:
        """`read` returns the images, uint8 RGB [N, 224, 224, 3]; it is called when the request has a place here.

        Raises `ServingError`s: what `read`, the lease, `asked.demand` and the engine refuse.
        """
        with self._metrics.request(asked.model) as seen, self._admission.admitted(asked.size_bytes):
            self._manager.snapshot(asked.model).demand(asked.version)
            # Before the lease: reading may take longer than a version that was replaced is kept.
            began = time.monotonic()
            images = read()
            seen.images, seen.input_seconds = len(images), time.monotonic() - began
            if time.monotonic() > asked.deadline:
                raise TooLate("the deadline passed before the request came to the model")
            with self._manager.lease(asked.model, asked.version, asked.task_id) as lease:
                seen.version, seen.side = lease.generation.version, lease.side
                return self._answer(asked, lease, images, seen)

    def _answer(self, asked: Asked, lease: Lease, images: Images, seen: Observed) -> Answer:
        try:
            output = self._inferred(asked, lease, images)
        except InferenceFailed as error:
            if lease.generation.closed:
                raise NoModel(f"{lease.generation.version} was freed before it could answer: ask again") from error
            self._failed(asked.model, lease.canary, lease.side, error)
            if lease.side == "stable":
                raise
            # The candidate's failure is counted, but nobody's request pays for it.
            return self._by_stable(asked, images, seen)
        except (TooLate, Overloaded) as error:
            if isinstance(error, GivenUp) and lease.canary and lease.side == "canary":
                self._counted_when_over(asked.model, lease.canary, error.outcome)
            # If the caller still waits, there is time for the stable version.
            if lease.side == "stable" or time.monotonic() > asked.deadline or not asked.wanted():
                raise
            return self._by_stable(asked, images, seen)
        _note(seen, output, len(images))
        if lease.canary:
            self._tried(asked.model, lease.canary, lease.side, output.engine_seconds)
        if lease.mirrored and lease.canary:
            self._mirror(asked.model, lease.canary, images, output)
        return Answer(output, lease.generation, lease.epoch, lease.side)

    def _inferred(self, asked: Asked, lease: Lease, images: Images) -> Answered:
        asked.demand(lease.generation, images)
        engine = lease.generation.engine
        if not lease.apart:
            return self._batcher.infer(engine, images, asked.deadline, asked.wanted)
        # A candidate gets half of the time that there is: the other half is for the stable version, should it fail.
        half = time.monotonic() / 2 + asked.deadline / 2 if lease.side == "canary" else asked.deadline
        return self._batcher.apart.infer(engine, images, half, asked.wanted)

    def _by_stable(self, asked: Asked, images: Images, seen: Observed) -> Answer:
        active = self._manager.snapshot(asked.model).active
        with self._manager.lease(asked.model, active.version if active else "") as lease:
            seen.version, seen.side = lease.generation.version, "stable"
            asked.demand(lease.generation, images)
            output = self._batcher.infer(lease.generation.engine, images, asked.deadline, asked.wanted)
            _note(seen, output, len(images))
            return Answer(output, lease.generation, lease.epoch, "stable")

    def _counted_when_over(self, model: str, canary: Canary, outcome: "Future[Answered]") -> None:
        """Counts the candidate's time when it is through, although its caller no longer waits."""

        def over(outcome: "Future[Answered]") -> None:
            on_trial = self._manager.snapshot(model).canary
            if canary.generation.closed or on_trial is None or on_trial.trial is not canary.trial:
                return
            error = outcome.exception()
            if isinstance(error, InferenceFailed):
                self._failed(model, canary, "canary", error)
            else:
                self._tried(model, canary, "canary", outcome.result().engine_seconds)

        outcome.add_done_callback(over)

    def _failed(self, model: str, canary: Canary | None, side: Side, error: InferenceFailed) -> None:
        if canary is None:
            return
        if side == "canary":
            version = canary.version
            log.warning("%s failed on trial: %s", version, error, extra={"version": version})
            self._metrics.failed_on_trial(model, version, error.status)
        self._tried(model, canary, side, 0.0, error)

    def _tried(
        self, model: str, canary: Canary, side: Side, seconds: float, error: InferenceFailed | None = None
    ) -> None:
        canary.trial.observe(side, seconds, failed=error is not None)
        if side == "canary" and isinstance(error, ModelHangs):
            # Every further request would wait for it in vain.
            self._manager.abort_canary(model, canary.version, str(error))
            return
        opinion = canary.trial.opinion()
        if opinion.verdict == "roll back":
            self._manager.abort_canary(model, canary.version, opinion.reason)

    def _mirror(self, model: str, canary: Canary, images: Images, stable: Output) -> None:
        """Ask the candidate the same when no request waits for an engine, and only compare the answers."""
        if not self._mirrored.acquire(blocking=False):
            self._metrics.mirrored.labels(model, "dropped").inc()
            return
        try:
            aside("mirror", self._compare, model, canary, images, stable)
        except Overloaded:
            self._metrics.mirrored.labels(model, "dropped").inc()
            self._mirrored.release()

    def _compare(self, model: str, canary: Canary, images: Images, stable: Output) -> None:
        generation = canary.generation
        outcome = "dropped"
        try:
            if self._batcher.wait_until_idle(_IDLE_SECONDS) and generation.hold():
                try:
                    outcome = self._compared(model, canary, images, stable)
                finally:
                    generation.release()
        finally:
            self._metrics.mirrored.labels(model, outcome).inc()
            self._mirrored.release()

    def _compared(self, model: str, canary: Canary, images: Images, stable: Output) -> str:
        try:
            found = self._batcher.apart.infer(canary.generation.engine, images)
        except InferenceFailed as error:
            self._tried(model, canary, "canary", 0.0, error)
            return "failed"
        except Overloaded:
            return "dropped"
        self._tried(model, canary, "canary", found.engine_seconds)
        agreed = bool((found.probabilities.argmax(1) == stable.probabilities.argmax(1)).all())
        canary.trial.compare(agreed=agreed)
        return "agreed" if agreed else "differed"


def _note(seen: Observed, output: Answered, images: int) -> None:
    seen.inference_seconds, seen.queue_seconds = output.engine_seconds * images, output.queue_seconds
    seen.engine_calls = output.engine_calls
