"""Helper tasks, photos, objects, datasets, validation, augmentation."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pipeline.domain.dataset import ConfirmedTask, Dataset, Fingerprint, Manifest, Photo
from pipeline.domain.errors import GiveUp, PhotoMissing
from pipeline.domain.models import ModelType
from pipeline.ports import Validation


@dataclass
class FakeCorrectionSource:
    tasks: list[ConfirmedTask] = field(default_factory=list)

    def corrections(self, *, since: datetime | None, limit: int) -> Sequence[ConfirmedTask]:
        return [
            t for t in self.confirmed(limit=len(self.tasks)) if t.corrected and (not since or t.confirmed_at > since)
        ][:limit]

    def confirmed(self, *, limit: int) -> Sequence[ConfirmedTask]:
        return sorted(self.tasks, key=lambda t: (t.confirmed_at, t.task_id), reverse=True)[:limit]


@dataclass
class FakePhotos:
    bodies: dict[str, bytes] = field(default_factory=dict)

    def read(self, url: str) -> bytes:
        if url not in self.bodies:
            raise PhotoMissing(f"no photo at {url}")
        return self.bodies[url]


class FakeInspector:
    """A photo is its own hash; bytes that begin with `bad` have that as their fault."""

    def fingerprint(self, photo: bytes) -> Fingerprint:
        if photo.startswith(b"bad"):
            return Fingerprint(fault=photo.decode())
        digest = hashlib.sha256(photo).digest()
        return Fingerprint(digest.hex(), int.from_bytes(digest[:8]), 640, 480, 0.5, 500.0)


@dataclass
class FakeObjects:
    bodies: dict[str, bytes] = field(default_factory=dict)

    def read(self, uri: str) -> bytes:
        return self.bodies[uri]

    def write(self, uri: str, body: bytes, content_type: str = "application/octet-stream") -> None:
        self.bodies[uri] = body

    def exists(self, uri: str) -> bool:
        return uri in self.bodies


@dataclass
class FakeDatasets:
    ids: dict[str, str] = field(default_factory=dict)
    frozen: dict[str, str] = field(default_factory=dict)
    founders: list[int] = field(default_factory=list)
    completed: dict[str, Dataset] = field(default_factory=dict)

    def begin(self, run_id: str, model_type: ModelType) -> str:
        return self.ids.setdefault(run_id, f"DS-2026-{len(self.ids) + 1:03d}")

    def freeze(self, dataset_id: str, manifest: Manifest, manifest_sha256: str) -> None:
        if dataset_id not in self.frozen:
            self.frozen[dataset_id] = manifest_sha256
        for photo in manifest.photos:
            if (founder := int(photo.cluster_id, 16)) not in self.founders:
                self.founders.append(founder)

    def frozen_sha256(self, dataset_id: str) -> str | None:
        return self.frozen.get(dataset_id)

    def cluster_founders(self) -> Sequence[int]:
        return list(self.founders)

    def complete(self, dataset: Dataset, photos: Sequence[Photo]) -> None:
        self.completed[dataset.id] = dataset

    def get(self, dataset_id: str) -> Dataset:
        if dataset_id not in self.completed:
            raise GiveUp(f"dataset {dataset_id!r} is unknown or not complete")
        return self.completed[dataset_id]


@dataclass
class FakeValidator:
    failures: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def check(self, manifest: Manifest) -> Validation:
        return Validation(self.failures, self.warnings, f"<html>{manifest.dataset_id}</html>".encode())


class FakeAugmenter:
    """A shard is JSON of what went into it."""

    def shard(self, photos: Sequence[tuple[Photo, bytes]], *, copies: int, seed: int, labels: Sequence[str]) -> bytes:
        images = [[p.task_id, p.label, copy] for p, _ in photos for copy in range(copies)]
        return json.dumps({"seed": seed, "images": images}).encode()

    def contact_sheet(self, shards: Sequence[bytes], labels: Sequence[str]) -> bytes:
        return b"picture of " + str(len(shards)).encode()
