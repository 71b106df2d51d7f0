"""Prometheus metrics; labels are bounded: model, version, code, outcome."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector
from prometheus_client import start_http_server as _start

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
_MILLISECONDS = (1e-6, 5e-6, 1e-5, 5e-5, 1e-4, 5e-4, 1e-3, 1e-2)


class Metrics:
    """One registry a server, so that tests may run several in one process."""

    def __init__(self) -> None:
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

    def serve(self, host: str, port: int) -> None:
        """`/metrics` on its own port."""
        _start(port, host, self.registry)
