"""Bodies of inference requests over HTTP, each with the status it ends with, and what the sentence must say."""

import base64
import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.tiny_model import grey_photo

PHOTO = grey_photo(20)
_TEXT = base64.b64encode(PHOTO).decode()
_SIZE = "Inference-Header-Content-Length"
_BAD, _NOT_OFFERED = 400, 501


@dataclass(frozen=True)
class Body:
    """`because` is in the sentence of a refusal."""

    content: bytes
    status: int = 200
    because: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


def _json(said: Any) -> bytes:
    return json.dumps(said).encode()


def _tensor(**changes: Any) -> dict[str, Any]:
    fields = {"name": "photos", "datatype": "BYTES", "shape": [1], "data": [_TEXT], **changes}
    return {name: value for name, value in fields.items() if value is not ...}


def _request(**changes: Any) -> bytes:
    return _json({"inputs": [_tensor()], **changes})


def _of(**changes: Any) -> bytes:
    return _request(inputs=[_tensor(**changes)])


GOOD = _request()
_NO_JSON = {
    "nothing": b"",
    "a word": b"hello",
    "a list": b"[]",
    "null": b"null",
    "a number": b"7",
    "a text": b'"inputs"',
    "cut short": GOOD[:-1],
    "a byte order mark": b"\xef\xbb\xbf" + GOOD,
    "UTF-16": GOOD.decode().encode("utf-16"),
    "no UTF-8": b'{"inputs": [], "id": "\xff"}',
    "half a surrogate pair": b'{"inputs": [], "id": "\\ud800"}',
    "deep lists": b'{"inputs": ' + b"[" * 10_000,
    "deep objects": b'{"a":' * 900 + b"1" + b"}" * 900,
    "single quotes": GOOD.replace(b'"', b"'"),
    "a comma too many": GOOD[:-1] + b",}",
    "a comment": b"/* a */" + GOOD,
    "rubbish behind it": GOOD + b"rubbish",
    "a form": b"inputs=photos&data=1",
}
_WRONG_KINDS = {
    "no inputs": (b'{"id": "a"}', "inputs: Field required"),
    "inputs null": (_request(inputs=None), "inputs"),
    "inputs an object": (_request(inputs={}), "inputs"),
    "inputs a text": (_request(inputs="photos"), "inputs"),
    "an input that is null": (_request(inputs=[None]), "inputs.0"),
    "an input that is a number": (_request(inputs=[1]), "inputs.0"),
    "an input that is a list": (_request(inputs=[[]]), "inputs.0"),
    "without a name": (_of(name=...), "inputs.0.name: Field required"),
    "name null": (_of(name=None), "inputs.0.name"),
    "name a number": (_of(name=1), "inputs.0.name"),
    "without a datatype": (_of(datatype=...), "inputs.0.datatype"),
    "datatype a list": (_of(datatype=["BYTES"]), "inputs.0.datatype"),
    "without a shape": (_of(shape=...), "inputs.0.shape"),
    "shape null": (_of(shape=None), "inputs.0.shape"),
    "shape a number": (_of(shape=1), "inputs.0.shape"),
    "shape of texts": (_of(shape=["1"]), "inputs.0.shape.0"),
    "shape of halves": (_of(shape=[1.5]), "inputs.0.shape.0"),
    "shape of truth": (_of(shape=[True]), "inputs.0.shape.0"),
    "shape over 64 bits": (_of(shape=[2**63]), "inputs.0.shape.0"),
    "shape of 5000 digits": (_of(shape=[1]).replace(b"[1]", b"[1" + b"0" * 5000 + b"]"), "number out of range"),
    "id a number": (_request(id=7), "id: "),
    "outputs a text": (_request(outputs="features"), "outputs"),
    "an output that is null": (_request(outputs=[None]), "outputs.0"),
    "an output with a number for a name": (_request(outputs=[{"name": 1}]), "outputs.0.name"),
    "parameters a list": (_request(parameters=[]), "parameters"),
    "a parameter that is null": (_request(parameters={"a": None}), "parameters.a"),
    "a parameter with parts": (_request(parameters={"a": {"b": 1}}), "parameters.a"),
}
_MEANINGLESS = {
    "no input": (_request(inputs=[]), "0 inputs given, one is needed"),
    "two inputs": (_request(inputs=[_tensor(), _tensor()]), "2 inputs given, one is needed"),
    "an unknown input": (_of(name="input_1"), "unknown input 'input_1'"),
    "an input without a name": (_of(name=""), "unknown input ''"),
    "a name of a million": (_of(name="n" * 1_000_000), "unknown input 'nnn"),
    "another datatype": (_of(datatype="FP32", data=[1.0]), "whole numbers from 0 to 255"),
    "no datatype": (_of(datatype=""), "whole numbers from 0 to 255"),
    "a datatype in small letters": (_of(datatype="bytes"), "whole numbers from 0 to 255"),
    "no shape": (_of(shape=[]), "has shape [], [N] is needed"),
    "a batch of none": (_of(shape=[0]), "a batch of 0 images"),
    "a batch of less": (_of(shape=[-1]), "a batch of -1 images"),
    "a batch too large": (_of(shape=[65]), "a batch of 65 images"),
    "a batch beyond memory": (_of(shape=[2**62]), "1 to 64 are allowed"),
    "a shape of columns": (_of(shape=[1, 2]), "[N] is needed"),
    "a shape of a thousand": (_of(shape=[1] * 1000), "[N] is needed"),
    "more photos than its shape says": (_of(data=[_TEXT] * 2), "holds 2 photos, its shape says 1"),
    "fewer photos than its shape says": (_of(shape=[3]), "holds 1 photos, its shape says 3"),
    "no data": (_of(data=...), "holds 0 photos"),
    "data null": (_of(data=None), "holds 0 photos"),
    "no photos in it": (_of(data=[]), "holds 0 photos"),
    "data a text": (_of(data=_TEXT), "holds 0 photos"),
    "a photo that is null": (_of(data=[None]), "needs photos in base64"),
    "a photo that is a number": (_of(data=[1]), "needs photos in base64"),
    "a photo in no base64": (_of(data=["a photo!"]), "needs photos in base64"),
    "a photo in half a base64": (_of(data=[_TEXT[:-3]]), "needs photos in base64"),
    "a photo of letters of another alphabet": (_of(data=["사진"]), "needs photos in base64"),
    "a photo without bytes": (_of(data=[""]), "photo is empty"),
    "a photo that is none": (_of(data=[base64.b64encode(b"<svg/>").decode()]), "no readable JPEG, PNG or WebP"),
    "images without numbers": (_of(name="images", datatype="UINT8", shape=[1, 224, 224, 3], data=[]), "has 0 bytes"),
    "images of another size": (
        _of(name="images", datatype="UINT8", shape=[1, 64, 64, 3], data=[]),
        "224, 3] is needed",
    ),
    "images of halves": (_of(name="images", datatype="UINT8", data=[0.5]), "whole numbers from 0 to 255"),
    "images too bright": (_of(name="images", datatype="UINT8", data=[256]), "whole numbers from 0 to 255"),
    "images of truth": (_of(name="images", datatype="UINT8", data=[True]), "whole numbers from 0 to 255"),
    "images of rows that differ": (_of(name="images", datatype="UINT8", data=[[1], [1, 2]]), "rows of the same length"),
    "an unknown output": (_request(outputs=[{"name": "score"}]), "unknown output 'score'"),
    "an output twice": (_request(outputs=[{"name": "features"}] * 2), "asked for twice"),
    "no best class": (_request(outputs=[{"name": "probabilities", "parameters": {"classification": 0}}]), "1 or more"),
    "best classes as text": (
        _request(outputs=[{"name": "probabilities", "parameters": {"classification": "2"}}]),
        "whole number of classes",
    ),
    "a time that is over": (_request(parameters={"timeout": -1}), "whole number of microseconds"),
    "a time as text": (_request(parameters={"timeout": "1s"}), "whole number of microseconds"),
    "a task that is a number": (_request(parameters={"task_id": 7}), "`task_id` must be a string"),
    "bytes that are not there": (_of(data=..., parameters={"binary_data_size": 9}), "0 are left"),
    "bytes beside data": (_of(parameters={"binary_data_size": 0}), "has `data` and `binary_data_size`"),
    "fewer bytes than none": (_of(data=..., parameters={"binary_data_size": -1}), "must be the tensor's bytes"),
    "a million values": (_of(name="images", datatype="UINT8", data=[0] * 600_000), "more than 500000 values"),
    "a thousand members": (_request(**{f"a{n}": 1 for n in range(1200)}), "more than 1000 members"),
}
_OTHERS_OFFER = {
    "a priority": (_request(parameters={"priority": 1}), "priorities are not offered"),
    "a sequence": (_request(parameters={"sequence_id": 5}), "sequences of requests are not offered"),
    "a sequence by name": (_request(parameters={"sequence_id": "a"}), "sequences of requests are not offered"),
    "shared memory": (_of(parameters={"shared_memory_region": "a"}), "shared memory are not offered"),
    "an output into shared memory": (
        _request(outputs=[{"name": "features", "parameters": {"shared_memory_region": "a"}}]),
        "shared memory are not offered",
    ),
}
_FINE = {
    "as it should be": GOOD,
    "with fields of others": _request(model="x", extra=[1, {"a": None}]),
    "a parameter over 64 bits": _request(parameters={"a": 2**64}),
    "with parameters of others": _request(parameters={"a": 1, "b": 0.5, "c": "d", "e": True}),
    "id null": _request(id=None),
    "an odd id": _request(id="\0\r\n<script>" + "가" * 5000),
    "a photo in a list of its own": _of(data=[[_TEXT]]),
    "a column of one": _of(shape=[1, 1]),
    "outputs null": _request(outputs=None),
    "no outputs": _request(outputs=[]),
    "more classes than there are": _request(
        outputs=[{"name": "probabilities", "parameters": {"classification": 10**6}}]
    ),
    "a year's time": _request(parameters={"timeout": 2**62}),
    "a name twice, the last one counts": GOOD.replace(b"{", b'{"inputs": 7, ', 1),
    "much white space": b" \n\t" * 10_000 + GOOD,
}


def _packed(content: bytes, encoding: str, because: str = "") -> Body:
    return Body(content, _BAD if because else 200, because, {"Content-Encoding": encoding})


def _measured(content: bytes, size: str, because: str = "") -> Body:
    return Body(content, _BAD if because else 200, because, {_SIZE: size})


def _with_headers() -> dict[str, Body]:
    bomb = gzip.compress(bytes(100 << 20), 1)
    return {
        "a photo as it is": _measured(PHOTO, "0"),
        "no photo as it is": _measured(b"", "0", "photo is empty"),
        "text as a photo": _measured(b"<html>", "0", "no readable JPEG"),
        "less JSON than there is": _measured(GOOD, "5", "no inference request in JSON"),
        "more JSON than there is": _measured(GOOD, "1000000", "its JSON alone should have 1000000"),
        "fewer than no bytes of JSON": _measured(GOOD, "-1", "must be a number of bytes"),
        "bytes of JSON in hexadecimal": _measured(GOOD, "0x10", "must be a number of bytes"),
        "endless bytes of JSON": _measured(GOOD, "9" * 5000, "must be a number of bytes"),
        "bytes that nobody named": _measured(GOOD + b"more", str(len(GOOD)), "4 bytes stand behind"),
        "packed": _packed(gzip.compress(GOOD), "gzip"),
        "packed otherwise": _packed(zlib.compress(GOOD), "deflate"),
        "packed twice": _packed(gzip.compress(gzip.compress(GOOD)), "gzip, gzip"),
        "packed by nobody": _packed(GOOD, "identity"),
        "packed in two members": _packed(gzip.compress(GOOD[:50]) + gzip.compress(GOOD[50:]), "gzip"),
        "packed and cut short": _packed(gzip.compress(GOOD)[:-9], "gzip", "in the middle of its gzip"),
        "not packed at all": _packed(GOOD, "gzip", "the body is no gzip"),
        "packed in a way of others": _packed(GOOD, "br", "content encoding 'br' is unknown"),
        "packed with rubbish behind it": _packed(zlib.compress(GOOD) + b"rubbish", "deflate", "come after the end"),
        "a bomb": _packed(bomb, "gzip", "bytes when it is unpacked"),
        "a bomb in a bomb": _packed(gzip.compress(bomb), "gzip, gzip", "bytes when it is unpacked"),
    }


def http_bodies() -> Iterator[tuple[str, Body]]:
    """By name; all are sent to the model that serves."""
    for name, content in _NO_JSON.items():
        yield name, Body(content, _BAD, "no inference request in JSON")
    for name, (content, because) in (_WRONG_KINDS | _MEANINGLESS).items():
        yield name, Body(content, _BAD, because)
    for name, (content, because) in _OTHERS_OFFER.items():
        yield name, Body(content, _NOT_OFFERED, because)
    for name, content in _FINE.items():
        yield name, Body(content)
    yield from _with_headers().items()
