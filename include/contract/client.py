"""A typed client of faceserve: deadlines on every call, retries where they are safe."""

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import grpc

from include.contract import faceserve_pb2 as pb
from include.contract import faceserve_pb2_grpc as pb_grpc

_MAX_MESSAGE_BYTES = 34 * 1024 * 1024
# Every call of both services is idempotent, so a call that may or may not have arrived can be repeated.
_RETRIES = {
    "methodConfig": [
        {
            "name": [{"service": "faceserve.v1.Inference"}, {"service": "faceserve.v1.Lifecycle"}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "2s",
                "backoffMultiplier": 3,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}


class FaceserveError(Exception):
    """A replica said no, or nothing; `code` is the gRPC status name."""

    def __init__(self, address: str, code: str, detail: str) -> None:
        super().__init__(f"{address}: {code}: {detail}")
        self.address = address
        self.code = code
        self.detail = detail

    @property
    def may_pass(self) -> bool:
        """Whether the same call may succeed later."""
        return self.code in {"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"}


@dataclass(frozen=True)
class Classification:
    label: str
    probabilities: Mapping[str, float]
    model_version: str
    epoch: int
    replica: str


@dataclass(frozen=True)
class Status:
    """`version` None when nothing serves yet."""

    replica: str
    version: str | None
    previous: str | None
    epoch: int
    prepared: tuple[str, ...]
    requests_in_flight: int
    memory_bytes: int


@dataclass(frozen=True)
class PreparedModel:
    epoch: int
    load_seconds: float
    warm_up_seconds: float


@dataclass(frozen=True)
class ActivatedModel:
    version: str
    previous: str | None
    epoch: int
    swap_milliseconds: float


class FaceserveClient:
    """Calls go to the replicas in turn; one that is unreachable is passed over while another answers.

    Lifecycle calls are for clients of one replica and need its `token`.
    """

    def __init__(self, addresses: Sequence[str], *, token: str = "", timeout_seconds: float = 10.0) -> None:
        options = [
            ("grpc.service_config", json.dumps(_RETRIES)),
            ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
            ("grpc.enable_retries", 1),
            # A replica that restarts is found again at once, not after minutes of growing pauses.
            ("grpc.max_reconnect_backoff_ms", 1000),
            ("grpc.initial_reconnect_backoff_ms", 100),
        ]
        self._addresses = list(addresses)
        self._channels = [grpc.insecure_channel(address, options) for address in addresses]
        self._turn = itertools.count()
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()
        self._timeout_seconds = timeout_seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        for channel in self._channels:
            channel.close()

    def classify(self, model: str, photo: bytes | str, *, task_id: str = "", version: str = "") -> Classification:
        """`photo` is its bytes or an `s3://` URI. Raises `FaceserveError`."""
        request = pb.ClassifyRequest(model=model, task_id=task_id, version=version)
        if isinstance(photo, str):
            request.uri = photo
        else:
            request.image = photo
        found = self._any(lambda channel: pb_grpc.InferenceStub(channel).Classify, request)
        return Classification(found.label, dict(found.probabilities), found.model_version, found.epoch, found.replica)

    def features(self, model: str, photo: bytes) -> list[float]:
        request = pb.ExtractFeaturesRequest(model=model, image=photo)
        return list(self._any(lambda channel: pb_grpc.InferenceStub(channel).ExtractFeatures, request).features)

    def status(self, model: str, *, timeout_seconds: float | None = None) -> Status:
        request = pb.GetStatusRequest(model=model)
        found = self._any(lambda channel: pb_grpc.LifecycleStub(channel).GetStatus, request, timeout_seconds)
        return Status(
            found.replica,
            found.version or None,
            found.previous_version or None,
            found.epoch,
            tuple(found.prepared),
            found.requests_in_flight,
            int(found.memory_bytes),
        )

    def prepare(
        self, model: str, version: str, artifact_uri: str, manifest_sha256: str, *, timeout_seconds: float
    ) -> PreparedModel:
        request = pb.PrepareRequest(
            model=model, version=version, artifact_uri=artifact_uri, manifest_sha256=manifest_sha256
        )
        found = self._any(lambda channel: pb_grpc.LifecycleStub(channel).Prepare, request, timeout_seconds)
        return PreparedModel(found.epoch, found.load_seconds, found.warm_up_seconds)

    def activate(self, model: str, version: str, expected_epoch: int, *, timeout_seconds: float) -> ActivatedModel:
        request = pb.ActivateRequest(model=model, version=version, expected_epoch=expected_epoch)
        found = self._any(lambda channel: pb_grpc.LifecycleStub(channel).Activate, request, timeout_seconds)
        return ActivatedModel(found.version, found.previous_version or None, found.epoch, found.swap_milliseconds)

    def discard(self, model: str, version: str) -> None:
        request = pb.DiscardRequest(model=model, version=version)
        self._any(lambda channel: pb_grpc.LifecycleStub(channel).Discard, request)

    def _any(
        self, method: Callable[[grpc.Channel], Callable[..., Any]], request: Any, timeout_seconds: float | None = None
    ) -> Any:
        first = next(self._turn)
        error: FaceserveError | None = None
        for offset in range(len(self._channels)):
            index = (first + offset) % len(self._channels)
            try:
                return method(self._channels[index])(
                    request, timeout=timeout_seconds or self._timeout_seconds, metadata=self._metadata
                )
            except grpc.RpcError as failure:
                error = FaceserveError(self._addresses[index], failure.code().name, failure.details() or "")
                if not error.may_pass:
                    raise error from None
        assert error is not None
        raise error
