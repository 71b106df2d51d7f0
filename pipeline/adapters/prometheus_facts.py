"""Metrics on `/metrics` for Prometheus: every source is asked during the scrape, and nothing is kept."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooSlow
from dataclasses import dataclass
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pipeline.domain.errors import TryAgain
from pipeline.domain.facts import FAMILIES, Fact, Family, Type

log = logging.getLogger(__name__)

PREFIX = "retraining"
# Less than Prometheus waits, five seconds where it asks that often: a source that hangs must not hide the others.
_PATIENCE_SECONDS = 3.0

Source = Callable[[], Iterable[Fact]]


@dataclass(frozen=True)
class _Answer:
    facts: Sequence[Fact]
    seconds: float
    up: bool


class FactCollector(Collector):
    """A source that fails, or takes longer than `patience_seconds`, is `exporter_up 0` and tells nothing else."""

    def __init__(self, sources: Mapping[str, Source], *, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        self._sources, self._patience_seconds = sources, patience_seconds
        self._pool = ThreadPoolExecutor(len(sources), thread_name_prefix="facts")
        self._late: dict[str, Future[_Answer]] = {}
        self._lock = threading.Lock()

    def describe(self) -> Iterator[Metric]:
        return (_metric(family) for family in FAMILIES.values())

    def collect(self) -> Iterator[Metric]:
        """Scrapes at the same time ask one after the other."""
        with self._lock:
            asked = {
                name: self._pool.submit(_ask, name, self._sources[name]) for name in self._sources if self._free(name)
            }
            answers = {name: self._answer(name, asked.get(name)) for name in self._sources}
        told = [fact for answer in answers.values() for fact in answer.facts]
        for name, answer in answers.items():
            told.append(Fact("exporter_up", (name,), answer.up))
            told.append(Fact("exporter_scrape_seconds", (name,), answer.seconds))
        return iter(_metrics(told))

    def _free(self, name: str) -> bool:
        """Whether the source may be asked: one that hangs is not asked again meanwhile, and its late answer is
        too old.
        """
        return name not in self._late or self._late[name].done()

    def _answer(self, name: str, asked: Future[_Answer] | None) -> _Answer:
        started = time.monotonic()
        if asked is None:
            return _Answer((), 0.0, up=False)
        try:
            return asked.result(timeout=self._patience_seconds)
        except TooSlow:
            log.warning("%s did not answer within %g s", name, self._patience_seconds)
            self._late[name] = asked
            return _Answer((), time.monotonic() - started, up=False)


def _ask(name: str, source: Source) -> _Answer:
    started = time.monotonic()
    try:
        facts = tuple(source())
    except TryAgain as error:
        log.warning("%s: %s", name, error)
        return _Answer((), time.monotonic() - started, up=False)
    except Exception:
        # A fault of ours in one source must not hide what the others say.
        log.exception("%s", name)
        return _Answer((), time.monotonic() - started, up=False)
    return _Answer(facts, time.monotonic() - started, up=True)


def _metrics(told: Iterable[Fact]) -> list[Metric]:
    metrics = {name: _metric(family) for name, family in FAMILIES.items()}
    for fact in told:
        metrics[fact.family].add_metric(fact.labels, float(fact.value))
    return [metric for metric in metrics.values() if metric.samples]


def _metric(family: Family) -> GaugeMetricFamily | CounterMetricFamily:
    made = CounterMetricFamily if family.type is Type.COUNTER else GaugeMetricFamily
    return made(f"{PREFIX}_{family.name}", family.help, labels=family.labels)


def serve(sources: Mapping[str, Source], host: str, port: int) -> tuple[WSGIServer, threading.Thread]:
    """Answers on `/metrics` from now on; returns the server and its thread."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    registry.register(FactCollector(sources))
    return start_http_server(port, host, registry)
