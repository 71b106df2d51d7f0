"""Open Inference requests over HTTP as the messages that gRPC carries, and messages as JSON.

Behind the JSON may stand the bytes of tensors (Triton's binary tensor extension): its length is in a header then.
"""

import base64
import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from google.protobuf.message import Message
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr, ValidationError
from tritonclient.grpc import service_pb2 as oip

from faceserve.errors import BadRequest
from faceserve.protocols.tensors import PHOTOS, byte_strings
from faceserve.protocols.wishes import Value, values

# Reading JSON keeps Python's lock: more than this would keep other requests waiting for a tenth of a second.
MAX_NUMBERS = 500_000
# And what is found wrong takes a thousand bytes for each member of an object; no request needs many.
_MAX_MEMBERS = 1000
# Counted before anything is read: the parser alone makes hundreds of bytes of each `[]`.
_MOST = {
    b",": (MAX_NUMBERS, "values"),
    b"[": (MAX_NUMBERS // 2, "lists"),
    b"{": (_MAX_MEMBERS, "objects"),
    b":": (_MAX_MEMBERS, "members of objects"),
}
_BINARY_SIZE, _BINARY, _ALL_BINARY = "binary_data_size", "binary_data", "binary_data_output"
# What only says how tensors are written here.
_OF_THE_WIRE = {_BINARY_SIZE, _BINARY, _ALL_BINARY}

_FAIL_FAST = Field(fail_fast=True)
_Long = Annotated[StrictInt, Field(ge=-(2**63), lt=2**63)]
_Parameters = dict[str, StrictBool | _Long | StrictFloat | StrictStr]


class _Tensor(BaseModel):
    model_config = ConfigDict(extra="ignore")
    name: StrictStr
    parameters: _Parameters | None = None


class _Input(_Tensor):
    datatype: StrictStr
    shape: Annotated[list[_Long], _FAIL_FAST]
    data: Any = None


class _Request(BaseModel):
    model_config = ConfigDict(extra="ignore")
    id: StrictStr | None = None
    parameters: _Parameters | None = None
    inputs: Annotated[list[_Input], _FAIL_FAST]
    outputs: Annotated[list[_Tensor], _FAIL_FAST] | None = None


@dataclass(frozen=True)
class Answer:
    """`json_bytes` is how much of the body is JSON, if tensors follow; None: all of it."""

    body: bytes
    json_bytes: int | None


def request_of(model: str, version: str, body: bytes, json_bytes: int | None) -> oip.ModelInferRequest:
    """`json_bytes` as in `Answer`; 0: the body is one encoded photo. Raises `BadRequest`."""
    request = oip.ModelInferRequest(model_name=model, model_version=version)
    if json_bytes == 0:
        request.inputs.add(name=PHOTOS, datatype="BYTES", shape=[1]).contents.bytes_contents.append(body)
        return request
    length = len(body) if json_bytes is None else json_bytes
    if length > len(body):
        raise BadRequest(f"the body has {len(body)} bytes, its JSON alone should have {length}")
    given = _read(body[:length])
    request.id = given.id or ""
    _set(request.parameters, given.parameters or {})
    _add_inputs(request, given.inputs, memoryview(body)[length:])
    for output in given.outputs or ():
        _set(request.outputs.add(name=output.name).parameters, output.parameters or {})
    return request


def answer_of(request: oip.ModelInferRequest, response: oip.ModelInferResponse) -> Answer:
    """Tensors as JSON, or behind it where the request asked for that."""
    all_binary = values(request.parameters).get(_ALL_BINARY) is True
    wanted = {one.name: values(one.parameters).get(_BINARY, all_binary) is True for one in request.outputs}
    outputs, tail = [], []
    for tensor, raw in zip(response.outputs, response.raw_output_contents, strict=True):
        found: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
        if wanted.get(tensor.name, all_binary):
            found["parameters"] = {_BINARY_SIZE: len(raw)}
            tail.append(raw)
        else:
            found["data"] = _data(tensor.datatype, raw)
        outputs.append(found)
    said = {"model_name": response.model_name, "model_version": response.model_version, "outputs": outputs}
    said |= {"parameters": values(response.parameters)} | ({"id": response.id} if response.id else {})
    text = as_json(said)
    return Answer(b"".join([text, *tail]), len(text) if tail else None)


def as_json(said: Any) -> bytes:
    """Raises `ValueError` for numbers that JSON does not have: infinity, and what is no number."""
    return json.dumps(said, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def plain(message: Message) -> dict[str, Any]:
    """A message as JSON has it: names as in the protocol, numbers as numbers, enums by name, nothing left out."""
    return {name: value for name, value in _fields(message)}


# Inside


def _fields(message: Message) -> Iterator[tuple[str, Any]]:
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.message_type and field.message_type.GetOptions().map_entry:
            yield field.name, {key: plain(one) if isinstance(one, Message) else one for key, one in value.items()}
        elif field.is_repeated:
            yield field.name, [_plain(field, one) for one in value]
        elif not field.has_presence or message.HasField(field.name):
            yield field.name, _plain(field, value)


def _plain(field: Any, value: Any) -> Any:
    if field.enum_type:
        return field.enum_type.values_by_number[value].name
    return plain(value) if isinstance(value, Message) else value


def _read(text: bytes) -> _Request:
    for mark, (most, what) in _MOST.items():
        if text.count(mark) > most:
            raise BadRequest(f"more than {most} {what} in JSON: send tensors as binary data behind it")
    try:
        return _Request.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"][:4])
        raise BadRequest(f"the request is no inference request in JSON: {place}: {first['msg']}"[:300]) from None


def _set(parameters: Any, given: dict[str, Value]) -> None:
    for name, value in given.items():
        parameter = parameters[name]
        if isinstance(value, bool):
            parameter.bool_param = value
        elif isinstance(value, int):
            parameter.int64_param = value
        elif isinstance(value, float):
            parameter.double_param = value
        else:
            parameter.string_param = value


def _add_inputs(request: oip.ModelInferRequest, inputs: list[_Input], tail: memoryview) -> None:
    at = 0
    for given in inputs:
        tensor = request.inputs.add(name=given.name, datatype=given.datatype, shape=given.shape)
        said = given.parameters or {}
        _set(tensor.parameters, {name: one for name, one in said.items() if name not in _OF_THE_WIRE})
        if _BINARY_SIZE in said:
            size = _size(given, said[_BINARY_SIZE], len(tail) - at)
            request.raw_input_contents.append(bytes(tail[at : at + size]))
            at += size
        elif given.datatype == "BYTES":
            tensor.contents.bytes_contents.extend(_photos(given))
        elif given.data is not None:
            request.raw_input_contents.append(_small_integers(given))
    if at != len(tail):
        raise BadRequest(f"{len(tail) - at} bytes stand behind the tensors that the request names")


def _size(given: _Input, size: Value, left: int) -> int:
    if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= left:
        raise BadRequest(f"input {given.name[:80]!r}: `{_BINARY_SIZE}` must be the tensor's bytes, {left} are left")
    if given.data is not None:
        raise BadRequest(f"input {given.name[:80]!r} has `data` and `{_BINARY_SIZE}`: one of them is needed")
    return size


def _photos(given: _Input) -> list[bytes]:
    texts = given.data if isinstance(given.data, list) else []
    texts = [one[0] if isinstance(one, list) and len(one) == 1 else one for one in texts]
    try:
        return [base64.b64decode(text, validate=True) for text in texts]
    except (binascii.Error, TypeError, ValueError):
        raise BadRequest(
            f"input {given.name[:80]!r} needs photos in base64, or as binary data behind the JSON"
        ) from None


def _small_integers(given: _Input) -> bytes:
    """`data` may be nested as the shape is, or flat. numpy would make each string as long as the longest."""
    level = given.data if isinstance(given.data, list) else [given.data]
    try:
        while any(isinstance(one, list) for one in level):
            if len({len(row) for row in level}) > 1:
                raise TypeError("rows of different lengths")
            level = [one for row in level for one in row]
        if any(isinstance(one, bool) for one in level):
            raise TypeError("truth values")
        return bytes(level)
    except (TypeError, ValueError):
        raise BadRequest(
            f"input {given.name[:80]!r} needs whole numbers from 0 to 255, in rows of the same length"
        ) from None


def _data(datatype: str, raw: bytes) -> list[Any]:
    if datatype == "BYTES":
        return [text.decode() for text in byte_strings(raw, "outputs")]
    found: list[Any] = np.frombuffer(raw, "<f4").tolist()
    return found
