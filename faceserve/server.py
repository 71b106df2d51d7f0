"""Builds the server from its settings, runs it, and drains it on SIGTERM."""

import functools
import logging
import os
import signal
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import cv2
import grpc
import numpy as np
from tritonclient.grpc import service_pb2_grpc

from faceserve.doors import Doors
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
from faceserve.limits import rules
from faceserve.machine import descriptors, memory, priority
from faceserve.machine.descriptors import Connections
from faceserve.machine.repeating import repeated
from faceserve.metrics import Metrics
from faceserve.models.artifacts import ArtifactCache
from faceserve.models.examination import Examination
from faceserve.models.generation import Generation
from faceserve.models.loading import Loader
from faceserve.models.vetting import ChildVetting
from faceserve.protocols.access import Draining
from faceserve.protocols.health import NOT_SERVING, SERVING, HealthServicer
from faceserve.protocols.http_port import HttpPort
from faceserve.protocols.http_port import Waits as HttpWaits
from faceserve.protocols.lifecycle import LifecycleServicer
from faceserve.protocols.open_inference import Names, OpenInference
from faceserve.protocols.open_inference_grpc import SERVICE_NAME, OpenInferenceServicer
from faceserve.protocols.open_inference_http import Limits as HttpLimits
from faceserve.protocols.open_inference_http import OpenInferenceHttp
from faceserve.protocols.photos import InferenceServicer
from faceserve.protocols.places import Patience, Room
from faceserve.protocols.ports import Limits as PortLimits
from faceserve.protocols.ports import Port
from faceserve.protocols.replica_status import ReplicaStatus
from faceserve.rollout.changes import Changes
from faceserve.rollout.coming_back import ComingBack
from faceserve.rollout.lifecycle import ModelLifecycleManager
from faceserve.rollout.registry import ModelRegistry
from faceserve.rollout.slot import MAX_LOADING
from faceserve.settings import Settings
from faceserve.storage import S3Source, Source, Stores
from include.contract import faceserve_pb2 as pb
from include.contract import faceserve_pb2_grpc as pb_grpc
from include.contract.decoding_memory import BYTES_A_PIXEL

if TYPE_CHECKING:
    from faceserve.protocols.traces import Traces

log = logging.getLogger(__name__)

LIVE = "faceserve.live"
# Over one connection more than calls that load or enrol take, so that a rollback always finds a place; more for all.
_SPARE_PLACES = 8
_WATCHERS = 8
_QUESTIONS = 16
_TIDY_SECONDS = 5.0
# Several times within what a gallery counts for, so that requests seldom have to look themselves.
_GALLERY_SECONDS = 0.3
_ENDING_SECONDS = 5.0
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
        budget_bytes = int(s.decoded_megapixels * 1_000_000 * BYTES_A_PIXEL)
        self._darkroom = Darkroom(budget_bytes, self._threads)
        galleries = {
            model: Gallery(self._stores, s.gallery_uri, model, self._darkroom, self.metrics.set_aside.labels(model).set)
            for model in s.models
        }
        self._vet: ChildVetting | None = None
        self._changes = Changes(self.metrics, self._model_serves)
        self.manager = ModelLifecycleManager(s.models, self._loader(), s.state_dir, self._changes, rules(s))
        self._enrolment = Enrolment(self.manager, self._batcher, galleries)
        login = (s.registry_user, s.registry_password.get_secret_value())
        self._coming_back = ComingBack(self.manager, ModelRegistry(s.registry_url, *login) if s.registry_url else None)
        self._over = threading.Event()
        self._connections = Connections.within(descriptors.raised())
        self._doors = Doors(s, self.metrics.registry)
        self._traces = _traces(s)
        self._admission = Admission(self._threads + s.max_queued, s.max_queued_mb << 20)
        self._answering = Answering(self.manager, self._batcher, self._admission, self.metrics)
        names = Names(s.engine, s.replica)
        self._tensors = OpenInference(self._answering, self.manager, self.metrics, self._darkroom, names)
        self._inference = self._inference_port()
        self._lifecycle = self._lifecycle_port()
        self.port = self._inference.bind((s.host, s.grpc_port), self._doors.tls("inference"))
        self.lifecycle_port = self._lifecycle.bind((s.host, s.lifecycle_port), self._doors.tls("lifecycle"))
        self._probed = None if s.health_port is None else self._port({}, self._connections.probes, [])
        self.health_port = self._probed.bind((s.host, s.health_port or 0)) if self._probed else None
        silence = PATIENCE.silence_seconds
        self._waits = HttpWaits(PATIENCE.message_seconds, silence, s.drain_seconds, s.connection_age_seconds)
        self._http = None if s.http_port is None else self._http_port(s.http_port)
        metrics = (s.host, s.metrics_port)
        self._scraped = (
            HttpPort(self.metrics.app, metrics, self._waits, self._connections.http) if s.metrics_port else None
        )
        self.http_port = self._http.number if self._http else None

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
        ending = [port.stop(self._settings.drain_seconds) for port in self._ports]
        ending += [self._http.stop()] if self._http else []
        for port in ending:
            # By then every call was cancelled; one that still does not end keeps nobody waiting.
            port.wait(self._settings.drain_seconds + _ENDING_SECONDS)
        if self._scraped:
            self._scraped.stop().wait(_ENDING_SECONDS)
        if self._traces:
            self._traces.end()

    def run(self) -> None:
        """Until SIGTERM or SIGINT."""
        # Requests are what runs in parallel; OpenCV's own threads would take cores from them.
        cv2.setNumThreads(1)
        priority.take_short_turns()
        memory.give_back_large()
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
        for port in self._ports:
            port.server.start()
        for http in (self._http, self._scraped):
            if http:
                http.start()
        log.info("%s listens on %s:%d", self._settings.replica, self._settings.host, self.port)
        if self._vet:
            self._vet.start()

    def _now_and_then(self) -> None:
        def expire() -> None:
            self.manager.expire(self._settings.prepared_hours * 3600)

        repeated("expire", expire, _TIDY_SECONDS, self._over)
        # Each by itself: what fails or takes long for one model is nothing to another.
        for model in self._settings.models:
            for work in (self._enrolment.look, self._enrolment.list_again):
                repeated(f"{work.__name__} {model}", functools.partial(work, model), _GALLERY_SECONDS, self._over)

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
        # A connection leaves places to others that wait, and a stalled store half of that to the connection.
        each = max(2, (self._threads + s.max_queued) * 3 // 4)
        fetching = Fetching(self._stores.hurried, self._admission, min(Fetching.places, each // 2))
        reader = PhotoReader(fetching, s.photo_buckets)
        photos = InferenceServicer(self._answering, self._enrolment, reader, self._darkroom, replica=s.replica)
        requests = Room(self._request_places, each, lambda: self._admission.full, self.metrics.turned_away)
        rooms = {
            f"/{_INFERENCE}/": requests,
            f"/{SERVICE_NAME}/ModelInfer": requests,
            # A client of Triton's keeps one open: as many as may ask at once.
            f"/{SERVICE_NAME}/ModelStreamInfer": Room(self._threads + s.max_queued),
            # Whether and what it serves is told, however many wait to be answered.
            f"/{SERVICE_NAME}/": Room(_QUESTIONS),
        }
        port = self._port(rooms, self._connections.inference, self._doors.inference())
        pb_grpc.add_InferenceServicer_to_server(photos, port.server)
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(OpenInferenceServicer(self._tensors), port.server)
        port.described([_INFERENCE, SERVICE_NAME])
        return port

    def _port(self, rooms: Mapping[str, Room], connections: int, doors: list[grpc.ServerInterceptor]) -> Port:
        """Every call comes through its doors before it has a place."""
        s = self._settings
        held = connections, s.max_queued_mb << 20, s.connection_age_seconds
        around = [*([self._traces.interceptor()] if self._traces else []), self._draining, *doors]
        return Port(rooms, PortLimits(PATIENCE, s.max_message_bytes, *held), self.health, around)

    @property
    def _ports(self) -> list[Port]:
        """Those of gRPC."""
        return [self._lifecycle, self._inference, *([self._probed] if self._probed else [])]

    @property
    def _request_places(self) -> int:
        """One for each request that may wait, and as many for those that are still coming."""
        return 2 * (self._threads + self._settings.max_queued)

    def _http_port(self, number: int) -> HttpPort:
        s = self._settings
        limits = HttpLimits(self._request_places, s.max_queued_mb << 20, s.max_message_bytes, PATIENCE.message_seconds)
        spoken = OpenInferenceHttp(self._tensors, limits, self._doors.inference_tokens, self._draining.begun)
        app = self._traces.app(spoken.app) if self._traces else spoken.app
        return HttpPort(app, (s.host, number), self._waits, self._connections.http, self._doors.tls("http"))

    def _lifecycle_port(self) -> Port:
        s = self._settings
        status = ReplicaStatus(self._batcher, s.engine, s.replica)
        servicer = LifecycleServicer(self.manager, self._enrolment, status)
        calls = Room((each := MAX_LOADING * len(s.models) + _SPARE_PLACES) + _SPARE_PLACES, each)
        rooms = {f"/{_LIFECYCLE}/": calls, f"/{_LIFECYCLE}/WatchStatus": Room(_WATCHERS)}
        port = self._port(rooms, self._connections.lifecycle, self._doors.lifecycle())
        pb_grpc.add_LifecycleServicer_to_server(servicer, port.server)
        port.described([_LIFECYCLE])
        return port

    def _model_serves(self, model: str) -> None:
        for service in ("", model):
            self.health.set(service, SERVING)


def _traces(s: Settings) -> "Traces | None":
    """Its libraries take half a second to load, so they are loaded only when wanted."""
    if not s.traces:
        return None
    from faceserve.protocols.traces import Traces

    return Traces(s.replica)
