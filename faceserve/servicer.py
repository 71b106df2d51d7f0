"""gRPC to Python and back for photos, errors to statuses; nothing else."""

import functools
import time
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt

from faceserve.answering import Answer, Answering, Asked
from faceserve.artifacts import Source, read_photo
from faceserve.errors import ServingError
from faceserve.features import unit_length
from faceserve.gallery import read_input
from include.contract import faceserve_pb2 as pb
from include.contract import faceserve_pb2_grpc as pb_grpc

_MAX_MATCHES = 100


def statuses(method: Callable[..., Any]) -> Callable[..., Any]:
    """What a method refuses becomes a gRPC status with the sentence as detail."""

    @functools.wraps(method)
    def answer(self: Any, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(self, request, context)
        except ServingError as error:
            context.abort(grpc.StatusCode[error.status], str(error))

    return answer


def deadline(context: grpc.ServicerContext) -> float:
    """The caller's, in seconds of the monotonic clock."""
    remaining = context.time_remaining()
    return float("inf") if remaining is None else time.monotonic() + remaining


class InferenceServicer(pb_grpc.InferenceServicer):
    def __init__(self, answering: Answering, *, photos: Source, photo_buckets: tuple[str, ...], replica: str) -> None:
        self._answering = answering
        self._photos = photos
        self._photo_buckets = photo_buckets
        self._replica = replica

    @statuses
    def Classify(self, request: pb.ClassifyRequest, context: grpc.ServicerContext) -> pb.ClassifyResponse:
        asked = Asked(request.model, request.version, request.task_id, deadline(context))
        found = self._answering.answer(asked, lambda: self._photo(request))
        probabilities = found.output.probabilities[0]
        labels = found.generation.labels
        return pb.ClassifyResponse(
            label=labels[int(probabilities.argmax())],
            probabilities={label: float(p) for label, p in zip(labels, probabilities, strict=True)},
            model_version=found.generation.origin.version,
            epoch=found.epoch,
            task_id=request.task_id,
            replica=self._replica,
            side=found.side,
        )

    @statuses
    def ExtractFeatures(
        self, request: pb.ExtractFeaturesRequest, context: grpc.ServicerContext
    ) -> pb.ExtractFeaturesResponse:
        vector, found = self._embedding(request, context)
        return pb.ExtractFeaturesResponse(
            features=vector.tolist(), model_version=found.generation.origin.version, epoch=found.epoch
        )

    @statuses
    def Compare(self, request: pb.CompareRequest, context: grpc.ServicerContext) -> pb.CompareResponse:
        vector, found = self._embedding(request, context)
        count = min(max(1, request.count), _MAX_MATCHES)
        matches = found.generation.comparison.nearest(vector, count)
        return pb.CompareResponse(
            matches=[pb.Match(identity=match.identity, similarity=match.similarity) for match in matches],
            model_version=found.generation.origin.version,
            epoch=found.epoch,
        )

    def _embedding(
        self, request: pb.ExtractFeaturesRequest | pb.CompareRequest, context: grpc.ServicerContext
    ) -> tuple[npt.NDArray[np.float32], Answer]:
        asked = Asked(request.model, request.version, deadline=deadline(context))
        found = self._answering.answer(asked, lambda: read_input(request.image)[None])
        return unit_length(found.output.features)[0], found

    def _photo(self, request: pb.ClassifyRequest) -> npt.NDArray[np.uint8]:
        if request.WhichOneof("photo") == "uri":
            return read_input(read_photo(self._photos, request.uri, self._photo_buckets))[None]
        return read_input(request.image)[None]
