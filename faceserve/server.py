"""Builds the server from its settings, runs it, and drains it on SIGTERM."""

import functools
import logging
import os
import signal
import threading
import time
from collections.abc import Callable

import cv2
import numpy as np
from tritonclient.grpc import service_pb2_grpc

from faceserve.engines.base import available_cores, factory, precisions
from faceserve.faces.enrolment import Enrolment
from faceserve.faces.gallery import Gallery
from faceserve.inference.admission import Admission
from faceserve.inference.answering import Answering
from faceserve.inference.batching import Batcher
from faceserve.inference.darkroom import Darkroom
from faceserve.inference.fetching import Fetching
from faceserve.inference.photos import PhotoReader
from faceserve.inference.sizes import batch_sizes
from faceserve.metrics import Metrics
from faceserve.models.artifacts import ArtifactCache
from faceserve.models.examination import Examination
from faceserve.models.generation import Generation
from faceserve.models.loading import Loader
from faceserve.models.vetting import ChildVetting
from faceserve.protocols.access import Draining, LifecycleToken
from faceserve.protocols.health import NOT_SERVING, SERVING, HealthServicer
from faceserve.protocols.lifecycle import LifecycleServicer
from faceserve.protocols.open_inference import SERVICE_NAME, Names, OpenInferenceServicer
from faceserve.protocols.photos import InferenceServicer
from faceserve.protocols.places import Patience, Room
from faceserve.protocols.ports import Limits as PortLimits
from faceserve.protocols.ports import Port, Tls
from faceserve.protocols.replica_status import ReplicaStatus
from faceserve.rollout.canary import Limits
from faceserve.rollout.changes import Changes
from faceserve.rollout.coming_back import ComingBack
from faceserve.rollout.lifecycle import ModelLifecycleManager
from faceserve.rollout.rules import Keeping, Rules
from faceserve.rollout.slot import MAX_LOADING
from faceserve.settings import Settings
from faceserve.storage import S3Source, Source, Stores
from include.contract import faceserve_pb2 as pb
from include.contract import faceserve_pb2_grpc as pb_grpc

log = logging.getLogger(__name__)

LIVE = "faceserve.live"
# More than calls that load can take, so that a rollback always finds a place.
_SPARE_PLACES = 8
_WATCHERS = 8
_STREAMS = 32
_TIDY_SECONDS = 5.0
# Several times within what a gallery counts for, so that requests seldom have to look themselves.
_GALLERY_SECONDS = 0.3
PATIENCE = Patience()
_INFERENCE, _LIFECYCLE = (pb.DESCRIPTOR.services_by_name[name].full_name for name in ("Inference", "Lifecycle"))


class Server:
    """One replica. `start` listens and then restores what served before: until it serves, health says so."""

    def __init__(self, settings: Settings, source: Source | None = None) -> None:
        self._settings = s = settings
        self.metrics = Metrics(s.models)
        self.health = HealthServicer()
        self._draining = Draining()
        self._source = source or S3Source(s.s3_endpoint)
        self._stores = Stores(self._source, source or S3Source(s.s3_endpoint, hurried=True))
        self._threads = s.engine_threads or available_cores()
        self._batcher = Batcher(
            slots=self._threads,
            max_batch=s.batch_images,
            wait_seconds=s.batch_wait_ms / 1000,
            call_seconds=s.call_seconds,
            observe=self.metrics.batched,
        )
        galleries = {
            model: Gallery(self._stores, s.gallery_uri, model, self.metrics.set_aside.labels(model).set)
            for model in s.models
        }
        self._vet: ChildVetting | None = None
        self._changes = Changes(self.metrics, self._model_serves)
        self.manager = ModelLifecycleManager(s.models, self._loader(), s.state_dir, self._changes, _rules(s))
        self._enrolment = Enrolment(self.manager, self._batcher, galleries)
        self._coming_back = ComingBack(self.manager, s.registry_url)
        self._over = threading.Event()
        self._port_limits = PortLimits(PATIENCE, s.max_message_bytes)
        self._inference = self._inference_port()
        self._lifecycle = self._lifecycle_port()
        self.port = self._inference.bind(f"{s.host}:{s.grpc_port}")
        self.lifecycle_port = self._lifecycle.bind(f"{s.host}:{s.lifecycle_port}", _tls(s))

    def start(self) -> None:
        """Returns when what can serve does."""
        self._listen()
        self._coming_back.restore()
        self._now_and_then()

    def stop(self) -> None:
        """Refuse new work, let work in flight finish, then stop."""
        self._over.set()
        self._coming_back.stop()
        self._draining.begun.set()
        self.health.end()
        self._changes.end()
        ending = [port.stop(self._settings.drain_seconds) for port in (self._inference, self._lifecycle)]
        for port in ending:
            port.wait()

    def run(self) -> None:
        """Until SIGTERM or SIGINT."""
        # Requests are what runs in parallel; OpenCV's own threads would take cores from them.
        cv2.setNumThreads(1)
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        self._listen()
        threading.Thread(target=self._coming_back.restore, name="coming back", daemon=True).start()
        self._now_and_then()
        stopping.wait()
        began = time.monotonic()
        self.stop()
        log.info("drained in %.1f s", time.monotonic() - began)
        # Python would wait for every thread, also for one that a model never gives back.
        logging.shutdown()
        os._exit(0)

    # Inside

    def _listen(self) -> None:
        for model in ("", *self._settings.models):
            self.health.set(model, NOT_SERVING)
        self.health.set(LIVE, SERVING)
        for port in (self._lifecycle, self._inference):
            port.server.start()
        log.info("%s listens on %s:%d", self._settings.replica, self._settings.host, self.port)
        if self._vet:
            self._vet.start()
        if self._settings.metrics_port:
            self.metrics.serve(self._settings.host, self._settings.metrics_port)

    def _now_and_then(self) -> None:
        def expire() -> None:
            self.manager.expire(self._settings.prepared_hours * 3600)

        for work, seconds in ((expire, _TIDY_SECONDS), (self._enrolment.look, _GALLERY_SECONDS)):
            threading.Thread(target=self._repeat, args=(work, seconds), name=work.__name__, daemon=True).start()

    def _repeat(self, work: Callable[[], None], seconds: float) -> None:
        while not self._over.wait(seconds):
            try:
                work()
            except Exception:
                log.exception("%s failed and is tried again in %g s", work.__name__, seconds)

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

    def _inference_port(self) -> Port:
        s = self._settings
        admission = Admission(self._threads + s.max_queued, s.max_queued_mb << 20)
        answering = Answering(self.manager, self._batcher, admission, self.metrics)
        reader = PhotoReader(Fetching(self._stores.hurried), s.photo_buckets)
        darkroom = Darkroom(s.decoded_megapixels * 1_000_000)
        names = Names(s.engine, s.replica)
        photos = InferenceServicer(answering, self._enrolment, reader, darkroom, replica=s.replica)
        tensors = OpenInferenceServicer(answering, self.manager, self.metrics, darkroom, names)
        # One place for each request that may wait, and as many to refuse others at once.
        requests = Room(2 * (self._threads + s.max_queued))
        streams = Room(_STREAMS)
        rooms = {"/": requests, f"/{SERVICE_NAME}/ModelStreamInfer": streams}
        port = Port(rooms, self._port_limits, self.health, [self._draining])
        pb_grpc.add_InferenceServicer_to_server(photos, port.server)
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(tensors, port.server)
        port.described([_INFERENCE, SERVICE_NAME])
        return port

    def _lifecycle_port(self) -> Port:
        s = self._settings
        status = ReplicaStatus(self._batcher, s.engine, s.replica)
        servicer = LifecycleServicer(self.manager, self._enrolment, status)
        token = LifecycleToken(s.lifecycle_token.get_secret_value(), certified=s.tls_client_ca is not None)
        calls = Room(MAX_LOADING * len(s.models) + _SPARE_PLACES)
        rooms = {f"/{_LIFECYCLE}/": calls, f"/{_LIFECYCLE}/WatchStatus": Room(_WATCHERS)}
        port = Port(rooms, self._port_limits, self.health, [self._draining, token])
        pb_grpc.add_LifecycleServicer_to_server(servicer, port.server)
        port.described([_LIFECYCLE])
        return port

    def _model_serves(self, model: str) -> None:
        for service in ("", model):
            self.health.set(service, SERVING)


def _tls(s: Settings) -> Tls | None:
    """Raises `ValueError` for half of what TLS needs."""
    if s.tls_certificate and s.tls_key:
        return Tls(s.tls_certificate, s.tls_key, s.tls_client_ca)
    if s.tls_certificate or s.tls_key or s.tls_client_ca:
        raise ValueError("TLS needs both FACESERVE_TLS_CERTIFICATE and FACESERVE_TLS_KEY")
    return None


def _rules(s: Settings) -> Rules:
    return Rules(
        Keeping(s.drain_seconds, s.calm_ms / 1000, s.warm_memory_mb << 20),
        Limits(
            error_rate=s.canary_error_rate,
            errors_in_a_row=s.canary_errors_in_a_row,
            latency_ratio=s.canary_latency_ratio,
        ),
    )
