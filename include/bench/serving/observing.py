"""What it costs a replica to be observed: scraped, with spans and with JSON lines; beside one that nobody looks at."""

import statistics
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from unittest.mock import patch

import psutil

from include.bench.measurement import Figures, Found, Say
from include.bench.serving.batching import uploaded
from include.bench.serving.load import Pace, pace
from include.bench.serving.replicas import Artifact, Replica, deploy, object_store, replicas
from include.stack.ports import free_ports

_NETWORK, _IN_FLIGHT = "EfficientNetLite0", 4
# Machines have moods that last longer than a turn: both replicas take turns, and each pair of turns is one ratio.
_TURNS, _SECONDS = 10, 6.0
# As often as Prometheus on the local stack.
_SCRAPE_SECONDS = 5.0


@dataclass(frozen=True)
class Cost:
    """`cpu_ms` of the replica's processors for each request: neighbours on the machine change it least."""

    pace: Pace
    cpu_ms: float


Turn = tuple[Cost, Cost]


def observing(say: Say) -> Found:
    with _collector() as endpoint, object_store(say) as store:
        model, (port,) = uploaded(_NETWORK, store), free_ports(1)
        seen = {"metrics_port": port, "traces": "true", "log_format": "json"}
        with (
            patch.dict("os.environ", {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": endpoint}),
            replicas(store, 1, settings=seen) as (ours,),
            replicas(store, 1) as (plain,),
            _scraped(port),
        ):
            turns = _turns(ours, plain, model, say)
    return Found(
        _figures(turns),
        f"{_NETWORK}, JPEGs, {_IN_FLIGHT} in flight, {_TURNS} turns of {_SECONDS:g} s each: scraped every "
        f"{_SCRAPE_SECONDS:g} s, spans of 1 % of the requests sent to a collector, JSON lines; plain: none of that. "
        "Ratios are observed over plain: the median of the turns, and how far their quartiles are apart.",
    )


def _turns(ours: Replica, plain: Replica, model: Artifact, say: Say) -> list[Turn]:
    for one in (ours, plain):
        with one.lifecycle() as client:
            deploy([client], model)
    turns: list[Turn] = []
    for number in range(_TURNS):
        turns.append(_turn(ours, plain, ours_first=number % 2 == 0))
        say(f"turn {number + 1}: processor time ×{turns[-1][0].cpu_ms / turns[-1][1].cpu_ms:.3f}")
    return turns


def _turn(ours: Replica, plain: Replica, *, ours_first: bool) -> Turn:
    if ours_first:
        return _cost(ours), _cost(plain)
    cost = _cost(plain)
    return _cost(ours), cost


def _cost(replica: Replica) -> Cost:
    process = psutil.Process(replica.pid)
    before = process.cpu_times()
    found = pace([replica.address], seconds=_SECONDS, in_flight=_IN_FLIGHT)
    after = process.cpu_times()
    used = after.user + after.system - before.user - before.system
    # The first second, which the pace does not count, is work of the same kind.
    return Cost(found, 1000 * used / (found.requests_per_second * (_SECONDS + 1)))


def _figures(turns: Sequence[Turn]) -> Figures:
    figures = {}
    for name, figure in _MEASURED.items():
        ours, plain = ([figure(cost) for cost in side] for side in zip(*turns, strict=True))
        figures[f"observing_{name}"], figures[f"observing_plain_{name}"] = map(statistics.median, (ours, plain))
        quarters = statistics.quantiles([o / p for o, p in zip(ours, plain, strict=True)], n=4, method="inclusive")
        figures[f"observing_{name}_ratio"] = quarters[1]
        figures[f"observing_{name}_ratio_quartiles_apart"] = quarters[2] - quarters[0]
    return figures | {"observing_failed": sum(cost.pace.failed for turn in turns for cost in turn)}


_MEASURED: Mapping[str, Callable[[Cost], float]] = {
    "requests_per_second": lambda cost: cost.pace.requests_per_second,
    "p99_ms": lambda cost: cost.pace.p99_ms,
    "cpu_ms_per_request": lambda cost: cost.cpu_ms,
}


@contextmanager
def _collector() -> Iterator[str]:
    """Where spans go, and are thrown away."""

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/traces"
        server.shutdown()


@contextmanager
def _scraped(port: int) -> Iterator[None]:
    over = threading.Event()

    def scrape() -> None:
        while not over.wait(_SCRAPE_SECONDS):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read()

    scraping = threading.Thread(target=scrape, daemon=True)
    scraping.start()
    yield
    over.set()
    scraping.join()
