"""Spans say what happened and where it went wrong, and never hold up what they tell of."""

import threading

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import get_current_span

from include.contract.tracing import OFF, Ids, Traces, context_of, provider_of, sampled, traceparent
from pipeline.adapters.run_traces import ids_of

CONTEXT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def kept():
    return InMemorySpanExporter()


@pytest.fixture
def traces(kept):
    provider = provider_of("test")
    provider.add_span_processor(SimpleSpanProcessor(kept))
    return Traces(provider)


def test_a_span_that_failed_names_the_kind_of_error_and_not_its_words(traces, kept):
    with pytest.raises(ValueError), traces.span("work", said={"retraining.run_id": "run-1"}):
        raise ValueError("김 고객의 셔츠")
    (span,) = kept.get_finished_spans()
    assert dict(span.attributes) == {"retraining.run_id": "run-1", "error.type": "ValueError"}
    assert not span.status.is_ok and span.status.description is None and not span.events


def test_what_happens_within_a_span_is_part_of_it_and_what_is_done_all_the_time_begins_no_trace(traces, kept):
    with traces.inside("alone"):
        assert traceparent() is None
    with traces.span("outer"), traces.inside("inner"):
        pass
    inner, outer = kept.get_finished_spans()
    assert inner.name == "inner" and inner.parent.span_id == outer.context.span_id


def test_a_run_has_the_same_first_span_in_every_process(traces, kept):
    traces.event("retraining", ids=ids_of("run-1"))
    with traces.span("train", ids_of("run-1").traceparent):
        pass
    first, trained = kept.get_finished_spans()
    assert first.parent is None and trained.parent.span_id == first.context.span_id
    assert first.context.trace_id == trained.context.trace_id != ids_of("run-2").trace
    assert traces.event("another") is None and kept.get_finished_spans()[-1].context.trace_id != first.context.trace_id


def test_without_an_endpoint_there_is_no_span_and_no_context():
    with OFF.span("work", CONTEXT) as span:
        span.add_link(context_of(CONTEXT))
        assert traceparent() is None and not get_current_span().get_span_context().is_valid
    OFF.event("work", CONTEXT)
    OFF.flush()


def test_a_collector_that_hangs_holds_nobody_up():
    answered = threading.Event()

    class Hanging(SpanExporter):
        def export(self, spans):
            answered.wait()
            return SpanExportResult.SUCCESS

    provider = provider_of("test")
    provider.add_span_processor(BatchSpanProcessor(Hanging()))
    traces = Traces(provider)
    with traces.span("work"):
        pass
    traces.flush()
    assert not answered.is_set(), "flush came back although nothing was sent"
    answered.set()


@given(st.one_of(st.text(), st.binary(), st.integers(), st.none(), st.dictionaries(st.text(), st.text())))
@example("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00")
@example(f"00-{'0' * 32}-00f067aa0ba902b7-01")
@example(f"{CONTEXT}\n")
@example(f"{CONTEXT}, ' OR 1=1")
def test_whatever_a_header_says_only_the_context_of_a_kept_trace_is_taken(said):
    assert sampled(said) is None


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1))
def test_a_context_that_is_taken_can_be_linked_to(trace, span):
    text = Ids(trace, span).traceparent
    assert sampled(text) == text
    assert (context_of(text).trace_id, context_of(text).span_id) == (trace, span)
