"""Distributed traces: spans go to a collector of OpenTelemetry, their context travels as W3C `traceparent`.

Without `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` there are no spans, and nothing is paid for them. It is not the variable
without `TRACES`, which may name a place that takes metrics alone. How many traces there are is said by
`OTEL_TRACES_SAMPLER`, and everything else by OpenTelemetry's other variables.
"""

import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    get_current_span,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

HEADER = "traceparent"
ENDPOINT = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
_SAMPLED = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f][13579bdf]")
# A collector that is away must not hold up what was traced.
_PATIENCE_SECONDS = 1.0

_W3C = TraceContextTextMapPropagator()


@dataclass(frozen=True)
class Ids:
    """Chosen ids of a span, so that others find it without being told; neither is 0."""

    trace: int
    span: int

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace:032x}-{self.span:016x}-01"


_chosen: ContextVar[Ids | None] = ContextVar("the ids of the next span", default=None)


class Traces:
    """Spans of one service. They hold ids, and of an error its kind: never a photo, or words of a person."""

    def __init__(self, provider: "TracerProvider | None") -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("retraining") if provider else None

    @property
    def on(self) -> bool:
        return self._tracer is not None

    @contextmanager
    def span(
        self,
        name: str,
        parent: str | None = None,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        said: Mapping[str, str] | None = None,
    ) -> Iterator[Span]:
        """What happens inside is one span: of the trace that `parent`, a `traceparent`, names, else of the one that
        goes on here, else of a new one.
        """
        if self._tracer is None:
            yield INVALID_SPAN
            return
        context = _W3C.extract({HEADER: parent}) if parent else None
        with self._tracer.start_as_current_span(
            name, context, kind, said, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield span
            except BaseException as error:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(StatusCode.ERROR)
                raise

    def inside(
        self, name: str, *, kind: SpanKind = SpanKind.INTERNAL, said: Mapping[str, str] | None = None
    ) -> AbstractContextManager[Span]:
        """As `span`, but only within a current trace: things done all the time begin no trace of their own."""
        return (self if traceparent() else OFF).span(name, kind=kind, said=said)

    def event(
        self,
        name: str,
        parent: str | None = None,
        *,
        began_ns: int | None = None,
        said: Mapping[str, str] | None = None,
        ids: Ids | None = None,
        links: tuple[str, ...] = (),
    ) -> None:
        """A span of what is over: since `began_ns`, by the clock of the day, or at this moment. Without `parent` it
        begins a trace, with `ids` where they were chosen. `links` are other traces' spans that belong to it.
        """
        if self._tracer is None:
            return
        context = _W3C.extract({HEADER: parent}) if parent else Context()
        token = _chosen.set(ids)
        try:
            span = self._tracer.start_span(
                name, context, attributes=said, links=[Link(context_of(one)) for one in links], start_time=began_ns
            )
        finally:
            _chosen.reset(token)
        span.end()

    def flush(self) -> None:
        """Send what was not sent yet, while the collector takes it: a task's process may end without a word."""
        if self._provider is not None:
            sending = threading.Thread(target=self._provider.force_flush, name="spans", daemon=True)
            sending.start()
            sending.join(_PATIENCE_SECONDS)


OFF = Traces(None)


@cache
def traces_of(service: str) -> Traces:
    """Of this process, on when it was started with an endpoint."""
    if not os.environ.get(ENDPOINT):
        return OFF
    # Takes half a second to load, so it is loaded only when wanted.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = provider_of(service)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Traces(provider)


def provider_of(service: str) -> "TracerProvider":
    """Without a place where spans go. The environment's name may be Airflow's own."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    class ChosenIds(RandomIdGenerator):
        def generate_trace_id(self) -> int:
            ids = _chosen.get()
            return ids.trace if ids else super().generate_trace_id()

        def generate_span_id(self) -> int:
            ids = _chosen.get()
            return ids.span if ids else super().generate_span_id()

    # A program that ends must not wait for a collector that is away.
    return TracerProvider(
        resource=Resource.create({"service.name": service}), id_generator=ChosenIds(), shutdown_on_exit=False
    )


def traceparent() -> str | None:
    """The context of the current span; None without one, or when its trace is not kept."""
    carrier: dict[str, str] = {}
    if get_current_span().get_span_context().trace_flags.sampled:
        _W3C.inject(carrier)
    return carrier.get(HEADER)


def sampled(text: object) -> str | None:
    """`text` where it is the context of a trace that is kept: headers are the sender's to choose."""
    return text if isinstance(text, str) and _SAMPLED.fullmatch(text) else None


def context_of(text: str) -> SpanContext:
    """`text` is what `sampled` let through."""
    found = _SAMPLED.fullmatch(text)
    assert found is not None
    return SpanContext(int(found[1], 16), int(found[2], 16), is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
