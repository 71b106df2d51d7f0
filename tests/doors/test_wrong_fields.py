"""Every public method of the model server with every field wrong: a clear status with a sentence, and it serves on."""

import grpc
import pytest
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from tritonclient.grpc import service_pb2 as oip

from include.contract import faceserve_pb2 as pb
from include.contract.channel import FaceserveError
from tests.doors.wrong_fields import wrong
from tests.replica.world import TOKEN, replica
from tests.tiny_model import grey_photo

PHOTO = grey_photo(20)
# What only a mistake of the server would give.
ACCIDENTS = {grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL, grpc.StatusCode.DATA_LOSS}
SERVICES = [
    *pb.DESCRIPTOR.services_by_name.values(),
    oip.DESCRIPTOR.services_by_name["GRPCInferenceService"],
    health_pb2.DESCRIPTOR.services_by_name["Health"],
    reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"],
]
METHODS = [method for service in SERVICES for method in service.methods]
AUTHORIZED = (("authorization", f"Bearer {TOKEN}"),)
# As they should be; others have a text, or one.
RIGHT = {
    "image": PHOTO,
    "model": "laundry",
    "model_name": "laundry",
    "name": "laundry",
    "version": "v1.0.0",
    "percent": 5.0,
    "expected_epoch": -1,
    "service": "",
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        # A withdrawn person is waited for so long.
        patch.setattr("faceserve.faces.enrolment.FRESH_SECONDS", 0.01)
        settings = {"gallery_uri": "s3://faces/", "max_message_bytes": 1 << 20}
        folder = tmp_path_factory.mktemp("state")
        with replica(folder, **settings) as made:
            made.folder = folder
            made.serve("v1.0.0")
            made.serve("v1.0.0", "face")
            yield made


@pytest.fixture(scope="module")
def channels(world):
    places = {"Lifecycle": world.lifecycle_address}
    with grpc.insecure_channel(world.address) as inference, grpc.insecure_channel(places["Lifecycle"]) as lifecycle:
        yield lambda method: lifecycle if method.containing_service.name == "Lifecycle" else inference


def whole(method):
    """What the method takes, with something in each of its fields."""
    made = GetMessageClass(method.input_type)()
    for field in made.DESCRIPTOR.fields:
        # Of two that exclude each other, the first.
        if not field.is_repeated and not field.message_type and field.name != "uri":
            kinds = {field.TYPE_STRING: "a", field.TYPE_BYTES: b"a", field.TYPE_DOUBLE: 0.5, field.TYPE_BOOL: False}
            setattr(made, field.name, RIGHT.get(field.name, kinds.get(field.type, 1)))
    if method.name in {"ModelInfer", "ModelStreamInfer"}:
        made.model_version = ""
        photos = made.inputs.add(name="photos", datatype="BYTES", shape=[1])
        photos.contents.bytes_contents.append(PHOTO)
    return made


def asked(channel, method, body):
    """The status, and the sentence that came with it; of a stream its first answer counts."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    try:
        if method.name.startswith(("Watch", "ServerReflectionInfo")):
            call = channel.stream_stream(path)(iter([body]), timeout=60, metadata=AUTHORIZED)
            next(iter(call), None)
            call.cancel()
        elif method.name == "ModelStreamInfer":
            (answer,) = channel.stream_stream(path)(iter([body]), timeout=60, metadata=AUTHORIZED)
            error = oip.ModelStreamInferResponse.FromString(answer).error_message
            return grpc.StatusCode.OK, error or "no error"
        else:
            channel.unary_unary(path)(body, timeout=60, metadata=AUTHORIZED)
    except grpc.RpcError as error:
        return error.code(), error.details()
    return grpc.StatusCode.OK, "no error"


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.full_name)
def test_a_method_with_any_field_wrong_says_so_and_the_server_serves_on(world, channels, method):
    channel = channels(method)
    odd = {what: asked(channel, method, body) for what, body in wrong(whole(method))}
    accidents = {what: said for what, said in odd.items() if said[0] in ACCIDENTS or " " not in said[1]}
    assert accidents == {}
    assert world.client.classify("laundry", PHOTO).label == "불량"
    assert world.lifecycle.status("laundry").version == "v1.0.0"
    # Of what it was told it keeps little.
    assert sum(file.stat().st_size for file in world.folder.glob("*.json")) < 100_000


def test_what_a_replica_keeps_of_a_call_has_a_bound(world):
    """Of an end of a trial its reason is kept, at least its beginning: it is an emergency."""
    world.prepare("v1.1.0")
    far = "s3://models/v1.2.0" + "/" * 3000
    with pytest.raises(FaceserveError, match="URI has at most 2000 characters, not 3018"):
        world.lifecycle.prepare("laundry", "v1.2.0", far, "0" * 64, timeout_seconds=60)
    with pytest.raises(FaceserveError, match="name has at most 1000 characters, not 1001"):
        world.lifecycle.activate("laundry", "v1.0.0", request_id="n" * 1001)
    world.lifecycle.set_canary("laundry", "v1.1.0", 50)
    world.lifecycle.abort_canary("laundry", "v1.1.0", "because " * 100_000)
    assert world.lifecycle.status("laundry").canary.reason.startswith("because because")
    assert sum(file.stat().st_size for file in world.folder.glob("*.json")) < 100_000
