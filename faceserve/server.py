"""Builds the server from its settings, runs it, drains it on SIGTERM."""

import logging
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from tritonclient.grpc import service_pb2_grpc

from faceserve.artifacts import ArtifactCache, S3Source, Source
from faceserve.engines.base import factory
from faceserve.lifecycle import ModelLifecycleManager
from faceserve.loading import Loader
from faceserve.metrics import Metrics
from faceserve.open_inference import SERVICE_NAME, OpenInferenceServicer
from faceserve.servicer import Draining, InferenceServicer, LifecycleServicer, LifecycleToken, add_services
from faceserve.settings import Settings
from faceserve.vetting import ChildVetting

log = logging.getLogger(__name__)

LIVE = "faceserve.live"
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Server:
    """One replica. `start` restores what served before and only then listens."""

    def __init__(self, settings: Settings, source: Source | None = None) -> None:
        self._settings = settings
        self._metrics = Metrics(settings.models)
        self._health = health.HealthServicer()
        self._draining = Draining()
        source = source or S3Source(settings.s3_endpoint)
        loader = Loader(
            ArtifactCache(settings.state_dir / "artifacts" / settings.engine, source, settings.engine),
            settings.engine,
            factory(settings.engine, settings.engine_threads),
            ChildVetting(settings.engine, settings.vet_seconds) if settings.vet_seconds else None,
        )
        self.manager = ModelLifecycleManager(
            settings.models,
            loader,
            settings.state_dir,
            self._metrics,
            drain_seconds=settings.drain_seconds,
            on_change=self._model_serves,
        )
        self._grpc = self._built(source)
        self.port = self._grpc.add_insecure_port(f"{settings.host}:{settings.grpc_port}")

    def start(self) -> None:
        for model in self._settings.models:
            self._health.set(model, _NOT_SERVING)
        for model, problem in self.manager.restore().items():
            log.error("%s does not serve: %s; `python -m pipeline reconcile` brings it back", model, problem)
        if self._settings.metrics_port:
            self._metrics.serve(self._settings.host, self._settings.metrics_port)
        self._grpc.start()
        for service in ("", LIVE):
            self._health.set(service, _SERVING)
        log.info("%s listens on %s:%d", self._settings.replica, self._settings.host, self.port)

    def stop(self) -> None:
        """Refuse new work, let work in flight finish, then stop."""
        self._health.enter_graceful_shutdown()
        self._draining.begun.set()
        self._grpc.stop(self._settings.drain_seconds).wait()

    def run(self) -> None:
        """Until SIGTERM or SIGINT."""
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        self.start()
        stopping.wait()
        began = time.monotonic()
        self.stop()
        log.info("drained in %.1f s", time.monotonic() - began)

    def _built(self, source: Source) -> grpc.Server:
        s = self._settings
        server = grpc.server(
            ThreadPoolExecutor(s.workers, thread_name_prefix="request"),
            interceptors=[self._draining, LifecycleToken(s.lifecycle_token.get_secret_value())],
            maximum_concurrent_rpcs=s.workers + s.max_queued,
            options=[
                ("grpc.max_receive_message_length", s.max_message_bytes),
                ("grpc.so_reuseport", 0),
                ("grpc.keepalive_permit_without_calls", 1),
                ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
            ],
        )
        inference = InferenceServicer(
            self.manager, self._metrics, photos=source, photo_buckets=s.photo_buckets, replica=s.replica
        )
        names = add_services(server, inference, LifecycleServicer(self.manager, s.replica))
        open_inference = OpenInferenceServicer(self.manager, self._metrics, s.replica)
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(open_inference, server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        reflection.enable_server_reflection(
            [*names, SERVICE_NAME, health.SERVICE_NAME, reflection.SERVICE_NAME], server
        )
        return server

    def _model_serves(self, model: str, serving: bool) -> None:
        self._health.set(model, _SERVING if serving else _NOT_SERVING)
