"""Tensors of the Open Inference Protocol to arrays, and back."""

from collections.abc import Callable, Mapping, Sequence, Sized

import numpy as np
import numpy.typing as npt
from tritonclient.grpc import service_pb2 as oip

from faceserve.engines.base import Images
from faceserve.errors import BadRequest
from faceserve.inference.photos import decoded
from include.contract.preprocessing import INPUT_PIXELS

IMAGES, PHOTOS = "images", "photos"
MAX_BATCH = 64
_SHAPE = (INPUT_PIXELS, INPUT_PIXELS, 3)
_LENGTH_BYTES = 4
_AT_ONCE = 1 << 16


Decode = Callable[[Sequence[bytes]], Images]


def images_of(request: oip.ModelInferRequest, decode: Decode = decoded) -> Images:
    """Uint8 RGB [N, 224, 224, 3] from the tensor `images`, or from encoded photos in the BYTES tensor `photos`.

    Raises `BadRequest` or `BadPhoto` naming the tensor and what it should be.
    """
    if len(request.inputs) != 1:
        raise BadRequest(f"{len(request.inputs)} inputs given, one is needed: {IMAGES!r} or {PHOTOS!r}")
    if request.raw_input_contents and len(request.raw_input_contents) != 1:
        raise BadRequest(f"{len(request.raw_input_contents)} raw contents given for one input")
    tensor = request.inputs[0]
    raw = request.raw_input_contents[0] if request.raw_input_contents else None
    if tensor.name == IMAGES:
        return _images(tensor, raw)
    if tensor.name == PHOTOS:
        return decode(_byte_strings(tensor, raw))
    raise BadRequest(f"unknown input {tensor.name[:80]!r}, the model takes {IMAGES!r} or {PHOTOS!r}")


def answer(
    request: oip.ModelInferRequest,
    response: oip.ModelInferResponse,
    known: Mapping[str, npt.NDArray[np.float32]],
) -> None:
    """Add the outputs that the request names, or all if it names none, as raw little-endian float32.

    Raises `BadRequest` for an unknown name.
    """
    for name in [output.name for output in request.outputs] or list(known):
        if name not in known:
            raise BadRequest(f"unknown output {name[:80]!r}, the model gives {', '.join(known)}")
        array = known[name]
        response.outputs.add(name=name, datatype="FP32", shape=array.shape)
        response.raw_output_contents.append(np.ascontiguousarray(array, "<f4").tobytes())


def _images(tensor: oip.ModelInferRequest.InferInputTensor, raw: bytes | None) -> Images:
    if tensor.datatype != "UINT8":
        raise BadRequest(f"input {IMAGES!r} has datatype {tensor.datatype[:20]!r}, UINT8 is needed")
    shape = tuple(tensor.shape)
    if shape[1:] != _SHAPE:
        raise BadRequest(f"input {IMAGES!r} has shape {list(shape)}, [N, {INPUT_PIXELS}, {INPUT_PIXELS}, 3] is needed")
    _demand_batch(shape[0])
    given: Sized = raw if raw is not None else tensor.contents.uint_contents
    wanted = int(np.prod(shape))
    if len(given) != wanted:
        raise BadRequest(f"input {IMAGES!r} has {len(given)} bytes, its shape needs {wanted}")
    body = raw if raw is not None else _small_integers(tensor)
    return np.frombuffer(body, np.uint8).reshape(shape)


def _small_integers(tensor: oip.ModelInferRequest.InferInputTensor) -> bytes:
    """A few at a time: all at once would keep Python's lock, and with it every other request, for seconds."""
    numbers = tensor.contents.uint_contents
    try:
        return b"".join(bytes(numbers[at : at + _AT_ONCE]) for at in range(0, len(numbers), _AT_ONCE))
    except ValueError:
        raise BadRequest(f"input {IMAGES!r} has a value that is no UINT8") from None


def _byte_strings(tensor: oip.ModelInferRequest.InferInputTensor, raw: bytes | None) -> list[bytes]:
    if tensor.datatype != "BYTES":
        raise BadRequest(f"input {PHOTOS!r} has datatype {tensor.datatype[:20]!r}, BYTES is needed")
    if len(tensor.shape) != 1:
        raise BadRequest(f"input {PHOTOS!r} has shape {list(tensor.shape)}, [N] is needed")
    _demand_batch(tensor.shape[0])
    found = list(tensor.contents.bytes_contents) if raw is None else _split(raw)
    if len(found) != tensor.shape[0]:
        raise BadRequest(f"input {PHOTOS!r} holds {len(found)} photos, its shape says {tensor.shape[0]}")
    return found


def _split(raw: bytes) -> list[bytes]:
    """The strings of a raw BYTES tensor: before each stands its length, four bytes, little-endian."""
    found, at = [], 0
    while at < len(raw):
        length = int.from_bytes(raw[at : at + _LENGTH_BYTES], "little")
        at += _LENGTH_BYTES
        if at + length > len(raw):
            raise BadRequest(f"input {PHOTOS!r} ends in the middle of a photo")
        found.append(raw[at : at + length])
        at += length
    return found


def _demand_batch(size: int) -> None:
    if not 1 <= size <= MAX_BATCH:
        raise BadRequest(f"a batch of {size} images; 1 to {MAX_BATCH} are allowed")
