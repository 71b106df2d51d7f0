"""What a replica manages for one caller, and for more, up to 64: a curve."""

import os
import statistics
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from faceserve.engines.base import available_cores
from include.bench.measurement import Figures, Found, Say
from include.bench.plots import rendered
from include.bench.serving.batching import uploaded
from include.bench.serving.load import Pace, pace
from include.bench.serving.replicas import Replica, deploy, object_store, replicas

_NETWORK, _CALLERS = "EfficientNetLite0", (1, 2, 4, 8, 16, 32, 64)
_ROUNDS, _SECONDS = 3, 5.0
_PAGE = "callers.svg"
_COLOUR = "#1f6f54"

Paces = Mapping[int, Sequence[Pace]]


def callers(say: Say) -> Found:
    return curve(say)


def curve(say: Say, *, network: str = _NETWORK, rounds: int = _ROUNDS, seconds: float = _SECONDS) -> Found:
    load, *_ = os.getloadavg()
    with object_store(say) as store:
        model = uploaded(network, store)
        with replicas(store, 1) as (replica,), replica.lifecycle() as client:
            deploy([client], model)
            found = _paced(replica, rounds, seconds, say)
    where = f"{network}, {available_cores()} cores with the client, {rounds} rounds of {seconds:g} s"
    title = f"{where}; processes that ran or waited before: {load:.1f}"
    return Found(
        _figures(found),
        f"{network}, one decoded image a request over one connection, each caller asks again once answered, on the "
        f"same cores as the replica; median of {rounds} rounds of {seconds:g} s for each number of callers.",
        {_PAGE: picture(found, title)},
    )


def _paced(replica: Replica, rounds: int, seconds: float, say: Say) -> Paces:
    found: dict[int, list[Pace]] = {number: [] for number in _CALLERS}
    for turn in range(rounds):
        # There and back, so that a slow minute of the machine is not all at one end.
        for number in _CALLERS[:: 1 if turn % 2 == 0 else -1]:
            one = pace([replica.address], seconds=seconds, in_flight=number, protocol="open-inference")
            found[number].append(one)
            say(f"{number} callers: {one.requests_per_second:.0f}/s, p99 {one.p99_ms:.1f} ms")
    return found


def _figures(found: Paces) -> Figures:
    figures: Figures = {}
    for number, paces in found.items():
        figures[f"callers_{number}_requests_per_second"] = statistics.median(p.requests_per_second for p in paces)
        figures[f"callers_{number}_p99_ms"] = statistics.median(p.p99_ms for p in paces)
        figures[f"callers_{number}_failed"] = sum(p.failed for p in paces)
    rates = [figures[f"callers_{number}_requests_per_second"] for number in found]
    return figures | {"callers_most_beside_best": rates[-1] / max(rates)}


def picture(found: Paces, title: str) -> bytes:
    """Medians as a line, and least to most of the rounds around it."""
    figure = Figure(figsize=(10, 4))
    figure.suptitle(title, fontsize=10)
    rate, wait = figure.subplots(1, 2)
    numbers = list(found)
    shown = (
        (rate, "requests a second", [[p.requests_per_second for p in found[n]] for n in numbers]),
        (wait, "99th percentile of latency, ms", [[p.p99_ms for p in found[n]] for n in numbers]),
    )
    for axis, label, values in shown:
        axis.plot(numbers, [statistics.median(one) for one in values], marker="o", color=_COLOUR)
        axis.fill_between(numbers, [*map(min, values)], [*map(max, values)], color=_COLOUR, alpha=0.15, linewidth=0)
        axis.set_xscale("log", base=2)
        axis.set_xticks(numbers, [str(number) for number in numbers])
        axis.set_ylim(bottom=0)
        axis.set(xlabel="callers at once", ylabel=label)
        axis.grid(alpha=0.3)
    return rendered(figure, "svg")
