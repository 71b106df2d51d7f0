"""`grpc.health.v1`: whether the replica and each of its models serve, asked once or watched."""

import functools
import threading
from collections.abc import Callable

import grpc
from grpc_health.v1 import health_pb2 as pb
from grpc_health.v1 import health_pb2_grpc as pb_grpc

from faceserve.protocols.lines import Lines
from faceserve.protocols.refusing import Counted

SERVING = pb.HealthCheckResponse.SERVING
NOT_SERVING = pb.HealthCheckResponse.NOT_SERVING
SERVICE_NAME = "grpc.health.v1.Health"
_UNKNOWN = pb.HealthCheckResponse.SERVICE_UNKNOWN
# Telling a watcher takes no time, unless it reads nothing: then a teller for some seconds. Each connection has one, and
# of half of them as many more as it leaves to others: one that does not read keeps no news from its neighbours behind
# the same proxy, and only many connections full of them make others wait.
_TELLERS = 256

Send = Callable[[pb.HealthCheckResponse | None], None]


class _Watcher:
    """One call: what it was told last, and whether somebody is about to tell it more."""

    def __init__(self, service: str, connection: str, send: Send) -> None:
        self.service = service
        self.connection = connection
        self.send = send
        self.seen: int | None = None
        self.being_told = False


class HealthServicer(pb_grpc.HealthServicer):
    """Whoever watches takes no thread while there is no news: every connection of an ordinary client does all the time.

    Answers are given aside and under no lock. The library's servicer answers from inside `set` under a lock that it
    needs again when a client goes; one that goes at that moment stops the whole process for ever
    (https://github.com/grpc/grpc/issues/43403).
    """

    def __init__(self) -> None:
        self._statuses: dict[str, int] = {}
        self._ended = False
        self._watchers: set[_Watcher] = set()
        # For these fields alone: nobody calls into gRPC, which may call back, while it has the lock.
        self._lock = threading.Lock()
        self._tellers = Counted(_TELLERS)
        self._lines = Lines(1, _TELLERS // 2)

    def set(self, service: str, status: int) -> None:
        """Whoever watches is told only if this is news."""
        with self._lock:
            if self._ended or self._statuses.get(service) == status:
                return
            self._statuses[service] = status
            watching = [one for one in self._watchers if one.service == service]
        self._tell(watching)

    def end(self) -> None:
        """For good: nothing serves, and whoever watches is told so and let go."""
        with self._lock:
            self._statuses = dict.fromkeys(self._statuses, NOT_SERVING)
            self._ended = True
            watching = list(self._watchers)
        self._tell(watching)

    def Check(self, request: pb.HealthCheckRequest, context: grpc.ServicerContext) -> pb.HealthCheckResponse:
        found = self._statuses.get(request.service)
        if found is None:
            context.abort(grpc.StatusCode.NOT_FOUND, f"no service {request.service[:40]!r}")
        return pb.HealthCheckResponse(status=found)

    def Watch(self, request: pb.HealthCheckRequest, context: grpc.ServicerContext, send: Send) -> None:
        """Returns at once; `send` is called from then on until the call is over."""
        watcher = _Watcher(request.service, context.peer(), send)
        with self._lock:
            self._watchers.add(watcher)
        if context.add_callback(lambda: self._leave(watcher)):
            self._tell([watcher])
        else:
            self._leave(watcher)

    Watch.experimental_non_blocking = True  # type: ignore[attr-defined]

    def _leave(self, watcher: _Watcher) -> None:
        with self._lock:
            self._watchers.discard(watcher)

    def _tell(self, watching: list[_Watcher]) -> None:
        for watcher in watching:
            with self._lock:
                if watcher.being_told:
                    continue
                watcher.being_told = True
            if self._lines.join(watcher.connection, functools.partial(self._told, watcher)):
                self._tellers.submit(self._lines.work_off, watcher.connection)

    def _told(self, watcher: _Watcher) -> None:
        """All that is news to it, in order; one thread at a time does this for a watcher."""
        news, over = self._news(watcher)
        while news is not None:
            watcher.send(pb.HealthCheckResponse(status=news))
            news, over = self._news(watcher)
        if over:
            watcher.send(None)

    def _news(self, watcher: _Watcher) -> tuple[int | None, bool]:
        """News for it, if any; and whether there will never be any more."""
        with self._lock:
            now = self._statuses.get(watcher.service, _UNKNOWN)
            if now == watcher.seen:
                # Once all is over it is let go here, and nobody may do that again.
                watcher.being_told = self._ended
                return None, self._ended
            watcher.seen = now
            return now, False
