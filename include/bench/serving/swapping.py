"""Two replicas under constant load while models are swapped and rolled back, and bad ones are refused.

How slow answers are meanwhile is measured in `changing`, beside steady moments and many times over.
"""

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field

from faceserve.load_test import Request
from include.bench.measurement import Figures, Found, Say
from include.bench.serving.copies import Copies
from include.bench.serving.load import Load, pace
from include.bench.serving.replicas import MODEL, Artifact, Deployed, deploy, object_store, replicas
from include.contract.lifecycle_client import FaceserveError, LifecycleClient
from include.stack.layout import Stack

_REPLICAS = 2
_CAPACITY_SECONDS = 8.0
_SPREAD_REPLICAS, _SPREAD_SWAPS = 3, 10
# The end of each turn is kept free for the change and what follows it.
_CHANGE_SECONDS, _AFTER_SECONDS = 2.5, 1.0


@dataclass(frozen=True)
class Drive:
    """How much load, and which changes are spread evenly over it; `share` is that of the load the replicas can take."""

    network: str
    requests: int
    swaps: int
    rollbacks: int = 0
    failed_deployments: int = 0
    share: float = 0.6


@dataclass
class Seen:
    """How long changes took."""

    deploy_seconds: list[float] = field(default_factory=list)
    exchange_ms: list[float] = field(default_factory=list)
    rollback_seconds: list[float] = field(default_factory=list)
    spread_ms: list[float] = field(default_factory=list)


def swaps(say: Say) -> Found:
    """Swaps of a network so small that many requests fit in."""
    return _found(swapping(Drive("small", requests=105_000, swaps=20, rollbacks=5, failed_deployments=3), say))


def swaps_resnet50(say: Say) -> Found:
    """Swaps of a network that fills the processor."""
    figures = swapping(Drive("ResNet50", requests=3_200, swaps=5), say)
    return _found({f"resnet50_{name}": value for name, value in figures.items()})


def _found(figures: Figures) -> Found:
    return Found(
        figures,
        f"{_REPLICAS} replicas and their client on the same cores, open load at {Drive.share:.0%} of capacity.",
    )


def swapping(drive: Drive, say: Say) -> Figures:
    """Figures of one drive."""
    with ExitStack() as stack:
        store = stack.enter_context(object_store(say))
        fleet = stack.enter_context(replicas(store, _REPLICAS))
        clients = [stack.enter_context(replica.lifecycle()) for replica in fleet]
        good, bad = _artifacts(store, drive.network, drive.swaps + 1)
        deploy(clients, good[0])
        addresses = [replica.address for replica in fleet]
        most = pace(addresses, seconds=_CAPACITY_SECONDS).requests_per_second
        rate = most * drive.share
        say(f"{drive.network}: capacity {most:.0f} requests/s, load {rate:.0f}")
        load = Load(addresses, rate=rate, seconds=drive.requests / rate)
        seen = _Driver(drive, clients, good[1:], bad, say).run(drive.requests / rate)
        return {"capacity_requests_per_second": most} | _figures(drive, seen, load.requests())


def activation_spread(say: Say) -> Found:
    """How far apart the replicas of a fleet of three change over."""
    spread_ms = []
    with object_store(say) as store, replicas(store, _SPREAD_REPLICAS) as fleet, ExitStack() as stack:
        clients = [stack.enter_context(replica.lifecycle()) for replica in fleet]
        good, _ = _artifacts(store, "small", _SPREAD_SWAPS)
        for version in good:
            spread_ms.append(_spread_ms(deploy(clients, version)))
    return Found(
        {f"activation_spread_milliseconds_max_{_SPREAD_REPLICAS}_replicas": max(spread_ms)},
        f"From the first to the last confirmed activation, largest of {_SPREAD_SWAPS} swaps.",
    )


def _spread_ms(deployed: Deployed) -> float:
    return (max(deployed.moments) - min(deployed.moments)) * 1000


@dataclass
class _Driver:
    """Makes the changes, spread over the time of the load."""

    drive: Drive
    clients: Sequence[LifecycleClient]
    good: Sequence[Artifact]
    bad: Sequence[Artifact]
    say: Say
    seen: Seen = field(default_factory=Seen)

    def run(self, seconds: float) -> Seen:
        changes = list(self._changes())
        # The last tenth is left over, for what takes longer than its turn.
        turn = seconds * 0.9 / len(changes)
        began = time.monotonic()
        for number, change in enumerate(changes):
            left = began + turn * (number + 1) - _CHANGE_SECONDS - time.monotonic()
            time.sleep(max(1.0, left))
            change()
            time.sleep(_AFTER_SECONDS)
            self.say(f"{number + 1} of {len(changes)} changes of {self.drive.network}")
        return self.seen

    def _changes(self) -> Iterator[Callable[[], None]]:
        for number, version in enumerate(self.good):
            yield functools.partial(self._swap, version)
            if number < self.drive.rollbacks:
                yield self._roll_back
            if number < self.drive.failed_deployments:
                yield functools.partial(self._refused, self.bad[number % len(self.bad)])

    def _swap(self, version: Artifact) -> None:
        began = time.monotonic()
        deployed = deploy(self.clients, version)
        seen = self.seen
        seen.deploy_seconds.append(time.monotonic() - began)
        seen.exchange_ms += [one.swap_milliseconds for one in deployed.replicas]
        seen.spread_ms.append(_spread_ms(deployed))

    def _roll_back(self) -> None:
        began = time.monotonic()
        with ThreadPoolExecutor(len(self.clients)) as pool:
            list(pool.map(lambda one: one.rollback(MODEL), self.clients))
        self.seen.rollback_seconds.append(time.monotonic() - began)

    def _refused(self, bad: Artifact) -> None:
        for client in self.clients:
            try:
                client.prepare(MODEL, bad.version, bad.uri, bad.manifest_sha256, timeout_seconds=120)
            except FaceserveError:
                continue
            raise RuntimeError("a bad artifact was accepted")


def _figures(drive: Drive, seen: Seen, requests: Sequence[Request]) -> Figures:
    figures = {
        "requests_total": len(requests),
        "requests_failed": sum(request.code != "OK" for request in requests),
        "swaps": len(seen.deploy_seconds),
        "exchange_milliseconds_max": max(seen.exchange_ms),
        "activation_spread_milliseconds_max": max(seen.spread_ms),
        "deploy_seconds_max": max(seen.deploy_seconds),
    }
    if seen.rollback_seconds:
        figures |= {
            "rollbacks": len(seen.rollback_seconds),
            "rollback_seconds_max": max(seen.rollback_seconds),
        }
    if drive.failed_deployments:
        figures["failed_deployments"] = drive.failed_deployments
    return figures


def _artifacts(store: Stack, network: str, count: int) -> tuple[list[Artifact], list[Artifact]]:
    """`count` good versions, none of which a replica has in its cache, and two with a broken file."""
    bodies = b"tampered with", b""
    copies = Copies(store, network, kept=count + len(bodies))
    return [copies.fresh() for _ in range(count)], [copies.broken(body) for body in bodies]
