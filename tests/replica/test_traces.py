"""A call leaves a span in the trace that its caller began, over gRPC as over HTTP; and none unless that is wanted."""

import grpc
import httpx
import pytest
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import INVALID_SPAN

from faceserve.errors import StorageUnavailable
from faceserve.protocols.traces import Traces, sampler
from include.contract import faceserve_pb2 as pb
from include.contract import faceserve_pb2_grpc as pb_grpc
from tests.collector import attributes, collector
from tests.replica.world import replica
from tests.tiny_model import grey_photo

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HEADER = f"00-{TRACE}-{PARENT}-01"


@pytest.fixture
def collected(monkeypatch):
    with collector() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
        yield found.spans


def ask(world):
    with grpc.insecure_channel(world.address) as channel:
        request = pb.ClassifyRequest(model="laundry", image=grey_photo(20))
        pb_grpc.InferenceStub(channel).Classify(request, metadata=(("traceparent", HEADER),))
        unknown = pb.ClassifyRequest(model="nobody", image=grey_photo(20))
        with pytest.raises(grpc.RpcError):
            pb_grpc.InferenceStub(channel).Classify(unknown, metadata=(("traceparent", HEADER),))
    url = f"http://127.0.0.1:{world.server.http_port}/v2"
    for path in ("/models/laundry", "/health/ready"):
        httpx.get(f"{url}{path}", headers={"traceparent": HEADER}, timeout=60)


def test_calls_leave_spans_in_the_trace_of_their_callers(tmp_path, collected):
    with replica(tmp_path, traces=True, http_port=0) as world:
        world.serve("v1.0.0")
        ask(world)
    (resource, _), *_ = collected
    assert attributes(resource.attributes)["service.name"] == "faceserve"
    assert attributes(resource.attributes)["service.instance.id"] == "replica-1"
    mine = [span for _, span in collected if span.trace_id.hex() == TRACE]
    assert {span.parent_span_id.hex() for span in mine} == {PARENT}
    answered, refused, http = sorted(mine, key=lambda span: span.start_time_unix_nano)
    assert answered.name == refused.name == "faceserve.v1.Inference/Classify"
    assert attributes(answered.attributes)["faceserve.model_version"] == "v1.0.0"
    assert attributes(answered.attributes)["rpc.response.status_code"] == "OK"
    assert attributes(refused.attributes)["rpc.response.status_code"] == "NOT_FOUND"
    assert attributes(http.attributes)["url.path"] == "/v2/models/laundry"
    assert attributes(http.attributes)["http.response.status_code"] == 200
    assert "faceserve.v1.Lifecycle/Activate" in {span.name for _, span in collected}


SAID = "tasks/kim-minji/front.jpg"


def fails(*about):
    raise RuntimeError(f"cannot read {SAID}: password=hunter2")


def away(uri, at_most_bytes):
    raise StorageUnavailable(f"{uri} did not come within 5 s")


def test_of_an_error_a_span_has_the_kind_alone_whatever_its_sentence_names(tmp_path, collected):
    metadata = (("traceparent", HEADER),)
    with replica(tmp_path, traces=True, http_port=0) as world, grpc.insecure_channel(world.address) as channel:
        world.serve("v1.0.0")
        world.source.chunks = away
        world.generation("v1.0.0").engine.infer = fails
        stub = pb_grpc.InferenceStub(channel)
        for photo in ({"uri": f"s3://{SAID}"}, {"uri": f"s3://elsewhere/{SAID}"}, {"image": grey_photo(20)}):
            with pytest.raises(grpc.RpcError, match="kim-minji"):
                stub.Classify(pb.ClassifyRequest(model="laundry", **photo), metadata=metadata, timeout=60)
        body = {"inputs": [{"name": "photos", "datatype": "BYTES", "shape": [1], "data": [SAID]}]}
        url = f"http://127.0.0.1:{world.server.http_port}/v2/models/laundry/infer"
        assert httpx.post(url, json=body, headers={"traceparent": HEADER}, timeout=60).status_code == 400
    mine = [span for _, span in collected if span.trace_id.hex() == TRACE]
    assert sorted(attributes(span.attributes).get("error.type", "none") for span in mine) == [
        "INTERNAL",
        "UNAVAILABLE",
        "none",
        "none",
    ]
    assert not [word for word in ("minji", "hunter2") for span in mine if word in str(span)]


def test_nothing_leaves_unless_that_is_wanted(tmp_path, collected):
    with replica(tmp_path, http_port=0) as world:
        world.serve("v1.0.0")
        ask(world)
    assert collected == []


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("faceserve.v1.Lifecycle/Prepare", 100),
        ("faceserve.v1.Lifecycle/Activate", 100),
        ("faceserve.v1.Lifecycle/GetStatus", 1),
        ("faceserve.v1.Inference/Classify", 1),
        ("inference.GRPCInferenceService/ModelInfer", 1),
        ("POST", 1),
    ],
)
def test_of_calls_in_nobodys_trace_every_change_is_kept_and_one_in_a_hundred_of_the_others(name, kept):
    evenly = [((2 * number + 1) << 63) // 100 for number in range(100)]
    found = [sampler().should_sample(None, trace_id, name).decision for trace_id in evenly]
    assert found.count(Decision.RECORD_AND_SAMPLE) == kept


def test_the_environments_word_on_how_many_is_the_last(monkeypatch):
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_on")
    assert sampler() is None


READ, CHANGE = "faceserve.v1.Inference/Classify", "faceserve.v1.Lifecycle/Activate"


@pytest.mark.parametrize(
    ("name", "headers", "kept"),
    [
        (READ, {}, {0.0: True, 0.0099: True, 0.01: False, 0.99: False}),
        (CHANGE, {}, {0.0: True, 0.99: True}),
        # As the trace of the caller is, whatever is drawn.
        (READ, {"traceparent": HEADER}, {0.99: True}),
        (READ, {"traceparent": f"{HEADER[:-2]}00"}, {0.0: False}),
        (CHANGE, {"traceparent": "what nobody can read"}, {0.99: True}),
    ],
)
def test_a_call_that_leaves_no_span_is_given_none(collected, name, headers, kept):
    for drawn, recorded in kept.items():
        traces = Traces("replica-1", lambda drawn=drawn: drawn)
        with traces.call(name, headers, {}) as span:
            assert span.is_recording() is recorded
            # Nobody pays for what is thrown away, unless the caller asked for it.
            assert recorded or headers or span is INVALID_SPAN
        traces.end()
    assert {span.name for _, span in collected} == ({name} if any(kept.values()) else set())


def test_where_the_environment_says_how_many_nothing_is_drawn(collected, monkeypatch):
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_on")
    traces = Traces("replica-1", lambda: 0.99)
    with traces.call(READ, {}, {}) as span:
        assert span.is_recording()
    traces.end()
    assert len(collected) == 1
