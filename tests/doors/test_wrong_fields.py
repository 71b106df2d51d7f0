"""Every public method of the model server with every field wrong: a clear status with a sentence, and it serves on."""

import itertools
import re

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
NAMES = itertools.count()
AUTHORIZED = (("authorization", f"Bearer {TOKEN}"),)
ANSWERED = (grpc.StatusCode.OK, "no error")
# Whatever is asked.
REFUSED = {
    *(f"Repository{kind}" for kind in ("ModelLoad", "ModelUnload")),
    *(f"{kind}SharedMemory{act}" for kind in ("System", "Cuda") for act in ("Status", "Register", "Unregister")),
    "TraceSetting",
    "LogSettings",
}
# As bytes of another type a field is none that the message has.
ABSENT = r"(left out|empty|nothing|twice|as wire type \d)"
ANY = r".+"
TEXT = rf"({ABSENT}|a NUL|a way out|lines|of another alphabet|endless)"
# What is accepted although it is not as it should be, and why that does no harm: method, field, what is wrong with it.
HARMLESS = [
    (r"Server(Live|Ready|Metadata)", r"no", ANY, "has no fields"),
    (r"Model(Ready|Statistics)|RepositoryIndex", r"no", ANY, "of everything, or of nothing that is ready"),
    (r"Classify|ExtractFeatures|Compare", r"version", ABSENT, "then the one that serves answers"),
    (r"Classify", r"uri", ABSENT, "the photo itself is there"),
    (r"Classify", r"task_id", TEXT, "is the caller's, who gets it back"),
    (r"Compare", r"count", rf"{ABSENT}|largest|smallest|over 32 bits", "one, or as many as there may be"),
    (r"Compare", r"identity", TEXT, "of all, or of somebody who is not enrolled"),
    (r"Model(Infer|StreamInfer|Metadata|Config)", r"(model_)?version", ABSENT, "then the one that serves answers"),
    (ANY, r"request_id", TEXT, "a name is any text; without one the effect tells a repeat"),
    (r"Prepare|UpdateModel", r"version", r"a way out|of another alphabet", "a name of a version is no path"),
    (r"Prepare|UpdateModel", r"artifact_uri", TEXT, "files with that hash are at hand, wherever others lie"),
    (r"Prepare|UpdateModel", r"urgent", ANY, "is true or false whatever the number"),
    (r"Activate|Rollback|PromoteCanary", r"expected_epoch", r"negative", "-1: whatever serves"),
    (r"Discard|SetCanary|AbortCanary", r"expected_epoch", r"negative|left out|as wire type \d", "whatever serves"),
    (r"Discard|AbortCanary", r"version", r"(?!empty|left out).+", "what is not there, or not on trial, has ended"),
    (r"Rollback", r"version", rf"{ABSENT}|a way out|of another alphabet", "the one before, or one that did serve"),
    (r"SetCanary", r"percent", r"tiny", "a share, if a small one"),
    (r"SetCanary", r"shadow", ANY, "is true or false whatever the number"),
    (r"AbortCanary", r"reason", TEXT, "a person's words, of which the beginning is kept"),
    (r"Withdraw", r"identity", TEXT, "whoever is not enrolled is not enrolled afterwards"),
    (r"ModelReady", ANY, TEXT, "what is not known is not ready"),
    (r"ModelStatistics", ANY, TEXT, "of all, or of a version that answered nothing"),
    (r"RepositoryIndex", r"repository_name", ABSENT, "the only one has no name"),
    (r"RepositoryIndex", r"ready", ANY, "is true or false whatever the number"),
    (r"ModelInfer|ModelStreamInfer", r"id", TEXT, "is the caller's, who gets it back"),
    (r"ModelInfer|ModelStreamInfer", r"((in|out)puts\.)?parameters.*", ANY, "what is not Triton's is the caller's"),
    (r"ModelInfer|ModelStreamInfer", r"inputs\.contents\..+", ABSENT, "there is none of another type either way"),
    (r"ModelInfer|ModelStreamInfer", r"outputs", ABSENT, "then all"),
    (r"ModelInfer|ModelStreamInfer", r"raw_input_contents", ABSENT, "the typed contents are there"),
    (r"Check|Watch", r"no|service", ANY, "the whole server, or a service that is unknown and said to be"),
    (r"ServerReflectionInfo", ANY, ANY, "tells what there is, and of what there is not that, inside its answer"),
]
# As they should be; others have a text, or one.
RIGHT = {
    "image": PHOTO,
    "model": "laundry",
    "model_name": "laundry",
    "name": "laundry",
    "version": "v1.1.0",
    "percent": 5.0,
    "expected_epoch": -1,
    "service": "",
    "repository_name": "",
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        # A withdrawn person is waited for so long.
        for module in ("enrolment", "knowledge"):
            patch.setattr(f"faceserve.faces.{module}.FRESH_SECONDS", 0.01)
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


def harmless(method, what):
    field, _, how = what.partition(" ")
    said = (method, field, how)
    return any(
        all(re.fullmatch(pattern, one) for pattern, one in zip(known, said, strict=True)) for *known, _ in HARMLESS
    )


def as_before(world, method):
    """v1.0.0 serves and v1.1.0 is at hand, on trial where a trial is to end."""
    if method.containing_service.name != "Lifecycle":
        return
    ask = world.lifecycle
    now = ask.status("laundry")
    if now.canary is not None and now.canary.verdict in {"promote", "roll back", "inconclusive"}:
        ask.abort_canary("laundry", now.canary.version, "as before")
    if now.version != "v1.0.0":
        ask.activate("laundry", "v1.0.0")
    for version in now.prepared:
        if version != "v1.1.0":
            ask.discard("laundry", version)
    world.prepare("v1.2.0" if method.name == "Discard" else "v1.1.0")
    if method.name in {"PromoteCanary", "AbortCanary"}:
        ask.set_canary("laundry", "v1.1.0", 50)


def whole(method, world):
    """What the method takes, with something in each of its fields; changes have a name of their own each time."""
    made = GetMessageClass(method.input_type)()
    for field in made.DESCRIPTOR.fields:
        # Of two that exclude each other, the first.
        if not field.is_repeated and not field.message_type and field.name != "uri":
            kinds = {field.TYPE_STRING: "a", field.TYPE_BYTES: b"a", field.TYPE_DOUBLE: 0.5, field.TYPE_BOOL: False}
            setattr(made, field.name, RIGHT.get(field.name, kinds.get(field.type, 1)))
    if method.containing_service.name == "Inference":
        made.version = "v1.0.0"
    if method.name in {"Prepare", "UpdateModel", "Discard"}:
        made.version = "v1.2.0"
    if hasattr(made, "request_id"):
        made.request_id = f"{method.name} {next(NAMES)}"
    if hasattr(made, "artifact_uri"):
        made.artifact_uri, made.manifest_sha256 = world.put(made.version)
    if method.name in {"ModelInfer", "ModelStreamInfer"}:
        made.model_version = ""
        photos = made.inputs.add(name="photos", datatype="BYTES", shape=[1])
        photos.contents.bytes_contents.append(PHOTO)
        made.outputs.add(name="probabilities")
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
    odd = {}
    for number in itertools.count():
        # Whatever was done to another has a name of its own, so that nothing is taken for a repeat.
        found = list(itertools.islice(wrong(whole(method, world)), number, number + 1))
        if not found:
            break
        as_before(world, method)
        ((what, body),) = found
        odd[what] = asked(channel, method, body)
    as_before(world, method)
    right = asked(channel, method, whole(method, world).SerializeToString())
    assert (right == ANSWERED) == (method.name not in REFUSED), right
    as_before(world, method)
    taken = [what for what, said in odd.items() if said == ANSWERED and not harmless(method.name, what)]
    assert taken == [], "accepted although wrong, and nobody has said why that does no harm"
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
