"""Two real replicas under open load while their model changes; writes `.bench/serving.json`."""

import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import click
import numpy as np

from include.bench.open_load import Load, Request
from include.contract.client import FaceserveClient
from include.demo.photos import draw, live_specs
from include.stack import runner
from include.stack.layout import REPOSITORY, Stack, environment

_RESULTS = REPOSITORY / ".bench" / "serving.json"
_SHARE_OF_CAPACITY = 0.6
_CAPACITY_SECONDS, _STEADY_SECONDS, _AFTER_SECONDS = 6.0, 4.0, 1.0
_LABELS = ("양호", "불량")


@dataclass(frozen=True)
class Artifact:
    version: str
    uri: str
    manifest_sha256: str


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--swaps", default=10, show_default=True, help="Changes of model under load.")
@click.option("--out", type=click.Path(path_type=Path), default=_RESULTS, help="Results file.")
def main(swaps: int, out: Path) -> None:
    """EfficientNetLite0 on two replicas at 60 % of their capacity, swapped back and forth; about two minutes."""
    with _fleet() as stack:
        figures = measure(stack, swaps)
    out.parent.mkdir(parents=True, exist_ok=True)
    context = {"model": "EfficientNetLite0", "replicas": 2, "cores": os.cpu_count(), "load": "open, 60 % of capacity"}
    out.write_text(json.dumps({"figures": figures, "context": context}, indent=1) + "\n")
    for name, value in figures.items():
        click.echo(f"{name:<34}{value:>12,.3f}")
    click.echo(f"written: {out}")


def measure(stack: Stack, swaps: int) -> dict[str, float]:
    artifacts = _artifacts(stack)
    clients = [FaceserveClient([a], token=stack.secrets["faceserve"], timeout_seconds=30) for a in stack.replicas]
    photos = [draw(spec) for spec in live_specs(16, seed=1)]
    _deploy(clients, artifacts[0])
    capacity = _capacity(stack.replicas, photos)
    click.echo(f"capacity {capacity:.0f} requests/s")
    load = Load(stack.replicas, photos, capacity * _SHARE_OF_CAPACITY)
    load.start()
    steady: list[tuple[float, float]] = []
    swapping: list[tuple[float, float]] = []
    deploys, exchanges, rollbacks = [], [], []
    for number in range(1, swaps + 1):
        steady.append((time.monotonic(), time.monotonic() + _STEADY_SECONDS))
        time.sleep(_STEADY_SECONDS)
        began = time.monotonic()
        # A version of its own each time: one that served before would still be warm.
        exchanges.append(_deploy(clients, replace(artifacts[number % 2], version=f"v2.{number}.0")))
        deploys.append(time.monotonic() - began)
        time.sleep(_AFTER_SECONDS)
        swapping.append((began, time.monotonic()))
        click.echo(f"swap {number} of {swaps}: {deploys[-1]:.2f} s")
    began = time.monotonic()
    for client in clients:
        # The one before is still warm on each replica.
        client.activate("laundry", f"v2.{swaps - 1}.0", -1, timeout_seconds=5)
    rollbacks.append(time.monotonic() - began)
    requests = load.stop()
    return {
        "capacity_requests_per_second": round(capacity, 1),
        "requests_total": len(requests),
        "requests_failed": sum(bool(r.error) for r in requests),
        "swaps": swaps,
        "p99_ms_steady": _p99(requests, steady),
        "p99_ms_during_swap": _p99(requests, swapping),
        "p99_ratio_during_swap": round(_p99(requests, swapping) / _p99(requests, steady), 3),
        "exchange_milliseconds_max": max(exchanges),
        "deploy_seconds_max": round(max(deploys), 3),
        "rollback_seconds_max": round(max(rollbacks), 4),
    }


@contextmanager
def _fleet() -> Iterator[Stack]:
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        try:
            stack = runner.up(Path(name), click.echo, ["s3", "faceserve"], preferred_ports=False)
            os.environ |= {k: v for k, v in environment(stack).items() if k.startswith("AWS_")}
            yield stack
        finally:
            runner.clean(Path(name))


def _artifacts(stack: Stack) -> list[Artifact]:
    """Two versions of one network that differ in their head."""
    from include.bench.backbones import BACKBONES
    from pipeline.adapters.s3 import S3ObjectStore
    from pipeline.domain.training import Hyperparameters
    from pipeline.learning import head
    from pipeline.learning.export import Identity, export

    objects = S3ObjectStore(endpoint=stack.s3_endpoint)
    backbone = BACKBONES["EfficientNetLite0"]()
    golden = np.random.default_rng(2).integers(0, 256, (16, 224, 224, 3), np.uint8)
    found = []
    for number in (0, 1):
        version, uri = f"v1.{number}.0", f"s3://models/bench-{number}/"
        classifier = head.new_head(int(backbone.output_shape[-1]), len(_LABELS), Hyperparameters(seed=number))
        identity = Identity("LAUNDRY", "EfficientNetLite0", _LABELS, version, "bench")
        found.append(Artifact(version, uri, export(backbone, classifier, identity, golden, objects=objects, uri=uri)))
    return found


def _deploy(clients: Sequence[FaceserveClient], artifact: Artifact) -> float:
    """Prepare everywhere, then activate everywhere; the slowest exchange in milliseconds."""
    with ThreadPoolExecutor(len(clients)) as pool:
        prepared = list(
            pool.map(
                lambda c: c.prepare(
                    "laundry", artifact.version, artifact.uri, artifact.manifest_sha256, timeout_seconds=60
                ),
                clients,
            )
        )
        activated = pool.map(
            lambda c, p: c.activate("laundry", artifact.version, p.epoch, timeout_seconds=5), clients, prepared
        )
        return max(a.swap_milliseconds for a in activated)


def _capacity(replicas: Sequence[str], photos: Sequence[bytes]) -> float:
    """Requests per second that both replicas together answer when asked as fast as they can."""
    until = time.monotonic() + _CAPACITY_SECONDS

    def ask(address: str) -> int:
        count = 0
        with FaceserveClient([address]) as client:
            while time.monotonic() < until:
                client.classify("laundry", photos[count % len(photos)])
                count += 1
        return count

    with ThreadPoolExecutor(4) as pool:
        return sum(pool.map(ask, [*replicas, *replicas])) / _CAPACITY_SECONDS


def _p99(requests: Sequence[Request], windows: Sequence[tuple[float, float]]) -> float:
    inside = [r.milliseconds for r in requests if any(start <= r.due < end for start, end in windows)]
    return round(statistics.quantiles(inside, n=100, method="inclusive")[98], 2)


if __name__ == "__main__":
    main()
