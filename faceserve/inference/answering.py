"""One request from its arrival to its answer, whichever protocol it came through."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from faceserve.engines.base import Images, Output
from faceserve.errors import InferenceFailed
from faceserve.inference.batching import Batcher
from faceserve.metrics import Metrics, Observed
from faceserve.models.generation import Generation
from faceserve.rollout.lifecycle import ModelLifecycleManager
from faceserve.rollout.snapshot import Canary, Lease

log = logging.getLogger(__name__)

# More copies than this are dropped: shadow traffic must not pile up behind a busy server.
_MAX_MIRRORED = 16


@dataclass(frozen=True)
class Asked:
    """What a request asks for; an empty `version` means the one that serves.

    `deadline` is in seconds of the monotonic clock.
    """

    model: str
    version: str = ""
    task_id: str = ""
    deadline: float = float("inf")


@dataclass(frozen=True)
class Answer:
    output: Output
    generation: Generation
    epoch: int
    side: str


class Answering:
    def __init__(self, manager: ModelLifecycleManager, batcher: Batcher, metrics: Metrics) -> None:
        self._manager = manager
        self._batcher = batcher
        self._metrics = metrics
        self._mirrored = threading.BoundedSemaphore(_MAX_MIRRORED)

    def answer(self, asked: Asked, read: Callable[[], Images]) -> Answer:
        """`read` returns the images, uint8 RGB [N, 224, 224, 3]; it is called when the request has a place here.

        Raises `ServingError`s: what `read`, the lease and the engine refuse.
        """
        with (
            self._metrics.request(asked.model) as seen,
            self._batcher.admitted(),
            self._manager.lease(asked.model, asked.version, asked.task_id) as lease,
        ):
            seen.version, seen.side = lease.generation.version, lease.side
            images = read()
            seen.images = len(images)
            return self._answer(asked, lease, images, seen)

    def _answer(self, asked: Asked, lease: Lease, images: Images, seen: Observed) -> Answer:
        generation, side = lease.generation, lease.side
        started = time.perf_counter()
        try:
            output = self._batcher.infer(generation.engine, images, asked.deadline)
        except InferenceFailed as error:
            if lease.canary:
                self._tried(asked.model, lease.canary, side, 0.0, failed=True)
            if side == "stable":
                raise
            # The candidate's failure is counted, but nobody's request pays for it.
            log.warning("%s failed on trial: %s", generation.version, error)
            return self._by_stable(asked, images, seen)
        seen.inference_seconds = time.perf_counter() - started
        if lease.canary:
            self._tried(asked.model, lease.canary, side, seen.inference_seconds, failed=False)
        if lease.mirrored and lease.canary:
            self._mirror(asked.model, lease.canary, images, output)
        return Answer(output, generation, lease.epoch, side)

    def _by_stable(self, asked: Asked, images: Images, seen: Observed) -> Answer:
        active = self._manager.snapshot(asked.model).active
        with self._manager.lease(asked.model, active.version if active else "") as lease:
            seen.version, seen.side = lease.generation.version, "stable"
            output = self._batcher.infer(lease.generation.engine, images, asked.deadline)
            return Answer(output, lease.generation, lease.epoch, "stable")

    def _tried(self, model: str, canary: Canary, side: str, seconds: float, *, failed: bool) -> None:
        canary.trial.observe("canary" if side == "canary" else "stable", seconds, failed=failed)
        opinion = canary.trial.opinion()
        if opinion.verdict == "roll back":
            self._manager.abort_canary(model, canary.version, opinion.reason)

    def _mirror(self, model: str, canary: Canary, images: Images, stable: Output) -> None:
        """Ask the candidate the same when no request waits for an engine, and only compare the answers."""
        if not self._mirrored.acquire(blocking=False):
            self._metrics.mirrored.labels(model, "dropped").inc()
            return
        threading.Thread(target=self._compare, args=(model, canary, images, stable), daemon=True).start()

    def _compare(self, model: str, canary: Canary, images: Images, stable: Output) -> None:
        generation = canary.generation
        if not generation.hold():
            self._mirrored.release()
            return
        try:
            started = time.perf_counter()
            found = self._batcher.infer_when_idle(generation.engine, images)
            self._tried(model, canary, "canary", time.perf_counter() - started, failed=False)
            agreed = bool((found.probabilities.argmax(1) == stable.probabilities.argmax(1)).all())
            canary.trial.compare(agreed=agreed)
            self._metrics.mirrored.labels(model, "agreed" if agreed else "differed").inc()
        except InferenceFailed:
            self._metrics.mirrored.labels(model, "failed").inc()
            self._tried(model, canary, "canary", 0.0, failed=True)
        finally:
            generation.release()
            self._mirrored.release()
