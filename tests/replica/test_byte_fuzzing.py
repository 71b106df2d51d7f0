"""Any bytes, on every port and to every method: each call gets a status that is no accident, and the replica lives.

`make fuzz` runs many more: FUZZ_EXAMPLES of each kind.
"""

import json
import socket
import threading
from contextlib import suppress

import grpc
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2 as oip

from faceserve.protocols.places import Patience
from include.contract import faceserve_pb2 as pb
from include.contract.lifecycle_client import FaceserveError
from tests.corpus.fuzz import drawn, mangled
from tests.corpus.json_values import ANY_JSON
from tests.replica.world import TOKEN, replica
from tests.tiny_model import grey_photo
from tests.waiting import until

FUZZ = drawn(25)
PHOTO = grey_photo(20)
INFER = "/v2/models/laundry/infer"
JSON_BYTES = "Inference-Header-Content-Length"
_SAID_NOTHING = 408
_TRIES = 20
# What only a mistake of the server would give.
ACCIDENTS = {grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL, grpc.StatusCode.DATA_LOSS}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("faceserve.server.PATIENCE", Patience(message_seconds=1.0, silence_seconds=1.0))
        settings = {"http_port": 0, "gallery_uri": "s3://faces/", "max_message_bytes": 1 << 20}
        with replica(tmp_path_factory.mktemp("state"), **settings) as made:
            made.serve("v1.0.0")
            made.serve("v1.0.0", "face")
            yield made


@pytest.fixture(autouse=True)
def still_answers(world):
    yield
    assert over_grpc(lambda: world.client.classify("laundry", PHOTO).label) == "불량"
    assert answered(world, "POST", INFER, content=PHOTO, headers={JSON_BYTES: "0"}).status_code == 200
    assert over_grpc(lambda: world.lifecycle.status("laundry").version) == "v1.0.0"


def again(ask):
    """The first answer: on a busy machine a caller may seem to say nothing, is sent away and comes again.

    Who is sent away each time said something that the server took for nothing.
    """
    found = []

    def asked():
        assert len(found) < _TRIES, f"sent away {len(found)} times"
        found.append(ask())
        return found[-1] is not None

    until(asked, "an answer", seconds=_TRIES * 60)
    return found[-1]


def over_grpc(ask):
    def asked():
        try:
            return ask()
        except FaceserveError as error:
            assert error.code == "CANCELLED", error
            return None

    return again(asked)


def answered(world, method, path, **said):
    def asked():
        with suppress(httpx.TransportError):
            url = f"http://127.0.0.1:{world.server.http_port}{path}"
            found = httpx.request(method, url, timeout=60, **said)
            return None if found.status_code == _SAID_NOTHING else found
        return None

    return again(asked)


# HTTP


def requests():
    images = {"name": "images", "datatype": "UINT8", "shape": [1, 224, 224, 3], "parameters": {"binary_data_size": 9}}
    head = json.dumps({"id": "a", "inputs": [images], "outputs": [{"name": "features"}]}).encode()
    body = head + bytes(9)
    said = f"POST {INFER} HTTP/1.1\r\nHost: a\r\n{JSON_BYTES}: {len(head)}\r\nContent-Length: {len(body)}\r\n\r\n"
    chunked = f"POST {INFER} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"
    asked = "GET /v2/models/laundry HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n"
    return [said.encode() + body, chunked.encode(), asked.encode()]


@FUZZ
@given(said=st.binary(max_size=300) | mangled(st.sampled_from(requests())))
def test_any_bytes_on_the_http_port(world, said):
    with socket.create_connection(("127.0.0.1", world.server.http_port), timeout=60) as connection:
        connection.sendall(said)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while piece := connection.recv(1 << 16):
                answer += piece
        except ConnectionResetError:
            """The other end has seen enough."""
    assert b"HTTP/1.1 500" not in answer


@FUZZ
@given(
    body=ANY_JSON.map(lambda value: json.dumps(value).encode())
    | st.fixed_dictionaries(
        {"inputs": ANY_JSON}, optional={"outputs": ANY_JSON, "id": ANY_JSON, "parameters": ANY_JSON}
    ).map(lambda value: json.dumps(value).encode())
    | mangled(st.just(requests()[0].partition(b"\r\n\r\n")[2]))
    | st.binary(max_size=200),
    head=st.none() | st.integers(0, 400).map(str) | st.sampled_from(["-1", "9" * 30, "9" * 5000, "x", ""]),
    encoding=st.sampled_from(["", "", "", "gzip", "deflate", "gzip, gzip", "br"]),
)
def test_any_body_of_an_inference_request(world, body, head, encoding):
    headers = {"Content-Encoding": encoding} | ({} if head is None else {JSON_BYTES: head})
    answer = answered(world, "POST", INFER, content=body, headers=headers)
    assert answer.status_code in {200, 400, 404, 501} and (answer.status_code == 200 or answer.json()["error"])


PARTS = st.sampled_from(["v2", "models", "laundry", "versions", "v1.0.0", "infer", "..", "%00", "%ff", ""])


@FUZZ
@given(path=st.lists(PARTS | st.text(max_size=9)), method=st.sampled_from(["GET", "POST", "HEAD", "PUT", "OPTIONS"]))
def test_any_path(world, path, method):
    quoted = "/".join(part.encode("utf-8", "replace").hex() if not part.isascii() else part for part in path)
    try:
        answer = answered(world, method, f"/{quoted}")
    except (httpx.InvalidURL, httpx.LocalProtocolError):
        return
    assert answer.status_code != 500


# gRPC

SERVICES = [*pb.DESCRIPTOR.services_by_name.values(), oip.DESCRIPTOR.services_by_name["GRPCInferenceService"]]
METHODS = [
    method for service in SERVICES for method in service.methods if not method.name.endswith(("Watch", "WatchStatus"))
]


STREAM = "inference.GRPCInferenceService/ModelStreamInfer"


def sample(kind):
    """A message with something in each of its fields."""
    made = kind()
    for field in kind.DESCRIPTOR.fields:
        if field.is_repeated or field.message_type:
            continue
        value = {"image": PHOTO, "model": "laundry", "model_name": "laundry", "version": "v1.0.0"}.get(field.name)
        kinds = {field.TYPE_STRING: "a", field.TYPE_BYTES: b"a", field.TYPE_DOUBLE: 0.5, field.TYPE_BOOL: True}
        setattr(made, field.name, value if value is not None else kinds.get(field.type, 1))
    return made


@FUZZ
@given(data=st.data(), method=st.sampled_from(METHODS))
def test_any_bytes_to_every_method(world, data, method):
    from google.protobuf.message_factory import GetMessageClass

    whole = sample(GetMessageClass(method.input_type)).SerializeToString()
    body = data.draw(mangled(st.just(whole)))
    lifecycle = method.containing_service.name == "Lifecycle"
    address = world.lifecycle_address if lifecycle else world.address
    metadata = (("authorization", f"Bearer {TOKEN}"),)
    with grpc.insecure_channel(address, [("grpc.enable_retries", 0)]) as channel:
        path = f"/{method.containing_service.full_name}/{method.name}"
        try:
            if method.name == "ModelStreamInfer":
                list(channel.stream_stream(path)(iter([body]), timeout=60, metadata=metadata))
            else:
                channel.unary_unary(path)(body, timeout=60, metadata=metadata)
        except grpc.RpcError as error:
            assert error.code() not in ACCIDENTS, error


def test_a_stream_whose_messages_are_none_keeps_no_place_on_its_connection_and_delays_no_shutdown(tmp_path):
    with replica(tmp_path, max_queued=4, drain_seconds=600) as made, grpc.insecure_channel(made.address) as channel:
        made.serve("v1.0.0")
        for _ in range(150):
            with pytest.raises(grpc.RpcError, match="no message of this call") as caught:
                list(channel.stream_stream(f"/{STREAM}")(iter([b"\xff"]), timeout=60))
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        ending = threading.Thread(target=made.server.stop)
        ending.start()
        ending.join(60)
        assert not ending.is_alive()


@FUZZ
@given(
    said=st.binary(max_size=300)
    | mangled(st.just(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000" * 3)))
)
def test_any_bytes_on_the_ports_of_grpc(world, said):
    for address in (world.address, world.lifecycle_address):
        host, _, port = address.partition(":")
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            connection.sendall(said)
