"""Requests nobody would send on purpose: each gets a status that says whose fault it is, and the replica lives on.

`make fuzz` draws FUZZ_EXAMPLES for each.
"""

import grpc
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2 as oip
from tritonclient.grpc import service_pb2_grpc as oip_grpc

from include.contract import faceserve_pb2 as pb
from include.contract import faceserve_pb2_grpc as pb_grpc
from tests.corpus.fuzz import drawn
from tests.replica.world import TOKEN, replica
from tests.tiny_model import grey_photo

CALLERS_FAULT = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.ABORTED,
}
QUICK = drawn(50)
TEXT = st.one_of(
    st.text(max_size=40), st.sampled_from(["laundry", "face", "v1.0.0", "../..", "s3://", "\x00", "'; --"])
)
PHOTO = grey_photo(20)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with replica(tmp_path_factory.mktemp("state")) as made:
        made.serve("v1.0.0")
        made.serve("v1.0.0", "face")
        yield made


@pytest.fixture(scope="module")
def channel(world):
    with grpc.insecure_channel(world.address) as made:
        yield made


@pytest.fixture(scope="module")
def lifecycle_channel(world):
    with grpc.insecure_channel(world.lifecycle_address) as made:
        yield made


@pytest.fixture(autouse=True)
def still_answers(world):
    yield
    assert world.client.classify("laundry", PHOTO).label == "불량"
    assert world.lifecycle.status("laundry").version == "v1.0.0"


def status(call, request, **options):
    try:
        call(request, timeout=60, **options)
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def cut_and_changed(body):
    """A photo's bytes with some cut out, changed or repeated."""
    at = st.integers(0, len(body) - 1)
    return st.builds(
        lambda start, end, extra: body[: min(start, end)] + extra + body[max(start, end) :],
        at,
        at,
        st.binary(max_size=64),
    )


@QUICK
@given(model=TEXT, version=TEXT, task_id=TEXT, image=st.one_of(st.binary(max_size=500), cut_and_changed(PHOTO)))
def test_classifying_anything(channel, model, version, task_id, image):
    request = pb.ClassifyRequest(model=model, version=version, task_id=task_id, image=image)
    assert status(pb_grpc.InferenceStub(channel).Classify, request) in CALLERS_FAULT


@QUICK
@given(image=cut_and_changed(PHOTO))
def test_classifying_mangled_photos(channel, image):
    request = pb.ClassifyRequest(model="laundry", image=image)
    found = status(pb_grpc.InferenceStub(channel).Classify, request)
    assert found in {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT}


@QUICK
@given(uri=TEXT.map(lambda text: f"s3://tasks/{text}") | TEXT)
def test_classifying_from_anywhere(channel, uri):
    assert (
        status(pb_grpc.InferenceStub(channel).Classify, pb.ClassifyRequest(model="laundry", uri=uri)) in CALLERS_FAULT
    )


@st.composite
def tensors(draw):
    """A ModelInfer request that is right in most places and wrong in some."""
    shape = draw(
        st.lists(st.sampled_from([-1, 0, 1, 2, 3, 64, 65, 224, 2**40]), max_size=5) | st.just([1, 224, 224, 3])
    )
    request = oip.ModelInferRequest(model_name=draw(st.just("laundry") | TEXT), id=draw(TEXT))
    for _ in range(draw(st.integers(0, 2))):
        request.inputs.add(
            name=draw(st.sampled_from(["images", "photos", "", "x"])),
            datatype=draw(st.sampled_from(["UINT8", "BYTES", "FP32", "", "uint8"])),
            shape=shape,
        )
    for _ in range(draw(st.integers(0, 2))):
        request.raw_input_contents.append(draw(st.binary(max_size=200) | st.just(bytes(224 * 224 * 3))))
    for name in draw(st.lists(st.sampled_from(["probabilities", "features", "x"]), max_size=3)):
        request.outputs.add(name=name)
    return request


@QUICK
@given(request=tensors())
def test_inferring_from_any_tensor(channel, request):
    assert status(oip_grpc.GRPCInferenceServiceStub(channel).ModelInfer, request) in CALLERS_FAULT


VALUES = st.fixed_dictionaries(
    {
        "model": TEXT,
        "version": TEXT.filter(lambda text: text != "v1.0.0"),
        "artifact_uri": TEXT,
        "manifest_sha256": st.text("0123456789abcdef", max_size=64) | TEXT,
        "expected_epoch": st.integers(-(2**63), 2**63 - 1),
        "percent": st.floats(),
        "reason": TEXT,
    }
)


@QUICK
@given(
    name=st.sampled_from(
        ["Prepare", "Activate", "UpdateModel", "Discard", "SetCanary", "PromoteCanary", "AbortCanary"]
    ),
    values=VALUES,
)
def test_lifecycle_calls_with_anything(lifecycle_channel, name, values):
    kind = getattr(pb, {"UpdateModel": "PrepareRequest"}.get(name, f"{name}Request"))
    request = kind(**{field: values[field] for field in kind.DESCRIPTOR.fields_by_name if field in values})
    metadata = (("authorization", f"Bearer {TOKEN}"),)
    assert status(getattr(pb_grpc.LifecycleStub(lifecycle_channel), name), request, metadata=metadata) in CALLERS_FAULT


@pytest.mark.parametrize("version", ["", "v" * 201])
@pytest.mark.parametrize("name", ["Prepare", "UpdateModel"])
def test_what_has_no_name_is_not_loaded(lifecycle_channel, name, version):
    request = pb.PrepareRequest(model="laundry", version=version, artifact_uri="s3://models/v1/", manifest_sha256="ab")
    metadata = (("authorization", f"Bearer {TOKEN}"),)
    found = status(getattr(pb_grpc.LifecycleStub(lifecycle_channel), name), request, metadata=metadata)
    assert found is grpc.StatusCode.INVALID_ARGUMENT


@QUICK
@given(body=st.binary(max_size=300), method=st.sampled_from(["Classify", "Compare", "ExtractFeatures"]))
def test_bytes_that_are_no_message(channel, body, method):
    call = channel.unary_unary(f"/faceserve.v1.Inference/{method}")
    assert status(call, body) in CALLERS_FAULT


def test_a_request_larger_than_allowed_is_refused(channel):
    request = pb.ClassifyRequest(model="laundry", image=np.zeros(35 << 20, np.uint8).tobytes())
    call = pb_grpc.InferenceStub(channel).Classify
    assert status(call, request) is grpc.StatusCode.RESOURCE_EXHAUSTED
