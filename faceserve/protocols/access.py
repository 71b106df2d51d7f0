"""gRPC interceptors: who may call, and that nobody may while the replica shuts down."""

import hmac
import threading
from typing import Any

import grpc

LIFECYCLE = "/faceserve.v1.Lifecycle/"
_PUSHBACK_MS = "200"


class LifecycleToken(grpc.ServerInterceptor):
    """Lifecycle calls need `authorization: Bearer <token>`.

    If no token is set, every call is refused, unless the port is `certified`: then gRPC itself demands a client
    certificate, and that is enough.
    """

    def __init__(self, token: str, *, certified: bool = False) -> None:
        self._expected = f"Bearer {token}".encode() if token else None
        self._open = certified and not token

    def intercept_service(self, continuation: Any, details: grpc.HandlerCallDetails) -> Any:
        if not details.method.startswith(LIFECYCLE) or self._open:
            return continuation(details)
        given = str(dict(details.invocation_metadata).get("authorization", "")).encode()
        if self._expected is not None and hmac.compare_digest(given, self._expected):
            return continuation(details)

        def refuse(request: Any, context: grpc.ServicerContext) -> None:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "lifecycle calls need `authorization: Bearer <token>`")

        return _at_once(continuation(details), refuse)


class Draining(grpc.ServerInterceptor):
    """After SIGTERM new calls are refused with UNAVAILABLE, so that clients go to another replica at once."""

    def __init__(self) -> None:
        self.begun = threading.Event()

    def intercept_service(self, continuation: Any, details: grpc.HandlerCallDetails) -> Any:
        if not self.begun.is_set():
            return continuation(details)

        def refuse(request: Any, context: grpc.ServicerContext) -> None:
            # How long gRPC clients wait before they retry; by then their channel has found another replica.
            context.set_trailing_metadata((("grpc-retry-pushback-ms", _PUSHBACK_MS),))
            context.abort(grpc.StatusCode.UNAVAILABLE, "this replica is shutting down: ask another one")

        return _at_once(continuation(details), refuse)


def _at_once(handler: Any, refuse: Any) -> Any:
    """A refusal that does not wait for the message: whoever may not call may not keep a thread by sending only headers.

    For the caller it makes no difference that its one message was to be received as a stream.
    """
    if handler is None:
        return None
    if handler.response_streaming:
        return grpc.stream_stream_rpc_method_handler(refuse)
    return grpc.stream_unary_rpc_method_handler(refuse)
