"""What a call is refused with, and how long its caller waits: the same for every service."""

import functools
import time
from collections.abc import Callable
from typing import Any

import grpc

from faceserve.errors import ServingError


def statuses(method: Callable[..., Any]) -> Callable[..., Any]:
    """What a method refuses becomes a gRPC status with the sentence as detail."""

    @functools.wraps(method)
    def answer(self: Any, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(self, request, context)
        except ServingError as error:
            context.abort(grpc.StatusCode[error.status], str(error))

    return answer


def deadline(context: grpc.ServicerContext) -> float:
    """The caller's, in seconds of the monotonic clock; infinite without one."""
    remaining = context.time_remaining()
    return float("inf") if remaining is None else time.monotonic() + remaining
