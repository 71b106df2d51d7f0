"""A face model goes live where many people are enrolled: how long that takes, and when who comes and goes is known.

Real replicas over a real S3 server; the network is so small that embedding everybody does not take all day, which is
what the plain way does again for every version. Everybody is a picture of noise.
"""

import itertools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from faceserve.faces.comparison import VectorComparisonEngine
from faceserve.faces.features import unit_length
from include.bench.measurement import Figures, Found, Say, seconds
from include.bench.serving.replicas import Artifact, Replica, object_store, replicas
from include.contract.client import FaceserveClient
from include.contract.lifecycle_client import LifecycleClient
from include.stack.layout import Stack
from pipeline.adapters.s3 import S3ObjectStore
from pipeline.learning.export import Destination
from pipeline.learning.faces.artifact import StoredFaceArtifacts
from pipeline.learning.faces.head import Head
from pipeline.learning.faces.learner import bytes_of
from pipeline.ports.faces import FaceHead

ENROLLED = int(os.environ.get("BENCH_ENROLLED", "100000"))
_MODEL, _WIDTH, _PIXELS, _SWAPS, _ASKED, _SEARCHES = "face", 64, 224, 50, 20, 500
_REQUESTS = 100_000 if ENROLLED >= 100_000 else 2_000  # noqa: PLR2004 - the whole of it, or a try
_LONGEST_SECONDS = 6 * 3600.0
_AT_ONCE = 16


@dataclass(frozen=True)
class _Network:
    """Mean colours of 8×8 fields, the first 64 of them: enough to tell noise apart."""

    name = "Fields"
    sha256 = "f" * 64

    @property
    def model(self) -> Any:
        import keras

        inputs = keras.Input((_PIXELS, _PIXELS, 3))
        fields = keras.layers.AveragePooling2D(_PIXELS // 8)(inputs)
        flat = keras.layers.Flatten()(keras.layers.Rescaling(1 / 64, offset=-2.0)(fields))
        return keras.Model(inputs, flat[:, :_WIDTH])


def enrolled(say: Say) -> Found:
    with object_store(say) as store, replicas(store, 2, settings={"gallery_uri": "s3://faces/"}) as fleet:
        figures = _measured(store, fleet, say)
    how = f"{ENROLLED} pictures of noise as people, a network of 8×8 fields, two replicas, {_REQUESTS} requests."
    return Found({"enrolled": ENROLLED, **figures, **_searching()}, how)


def _measured(store: Stack, fleet: Sequence[Replica], say: Say) -> Figures:
    objects = S3ObjectStore(endpoint=store.s3_endpoint)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(lambda n: objects.write(f"s3://faces/{_MODEL}/p{n}", photo(n)), range(ENROLLED)))
    say(f"{ENROLLED} people are enrolled")
    artifacts = StoredFaceArtifacts(_Network(), Destination(objects, "s3://models/"))  # type: ignore[arg-type]
    versions = [_made(artifacts, number) for number in range(2)]
    with ExitStack() as open_:
        ours = [open_.enter_context(replica.lifecycle()) for replica in fleet]
        clients = [open_.enter_context(FaceserveClient([replica.address], timeout_seconds=60)) for replica in fleet]
        plain = seconds(lambda: _deploy(ours, versions[0]))
        say(f"everybody was embedded in {plain:.1f} s")
        deployed = seconds(lambda: _deploy(ours, versions[1]))
        say(f"the next version is live after {deployed:.1f} s")
        figures = {
            "deployment_seconds": deployed,
            "deployment_plain_seconds": plain,
            "deployment_ratio": plain / deployed,
        }
        figures |= _coming_and_going(ours[0], clients)
        say(", ".join(f"{name} {figures[name]:.2f} s" for name in ("enrolled_seconds", "erased_seconds")))
        return {**figures, **_mixing(ours, clients, versions)}


def photo(number: int) -> bytes:
    noise = np.random.default_rng(number).integers(0, 256, (8, 8, 3), np.uint8)
    done, encoded = cv2.imencode(".png", cv2.resize(noise, (96, 96), interpolation=cv2.INTER_NEAREST))
    assert done
    return bytes(encoded.tobytes())


def _made(artifacts: StoredFaceArtifacts, number: int) -> Artifact:
    chance = np.random.default_rng(number).normal(size=(_WIDTH, _WIDTH))
    matrix = (np.eye(_WIDTH) + 0.05 * number * chance).astype(np.float32)
    made = artifacts.write(FaceHead(bytes_of(Head(matrix)), 0.9), f"bench-{number}", "bench")
    return Artifact(f"v1.{number}.0", made.uri, made.manifest_sha256)


def _deploy(fleet: Sequence[LifecycleClient], one: Artifact) -> None:
    def prepare(client: LifecycleClient) -> int:
        asked = (_MODEL, one.version, one.uri, one.manifest_sha256)
        return client.prepare(*asked, timeout_seconds=_LONGEST_SECONDS).epoch

    with ThreadPoolExecutor(len(fleet)) as pool:
        epochs = list(pool.map(prepare, fleet))
        list(pool.map(lambda client, epoch: client.activate(_MODEL, one.version, epoch), fleet, epochs))


def _coming_and_going(lifecycle: LifecycleClient, everywhere: Sequence[FaceserveClient]) -> Figures:
    """From asking one replica to enroll somebody until every one names them, and to withdraw until none does; the
    slowest of ten.
    """
    came, went = [], []
    for number in range(10):
        name, face = f"new-{number}", photo(10**8 + number)

        def known(name: str = name, face: bytes = face) -> list[bool]:
            return [any(match.identity == name for match in one.compare(_MODEL, face)) for one in everywhere]

        def come(name: str = name, face: bytes = face, known: Callable[[], list[bool]] = known) -> None:
            lifecycle.enroll(_MODEL, name, face)
            _until(lambda: all(known()))

        came.append(seconds(come))
        went.append(seconds(lambda name=name: lifecycle.withdraw(_MODEL, name)))  # type: ignore[misc]
        assert not any(known()), "withdrawn, and named all the same"
    return {"enrolled_seconds": max(came), "erased_seconds": max(went)}


def _until(holds: Callable[[], bool]) -> None:
    while not holds():
        time.sleep(0.01)


def _mixing(
    fleet: Sequence[LifecycleClient], clients: Sequence[FaceserveClient], versions: Sequence[Artifact]
) -> Figures:
    """Two versions take turns while everybody who asks has to be found by their own photo, all but alike."""
    asked = [(f"p{number}", photo(number)) for number in range(_ASKED)]

    def ask(number: int) -> bool:
        name, face = asked[number % _ASKED]
        (best,) = clients[number % len(clients)].compare(_MODEL, face)
        return best.identity == name and best.similarity > 1 - 1e-3

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        wrong = 0
        for swap, numbers in enumerate(_parts(_REQUESTS, _SWAPS)):
            answers = pool.map(ask, numbers)
            _deploy(fleet, versions[swap % 2])
            wrong += sum(not right for right in answers)
    return {"answers": _REQUESTS, "swaps": _SWAPS, "answers_of_mixed_spaces": wrong}


def _parts(count: int, parts: int) -> Iterator[range]:
    ends = [count * number // parts for number in range(parts + 1)]
    return (range(first, last) for first, last in itertools.pairwise(ends))


def _searching() -> Figures:
    """In this process, alone: 100 000 people of 128 numbers, one asked for at a time, and all turned at once."""
    rng = np.random.default_rng(0)
    vectors = unit_length(rng.normal(size=(100_000, 128)).astype(np.float32))
    gallery = VectorComparisonEngine([f"p{number}" for number in range(len(vectors))], vectors)
    took = [seconds(lambda at=at: gallery.nearest(vectors[at])) for at in range(_SEARCHES)]  # type: ignore[misc]
    turned = seconds(lambda: gallery.turned(np.eye(128) + 0.01))
    return {
        "search_ms_median": float(np.median(took)) * 1000,
        "search_ms_p99": float(np.percentile(took, 99)) * 1000,
        "turning_seconds": turned,
    }
