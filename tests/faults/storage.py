"""Faults of what is kept: objects, disks, the registry (rows 9, 10 and 14)."""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from include.bench.serving.replicas import Replica, replicas
from include.contract.lifecycle_client import FaceserveError, LifecycleClient
from pipeline.adapters.mlflow_registry import MlflowModelRegistry
from pipeline.domain.errors import ServiceUnavailable
from pipeline.domain.models import Artifact
from tests.builders import a_model_version
from tests.faults.proxy import Proxy
from tests.faults.world import LAUNDRY, MODEL, NotHere, World

# Headers of an answer are shorter.
_A_BODY_BYTES = 2000


def _half(body: bytes) -> bytes:
    return body[: len(body) // 2] if len(body) > _A_BODY_BYTES else body


def _turned(body: bytes) -> bytes:
    return body[:-1] + bytes([body[-1] ^ 1]) if len(body) > _A_BODY_BYTES else body


def _spoils(wire: Proxy) -> dict[str, Callable[[], object]]:
    return {
        "refuses": wire.cut,
        "never answers": wire.open.clear,
        "ends in the middle": lambda: setattr(wire, "answers", _half),
        "hands out wrong bytes": lambda: setattr(wire, "answers", _turned),
    }


def object_store_in_trouble(world: World) -> str:
    artifact, seen = champions_artifact(world), {}
    with Proxy(world.stack.port("s3")) as wire, _replica(world, s3_port=wire.port) as (_, client):
        for name, spoil in _spoils(wire).items():
            spoil()
            with pytest.raises(FaceserveError) as caught:
                prepare(client, "v8.0.0", artifact, seconds=20)
            wire.mend()
            seen[name] = caught.value.code
            assert client.status(MODEL).prepared == ()
        prepare(client, "v8.0.0", artifact)
    refused = [name for name, code in seen.items() if code not in {"UNAVAILABLE", "DEADLINE_EXCEEDED"}]
    # Of what may pass it must be said that it may.
    assert refused == ["hands out wrong bytes"], seen
    return "; ".join(f"S3 {name}: {code}" for name, code in seen.items()) + "; mended, the model is taken"


def champions_artifact(world: World) -> Artifact:
    return world.tables.versions.get(LAUNDRY, str(world.champion)).artifact


def prepare(client: LifecycleClient, version: str, artifact: Artifact, seconds: float = 90) -> None:
    client.prepare(MODEL, version, artifact.uri, artifact.manifest_sha256, timeout_seconds=seconds)


@contextmanager
def _replica(world: World, *, s3_port: int = 0, state: Path | None = None) -> Iterator[tuple[Replica, LifecycleClient]]:
    """One more, which nobody asks, on the way to S3 or with the disk that a fault needs."""
    ports = world.stack.ports | ({"s3": s3_port} if s3_port else {})
    with tempfile.TemporaryDirectory() as folder:
        running = replicas(replace(world.stack, ports=ports), 1, state=state or Path(folder))
        with running as (one,), one.lifecycle() as client:
            yield one, client


# Disks


@contextmanager
def _small_disk(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    asked = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=1777", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(asked, capture_output=True, check=False).returncode:
        raise NotHere("a disk of four megabytes needs the right to mount one")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def _full(folder: Path) -> Iterator[None]:
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            pass
    try:
        yield
    finally:
        filler.unlink()


def disk_full(world: World) -> str:
    objects = _objects_on_a_full_disk(world)
    return f"S3: {objects}; state file: {_state_on_a_full_disk(world)}"


def _objects_on_a_full_disk(world: World) -> str:
    folder = world.stack.folder("s3") / "datasets"
    with _small_disk(folder):
        world.objects.write("s3://datasets/before", b"before")
        with _full(folder), pytest.raises(ServiceUnavailable) as caught:
            world.objects.write("s3://datasets/shard", b"x" * 500_000)
        assert world.objects.read("s3://datasets/before") == b"before"
        world.objects.write("s3://datasets/shard", b"x" * 500_000)
    return f"“{str(caught.value)[:140]}”, what was there is there, written again once there is space"


def _state_on_a_full_disk(world: World) -> str:
    artifact = champions_artifact(world)
    folder = world.stack.folder("small-disk")
    with _small_disk(folder), _replica(world, state=folder) as (_, client):
        prepare(client, "v8.0.0", artifact)
        client.activate(MODEL, "v8.0.0")
        prepare(client, "v8.1.0", artifact)
        with _full(folder), pytest.raises(FaceserveError) as caught:
            client.activate(MODEL, "v8.1.0")
        assert client.status(MODEL).version == "v8.0.0"
        client.activate(MODEL, "v8.1.0")
    return f"“{caught.value.detail[:140]}”, the old version serves, the swap is made once there is space"


# The registry


def registry_away_at_each_call(world: World) -> str:
    with Proxy(world.stack.port("mlflow")) as wire:
        registry, counted = MlflowModelRegistry(f"http://127.0.0.1:{wire.port}"), []
        wire.asked = lambda body: counted.extend([1] * body.count(b" HTTP/1.1\r\n"))
        registry.register(a_model_version("v7.0.0"), None)
        wire.mend()
        for number in range(1, len(counted) + 1):
            _registered_although_cut(world, wire, registry, number)
    version = world.new_version()
    with world.services.without("mlflow"):
        away = world.hot_swap(version).said()
    behind = world.tables.transitions.ledger(LAUNDRY).registry_is_behind
    said = f"done, but not everywhere: {version} went live on every replica; the registry is behind (MLflow is"
    assert (world.champion, behind) == (version, True) and away.sentence.startswith(said), away
    return (
        f"cut at each of the {len(counted)} requests of a registration: tried again, one version each; "
        f"promoted without MLflow, {version} serves, the log holds that the registry is behind, `reconcile` mends it"
    )


def _registered_although_cut(world: World, wire: Proxy, registry: MlflowModelRegistry, number: int) -> None:
    version, seen = a_model_version(f"v7.{number}.0"), []

    def cut_at_it(body: bytes) -> None:
        seen.extend([1] * body.count(b" HTTP/1.1\r\n"))
        if len(seen) >= number:
            wire.cut()

    wire.asked = cut_at_it
    with pytest.raises(ServiceUnavailable):
        registry.register(version, None)
    wire.mend()
    registry.register(version, None)
    found = world.mlflow.search_model_versions(f"name = '{MODEL}' and tags.`retraining.version` = '{version.version}'")
    assert len(found) == 1, found
