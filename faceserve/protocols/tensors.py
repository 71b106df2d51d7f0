"""Tensors of the Open Inference Protocol to arrays, and back."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Sized
from itertools import islice

import numpy as np
import numpy.typing as npt
from tritonclient.grpc import service_pb2 as oip

from faceserve.engines.base import Images
from faceserve.errors import BadRequest
from faceserve.inference.photos import decoded
from faceserve.protocols.wishes import classes
from include.contract.preprocessing import INPUT_PIXELS

IMAGES, PHOTOS = "images", "photos"
PROBABILITIES, FEATURES = "probabilities", "features"
MAX_BATCH = 64
_SHAPE = (INPUT_PIXELS, INPUT_PIXELS, 3)
_LENGTH_BYTES = 4
_AT_ONCE = 1 << 16
_SHOWN = 8


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
        _demand_contents(tensor, "uint_contents" if raw is None else None)
        return _images(tensor, raw)
    if tensor.name == PHOTOS:
        _demand_contents(tensor, "bytes_contents" if raw is None else None)
        return decode(_byte_strings(tensor, raw))
    raise BadRequest(f"unknown input {tensor.name[:80]!r}, the model takes {IMAGES!r} or {PHOTOS!r}")


def answer(
    request: oip.ModelInferRequest,
    response: oip.ModelInferResponse,
    known: Mapping[str, npt.NDArray[np.float32]],
    labels: Sequence[str],
) -> None:
    """Add the outputs that the request names, or all if it names none, as raw little-endian float32.

    Of an output that is asked for by its best classes, these come as strings `value:index:label`, as from Triton;
    `labels` are those of the probabilities. Raises `BadRequest`, but see `demand_outputs`.
    """
    demand_outputs(request, known)
    wanted = {output.name: classes(output) for output in request.outputs} or dict.fromkeys(known, 0)
    for name, best in wanted.items():
        if best:
            texts = _classified(known[name], best, labels if name == PROBABILITIES else ())
            response.outputs.add(name=name, datatype="BYTES", shape=(len(texts), len(texts[0])))
            response.raw_output_contents.append(b"".join(_measured(text) for row in texts for text in row))
        else:
            response.outputs.add(name=name, datatype="FP32", shape=known[name].shape)
            response.raw_output_contents.append(np.ascontiguousarray(known[name], "<f4").tobytes())


def held_bytes(request: oip.ModelInferRequest) -> int:
    """In memory numbers that stand one by one take four bytes each, however short they came."""
    return request.ByteSize() + sum(4 * len(tensor.contents.uint_contents) for tensor in request.inputs)


def demand_outputs(request: oip.ModelInferRequest, known: Collection[str]) -> None:
    """Before any work is put into the request. Raises `BadRequest` for an output that there is not, or twice."""
    names = [output.name for output in request.outputs]
    for output in request.outputs:
        if output.name not in known:
            raise BadRequest(f"unknown output {output.name[:80]!r}, the model gives {', '.join(known)}")
        if names.count(output.name) > 1:
            raise BadRequest(f"output {output.name!r} is asked for twice")
        classes(output)


def byte_strings(raw: bytes, name: str) -> Iterator[bytes]:
    """The strings of a raw BYTES tensor: before each stands its length, four bytes, little-endian.

    Raises `BadRequest`.
    """
    at = 0
    while at < len(raw):
        length = int.from_bytes(raw[at : at + _LENGTH_BYTES], "little")
        at += _LENGTH_BYTES
        if at + length > len(raw):
            raise BadRequest(f"{name!r} ends in the middle of one of its values")
        yield raw[at : at + length]
        at += length


def _classified(array: npt.NDArray[np.float32], best: int, labels: Sequence[str]) -> list[list[bytes]]:
    order = np.argsort(-array, axis=1, kind="stable")[:, :best]
    return [
        [f"{row[i]:f}:{i}{f':{labels[i]}' if labels else ''}".encode() for i in chosen]
        for row, chosen in zip(array, order, strict=True)
    ]


def _measured(text: bytes) -> bytes:
    return len(text).to_bytes(_LENGTH_BYTES, "little") + text


def _demand_contents(tensor: oip.ModelInferRequest.InferInputTensor, field: str | None) -> None:
    """What stands elsewhere would be ignored: nobody knows which of both was meant. Raises `BadRequest`."""
    given = [known.name for known, _ in tensor.contents.ListFields() if known.name != field]
    if given:
        where = f"{field} of its contents" if field else "raw_input_contents alone"
        raise BadRequest(f"input {tensor.name!r} has {', '.join(given)}: it is read from {where}")


def _images(tensor: oip.ModelInferRequest.InferInputTensor, raw: bytes | None) -> Images:
    if tensor.datatype != "UINT8":
        raise BadRequest(f"input {IMAGES!r} has datatype {tensor.datatype[:20]!r}, UINT8 is needed")
    shape = tuple(tensor.shape[: len(_SHAPE) + 2])
    if shape[1:] != _SHAPE:
        raise BadRequest(
            f"input {IMAGES!r} has shape {_shown(tensor)}, [N, {INPUT_PIXELS}, {INPUT_PIXELS}, 3] is needed"
        )
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
    if len(tensor.shape) not in {1, 2} or tensor.shape[1:] not in ([], [1]):
        raise BadRequest(f"input {PHOTOS!r} has shape {_shown(tensor)}, [N] is needed")
    _demand_batch(tensor.shape[0])
    given = iter(tensor.contents.bytes_contents) if raw is None else byte_strings(raw, PHOTOS)
    found = list(islice(given, MAX_BATCH + 1))
    if len(found) != tensor.shape[0]:
        many = len(found) if len(found) <= MAX_BATCH else f"more than {MAX_BATCH}"
        raise BadRequest(f"input {PHOTOS!r} holds {many} photos, its shape says {tensor.shape[0]}")
    return found


def _shown(tensor: oip.ModelInferRequest.InferInputTensor) -> str:
    """Its shape, or the beginning of one that nobody would read to its end."""
    beginning = ", ".join(str(size) for size in tensor.shape[:_SHOWN])
    return f"[{beginning}{', …' if len(tensor.shape) > _SHOWN else ''}]"


def _demand_batch(size: int) -> None:
    if not 1 <= size <= MAX_BATCH:
        raise BadRequest(f"a batch of {size} images; 1 to {MAX_BATCH} are allowed")
