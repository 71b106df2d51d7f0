"""`grpc.health.v1`: whether the replica and each of its models serve, asked once or watched."""

import threading
from collections.abc import Iterator

import grpc
from grpc_health.v1 import health_pb2 as pb
from grpc_health.v1 import health_pb2_grpc as pb_grpc

SERVING = pb.HealthCheckResponse.SERVING
NOT_SERVING = pb.HealthCheckResponse.NOT_SERVING
SERVICE_NAME = "grpc.health.v1.Health"
_UNKNOWN = pb.HealthCheckResponse.SERVICE_UNKNOWN
# A caller that went is noticed at once through its callback; this is for one that went before that was in place.
_LOOK_SECONDS = 2.0


class HealthServicer(pb_grpc.HealthServicer):
    """Whoever watches waits in a thread of its own; `set` only wakes it, and calls into gRPC nowhere.

    The library's servicer answers its watchers from inside `set`, which with a client that goes away at that moment
    stops the whole process for ever (https://github.com/grpc/grpc/issues/43403).
    """

    def __init__(self) -> None:
        self._statuses: dict[str, int] = {}
        self._ended = False
        self._changed = threading.Condition()

    def set(self, service: str, status: int) -> None:
        """Whoever watches is woken only if this is news."""
        with self._changed:
            if not self._ended and self._statuses.get(service) != status:
                self._statuses[service] = status
                self._changed.notify_all()

    def end(self) -> None:
        """For good: nothing serves, and whoever watches is told so and let go."""
        with self._changed:
            self._statuses = dict.fromkeys(self._statuses, NOT_SERVING)
            self._ended = True
            self._changed.notify_all()

    def Check(self, request: pb.HealthCheckRequest, context: grpc.ServicerContext) -> pb.HealthCheckResponse:
        found = self._statuses.get(request.service)
        if found is None:
            context.abort(grpc.StatusCode.NOT_FOUND, f"no service {request.service[:40]!r}")
        return pb.HealthCheckResponse(status=found)

    def Watch(self, request: pb.HealthCheckRequest, context: grpc.ServicerContext) -> Iterator[pb.HealthCheckResponse]:
        context.add_callback(self._wake)
        seen: int | None = None
        while context.is_active():
            now, ended = self._after(request.service, seen)
            if now != seen:
                seen = now
                yield pb.HealthCheckResponse(status=now)
            if ended:
                return

    def _after(self, service: str, seen: int | None) -> tuple[int, bool]:
        """The status, as soon as it is another one than `seen` or there may be something else to look at."""
        with self._changed:
            if not self._ended and self._statuses.get(service, _UNKNOWN) == seen:
                self._changed.wait(_LOOK_SECONDS)
            return self._statuses.get(service, _UNKNOWN), self._ended

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
