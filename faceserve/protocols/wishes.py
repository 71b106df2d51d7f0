"""What the parameters of an Open Inference request ask for: each is honoured or refused with a sentence."""

from collections.abc import Mapping
from dataclasses import dataclass

from tritonclient.grpc import service_pb2 as oip

from faceserve.errors import BadRequest, NotOffered

Value = bool | int | float | str
_SEQUENCE = ("sequence_id", "sequence_start", "sequence_end")
_SHARED_MEMORY = "shared_memory_"
_MICROSECONDS = 1_000_000
_DAY_SECONDS = 86_400.0
NO_SHARED_MEMORY = "tensors in shared memory are not offered: send them in the request"


@dataclass(frozen=True)
class Wishes:
    """`timeout_seconds` is infinite when the request gives none."""

    timeout_seconds: float = float("inf")
    task_id: str = ""


def values(parameters: Mapping[str, oip.InferParameter]) -> dict[str, Value]:
    """Those that have a value."""
    chosen = {name: parameter.WhichOneof("parameter_choice") for name, parameter in parameters.items()}
    return {name: getattr(parameters[name], choice) for name, choice in chosen.items() if choice}


def wishes(request: oip.ModelInferRequest) -> Wishes:
    """Raises `BadRequest`, or `NotOffered` for what other servers do with such parameters."""
    given = values(request.parameters)
    for tensor in (*request.inputs, *request.outputs):
        if any(name.startswith(_SHARED_MEMORY) for name in tensor.parameters):
            raise NotOffered(NO_SHARED_MEMORY)
    if any(given.get(name) for name in _SEQUENCE):
        raise NotOffered("sequences of requests are not offered: each request stands alone")
    if given.get("priority"):
        raise NotOffered("priorities are not offered, requests are answered in turn: leave `priority` out or 0")
    task_id = given.get("task_id", "")
    if not isinstance(task_id, str):
        raise BadRequest("parameter `task_id` must be a string")
    return Wishes(_timeout_seconds(given.get("timeout", 0)), task_id)


def classes(output: oip.ModelInferRequest.InferRequestedOutputTensor) -> int:
    """How many of the best classes are asked for instead of the numbers; 0: the numbers. Raises `BadRequest`."""
    given = values(output.parameters)
    if "classification" not in given:
        return 0
    count = given["classification"]
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise BadRequest("parameter `classification` must be a whole number of classes, 1 or more")
    return count


def _timeout_seconds(timeout: Value) -> float:
    if isinstance(timeout, bool) or not isinstance(timeout, int) or timeout < 0:
        raise BadRequest("parameter `timeout` must be a whole number of microseconds, 0 or more")
    return min(timeout / _MICROSECONDS, _DAY_SECONDS) if timeout else float("inf")
