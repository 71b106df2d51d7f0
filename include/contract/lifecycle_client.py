"""A typed client of one replica's lifecycle service."""

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import grpc
from opentelemetry.trace import SpanKind

from include.contract import faceserve_pb2 as pb
from include.contract import faceserve_pb2_grpc as pb_grpc
from include.contract.channel import ClientTls, FaceserveError, Replicas, refused
from include.contract.tracing import OFF, Traces

ANY_EPOCH = -1

__all__ = ["ANY_EPOCH", "CanaryStatus", "ClientTls", "FaceserveError", "LifecycleClient", "Status"]


@dataclass(frozen=True)
class SideStatus:
    requests: int
    errors: int
    mean_seconds: float


@dataclass(frozen=True)
class CanaryStatus:
    """`verdict` is `promote`, `roll back` or `inconclusive` while on trial, then `promoted`, `aborted`, or `replaced`
    if another version was activated.
    """

    version: str
    percent: float
    shadow: bool
    verdict: str
    reason: str
    stable: SideStatus
    canary: SideStatus
    compared: int
    agreed: int


@dataclass(frozen=True)
class Status:
    """`version` is None while nothing serves; `canary` is the running trial, or how the last one ended."""

    replica: str
    version: str | None
    previous: str | None
    epoch: int
    prepared: tuple[str, ...]
    requests_in_flight: int
    requests_waiting: int
    memory_bytes: int
    peak_memory_bytes: int
    engine: str
    precision: str
    canary: CanaryStatus | None


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


class LifecycleClient:
    """Client of one replica's lifecycle port, with its `token` or a certificate. Every call raises `FaceserveError`.

    Each change is sent with a name of its own, so that one whose answer was lost on the way is not made twice. Within a
    trace each call is a span of `traces`.
    """

    def __init__(
        self,
        address: str,
        *,
        token: str = "",
        tls: ClientTls | None = None,
        timeout_seconds: float = 10.0,
        traces: Traces = OFF,
    ) -> None:
        self._replica = Replicas([address], timeout_seconds=timeout_seconds, token=token, tls=tls)
        self._traces = traces

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._replica.close()

    def status(self, model: str, *, timeout_seconds: float | None = None) -> Status:
        return _status(self._call("GetStatus", pb.GetStatusRequest(model=model), timeout_seconds))

    def watch(self, model: str, *, timeout_seconds: float) -> Iterator[Status]:
        """The status now and after every change, for `timeout_seconds`. A stream that has told something is asked for
        again when it breaks off, as every one does after an hour; then what it tells first may be known already.
        """
        until, told = time.monotonic() + timeout_seconds, True
        while told and (left := until - time.monotonic()) > 0:
            told = False
            try:
                for found in self._call("WatchStatus", pb.GetStatusRequest(model=model), left):
                    told = True
                    yield _status(found)
                return
            except grpc.RpcError as failure:
                if failure.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                    return
                if not told or failure.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise refused(self._replica.addresses[0], failure) from None

    def prepare(
        self,
        model: str,
        version: str,
        artifact_uri: str,
        manifest_sha256: str,
        *,
        timeout_seconds: float,
        urgent: bool = False,
    ) -> PreparedModel:
        """Load a version beside the one that serves; one that is `urgent`, a way back, before all others."""
        request = pb.PrepareRequest(
            model=model, version=version, artifact_uri=artifact_uri, manifest_sha256=manifest_sha256, urgent=urgent
        )
        found = self._call("Prepare", request, timeout_seconds)
        return PreparedModel(found.epoch, found.load_seconds, found.warm_up_seconds)

    def activate(
        self,
        model: str,
        version: str,
        expected_epoch: int = ANY_EPOCH,
        *,
        timeout_seconds: float | None = None,
        request_id: str = "",
    ) -> ActivatedModel:
        request = pb.ActivateRequest(
            model=model, version=version, expected_epoch=expected_epoch, request_id=request_id or _new()
        )
        return _activated(self._call("Activate", request, timeout_seconds))

    def discard(self, model: str, version: str) -> None:
        self._call("Discard", pb.DiscardRequest(model=model, version=version, request_id=_new()))

    def rollback(
        self, model: str, version: str = "", expected_epoch: int = ANY_EPOCH, *, request_id: str = ""
    ) -> ActivatedModel:
        """To the previous version, or to one of the last ten by name."""
        request = pb.RollbackRequest(
            model=model, version=version, expected_epoch=expected_epoch, request_id=request_id or _new()
        )
        return _activated(self._call("Rollback", request))

    def set_canary(self, model: str, version: str, percent: float, *, shadow: bool = False) -> CanaryStatus:
        request = pb.SetCanaryRequest(model=model, version=version, percent=percent, shadow=shadow, request_id=_new())
        return _canary(self._call("SetCanary", request))

    def promote_canary(self, model: str, version: str, expected_epoch: int = ANY_EPOCH) -> ActivatedModel:
        request = pb.PromoteCanaryRequest(
            model=model, version=version, expected_epoch=expected_epoch, request_id=_new()
        )
        return _activated(self._call("PromoteCanary", request))

    def abort_canary(self, model: str, version: str, reason: str) -> None:
        request = pb.AbortCanaryRequest(model=model, version=version, reason=reason, request_id=_new())
        self._call("AbortCanary", request)

    def enroll(self, model: str, identity: str, photo: bytes) -> int:
        """Returns how many identities there are now."""
        return int(self._call("Enroll", pb.EnrollRequest(model=model, identity=identity, image=photo)).enrolled)

    def withdraw(self, model: str, identity: str) -> int:
        return int(self._call("Withdraw", pb.WithdrawRequest(model=model, identity=identity)).enrolled)

    def versions(self, model: str) -> list[str]:
        """The last ten that served here, newest first, each once."""
        found = self._call("ListVersions", pb.ListVersionsRequest(model=model))
        return [record.version for record in found.versions]

    def _call(self, name: str, request: Any, timeout_seconds: float | None = None) -> Any:
        said = {"rpc.system.name": "grpc", "server.address": self._replica.addresses[0]}
        with self._traces.inside(f"faceserve.v1.Lifecycle/{name}", kind=SpanKind.CLIENT, said=said):
            return self._replica.call(
                lambda channel: getattr(pb_grpc.LifecycleStub(channel), name), request, timeout_seconds
            )


def _new() -> str:
    return uuid.uuid4().hex


def _activated(found: pb.ActivateResponse) -> ActivatedModel:
    return ActivatedModel(found.version, found.previous_version or None, found.epoch, found.swap_milliseconds)


def _status(found: pb.GetStatusResponse) -> Status:
    return Status(
        replica=found.replica,
        version=found.version or None,
        previous=found.previous_version or None,
        epoch=found.epoch,
        prepared=tuple(found.prepared),
        requests_in_flight=found.requests_in_flight,
        requests_waiting=found.requests_waiting,
        memory_bytes=int(found.memory_bytes),
        peak_memory_bytes=int(found.peak_memory_bytes),
        engine=found.engine,
        precision=found.precision,
        canary=_canary(found.canary) if found.HasField("canary") else None,
    )


def _canary(found: pb.CanaryStatus) -> CanaryStatus:
    return CanaryStatus(
        version=found.version,
        percent=found.percent,
        shadow=found.shadow,
        verdict=found.verdict,
        reason=found.reason,
        stable=_side(found.stable),
        canary=_side(found.canary),
        compared=found.compared,
        agreed=found.agreed,
    )


def _side(found: pb.SideStatus) -> SideStatus:
    return SideStatus(found.requests, found.errors, found.mean_seconds)
