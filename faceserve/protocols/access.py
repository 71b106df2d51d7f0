"""gRPC interceptors: who may call what, and that nobody may while the replica shuts down."""

import functools
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import grpc

from faceserve.protocols.refusing import ELSEWHERE_MS, refuse_for_now
from faceserve.protocols.tokens import AnyOf, Tokens

LIFECYCLE = "/faceserve.v1.Lifecycle/"


@dataclass(frozen=True)
class Door:
    """Calls need one of `tokens`; where there is none, everybody may call if the door is `open`, else nobody.

    `what` is the calls' name in the refusal.
    """

    tokens: Tokens | AnyOf
    what: str
    open: bool = False

    def lets_in(self, authorization: str) -> bool:
        return self.tokens.open_for(authorization) if self.tokens.needed else self.open


class Guard(grpc.ServerInterceptor):
    """`doors` by the beginning of a method's path; the longest that fits counts. Other methods are for everybody."""

    def __init__(self, doors: Mapping[str, Door | None]) -> None:
        """None: no door."""
        self._doors = dict(sorted(doors.items(), key=lambda door: -len(door[0])))

    def intercept_service(self, continuation: Any, details: grpc.HandlerCallDetails) -> Any:
        door = next((door for path, door in self._doors.items() if details.method.startswith(path)), None)
        given = str(dict(details.invocation_metadata).get("authorization", ""))
        if door is None or door.lets_in(given):
            return continuation(details)

        def refuse(request: Any, context: grpc.ServicerContext) -> None:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, f"{door.what} need `authorization: Bearer <token>`")

        return _at_once(continuation(details), refuse)


class Identities(grpc.ServerInterceptor):
    """Lifecycle calls need a client certificate in one of the `allowed` names, not just any of the authority.

    `showed` is told that name and the certificate (PEM) of each call that may come in.
    """

    def __init__(self, allowed: Collection[str], showed: Callable[[str, bytes], None]) -> None:
        self._allowed, self._showed = frozenset(allowed), showed

    def intercept_service(self, continuation: Any, details: grpc.HandlerCallDetails) -> Any:
        handler = continuation(details)
        if handler is None or not details.method.startswith(LIFECYCLE):
            return handler
        kind = "stream_stream" if handler.response_streaming else "stream_unary"
        return handler._replace(**{kind: self._checked(getattr(handler, kind))})

    def _checked(self, answer: Any) -> Any:
        # `wraps` also keeps which threads the call runs on.
        @functools.wraps(answer)
        def checked(requests: Any, context: grpc.ServicerContext) -> Any:
            if not (allowed := self._allowed & (names := _names(context))):
                shown = ", ".join(sorted(names))[:200] or "no name"
                context.abort(
                    grpc.StatusCode.PERMISSION_DENIED, f"the certificate of {shown} may not call this service"
                )
            self._showed(min(allowed), _certificate(context))
            return answer(requests, context)

        return checked


class Draining(grpc.ServerInterceptor):
    """After SIGTERM new calls are refused with UNAVAILABLE, so that clients go to another replica at once."""

    def __init__(self) -> None:
        self.begun = threading.Event()

    def intercept_service(self, continuation: Any, details: grpc.HandlerCallDetails) -> Any:
        if not self.begun.is_set():
            return continuation(details)

        def refuse(request: Any, context: grpc.ServicerContext) -> None:
            # By then a client's channel will have found another replica.
            sentence = "this replica is shutting down: ask another one"
            refuse_for_now(context, sentence, grpc.StatusCode.UNAVAILABLE, ELSEWHERE_MS)

        return _at_once(continuation(details), refuse)


def _names(context: grpc.ServicerContext) -> set[str]:
    """Of the client's certificate: its common name and all alternative ones (DNS names, URIs)."""
    shown = context.auth_context()
    found = (*shown.get("x509_common_name", ()), *shown.get("x509_subject_alternative_name", ()))
    return {name.decode("utf-8", "replace") for name in found}


def _certificate(context: grpc.ServicerContext) -> bytes:
    """The caller's, as PEM."""
    shown: Any = context.auth_context().get("x509_pem_cert", ())
    return b"".join(shown)


def _at_once(handler: Any, refuse: Any) -> Any:
    """A refusal that does not wait for the message: whoever may not call may not keep a thread by sending only headers.

    For the caller it makes no difference that its one message was to be received as a stream.
    """
    if handler is None:
        return None
    if handler.response_streaming:
        return grpc.stream_stream_rpc_method_handler(refuse)
    return grpc.stream_unary_rpc_method_handler(refuse)
