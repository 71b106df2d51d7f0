"""Whatever a message announces, nests or repeats: a replica takes a bounded part of memory for it, on every port."""

import gzip
import json
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import grpc
import httpx
import pytest
from google.protobuf.descriptor import FieldDescriptor
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2 as oip

from include.contract import faceserve_pb2 as pb
from tests.corpus.fuzz import drawn
from tests.replica.world import TOKEN
from tests.tiny_model import grey_photo

FUZZ = drawn(15)
INFER = "/v2/models/laundry/infer"
MESSAGE_BYTES = 2 << 20
# The message as it came, as it was read, and what reading half a million numbers takes.
MOST_MB = 64
PHOTO = grey_photo(20)
_CHILD = """
import sys
from pathlib import Path
from tests.replica.world import replica
with replica(Path(sys.argv[1]), http_port=0, gallery_uri="s3://faces/", max_message_bytes=int(sys.argv[2])) as made:
    made.serve("v1.0.0")
    print(made.server.http_port, made.server.port, made.server.lifecycle_port, flush=True)
    sys.stdin.read()
"""


class Apart:
    """A replica in a process of its own, whose memory is seen from outside."""

    def __init__(self, process):
        http, self.inference, self.lifecycle = map(int, process.stdout.readline().split())
        self.url = f"http://127.0.0.1:{http}"
        self._memory = Path(f"/proc/{process.pid}")

    def peak_mb(self):
        (line,) = [line for line in (self._memory / "status").read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) >> 10

    def forget_peak(self):
        (self._memory / "clear_refs").write_text("5")

    def taken_mb(self, ask):
        """How much more memory than before was in use at any moment of `ask`."""
        self.forget_peak()
        before = self.peak_mb()
        ask()
        return self.peak_mb() - before

    def infer(self, body, **headers):
        return httpx.post(self.url + INFER, content=body, headers=headers, timeout=60)


@pytest.fixture(scope="module")
def apart(tmp_path_factory):
    command = [sys.executable, "-c", _CHILD, str(tmp_path_factory.mktemp("state")), str(MESSAGE_BYTES)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        made = Apart(process)
        # What the first request of each kind builds is not of the request that is measured.
        assert made.infer(PHOTO, **{"Inference-Header-Content-Length": "0"}).status_code == 200
        assert call(made, "/inference.GRPCInferenceService/ModelInfer", b"") is grpc.StatusCode.NOT_FOUND
        yield made
    finally:
        process.communicate("")


def call(apart, path, body):
    """The status of a call with these bytes."""
    port = apart.lifecycle if "Lifecycle" in path else apart.inference
    with grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.enable_retries", 0)]) as channel:
        try:
            channel.unary_unary(path)(body, timeout=60, metadata=(("authorization", f"Bearer {TOKEN}"),))
        except grpc.RpcError as error:
            assert len(error.details()) < 1000
            return error.code()
    return grpc.StatusCode.OK


# HTTP

IMAGES = {"name": "images", "datatype": "UINT8", "shape": [1, 224, 224, 3]}


def hostile_json():
    long = ["x" * 2500, *[""] * 150_000]
    return {
        "strings of different lengths": {"inputs": [{**IMAGES, "data": long}]},
        "parameters that are none": {"inputs": [], "parameters": {str(n): [] for n in range(100_000)}},
        "inputs that are none": {"inputs": [1] * 499_000},
        "a shape that is none": {"inputs": [{**IMAGES, "shape": ["a"] * 499_000}]},
        "lists in lists": {"inputs": [{**IMAGES, "data": [[]] * 499_000}]},
        "objects nobody asked for": {"inputs": [], "more": [{}] * 499_000},
    }


@pytest.mark.parametrize("name", hostile_json())
def test_json_is_refused_before_it_becomes_many_times_as_large(apart, name):
    body = json.dumps(hostile_json()[name], separators=(",", ":")).encode()
    answers = []
    assert apart.taken_mb(lambda: answers.append(apart.infer(body))) < MOST_MB
    assert answers[0].status_code == 400 and len(answers[0].content) < 1000


SCALARS = st.sampled_from(
    ["1", "-1", "1e9", "true", "null", '""', '"ab"', '"\U0001f600"', "[]", "{}", "[[]]", '{"a":1}']
)
PLACES = st.sampled_from([
    '{"inputs":[%s]}', '{"inputs":%s}', '{"inputs":[],"parameters":%s}', '{"inputs":[],"outputs":[%s]}', '{"a":[%s]}',
    '{"inputs":[{"name":"images","datatype":"UINT8","shape":[%s]}]}',
    '{"inputs":[{"name":"images","datatype":"UINT8","shape":[1,224,224,3],"data":[%s]}]}',
    '{"inputs":[{"name":"photos","datatype":"BYTES","shape":[1],"data":[%s]}]}',
    '{"inputs":[{"name":"images","datatype":"UINT8","shape":[1],"parameters":{%s}}]}',
])  # fmt: skip


@st.composite
def repeated(draw):
    """As much as fits of one small thing, alone or named, deep or flat, in any place; perhaps a long one before it."""
    named, depth, first = draw(st.booleans()), draw(st.integers(0, 3)), draw(st.sampled_from([0, 5000]))
    value = "[" * depth + draw(SCALARS) + "]" * depth
    count = min(480_000, (MESSAGE_BYTES - 10_000) // (len(value.encode()) + (10 if named else 1)))
    many = ",".join(f'"{n}":{value}' if named else value for n in range(count))
    return (draw(PLACES) % (f'"{"x" * first}",{many}' if first else many)).encode()


@FUZZ
@given(body=repeated())
def test_nothing_that_json_repeats_takes_much_memory(apart, body):
    answers = []
    assert apart.taken_mb(lambda: answers.append(apart.infer(body))) < MOST_MB
    assert answers[0].status_code in {400, 413}


ASKED = f"POST {INFER} HTTP/1.1\r\nHost: a\r\n".encode()


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 9_000,
        ASKED + b"Content-Length: 9\r\n" + b"a:\r\n" * 50_000 + b"\r\n",
        ASKED + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"a:\r\n" * 50_000,
    ],
    ids=["requests at once", "headers", "trailers"],
)
def test_what_a_connection_says_at_once_takes_little_memory(apart, said):
    address = ("127.0.0.1", httpx.URL(apart.url).port)

    def say():
        callers = [socket.create_connection(address, timeout=60) for _ in range(64)]
        for caller in callers:
            with suppress(OSError):
                caller.sendall(said)
        for caller in callers:
            with suppress(OSError):
                assert b"HTTP/1.1 4" in caller.recv(1 << 16)
            caller.close()

    assert apart.taken_mb(say) < MOST_MB


# gRPC

SERVICES = [*pb.DESCRIPTOR.services_by_name.values(), oip.DESCRIPTOR.services_by_name["GRPCInferenceService"]]
METHODS = {
    f"/{method.containing_service.full_name}/{method.name}": method.input_type
    for service in SERVICES
    for method in service.methods
    if not method.server_streaming
}
NESTING = [name for name, kind in METHODS.items() if any(field.message_type for field in kind.fields)]


def varint(number):
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def lump(number, content):
    """A field of a message, a string or a packed list."""
    return varint(number << 3 | 2) + varint(len(content)) + content


@st.composite
def repetitions(draw, kind):
    """So many of one field, wherever in the message it may stand, with as little in each as there can be."""
    nesting = [field for field in kind.fields if field.message_type or field.is_repeated]
    field = draw(st.sampled_from(nesting or list(kind.fields)))
    if field.message_type and draw(st.booleans()):
        return lump(field.number, draw(repetitions(field.message_type)))
    if field.type in {FieldDescriptor.TYPE_MESSAGE, FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES}:
        one = lump(field.number, draw(st.sampled_from([b"", b"a"])) if not field.message_type else b"")
    elif field.is_repeated:
        return lump(field.number, draw(st.sampled_from([b"\x00", b"\x01"])) * (MESSAGE_BYTES - 100))
    else:
        one = varint(field.number << 3) + b"\x01"
    return one * ((MESSAGE_BYTES - 100) // len(one))


def empty(count, *path):
    """So many of the empty field at the end of the path, in a `ModelInferRequest`."""
    kind, numbers = oip.ModelInferRequest.DESCRIPTOR, []
    for name in path:
        numbers.append(kind.fields_by_name[name].number)
        kind = kind.fields_by_name[name].message_type
    body = lump(numbers[-1], b"") * count
    for number in reversed(numbers[:-1]):
        body = lump(number, body)
    return body


@pytest.mark.parametrize(
    "path",
    [
        ("inputs",),
        ("outputs",),
        ("parameters",),
        ("raw_input_contents",),
        ("inputs", "parameters"),
        ("inputs", "contents", "bytes_contents"),
    ],
)
def test_a_message_of_many_empty_parts_is_refused_before_it_is_read(apart, path):
    body = empty(900_000, *path)
    assert apart.taken_mb(lambda: call(apart, "/inference.GRPCInferenceService/ModelInfer", body)) < MOST_MB
    assert call(apart, "/inference.GRPCInferenceService/ModelInfer", body) is grpc.StatusCode.INVALID_ARGUMENT


def test_a_shape_without_end_is_refused_with_a_short_sentence(apart):
    for size in (100, 900_000):
        request = oip.ModelInferRequest(model_name="laundry")
        request.inputs.add(name="images", datatype="UINT8", shape=[1] * size)
        body = request.SerializeToString()
        assert call(apart, "/inference.GRPCInferenceService/ModelInfer", body) is grpc.StatusCode.INVALID_ARGUMENT


def test_a_packed_message_is_not_unpacked_beyond_what_a_message_may_be(apart):
    body = lump(oip.ModelInferRequest.DESCRIPTOR.fields_by_name["raw_input_contents"].number, bytes(100 << 20))
    codes = []
    options = [("grpc.enable_retries", 0), ("grpc.max_send_message_length", -1)]

    def ask():
        with (
            grpc.insecure_channel(
                f"127.0.0.1:{apart.inference}", options, compression=grpc.Compression.Gzip
            ) as channel,
            pytest.raises(grpc.RpcError) as caught,
        ):
            channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")(body, timeout=60)
        codes.append(caught.value.code())
        packed = gzip.compress(gzip.compress(body))
        codes.append(apart.infer(packed, **{"Content-Encoding": "gzip, gzip"}).status_code)

    assert apart.taken_mb(ask) < MOST_MB
    assert codes == [grpc.StatusCode.RESOURCE_EXHAUSTED, 400]


@FUZZ
@given(data=st.data(), path=st.sampled_from(NESTING) | st.sampled_from(list(METHODS)))
def test_nothing_that_a_message_repeats_takes_much_memory(apart, data, path):
    body = data.draw(repetitions(METHODS[path])) if METHODS[path].fields else b"\x0a\x00" * (MESSAGE_BYTES // 3)
    assert apart.taken_mb(lambda: call(apart, path, body)) < MOST_MB
    assert apart.infer(PHOTO, **{"Inference-Header-Content-Length": "0"}).status_code == 200
