"""A face network whose photos say what it sees, and artifacts that are kept as they are."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.domain.checksums import demand_unaltered, sha256
from pipeline.domain.errors import ModelRefused
from pipeline.domain.models import Artifact
from pipeline.ports.faces import FaceHead
from tests.fakes.data import FakeObjects

WIDTH = 48


@dataclass
class FakeFaceNetwork:
    """A photo is `person:shot`: people differ in all directions, photos of one person mostly in a few."""

    name: str = "Face"
    sha256: str = "b" * 64
    noise: float = 2.0
    embedded: list[bytes] = field(default_factory=list)

    def embed(self, photos: Sequence[bytes]) -> Sequence[bytes]:
        self.embedded += photos
        return [self._vector(photo).astype("<f4").tobytes() for photo in photos]

    def _vector(self, photo: bytes) -> np.ndarray:
        person, shot = photo.decode().split(":")
        light = np.linalg.qr(np.random.default_rng(0).normal(size=(WIDTH, 8)))[0].T
        look, seen = _chance(person), _chance(f"{person}:{shot}")
        return look.normal(size=WIDTH) + self.noise * seen.normal(size=8) @ light + 0.4 * seen.normal(size=WIDTH)


def _chance(text: str) -> np.random.Generator:
    return np.random.default_rng(list(hashlib.sha256(text.encode()).digest()))


@dataclass
class FakeFaceArtifacts:
    objects: FakeObjects

    def write(self, head: FaceHead, run_id: str, dataset_id: str) -> Artifact:
        self.objects.write(self._uri(run_id) + "head.npz", head.matrix)
        said = {"head": sha256(head.matrix), "threshold": head.threshold, "way": head.way, "score": head.score}
        self.objects.write(self._uri(run_id) + "manifest.json", json.dumps(said).encode())
        found = self.of_run(run_id)
        assert found is not None
        return found

    def of_run(self, run_id: str) -> Artifact | None:
        body = self.objects.bodies.get(self._uri(run_id) + "manifest.json")
        return Artifact(self._uri(run_id), sha256(body)) if body else None

    def head(self, artifact: Artifact) -> FaceHead:
        said = json.loads(self._unaltered(artifact.uri + "manifest.json", artifact.manifest_sha256))
        matrix = self._unaltered(artifact.uri + "head.npz", said["head"])
        return FaceHead(matrix, said["threshold"], said["way"], said["score"])

    def _unaltered(self, uri: str, recorded: str) -> bytes:
        if uri not in self.objects.bodies:
            raise ModelRefused(f"{uri} is gone")
        return demand_unaltered(self.objects.bodies[uri], recorded, uri, ModelRefused)

    def _uri(self, run_id: str) -> str:
        return f"s3://models/FACE/{run_id}/"
