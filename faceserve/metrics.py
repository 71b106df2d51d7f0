"""Prometheus metrics; labels are bounded: model, version, side, code, outcome."""

import collections
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    make_asgi_app,
)
from starlette.types import ASGIApp

from faceserve.engines.base import available_cores
from faceserve.errors import Overloaded, ServingError
from faceserve.machine import gpu

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
_BATCHES = (1, 2, 4, 8, 16, 32, 64)
# Versions of a model that have series: what serves, what served before, and what somebody may still ask about.
_VERSIONS = 8
_MILLISECONDS = (1e-6, 5e-6, 1e-5, 5e-5, 1e-4, 5e-4, 1e-3, 1e-2)


@dataclass
class Totals:
    """What one version did since the server started; `images` counts those of answered requests, `engine_calls` how
    often a model worked on these, alone or several together.
    """

    answered: int = 0
    failed: int = 0
    images: int = 0
    engine_calls: int = 0
    answered_seconds: float = 0.0
    failed_seconds: float = 0.0
    input_seconds: float = 0.0
    queue_seconds: float = 0.0
    inference_seconds: float = 0.0
    last_at: float = 0.0


@dataclass
class Observed:
    """What is known of one request so far; whoever answers it fills in the rest.

    `input_seconds` is how long its photos took to be read and decoded.
    """

    version: str = ""
    side: str = "stable"
    images: int = 1
    input_seconds: float = 0.0
    queue_seconds: float = 0.0
    inference_seconds: float = 0.0
    engine_calls: int = 0
    code: str = "OK"


class Metrics:
    """Each server has a registry of its own, so that several can run in one process; `models` bounds the label."""

    def __init__(self, models: tuple[str, ...]) -> None:
        self._models = models
        self._lock = threading.Lock()
        self._totals: dict[tuple[str, str], Totals] = defaultdict(Totals)
        self._known: dict[str, dict[str, None]] = defaultdict(dict)
        self._running: collections.Counter[str] = collections.Counter()
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        gpu.watch(self.registry)
        model = ("model", "version", "side")
        r = self.registry
        self.requests = Counter("faceserve_requests", "Requests by outcome", (*model, "code"), registry=r)
        self.request_seconds = Histogram(
            "faceserve_request_duration_seconds", "From arrival to answer", model, buckets=_SECONDS, registry=r
        )
        self.inference_seconds = Histogram(
            "faceserve_inference_seconds", "In the engine", model, buckets=_SECONDS, registry=r
        )
        self.queue_seconds = Histogram(
            "faceserve_queue_seconds", "Waiting for an engine", buckets=(0.0005, 0.001, *_SECONDS), registry=r
        )
        self.batch_images = Histogram("faceserve_batch_images", "Images a batch", buckets=_BATCHES, registry=r)
        self.inflight = Gauge("faceserve_inflight", "Requests being worked on", ("model",), registry=r)
        self.load_seconds = Histogram("faceserve_model_load_seconds", "Request to loaded", ("model",), registry=r)
        self.warm_up_seconds = Histogram("faceserve_model_warm_up_seconds", "Warm-up", ("model",), registry=r)
        self.swap_seconds = Histogram(
            "faceserve_swap_seconds", "The reference exchange", ("model",), buckets=_MILLISECONDS, registry=r
        )
        self.swaps = Counter("faceserve_swaps", "Changes of what serves", ("model", "outcome"), registry=r)
        self.refusals = Counter("faceserve_refused_artifacts", "Candidates refused", ("model",), registry=r)
        self.active = Gauge(
            "faceserve_active_version", "1 for the version that serves", ("model", "version"), registry=r
        )
        self.canary_share = Gauge("faceserve_canary_share", "Share of requests, 0 to 1", ("model",), registry=r)
        self.mirrored = Counter("faceserve_mirrored", "Shadow requests by outcome", ("model", "outcome"), registry=r)
        self.set_aside = Gauge(
            "faceserve_gallery_set_aside", "Objects in the gallery that are no photo of anybody", ("model",), registry=r
        )
        Gauge("faceserve_cores", "Processor cores that may be used", registry=r).set(available_cores())

    def batched(self, images: int, queue_seconds: Sequence[float]) -> None:
        """One engine call for so many images, after each request waited so long."""
        self.batch_images.observe(images)
        for seconds in queue_seconds:
            self.queue_seconds.observe(seconds)

    @contextmanager
    def request(self, model: str) -> Iterator[Observed]:
        """Count what happens inside, whatever comes of it."""
        known = model if model in self._models else "?"
        seen, started = Observed(), time.perf_counter()
        self._runs(known, 1)
        try:
            yield seen
        except ServingError as error:
            seen.code = error.status
            raise
        except BaseException:
            seen.code = "INTERNAL"
            raise
        finally:
            self._runs(known, -1)
            self._count(known, seen, time.perf_counter() - started)

    def turned_away(self, model: str = "") -> None:
        """A request was refused unread; as its model is unknown, it counts for the one that most requests ask for."""
        with self._lock:
            crowd = max(self._running, key=self._running.__getitem__, default="?")
        known = (model if model in self._models else "?") if model else crowd
        self._know(known, "")
        self.requests.labels(known, "", "stable", Overloaded.status).inc()
        with self._lock:
            self._totals[known, ""].failed += 1

    def failed_on_trial(self, model: str, version: str, code: str) -> None:
        """A candidate failed on a request that the stable version answers: that answer is counted on its own side."""
        self._know(model, version)
        self.requests.labels(model, version, "canary", code).inc()
        with self._lock:
            self._totals[model, version].failed += 1

    def serves(self, model: str, version: str, *, instead_of: str | None) -> None:
        """Another version serves, or the same one again after a restart."""
        if instead_of:
            self.active.labels(model, instead_of).set(0)
        self._know(model, version)
        self.active.labels(model, version).set(1)

    def totals(self, model: str) -> dict[str, Totals]:
        """By version; requests that no version answered are counted under the empty name."""
        with self._lock:
            return {version: total for (name, version), total in self._totals.items() if name == model}

    @property
    def app(self) -> ASGIApp:
        """What Prometheus asks, over HTTP."""
        return make_asgi_app(self.registry)

    def _count(self, model: str, seen: Observed, seconds: float) -> None:
        labels = (model, seen.version, seen.side)
        self._know(model, seen.version)
        self.requests.labels(*labels, seen.code).inc()
        self.request_seconds.labels(*labels).observe(seconds)
        if seen.inference_seconds:
            self.inference_seconds.labels(*labels).observe(seen.inference_seconds)
        with self._lock:
            total = self._totals[model, seen.version]
            if seen.code == "OK":
                total.answered += 1
                total.answered_seconds += seconds
                total.images += seen.images
                total.engine_calls += seen.engine_calls
                total.input_seconds += seen.input_seconds
                total.queue_seconds += seen.queue_seconds
                total.inference_seconds += seen.inference_seconds
                total.last_at = time.time()
            else:
                total.failed += 1
                total.failed_seconds += seconds

    def _runs(self, model: str, more: int) -> None:
        self.inflight.labels(model).inc(more)
        with self._lock:
            self._running[model] += more

    def _know(self, model: str, version: str) -> None:
        """A process lives through hundreds of deployments: the series of the version that was idle for longest are
        dropped.
        """
        with self._lock:
            known = self._known[model]
            known.pop(version, None)
            known[version] = None
            if len(known) <= _VERSIONS:
                return
            gone = next(iter(known))
            del known[gone]
            self._totals.pop((model, gone), None)
        for metric in (self.requests, self.request_seconds, self.inference_seconds, self.active):
            metric.remove_by_labels({"model": model, "version": gone})
