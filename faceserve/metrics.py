"""Prometheus metrics; labels are bounded: model, version, code, outcome."""

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector
from prometheus_client import start_http_server as _start

from faceserve.errors import ServingError

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
_MILLISECONDS = (1e-6, 5e-6, 1e-5, 5e-5, 1e-4, 5e-4, 1e-3, 1e-2)


@dataclass
class Totals:
    """Of one version since the server started; `images` counts those of answered requests."""

    answered: int = 0
    failed: int = 0
    images: int = 0
    answered_seconds: float = 0.0
    failed_seconds: float = 0.0
    inference_seconds: float = 0.0
    last_at: float = 0.0


@dataclass
class Observed:
    """One request as far as it is known; who answers fills it in."""

    version: str = ""
    images: int = 1
    inference_seconds: float = 0.0
    code: str = "OK"


class Metrics:
    """One registry a server, so that tests may run several in one process; `models` bounds the label."""

    def __init__(self, models: tuple[str, ...]) -> None:
        self._models = models
        self._lock = threading.Lock()
        self._totals: dict[tuple[str, str], Totals] = defaultdict(Totals)
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        model = ("model", "version")
        r = self.registry
        self.requests = Counter("faceserve_requests", "Answered requests", (*model, "code"), registry=r)
        self.request_seconds = Histogram(
            "faceserve_request_duration_seconds", "From arrival to answer", model, buckets=_SECONDS, registry=r
        )
        self.inference_seconds = Histogram(
            "faceserve_inference_seconds", "In the engine", model, buckets=_SECONDS, registry=r
        )
        self.inflight = Gauge("faceserve_inflight", "Requests being worked on", ("model",), registry=r)
        self.load_seconds = Histogram("faceserve_model_load_seconds", "Download to prepared", ("model",), registry=r)
        self.swap_seconds = Histogram(
            "faceserve_swap_seconds", "The reference exchange", ("model",), buckets=_MILLISECONDS, registry=r
        )
        self.swaps = Counter("faceserve_swaps", "Changes of the active version", ("model", "outcome"), registry=r)
        self.active = Gauge("faceserve_active_version", "1 for the version that serves", model, registry=r)

    @contextmanager
    def request(self, model: str) -> Iterator[Observed]:
        """Count what happens inside, whatever comes of it."""
        known = model if model in self._models else "?"
        seen, started = Observed(), time.perf_counter()
        self.inflight.labels(known).inc()
        try:
            yield seen
        except ServingError as error:
            seen.code = error.status
            raise
        except BaseException:
            seen.code = "INTERNAL"
            raise
        finally:
            self.inflight.labels(known).dec()
            self._count(known, seen, time.perf_counter() - started)

    def totals(self, model: str) -> dict[str, Totals]:
        """By version; what no version answered stands under the empty one."""
        with self._lock:
            return {version: total for (name, version), total in self._totals.items() if name == model}

    def _count(self, model: str, seen: Observed, seconds: float) -> None:
        self.requests.labels(model, seen.version, seen.code).inc()
        self.request_seconds.labels(model, seen.version).observe(seconds)
        if seen.inference_seconds:
            self.inference_seconds.labels(model, seen.version).observe(seen.inference_seconds)
        with self._lock:
            total = self._totals[model, seen.version]
            if seen.code == "OK":
                total.answered += 1
                total.answered_seconds += seconds
                total.images += seen.images
                total.inference_seconds += seen.inference_seconds
                total.last_at = time.time()
            else:
                total.failed += 1
                total.failed_seconds += seconds

    def serve(self, host: str, port: int) -> None:
        """`/metrics` on its own port."""
        _start(port, host, self.registry)
