"""A typed client of faceserve's inference service."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from tritonclient.grpc import service_pb2 as oip
from tritonclient.grpc import service_pb2_grpc

from include.contract import faceserve_pb2 as pb
from include.contract import faceserve_pb2_grpc as pb_grpc
from include.contract.channel import ClientTls, FaceserveError, Replicas

__all__ = ["Classification", "ClientTls", "Compared", "FaceserveClient", "FaceserveError", "Match"]


@dataclass(frozen=True)
class Classification:
    """`side` is `canary` when a version on trial answered; `reasons` are what a correction would most likely be about,
    each with its probability, likeliest first.
    """

    label: str
    probabilities: Mapping[str, float]
    model_version: str
    epoch: int
    replica: str
    side: str
    reasons: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Match:
    """`similarity` is the cosine, -1 to 1."""

    identity: str
    similarity: float


@dataclass(frozen=True)
class Compared:
    """Who looks most like a photo, best first, of so many `enrolled`. From `threshold` on a match counts; it is that of
    the version that answered, for one person who was named or for as many as are enrolled, so nobody keeps it for the
    next answer. None: the model tells no people apart.
    """

    matches: tuple[Match, ...]
    threshold: float | None
    model_version: str
    enrolled: int = 0

    @property
    def recognised(self) -> Match | None:
        """The person that the photo is taken for."""
        best = self.matches[0] if self.matches else None
        return best if best and self.threshold is not None and best.similarity >= self.threshold else None


class FaceserveClient:
    """Asks the replicas in turn; one that is unreachable or overloaded is passed over while another answers."""

    def __init__(
        self, addresses: Sequence[str], *, timeout_seconds: float = 10.0, token: str = "", tls: ClientTls | None = None
    ) -> None:
        """`token` and `tls` as far as the replicas want them for inference."""
        self._replicas = Replicas(addresses, timeout_seconds=timeout_seconds, token=token, tls=tls)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._replicas.close()

    def classify(self, model: str, photo: bytes | str, *, task_id: str = "", version: str = "") -> Classification:
        """`photo` is its bytes or an `s3://` URI. Raises `FaceserveError`."""
        request = pb.ClassifyRequest(model=model, task_id=task_id, version=version)
        if isinstance(photo, str):
            request.uri = photo
        else:
            request.image = photo
        found = self._replicas.call(lambda channel: pb_grpc.InferenceStub(channel).Classify, request)
        return Classification(
            found.label,
            dict(found.probabilities),
            found.model_version,
            found.epoch,
            found.replica,
            found.side,
            tuple((reason.name, reason.probability) for reason in found.reasons),
        )

    def features(self, model: str, photo: bytes) -> list[float]:
        """The embedding, of length 1."""
        request = pb.ExtractFeaturesRequest(model=model, image=photo)
        return list(
            self._replicas.call(lambda channel: pb_grpc.InferenceStub(channel).ExtractFeatures, request).features
        )

    def compare(self, model: str, photo: bytes, *, count: int = 1) -> list[Match]:
        """The enrolled identities that look most like a photo, best first."""
        return list(self.compared(model, photo, count=count).matches)

    def compared(self, model: str, photo: bytes, *, count: int = 1, identity: str = "") -> Compared:
        """As `compare`, with the threshold for counting as one person. With `identity` the photo is compared with that
        person alone.
        """
        request = pb.CompareRequest(model=model, image=photo, count=count, identity=identity)
        found = self._replicas.call(lambda channel: pb_grpc.InferenceStub(channel).Compare, request)
        return Compared(
            tuple(Match(match.identity, match.similarity) for match in found.matches),
            found.threshold if found.HasField("threshold") else None,
            found.model_version,
            found.enrolled,
        )

    def serving(self, model: str, *, timeout_seconds: float = 1.0) -> dict[str, str | None]:
        """The version that each replica answers with, by its address; None where there is none, or no answer."""
        request = oip.ModelConfigRequest(name=model)
        answers = self._replicas.each(
            lambda channel: service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelConfig,
            request,
            timeout_seconds=timeout_seconds,
        )
        return {
            address: None
            if isinstance(answer, FaceserveError)
            else answer.config.parameters["model_version"].string_value
            for address, answer in answers.items()
        }
