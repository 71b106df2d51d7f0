"""How slow the slowest answers are while a model changes, beside steady moments between the changes, many times over.

One quiet run says little: ratios of 99th percentiles were 0.76 in one and 1.34 in another. So the two are interleaved,
at both loads in turn, and what repeats say together is told with its interval.
"""

import itertools
import statistics
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from faceserve.load_test import Request
from include.bench.measurement import Figures, Found, Say
from include.bench.serving.copies import Copies
from include.bench.serving.load import Load, Window, p99, pace, settle
from include.bench.serving.replicas import Artifact, deploy, object_store, replicas
from include.bench.spread import Spread
from include.contract.lifecycle_client import LifecycleClient

_REPLICAS = 2
# What the exchange itself may delay is over after this; the version that was replaced is freed within the next.
_EXCHANGE_SECONDS, _AFTER_SECONDS = 0.15, 1.0
# The client's own start, and its first requests.
_BEGINNING_SECONDS = 3.0
# Of fewer requests no hundredth part is late: such a phase counts as part of its change alone.
_FEWEST_REQUESTS = 100
# A refusal comes at once, and is worse than any answer: it counts as the longest that the client would have waited.
_REFUSED_MS = 10_000.0


@dataclass(frozen=True)
class Plan:
    """Each of `repeats` has `changes` at each share of what the replicas could take, with steady windows around."""

    network: str
    changes: int
    steady_seconds: float
    repeats: int = 6
    shares: tuple[float, ...] = (0.6, 0.85)
    capacity_seconds: float = 5.0


@dataclass
class Seen:
    """Windows of time of one repeat; of each change first the whole, then its phases."""

    steady: list[Window] = field(default_factory=list)
    changes: list[list[Window]] = field(default_factory=list)
    deploy_seconds: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Repeat:
    capacity: float
    ratio: float
    steady_ms: float
    failed: int
    requests: int
    deploy_seconds: tuple[float, ...]


def swap_p99(say: Say) -> Found:
    """Of a network so small that many requests fit in."""
    return repeated(Plan("small", changes=4, steady_seconds=3.0), say)


def swap_p99_resnet50(say: Say) -> Found:
    """Of a network that fills the processor."""
    return repeated(Plan("ResNet50", changes=2, steady_seconds=8.0), say)


def repeated(plan: Plan, say: Say) -> Found:
    found: dict[float, list[Repeat]] = {share: [] for share in plan.shares}
    with ExitStack() as stack:
        store = stack.enter_context(object_store(say))
        fleet = stack.enter_context(replicas(store, _REPLICAS))
        clients = [stack.enter_context(replica.lifecycle()) for replica in fleet]
        copies = Copies(store, plan.network, kept=2 * plan.changes + 2)
        began = time.monotonic()
        deploy(clients, copies.fresh())
        under_load = _UnderLoad(plan, clients, [one.address for one in fleet], 2 * (time.monotonic() - began))
        for number in range(plan.repeats):
            # Machines have moods: each share comes first as often as last, and each repeat has a capacity of its own.
            for share in plan.shares[:: 1 if number % 2 == 0 else -1]:
                fresh = [copies.fresh() for _ in range(plan.changes)]
                one = under_load.repeat(share, fresh)
                found[share].append(one)
                say(f"{plan.network}, repeat {number + 1} at {share:.0%} of {one.capacity:.0f}/s: ×{one.ratio:.2f}")
    return Found(_figures(plan, found), _how(plan))


@dataclass
class _UnderLoad:
    """`longest_seconds` is what a change took at most so far; it is allowed for twice."""

    plan: Plan
    clients: Sequence[LifecycleClient]
    addresses: Sequence[str]
    longest_seconds: float

    def repeat(self, share: float, fresh: Sequence[Artifact]) -> Repeat:
        plan = self.plan
        most = pace(self.addresses, seconds=plan.capacity_seconds).requests_per_second
        turn = plan.steady_seconds + 2 * self.longest_seconds + _AFTER_SECONDS
        seconds = _BEGINNING_SECONDS + plan.changes * turn + plan.steady_seconds
        load = Load(self.addresses, rate=most * share, seconds=seconds)
        time.sleep(_BEGINNING_SECONDS)
        seen = self._changed(load, fresh)
        requests = [as_felt(request) for request in load.requests()]
        if not seen.changes:
            raise RuntimeError(f"no change of {plan.network} was over within {seconds:.0f} s of load")
        self.longest_seconds = max(self.longest_seconds, *seen.deploy_seconds)
        steady = p99(requests, seen.steady)
        failed = sum(request.code != "OK" for request in requests)
        ratio = slowest_ms(requests, seen.changes) / steady
        return Repeat(most, ratio, steady, failed, len(requests), tuple(seen.deploy_seconds))

    def _changed(self, load: Load, fresh: Sequence[Artifact]) -> Seen:
        seen = Seen()
        for version in fresh:
            steady = settle(self.plan.steady_seconds)
            began = time.monotonic()
            prepared = deploy(self.clients, version).prepared_at
            done = time.monotonic()
            over = done + _AFTER_SECONDS
            time.sleep(_AFTER_SECONDS)
            if not load.running:
                break
            seen.steady.append(steady)
            phases = itertools.pairwise((began, prepared, done + _EXCHANGE_SECONDS, over))
            seen.changes.append([(began, over), *phases])
            seen.deploy_seconds.append(done - began)
        if load.running:
            seen.steady.append(settle(self.plan.steady_seconds))
        return seen


def as_felt(request: Request) -> Request:
    """By whoever sent it."""
    return request if request.code == "OK" else replace(request, milliseconds=max(request.milliseconds, _REFUSED_MS))


def slowest_ms(requests: Sequence[Request], changes: Sequence[Sequence[Window]]) -> float:
    """99th percentile of the requests in all changes, or in that phase of them which is worst.

    Each of `changes` has the window of the whole first, and those of its phases after it.
    """
    whole, *phases = (list(windows) for windows in zip(*changes, strict=True))
    counted = [windows for windows in phases if _inside(requests, windows) >= _FEWEST_REQUESTS]
    return max(p99(requests, windows) for windows in (whole, *counted))


def _inside(requests: Sequence[Request], windows: Sequence[Window]) -> int:
    return sum(any(begin <= request.due < end for begin, end in windows) for request in requests)


def _figures(plan: Plan, found: dict[float, list[Repeat]]) -> Figures:
    every = [one for repeats in found.values() for one in repeats]
    network = plan.network.lower()
    figures: Figures = {f"capacity_{network}_requests_per_second": statistics.median(one.capacity for one in every)}
    for share, repeats in found.items():
        spread = Spread.of([one.ratio for one in repeats])
        percent = round(share * 100)
        figures |= spread.figures(f"p99_ratio_during_swap_{network}_{percent}_percent", worst=spread.most)
        figures |= {
            f"p99_ms_steady_{network}_{percent}_percent": statistics.median(one.steady_ms for one in repeats),
            f"deploy_seconds_max_{network}_{percent}_percent": max(max(one.deploy_seconds) for one in repeats),
            f"requests_{network}_{percent}_percent": sum(one.requests for one in repeats),
            f"requests_failed_{network}_{percent}_percent": sum(one.failed for one in repeats),
        }
    return figures


def _how(plan: Plan) -> str:
    return (
        f"{_REPLICAS} replicas and their client on the same cores, open load at each share of a capacity that is "
        f"measured anew for each of {plan.repeats} repeats; {plan.changes} changes in each, with "
        f"{plan.steady_seconds:g} s of steady load before each and after the last. Ratio of a repeat: 99th percentile "
        "of latency in its changes, or in their worst phase (loading and warming up, exchange, freeing), over that of "
        "its steady windows; a request that failed counts as ten seconds. The interval holds the median of all "
        "possible repeats with 95 %."
    )
