"""Distributed traces: a span for each call, in the trace that its caller began (W3C `traceparent`).

Where spans go and how many there are is said by OpenTelemetry's own variables: `OTEL_EXPORTER_OTLP_ENDPOINT`,
`OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER` and others. Unless the last says otherwise, of the calls that are in nobody's
trace every change leaves a span, and one in a hundred of all others.
"""

import functools
import os
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import grpc
from opentelemetry import propagate
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, Sampler, SamplingResult, TraceIdRatioBased
from opentelemetry.trace import INVALID_SPAN, Span, SpanKind, StatusCode
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_UNNAMED = "unknown_service"
_OUR_FAULT = 500
# What the caller did wrong is no error of this server.
_FAULTS = {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
# Probes and tools would fill any store of traces.
_SERVICES = ("/faceserve.v1.", "/inference.")
_CHANGES = "faceserve.v1.Lifecycle/"
_LOOKS = (f"{_CHANGES}GetStatus", f"{_CHANGES}ListVersions")
_SHARE = 0.01


class Traces:
    """`replica` is a name; `draw` gives numbers from 0 to 1, which choose among calls in nobody's trace."""

    def __init__(self, replica: str, draw: Callable[[], float] = random.random) -> None:
        named = Resource.create({"service.instance.id": replica})
        if str(named.attributes["service.name"]).startswith(_UNNAMED):
            named = named.merge(Resource({"service.name": "faceserve"}))
        kept = BatchSpanProcessor(OTLPSpanExporter())
        self._draw, self._asked = draw, sampler()
        self._carriers = propagate.get_global_textmap().fields
        self._providers = [TracerProvider(one, named) for one in (self._asked, ALWAYS_ON)]
        for provider in self._providers:
            provider.add_span_processor(kept)
        self._tracer, self._drawn = (provider.get_tracer("faceserve") for provider in self._providers)

    @contextmanager
    def call(self, name: str, headers: Mapping[str, str], said: Mapping[str, str]) -> Iterator[Span]:
        """One call, from its arrival to its answer."""
        tracer = self._tracer
        if self._asked and self._carriers.isdisjoint(headers):
            # A span that is thrown away costs a request as much as one that is kept.
            if self._draw() >= share_of(name):
                yield INVALID_SPAN
                return
            tracer = self._drawn
        with tracer.start_as_current_span(
            name,
            propagate.extract(headers),
            SpanKind.SERVER,
            dict(said),
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            yield span

    def interceptor(self) -> grpc.ServerInterceptor:
        return _TracedCalls(self)

    def app(self, app: ASGIApp) -> ASGIApp:
        """The same over HTTP; health probes leave no spans."""
        return _traced(app, self)

    def end(self) -> None:
        """Send what was not sent yet."""
        for provider in self._providers:
            provider.shutdown()


def sampler() -> Sampler | None:
    """None is the environment's. A call in somebody's trace is kept as that trace is."""
    return None if os.environ.get("OTEL_TRACES_SAMPLER") else ParentBased(_Few())


def share_of(name: str) -> float:
    """Of the calls of this name that leave a span."""
    return 1.0 if name.startswith(_CHANGES) and name not in _LOOKS else _SHARE


class _Few(Sampler):
    """Of calls whose caller's trace cannot be read."""

    def should_sample(self, parent_context: Any, trace_id: int, name: str, *more: Any, **named: Any) -> SamplingResult:
        return TraceIdRatioBased(share_of(name)).should_sample(parent_context, trace_id, name, *more, **named)

    def get_description(self) -> str:
        return f"every change, {_SHARE:.0%} of other calls"


class _TracedCalls(grpc.ServerInterceptor):
    """Of the calls with one answer: a stream has no moment at which it is answered."""

    def __init__(self, traces: Traces) -> None:
        self._traces = traces

    def intercept_service(self, continuation: Any, details: grpc.HandlerCallDetails) -> Any:
        handler = continuation(details)
        if handler is None or handler.response_streaming or not details.method.startswith(_SERVICES):
            return handler
        # The interceptors inside have made every call with one answer one of this kind.
        headers = {key: value for key, value in details.invocation_metadata if isinstance(value, str)}
        return handler._replace(stream_unary=self._traced(handler.stream_unary, details.method[1:], headers))

    def _traced(self, answer: Any, method: str, headers: Mapping[str, str]) -> Any:
        # `wraps` also keeps which threads the call runs on.
        @functools.wraps(answer)
        def traced(requests: Any, context: Any) -> Any:
            with self._traces.call(method, headers, {"rpc.system.name": "grpc", "rpc.method": method}) as span:
                try:
                    found = answer(requests, context)
                finally:
                    status = (context.code() or grpc.StatusCode.OK).name
                    span.set_attribute("rpc.response.status_code", status)
                    if status in _FAULTS:
                        # Its kind alone: the sentence may name a photo, or say what a model's library said of it.
                        span.set_status(StatusCode.ERROR)
                        span.set_attribute("error.type", status)
                if version := getattr(found, "model_version", ""):
                    span.set_attribute("faceserve.model_version", version)
                return found

        return traced


def _traced(app: ASGIApp, traces: Traces) -> ASGIApp:
    async def answers(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or "/health/" in scope["path"]:
            await app(scope, receive, send)
            return
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        said = {"http.request.method": scope["method"], "url.path": scope["path"][:200]}
        with traces.call(scope["method"], headers, said) as span:

            async def sent(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    if message["status"] >= _OUR_FAULT:
                        span.set_status(StatusCode.ERROR)
                await send(message)

            await app(scope, receive, sent)

    return answers
