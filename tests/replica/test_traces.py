"""A call leaves a span in the trace that its caller began, over gRPC as over HTTP; and none unless that is wanted."""

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from include.contract import faceserve_pb2 as pb
from include.contract import faceserve_pb2_grpc as pb_grpc
from tests.replica.world import replica
from tests.tiny_model import grey_photo

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HEADER = f"00-{TRACE}-{PARENT}-01"


@pytest.fixture
def collected(monkeypatch):
    """Every span that came to a collector, with the resource it is of."""
    found = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            for one in ExportTraceServiceRequest.FromString(body).resource_spans:
                found.extend((one.resource, span) for scope in one.scope_spans for span in scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        yield found
        server.shutdown()


def ask(world):
    with grpc.insecure_channel(world.address) as channel:
        request = pb.ClassifyRequest(model="laundry", image=grey_photo(20))
        pb_grpc.InferenceStub(channel).Classify(request, metadata=(("traceparent", HEADER),))
        unknown = pb.ClassifyRequest(model="nobody", image=grey_photo(20))
        with pytest.raises(grpc.RpcError):
            pb_grpc.InferenceStub(channel).Classify(unknown, metadata=(("traceparent", HEADER),))
    url = f"http://127.0.0.1:{world.server.http_port}/v2"
    for path in ("/models/laundry", "/health/ready"):
        httpx.get(f"{url}{path}", headers={"traceparent": HEADER})


def attributes(said):
    return {one.key: one.value.string_value or one.value.int_value for one in said}


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


def test_nothing_leaves_unless_that_is_wanted(tmp_path, collected):
    with replica(tmp_path, http_port=0) as world:
        world.serve("v1.0.0")
        ask(world)
    assert collected == []
