"""gRPC to Python and back, errors to statuses; nothing else."""

import functools
import hmac
import threading
import time
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt
import psutil

from faceserve.artifacts import Source, read_photo
from faceserve.errors import BadPhoto, ServingError
from faceserve.lifecycle import Activated, ModelLifecycleManager
from faceserve.loading import Generation
from faceserve.metrics import Metrics, Observed
from include.contract import faceserve_pb2 as pb
from include.contract import faceserve_pb2_grpc as pb_grpc
from include.contract.preprocessing import UnreadablePhoto, to_input


def add_services(server: grpc.Server, inference: "InferenceServicer", lifecycle: "LifecycleServicer") -> list[str]:
    """Register both; their full names."""
    pb_grpc.add_InferenceServicer_to_server(inference, server)
    pb_grpc.add_LifecycleServicer_to_server(lifecycle, server)
    return [service.full_name for service in pb.DESCRIPTOR.services_by_name.values()]


def statuses(method: Callable[..., Any]) -> Callable[..., Any]:
    """What a method refuses becomes a gRPC status with the sentence as detail."""

    @functools.wraps(method)
    def answer(self: Any, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(self, request, context)
        except ServingError as error:
            context.abort(grpc.StatusCode[error.status], str(error))

    return answer


class InferenceServicer(pb_grpc.InferenceServicer):
    def __init__(
        self,
        manager: ModelLifecycleManager,
        metrics: Metrics,
        *,
        photos: Source,
        photo_buckets: tuple[str, ...],
        replica: str,
    ) -> None:
        self._manager = manager
        self._photos = photos
        self._photo_buckets = photo_buckets
        self._replica = replica
        self._metrics = metrics

    @statuses
    def Classify(self, request: pb.ClassifyRequest, context: grpc.ServicerContext) -> pb.ClassifyResponse:
        with (
            self._metrics.request(request.model) as seen,
            self._manager.lease(request.model, request.version) as (generation, epoch),
        ):
            seen.version = generation.origin.version
            return self._classify(request, generation, epoch, seen)

    @statuses
    def ExtractFeatures(
        self, request: pb.ExtractFeaturesRequest, context: grpc.ServicerContext
    ) -> pb.ExtractFeaturesResponse:
        with self._manager.lease(request.model) as (generation, epoch):
            features = generation.extractor.extract(_input(request.image)[None])[0]
            return pb.ExtractFeaturesResponse(
                features=features.tolist(), model_version=generation.origin.version, epoch=epoch
            )

    def _classify(
        self, request: pb.ClassifyRequest, generation: Generation, epoch: int, seen: Observed
    ) -> pb.ClassifyResponse:
        photo = request.image
        if request.WhichOneof("photo") == "uri":
            photo = read_photo(self._photos, request.uri, self._photo_buckets)
        image = _input(photo)
        started = time.perf_counter()
        probabilities = generation.engine.infer(image[None]).probabilities[0]
        seen.inference_seconds = time.perf_counter() - started
        return pb.ClassifyResponse(
            label=generation.labels[int(probabilities.argmax())],
            probabilities={label: float(p) for label, p in zip(generation.labels, probabilities, strict=True)},
            model_version=generation.origin.version,
            epoch=epoch,
            task_id=request.task_id,
            replica=self._replica,
        )


class LifecycleServicer(pb_grpc.LifecycleServicer):
    def __init__(self, manager: ModelLifecycleManager, replica: str) -> None:
        self._manager = manager
        self._replica = replica

    @statuses
    def Prepare(self, request: pb.PrepareRequest, context: grpc.ServicerContext) -> pb.PrepareResponse:
        done = self._manager.prepare(request.model, request.version, request.artifact_uri, request.manifest_sha256)
        return pb.PrepareResponse(
            version=done.version,
            load_seconds=done.load_seconds,
            warm_up_seconds=done.warm_up_seconds,
            epoch=done.epoch,
        )

    @statuses
    def Activate(self, request: pb.ActivateRequest, context: grpc.ServicerContext) -> pb.ActivateResponse:
        return _activated(self._manager.activate(request.model, request.version, request.expected_epoch))

    @statuses
    def UpdateModel(self, request: pb.PrepareRequest, context: grpc.ServicerContext) -> pb.ActivateResponse:
        prepared = self._manager.prepare(request.model, request.version, request.artifact_uri, request.manifest_sha256)
        return _activated(self._manager.activate(request.model, request.version, prepared.epoch))

    @statuses
    def Rollback(self, request: pb.RollbackRequest, context: grpc.ServicerContext) -> pb.ActivateResponse:
        return _activated(self._manager.rollback(request.model, request.expected_epoch))

    @statuses
    def Discard(self, request: pb.DiscardRequest, context: grpc.ServicerContext) -> pb.DiscardResponse:
        self._manager.discard(request.model, request.version)
        return pb.DiscardResponse()

    @statuses
    def GetStatus(self, request: pb.GetStatusRequest, context: grpc.ServicerContext) -> pb.GetStatusResponse:
        snapshot = self._manager.snapshot(request.model)
        return pb.GetStatusResponse(
            replica=self._replica,
            version=snapshot.active.origin.version if snapshot.active else "",
            previous_version=snapshot.previous.origin.version if snapshot.previous else "",
            epoch=snapshot.epoch,
            prepared=self._manager.prepared(request.model),
            requests_in_flight=snapshot.active.held if snapshot.active else 0,
            memory_bytes=psutil.Process().memory_info().rss,
        )

    @statuses
    def ListVersions(self, request: pb.ListVersionsRequest, context: grpc.ServicerContext) -> pb.ListVersionsResponse:
        return pb.ListVersionsResponse(
            versions=[pb.VersionRecord(**vars(origin)) for origin in self._manager.history(request.model)]
        )


class LifecycleToken(grpc.ServerInterceptor):
    """Lifecycle calls need `authorization: Bearer <token>`; without a token set, nobody has it."""

    def __init__(self, token: str) -> None:
        self._expected = f"Bearer {token}".encode() if token else None

    def intercept_service(self, continuation: Any, details: grpc.HandlerCallDetails) -> Any:
        if not details.method.startswith("/faceserve.v1.Lifecycle/"):
            return continuation(details)
        given = str(dict(details.invocation_metadata).get("authorization", "")).encode()
        if self._expected is not None and hmac.compare_digest(given, self._expected):
            return continuation(details)

        def refuse(request: Any, context: grpc.ServicerContext) -> None:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "lifecycle calls need `authorization: Bearer <token>`")

        return grpc.unary_unary_rpc_method_handler(refuse)


class Draining(grpc.ServerInterceptor):
    """After SIGTERM new calls are refused with UNAVAILABLE, so that clients go to another replica at once."""

    def __init__(self) -> None:
        self.begun = threading.Event()

    def intercept_service(self, continuation: Any, details: grpc.HandlerCallDetails) -> Any:
        if not self.begun.is_set():
            return continuation(details)

        def refuse(request: Any, context: grpc.ServicerContext) -> None:
            context.abort(grpc.StatusCode.UNAVAILABLE, "this replica is shutting down: ask another one")

        return grpc.unary_unary_rpc_method_handler(refuse)


def _input(photo: bytes) -> npt.NDArray[np.uint8]:
    try:
        return to_input(photo)
    except UnreadablePhoto as error:
        raise BadPhoto(str(error)) from None


def _activated(done: Activated) -> pb.ActivateResponse:
    return pb.ActivateResponse(
        version=done.version,
        previous_version=done.previous or "",
        epoch=done.epoch,
        swap_milliseconds=done.swap_milliseconds,
    )
