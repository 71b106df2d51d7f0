"""The inference service of `faceserve.v1`: photos in, verdicts, embeddings and enrolled faces out."""

from dataclasses import replace

import grpc
import numpy as np
import numpy.typing as npt

from faceserve.engines.base import Images
from faceserve.errors import BadRequest
from faceserve.faces.enrolment import Enrolment
from faceserve.faces.features import unit_length
from faceserve.inference.answering import Answer, Answering, Asked
from faceserve.inference.darkroom import Darkroom
from faceserve.inference.photos import PhotoReader
from faceserve.protocols.statuses import deadline, statuses
from include.contract import faceserve_pb2 as pb
from include.contract import faceserve_pb2_grpc as pb_grpc

_MAX_MATCHES = 100


class InferenceServicer(pb_grpc.InferenceServicer):
    def __init__(
        self, answering: Answering, enrolment: Enrolment, photos: PhotoReader, darkroom: Darkroom, *, replica: str
    ) -> None:
        self._answering = answering
        self._darkroom = darkroom
        self._enrolment = enrolment
        self._photos = photos
        self._replica = replica

    @statuses
    def Classify(self, request: pb.ClassifyRequest, context: grpc.ServicerContext) -> pb.ClassifyResponse:
        asked = _asked(request, context, request.task_id)
        found = self._answering.answer(asked, lambda: self._photo(request, asked))
        probabilities = found.output.probabilities[0]
        labels = found.generation.labels
        return pb.ClassifyResponse(
            label=labels[int(probabilities.argmax())],
            probabilities={label: float(p) for label, p in zip(labels, probabilities, strict=True)},
            model_version=found.generation.version,
            epoch=found.epoch,
            task_id=request.task_id,
            replica=self._replica,
            side=found.side,
            reasons=[
                pb.Reason(name=name, probability=probability)
                for name, probability in found.generation.reasons.likeliest(found.output.features[0])
            ],
        )

    @statuses
    def ExtractFeatures(
        self, request: pb.ExtractFeaturesRequest, context: grpc.ServicerContext
    ) -> pb.ExtractFeaturesResponse:
        vector, found = self._embedding(request, _asked(request, context))
        return pb.ExtractFeaturesResponse(
            features=vector.tolist(), model_version=found.generation.version, epoch=found.epoch
        )

    @statuses
    def Compare(self, request: pb.CompareRequest, context: grpc.ServicerContext) -> pb.CompareResponse:
        if request.count < 0:
            raise BadRequest(f"count is {request.count}: at most so many matches are asked for, 0 means one")
        asked = replace(_asked(request, context), demand=self._enrolment.looking(request.image))
        vector, found = self._embedding(request, asked)
        generation = found.generation
        if request.identity:
            matches = self._enrolment.with_one(generation, vector, request.identity, asked.deadline)
            enrolled, threshold = len(matches), generation.threshold
        else:
            count = min(max(1, request.count), _MAX_MATCHES)
            matches, enrolled = self._enrolment.nearest(generation, vector, count, asked.deadline)
            threshold = generation.threshold_among(enrolled)
        return pb.CompareResponse(
            matches=[pb.Match(identity=match.identity, similarity=match.similarity) for match in matches],
            model_version=generation.version,
            epoch=found.epoch,
            threshold=threshold,
            enrolled=enrolled,
        )

    def _embedding(
        self, request: pb.ExtractFeaturesRequest | pb.CompareRequest, asked: Asked
    ) -> tuple[npt.NDArray[np.float32], Answer]:
        found = self._answering.answer(asked, lambda: self._developed(request.image, asked))
        return unit_length(found.output.features)[0], found

    def _photo(self, request: pb.ClassifyRequest, asked: Asked) -> Images:
        if request.WhichOneof("photo") != "uri":
            return self._developed(request.image, asked)
        with self._photos.fetched(request.uri) as photo:
            return self._developed(photo, asked)

    def _developed(self, photo: bytes, asked: Asked) -> Images:
        return self._darkroom.decoded([photo], asked.deadline, asked.wanted)


def _asked(
    request: pb.ClassifyRequest | pb.ExtractFeaturesRequest | pb.CompareRequest,
    context: grpc.ServicerContext,
    task_id: str = "",
) -> Asked:
    size_bytes = len(request.image)
    return Asked(request.model, request.version, task_id, deadline(context), context.is_active, size_bytes)
