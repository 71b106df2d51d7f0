"""What every service shares: errors become gRPC statuses, and a call's deadline becomes a time of the clock."""

import functools
import time
from collections.abc import Callable
from typing import Any

import grpc

from faceserve.errors import Overloaded, ServingError
from faceserve.protocols.refusing import refuse_for_now


def statuses(method: Callable[..., Any]) -> Callable[..., Any]:
    """A `ServingError` that the method raises becomes its gRPC status, with the error's sentence as the detail."""

    @functools.wraps(method)
    def answer(self: Any, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(self, request, context)
        except Overloaded as error:
            refuse_for_now(context, str(error))
        except ServingError as error:
            context.abort(grpc.StatusCode[error.status], str(error))

    return answer


def deadline(context: grpc.ServicerContext) -> float:
    """When the caller stops waiting, in seconds of the monotonic clock; infinite when it gave no deadline."""
    remaining = context.time_remaining()
    return float("inf") if remaining is None else time.monotonic() + remaining
