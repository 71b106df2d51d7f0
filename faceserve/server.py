"""Builds the server from its settings, runs it, and drains it on SIGTERM."""

import functools
import logging
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import cv2
import grpc
import numpy as np
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from tritonclient.grpc import service_pb2_grpc

from faceserve.engines.base import available_cores, factory, precisions
from faceserve.errors import RegistryUnavailable, StorageUnavailable
from faceserve.faces.enrolment import Enrolment
from faceserve.faces.gallery import Gallery
from faceserve.inference.answering import Answering
from faceserve.inference.batching import Batcher, batch_sizes
from faceserve.inference.photos import PhotoReader
from faceserve.metrics import Metrics
from faceserve.models.artifacts import ArtifactCache
from faceserve.models.examination import Examination
from faceserve.models.generation import Generation, Origin
from faceserve.models.loading import Loader
from faceserve.models.vetting import ChildVetting
from faceserve.protocols.access import Draining, LifecycleToken
from faceserve.protocols.lifecycle import MAX_WATCHERS, LifecycleServicer
from faceserve.protocols.open_inference import SERVICE_NAME, OpenInferenceServicer
from faceserve.protocols.photos import InferenceServicer
from faceserve.protocols.replica_status import ReplicaStatus
from faceserve.rollout.canary import Limits
from faceserve.rollout.changes import Changes
from faceserve.rollout.lifecycle import ModelLifecycleManager
from faceserve.rollout.registry import ModelRegistry
from faceserve.rollout.rules import Keeping, Rules
from faceserve.rollout.slot import MAX_LOADING
from faceserve.settings import Settings
from faceserve.storage import S3Source, Source
from include.contract import faceserve_pb2 as pb
from include.contract import faceserve_pb2_grpc as pb_grpc

log = logging.getLogger(__name__)

LIVE = "faceserve.live"
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
# More than calls that watch and calls that load can take, so that a rollback always finds a thread.
_SPARE_THREADS = 8
_RETRY_SECONDS = 5.0
_INFERENCE, _LIFECYCLE = (pb.DESCRIPTOR.services_by_name[name].full_name for name in ("Inference", "Lifecycle"))


class Server:
    """One replica. `start` restores what served before and only then listens."""

    def __init__(self, settings: Settings, source: Source | None = None) -> None:
        self._settings = s = settings
        self._metrics = Metrics(s.models)
        self._health = health.HealthServicer()
        self._draining = Draining()
        self._stopped = threading.Event()
        self._source = source or S3Source(s.s3_endpoint)
        self._threads = s.engine_threads or available_cores()
        self._batcher = Batcher(
            slots=self._threads,
            max_batch=s.batch_images,
            wait_seconds=s.batch_wait_ms / 1000,
            max_waiting=s.max_queued,
            observe=self._metrics.batched,
        )
        galleries = {model: Gallery(self._source, s.gallery_uri, model) for model in s.models}
        self._vet: ChildVetting | None = None
        changes = Changes(self._metrics, self._model_serves)
        self.manager = ModelLifecycleManager(s.models, self._loader(), s.state_dir, changes, _rules(s))
        self._enrolment = Enrolment(self.manager, self._batcher, galleries)
        self._inference = self._inference_server()
        self.port = self._inference.add_insecure_port(f"{s.host}:{s.grpc_port}")
        self._lifecycle = self._lifecycle_server()
        self.lifecycle_port = self._lifecycle_port()

    def start(self) -> None:
        if self._vet:
            self._vet.start()
        for model in ("", *self._settings.models):
            self._health.set(model, _NOT_SERVING)
        self._health.set(LIVE, _SERVING)
        if self._restore():
            threading.Thread(target=self._keep_restoring, daemon=True).start()
        if self._settings.metrics_port:
            self._metrics.serve(self._settings.host, self._settings.metrics_port)
        self._lifecycle.start()
        self._inference.start()
        log.info("%s listens on %s:%d", self._settings.replica, self._settings.host, self.port)

    def stop(self) -> None:
        """Refuse new work, let work in flight finish, then stop."""
        self._stopped.set()
        self._health.enter_graceful_shutdown()
        self._draining.begun.set()
        inference = self._inference.stop(self._settings.drain_seconds)
        lifecycle = self._lifecycle.stop(self._settings.drain_seconds)
        inference.wait()
        lifecycle.wait()

    def run(self) -> None:
        """Until SIGTERM or SIGINT."""
        # Requests are what runs in parallel; OpenCV's own threads would take cores from them.
        cv2.setNumThreads(1)
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        self.start()
        stopping.wait()
        began = time.monotonic()
        self.stop()
        log.info("drained in %.1f s", time.monotonic() - began)

    # Inside

    def _loader(self) -> Loader:
        s = self._settings
        if s.verifying_key and not s.verifying_key.is_file():
            raise ValueError(f"FACESERVE_VERIFYING_KEY: there is no file {s.verifying_key}")
        sizes = tuple(batch_sizes(s.batch_images))
        examination = Examination(s.engine, precisions(s.engine, s.precision), s.max_cpu_ms, sizes)
        artifacts = s.state_dir / "artifacts" / s.engine
        if s.vet_seconds:
            source = functools.partial(S3Source, s.s3_endpoint)
            self._vet = ChildVetting(
                artifacts, source, examination, self._threads, s.vet_seconds, s.vet_memory_mb << 20, s.verifying_key
            )
        return Loader(
            ArtifactCache(artifacts, self._source, examination.keys, s.verifying_key),
            examination,
            factory(s.engine, self._threads),
            vet=self._vet,
            settle=self._settle,
        )

    def _settle(self, generation: Generation) -> None:
        pixels = generation.input_pixels
        self._batcher.warm_up(generation.engine, np.zeros((pixels, pixels, 3), np.uint8))
        self._enrolment.embed(generation)

    def _restore(self) -> set[str]:
        """Returns the models that serve nothing now but may when the registry or the store answers again."""
        champions, unknown = self._champions()
        problems = self.manager.restore(champions)
        for model, problem in problems.items():
            log.error("%s does not serve: %s; `python -m pipeline reconcile` brings it back", model, problem)
        waiting = {model for model, problem in problems.items() if isinstance(problem, StorageUnavailable)}
        return waiting | {model for model in unknown if not self.manager.snapshot(model).active}

    def _champions(self) -> tuple[dict[str, Origin], set[str]]:
        """By model; and the models for which the registry did not answer: there the state on disk decides."""
        if not self._settings.registry_url:
            return {}, set()
        registry, found, unknown = ModelRegistry(self._settings.registry_url), {}, set()
        for model in self._settings.models:
            try:
                champion = registry.champion(model)
            except RegistryUnavailable as error:
                log.warning("%s comes back with what it served: %s", model, error)
                unknown.add(model)
                continue
            if champion:
                found[model] = champion
        return found, unknown

    def _keep_restoring(self) -> None:
        while not self._stopped.wait(_RETRY_SECONDS):
            if not self._restore():
                return

    def _inference_server(self) -> grpc.Server:
        s = self._settings
        answering = Answering(self.manager, self._batcher, self._metrics)
        reader = PhotoReader(self._source, s.photo_buckets)
        photos = InferenceServicer(answering, self._enrolment, reader, replica=s.replica)
        tensors = OpenInferenceServicer(answering, self.manager, self._metrics, engine=s.engine, replica=s.replica)
        # One thread for each request that may wait, and as many to refuse others at once; they start when needed.
        server = self._server(threads=2 * (self._threads + s.max_queued), interceptors=[self._draining])
        pb_grpc.add_InferenceServicer_to_server(photos, server)
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(tensors, server)
        self._describe(server, [_INFERENCE, SERVICE_NAME])
        return server

    def _lifecycle_server(self) -> grpc.Server:
        s = self._settings
        status = ReplicaStatus(self._batcher, s.engine, s.replica)
        servicer = LifecycleServicer(self.manager, self._enrolment, status)
        token = LifecycleToken(s.lifecycle_token.get_secret_value(), certified=s.tls_client_ca is not None)
        threads = MAX_WATCHERS + MAX_LOADING * len(s.models) + _SPARE_THREADS
        server = self._server(threads=threads, interceptors=[self._draining, token])
        pb_grpc.add_LifecycleServicer_to_server(servicer, server)
        self._describe(server, [_LIFECYCLE])
        return server

    def _server(self, *, threads: int, interceptors: list[grpc.ServerInterceptor]) -> grpc.Server:
        return grpc.server(
            ThreadPoolExecutor(threads, thread_name_prefix="request"),
            interceptors=interceptors,
            # Our own limit answers first, with a sentence; this one holds when even reading requests is too much.
            maximum_concurrent_rpcs=threads,
            options=[
                ("grpc.max_receive_message_length", self._settings.max_message_bytes),
                ("grpc.so_reuseport", 0),
                ("grpc.keepalive_permit_without_calls", 1),
                ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
            ],
        )

    def _describe(self, server: grpc.Server, names: list[str]) -> None:
        """Health and reflection, on both ports."""
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        reflection.enable_server_reflection([*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server)

    def _lifecycle_port(self) -> int:
        s = self._settings
        address = f"{s.host}:{s.lifecycle_port}"
        if s.tls_certificate is None or s.tls_key is None:
            if s.tls_certificate or s.tls_key or s.tls_client_ca:
                raise ValueError("TLS needs both FACESERVE_TLS_CERTIFICATE and FACESERVE_TLS_KEY")
            return int(self._lifecycle.add_insecure_port(address))
        credentials = grpc.ssl_server_credentials(
            [(s.tls_key.read_bytes(), s.tls_certificate.read_bytes())],
            s.tls_client_ca.read_bytes() if s.tls_client_ca else None,
            require_client_auth=s.tls_client_ca is not None,
        )
        return int(self._lifecycle.add_secure_port(address, credentials))

    def _model_serves(self, model: str) -> None:
        for service in ("", model):
            self._health.set(service, _SERVING)


def _rules(s: Settings) -> Rules:
    return Rules(
        Keeping(s.drain_seconds, s.calm_ms / 1000, s.warm_memory_mb << 20),
        Limits(
            error_rate=s.canary_error_rate,
            errors_in_a_row=s.canary_errors_in_a_row,
            latency_ratio=s.canary_latency_ratio,
        ),
    )
