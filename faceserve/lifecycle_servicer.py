"""The lifecycle service: gRPC to Python and back."""

import resource
from collections.abc import Iterator

import grpc

from faceserve.batching import Batcher
from faceserve.canary import Counts
from faceserve.enrolment import Enrolment
from faceserve.lifecycle import Activated, ModelLifecycleManager
from faceserve.memory import resident_bytes
from faceserve.servicer import statuses
from faceserve.slot import Canary, Slot
from include.contract import faceserve_pb2 as pb
from include.contract import faceserve_pb2_grpc as pb_grpc

_MAX_WATCHERS = 8
_HEARTBEAT_SECONDS = 10.0


class LifecycleServicer(pb_grpc.LifecycleServicer):
    def __init__(
        self, manager: ModelLifecycleManager, enrolment: Enrolment, batcher: Batcher, *, engine: str, replica: str
    ) -> None:
        self._manager = manager
        self._enrolment = enrolment
        self._batcher = batcher
        self._engine = engine
        self._replica = replica
        self._watchers = 0

    @statuses
    def Prepare(self, request: pb.PrepareRequest, context: grpc.ServicerContext) -> pb.PrepareResponse:
        done = self._manager.prepare(request.model, request.version, request.artifact_uri, request.manifest_sha256)
        if not context.is_active():
            # The caller gave up waiting and told the fleet so: a copy that nobody will activate must not stay.
            self._manager.discard(request.model, request.version)
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
        return _activated(self._manager.rollback(request.model, request.version, request.expected_epoch))

    @statuses
    def Discard(self, request: pb.DiscardRequest, context: grpc.ServicerContext) -> pb.DiscardResponse:
        self._manager.discard(request.model, request.version)
        return pb.DiscardResponse()

    @statuses
    def SetCanary(self, request: pb.SetCanaryRequest, context: grpc.ServicerContext) -> pb.CanaryStatus:
        return _trial(self._manager.set_canary(request.model, request.version, request.percent, shadow=request.shadow))

    @statuses
    def PromoteCanary(self, request: pb.PromoteCanaryRequest, context: grpc.ServicerContext) -> pb.ActivateResponse:
        return _activated(self._manager.promote_canary(request.model, request.version, request.expected_epoch))

    @statuses
    def AbortCanary(self, request: pb.AbortCanaryRequest, context: grpc.ServicerContext) -> pb.AbortCanaryResponse:
        self._manager.abort_canary(request.model, request.version, request.reason or "as asked")
        return pb.AbortCanaryResponse()

    @statuses
    def Enroll(self, request: pb.EnrollRequest, context: grpc.ServicerContext) -> pb.EnrollResponse:
        return pb.EnrollResponse(enrolled=self._enrolment.enroll(request.model, request.identity, request.image))

    @statuses
    def Withdraw(self, request: pb.WithdrawRequest, context: grpc.ServicerContext) -> pb.WithdrawResponse:
        return pb.WithdrawResponse(enrolled=self._enrolment.withdraw(request.model, request.identity))

    @statuses
    def GetStatus(self, request: pb.GetStatusRequest, context: grpc.ServicerContext) -> pb.GetStatusResponse:
        return self._status(request.model)

    def WatchStatus(
        self, request: pb.GetStatusRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.GetStatusResponse]:
        """Now, after every change, and every ten seconds, so that both ends notice a dead connection."""
        if self._watchers >= _MAX_WATCHERS:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{_MAX_WATCHERS} watch already")
        self._watchers += 1
        try:
            revision = self._manager.wait_for_change(-1, 0)
            while context.is_active():
                yield self._watched(request.model, context)
                revision = self._manager.wait_for_change(revision, _HEARTBEAT_SECONDS)
        finally:
            self._watchers -= 1

    @statuses
    def ListVersions(self, request: pb.ListVersionsRequest, context: grpc.ServicerContext) -> pb.ListVersionsResponse:
        return pb.ListVersionsResponse(
            versions=[pb.VersionRecord(**vars(origin)) for origin in self._manager.history(request.model)]
        )

    @statuses
    def _watched(self, model: str, context: grpc.ServicerContext) -> pb.GetStatusResponse:
        return self._status(model)

    def _status(self, model: str) -> pb.GetStatusResponse:
        slot = self._manager.slot(model)
        snapshot = slot.snapshot
        return pb.GetStatusResponse(
            replica=self._replica,
            version=snapshot.active.origin.version if snapshot.active else "",
            previous_version=snapshot.previous.origin.version if snapshot.previous else "",
            epoch=snapshot.epoch,
            prepared=self._manager.prepared(model),
            requests_in_flight=snapshot.active.held if snapshot.active else 0,
            requests_waiting=self._batcher.waiting,
            memory_bytes=resident_bytes(),
            peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            canary=_canary(slot),
            engine=self._engine,
            precision=snapshot.active.precision if snapshot.active else "",
        )


def _canary(slot: Slot) -> pb.CanaryStatus | None:
    if slot.snapshot.canary:
        return _trial(slot.snapshot.canary)
    if slot.concluded:
        ended = slot.concluded
        return pb.CanaryStatus(version=ended.version, verdict=ended.outcome, reason=ended.reason)
    return None


def _trial(canary: Canary) -> pb.CanaryStatus:
    opinion = canary.trial.opinion()
    compared, agreed = canary.trial.agreement
    return pb.CanaryStatus(
        version=canary.generation.origin.version,
        percent=canary.share.percent,
        shadow=canary.shadow,
        verdict=opinion.verdict,
        reason=opinion.reason,
        stable=_side(canary.trial.counts("stable")),
        canary=_side(canary.trial.counts("canary")),
        compared=compared,
        agreed=agreed,
    )


def _side(counts: Counts) -> pb.SideStatus:
    return pb.SideStatus(requests=counts.requests, errors=counts.errors, mean_seconds=counts.mean_seconds)


def _activated(done: Activated) -> pb.ActivateResponse:
    return pb.ActivateResponse(
        version=done.version,
        previous_version=done.previous or "",
        epoch=done.epoch,
        swap_milliseconds=done.swap_milliseconds,
    )
