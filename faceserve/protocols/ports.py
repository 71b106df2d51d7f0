"""One port: its gRPC server with threads, limits and TLS, and on each health and reflection."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from faceserve.machine.memory import left_bytes
from faceserve.protocols.health import SERVICE_NAME as HEALTH
from faceserve.protocols.health import HealthServicer
from faceserve.protocols.places import Patience, Places, Room
from faceserve.protocols.refusing import AT_ONCE
from faceserve.protocols.silence import Silence
from faceserve.protocols.tls import Tls

_CHECKS, _REFLECTIONS = 16, 4
# A client with the service config that the README recommends watches over each of its connections, all the time.
# Behind a proxy many clients share one connection: beyond what is certain for each, there are places for all together.
_WATCHED_BY_EACH, _WATCHED_BEYOND, _BEGINNING_TO_WATCH = 4, 1024, 64
# A connection over which nothing comes back for that long is given up, with everything that waits on it.
_KEEPALIVE_MS, _KEEPALIVE_TIMEOUT_MS = 30_000, 10_000
_IDLE_CONNECTION_MS = 600_000
# Longer than any call of one answer may take (`FACESERVE_VET_SECONDS`): calls of a connection that is to be replaced.
_LAST_CALLS_MS = 3_600_000
# More calls of one connection wait at their caller; where that sends more all the same, or counts what it took back as
# over, gRPC refuses them. So many of all may wait to be looked at, and are refused in order; beyond that it drops them.
_STREAMS, _PENDING = 1024, 8192
# Whoever connects and then does not say what every client says at once.
_HANDSHAKE_MS = 10_000


@dataclass(frozen=True)
class Limits:
    """At most so many `connections` at once; with less than `spare_bytes` of memory left it is short. After about
    `age_seconds` a caller has to connect anew.
    """

    patience: Patience
    max_message_bytes: int
    connections: int
    spare_bytes: int
    age_seconds: float
    left_bytes: Callable[[], float] = left_bytes

    def may_arrive(self) -> float:
        """As many messages as like, while memory is not short; then those that what is left holds at their largest."""
        left = self.left_bytes()
        return float("inf") if left >= self.spare_bytes else left // self.max_message_bytes


class Port:
    """`rooms` are those of the port's own services."""

    def __init__(
        self,
        rooms: Mapping[str, Room],
        limits: Limits,
        health: HealthServicer,
        interceptors: Sequence[grpc.ServerInterceptor],
    ) -> None:
        self._silence = Silence(limits.may_arrive)
        places = Places({**rooms, **_own_rooms(limits.connections)}, self._silence, limits.patience)
        self.server = grpc.server(
            # Only refusals; whatever has a room has its threads.
            AT_ONCE,
            interceptors=[*interceptors, places],
            options=[
                ("grpc.max_receive_message_length", limits.max_message_bytes),
                ("grpc.so_reuseport", 0),
                ("grpc.max_allowed_incoming_connections", limits.connections),
                ("grpc.server_handshake_timeout_ms", _HANDSHAKE_MS),
                ("grpc.max_concurrent_streams", _STREAMS),
                # A call counts until it is dealt with, also one that its caller took back: whoever opens and resets
                # calls without end has no more of them here than anybody else (CVE-2023-44487).
                ("grpc.http.overload_protection", 1),
                ("grpc.server.max_pending_requests", _PENDING),
                ("grpc.server.max_pending_requests_hard_limit", _PENDING),
                ("grpc.keepalive_permit_without_calls", 1),
                ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
                ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
                ("grpc.max_connection_idle_ms", _IDLE_CONNECTION_MS),
                # Clients look a name up again only when a connection ends.
                ("grpc.max_connection_age_ms", max(1, round(limits.age_seconds * 1000))),
                ("grpc.max_connection_age_grace_ms", _LAST_CALLS_MS),
                ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
            ],
        )
        health_pb2_grpc.add_HealthServicer_to_server(health, self.server)

    def described(self, services: Sequence[str]) -> None:
        """Reflection: clients find the services and their messages by name."""
        reflection.enable_server_reflection([*services, HEALTH, reflection.SERVICE_NAME], self.server)

    def bind(self, address: tuple[str, int], tls: Tls | None = None) -> int:
        """The port's number. Raises `RuntimeError` if it is taken."""
        host, number = address
        where = f"[{host}]:{number}" if ":" in host else f"{host}:{number}"
        if tls is None:
            return int(self.server.add_insecure_port(where))
        return int(self.server.add_secure_port(where, tls.credentials()))

    def stop(self, seconds: float) -> threading.Event:
        """New calls are refused, those that run may take `seconds`; the event is set when all are over."""
        self._silence.end()
        return self.server.stop(seconds)


def _own_rooms(connections: int) -> dict[str, Room]:
    """Who watches takes nothing from a probe that only asks, nor from anybody else who watches."""
    return {
        f"/{HEALTH}/": Room(_CHECKS),
        f"/{HEALTH}/Watch": Room(
            _WATCHED_BY_EACH * connections + _WATCHED_BEYOND,
            _WATCHED_BY_EACH,
            threads=_BEGINNING_TO_WATCH,
            common=_WATCHED_BEYOND,
        ),
        f"/{reflection.SERVICE_NAME}/": Room(_REFLECTIONS),
    }
