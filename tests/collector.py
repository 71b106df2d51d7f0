"""A collector of traces that only keeps what it is sent (OTLP over HTTP)."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.listening import listen


@dataclass
class Collected:
    """Every span that came, each with the resource it is of."""

    url: str = ""
    spans: list[tuple[Any, Any]] = field(default_factory=list)

    def named(self, name: str) -> list[Any]:
        return [span for _, span in self.spans if span.name == name]

    def of_service(self, name: str, service: str) -> list[Any]:
        return [
            span
            for resource, span in self.spans
            if span.name == name and attributes(resource.attributes)["service.name"] == service
        ]


@contextmanager
def collector() -> Iterator[Collected]:
    found = Collected()

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            for one in ExportTraceServiceRequest.FromString(body).resource_spans:
                found.spans.extend((one.resource, span) for scope in one.scope_spans for span in scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        listen(server)
        found.url = f"http://127.0.0.1:{server.server_port}"
        yield found
        server.shutdown()


def attributes(said: Any) -> dict[str, Any]:
    return {one.key: one.value.string_value or one.value.int_value for one in said}
