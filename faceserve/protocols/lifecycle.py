"""The lifecycle service of `faceserve.v1`: load, activate, roll back, try out, enrol, and what the replica serves."""

from collections.abc import Iterator
from typing import Any

import grpc

from faceserve.errors import BadRequest
from faceserve.faces.enrolment import Enrolment
from faceserve.models.generation import Origin
from faceserve.protocols.replica_status import ReplicaStatus, trial_status
from faceserve.protocols.statuses import statuses
from faceserve.rollout.lifecycle import Activated, ModelLifecycleManager
from faceserve.rollout.orders import ANY_EPOCH, Order
from include.contract import faceserve_pb2 as pb
from include.contract import faceserve_pb2_grpc as pb_grpc

_HEARTBEAT_SECONDS = 10.0
_LONGEST_REASON = 1000


class LifecycleServicer(pb_grpc.LifecycleServicer):
    def __init__(self, manager: ModelLifecycleManager, enrolment: Enrolment, status: ReplicaStatus) -> None:
        self._manager = manager
        self._enrolment = enrolment
        self._status = status

    @statuses
    def Prepare(self, request: pb.PrepareRequest, context: grpc.ServicerContext) -> pb.PrepareResponse:
        # A caller that gave up waiting will not activate what it asked for, so the copy must not stay in memory.
        done = self._manager.prepare(request.model, _origin(request), context.is_active, urgent=request.urgent)
        return pb.PrepareResponse(
            version=done.version,
            load_seconds=done.load_seconds,
            warm_up_seconds=done.warm_up_seconds,
            epoch=done.epoch,
        )

    @statuses
    def Activate(self, request: pb.ActivateRequest, context: grpc.ServicerContext) -> pb.ActivateResponse:
        return _activated(self._manager.activate(request.model, request.version, _order(request, context)))

    @statuses
    def UpdateModel(self, request: pb.PrepareRequest, context: grpc.ServicerContext) -> pb.ActivateResponse:
        order = Order(request.request_id, wanted=context.is_active)
        return _activated(self._manager.update(request.model, _origin(request), order))

    @statuses
    def Rollback(self, request: pb.RollbackRequest, context: grpc.ServicerContext) -> pb.ActivateResponse:
        return _activated(self._manager.rollback(request.model, request.version, _order(request, context)))

    @statuses
    def Discard(self, request: pb.DiscardRequest, context: grpc.ServicerContext) -> pb.DiscardResponse:
        self._manager.discard(request.model, _version(request), _order(request, context))
        return pb.DiscardResponse()

    @statuses
    def SetCanary(self, request: pb.SetCanaryRequest, context: grpc.ServicerContext) -> pb.CanaryStatus:
        found = self._manager.set_canary(
            request.model, request.version, request.percent, shadow=request.shadow, order=_order(request, context)
        )
        return trial_status(found) or pb.CanaryStatus()

    @statuses
    def PromoteCanary(self, request: pb.PromoteCanaryRequest, context: grpc.ServicerContext) -> pb.ActivateResponse:
        return _activated(self._manager.promote_canary(request.model, request.version, _order(request, context)))

    @statuses
    def AbortCanary(self, request: pb.AbortCanaryRequest, context: grpc.ServicerContext) -> pb.AbortCanaryResponse:
        # Nobody fails to end a trial for saying much: the beginning is kept.
        reason = request.reason[:_LONGEST_REASON] or "as asked"
        self._manager.abort_canary(request.model, _version(request), reason, _order(request, context))
        return pb.AbortCanaryResponse()

    @statuses
    def Enroll(self, request: pb.EnrollRequest, context: grpc.ServicerContext) -> pb.EnrollResponse:
        return pb.EnrollResponse(enrolled=self._enrolment.enroll(request.model, request.identity, request.image))

    @statuses
    def Withdraw(self, request: pb.WithdrawRequest, context: grpc.ServicerContext) -> pb.WithdrawResponse:
        return pb.WithdrawResponse(enrolled=self._enrolment.withdraw(request.model, request.identity))

    @statuses
    def GetStatus(self, request: pb.GetStatusRequest, context: grpc.ServicerContext) -> pb.GetStatusResponse:
        return self._status.of(self._manager.snapshot(request.model))

    def WatchStatus(
        self, request: pb.GetStatusRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.GetStatusResponse]:
        """The status now, after every change, and every ten seconds, so that both ends notice a dead connection."""
        changes = self._manager.changes
        context.add_callback(changes.look)
        revision = changes.wait(-1, 0)
        while context.is_active() and not changes.ended:
            yield self._watched(request.model, context)
            revision = changes.wait(revision, _HEARTBEAT_SECONDS, context.is_active)

    @statuses
    def ListVersions(self, request: pb.ListVersionsRequest, context: grpc.ServicerContext) -> pb.ListVersionsResponse:
        served = self._manager.snapshot(request.model).history
        return pb.ListVersionsResponse(versions=[pb.VersionRecord(**vars(origin)) for origin in served.versions])

    @statuses
    def _watched(self, model: str, context: grpc.ServicerContext) -> pb.GetStatusResponse:
        return self._status.of(self._manager.snapshot(model))


def _origin(request: pb.PrepareRequest) -> Origin:
    """Raises `BadRequest`."""
    try:
        return Origin(request.version, request.artifact_uri, request.manifest_sha256)
    except ValueError as error:
        raise BadRequest(str(error)) from None


def _version(request: Any) -> str:
    """Of a call that has nothing to do for a version that is gone already. Raises `BadRequest` if it names none."""
    if not request.version:
        raise BadRequest("the request must name a version")
    return str(request.version)


def _order(request: Any, context: grpc.ServicerContext) -> Order:
    """Older callers name no request, and see no epoch where a field for it came later."""
    presence = request.DESCRIPTOR.fields_by_name["expected_epoch"].has_presence
    seen = request.expected_epoch if not presence or request.HasField("expected_epoch") else ANY_EPOCH
    return Order(request.request_id, seen, context.is_active)


def _activated(done: Activated) -> pb.ActivateResponse:
    return pb.ActivateResponse(
        version=done.version,
        previous_version=done.previous or "",
        epoch=done.epoch,
        swap_milliseconds=done.swap_milliseconds,
    )
