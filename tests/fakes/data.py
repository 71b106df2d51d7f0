"""Helper tasks, photos, objects, datasets, validation, augmentation."""

import functools
import hashlib
import json
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

from pipeline.domain.clusters import sides_of_clusters
from pipeline.domain.dataset import (
    FIRST,
    Augmentation,
    ConfirmedTask,
    Dataset,
    Fingerprint,
    Manifest,
    Photo,
    Quarantined,
    Split,
    dataset_name,
)
from pipeline.domain.errors import GiveUp, PhotoMissing, PhotoRefused, PhotosErased, PhotosWithheld
from pipeline.domain.events import TaskConfirmedEvent
from pipeline.domain.leakage import HeldOut
from pipeline.domain.lineage import Appearance, Erased, Kept
from pipeline.domain.models import ModelType, demand_of_type
from pipeline.domain.quality import Measured
from pipeline.domain.reasons import ReasonList
from pipeline.domain.turns import in_turn
from pipeline.domain.withholding import GivenBack, Withheld, Word, asked_before, standing, withheld_photos
from pipeline.ports.data import Suspect, Validation
from tests.fakes.events import FakeConfirmations


@dataclass
class FakeCorrectionSource:
    rows: list[ConfirmedTask] = field(default_factory=list)

    def corrections(self, *, since: datetime | None, limit: int) -> Sequence[ConfirmedTask]:
        waiting = [t for t in self.rows if t.corrected and (not since or t.confirmed_at > since)]
        chosen = in_turn(waiting, limit, ReasonList())
        return sorted(chosen, key=lambda t: (t.confirmed_at, t.task_id), reverse=True)

    def earlier_corrections(self, *, until: datetime, limit: int) -> Sequence[ConfirmedTask]:
        return [t for t in self._spread() if t.corrected and t.confirmed_at <= until][:limit]

    def history(self, *, limit: int) -> Sequence[ConfirmedTask]:
        return self._spread()[:limit]

    def tasks(self, task_ids: Sequence[str]) -> Sequence[ConfirmedTask]:
        return [t for t in self.rows if t.task_id in set(task_ids)]

    def _spread(self) -> list[ConfirmedTask]:
        return sorted(self.rows, key=lambda t: hashlib.md5(t.task_id.encode()).hexdigest())

    def confirmed(self, *, limit: int) -> Sequence[ConfirmedTask]:
        return sorted(self.rows, key=lambda t: (t.confirmed_at, t.task_id), reverse=True)[:limit]


@dataclass
class FakePhotos:
    bodies: dict[str, bytes] = field(default_factory=dict)

    def read(self, url: str) -> bytes:
        if url not in self.bodies:
            raise PhotoMissing("no photo at its address")
        return self.bodies[url]


@dataclass
class FakeFolder:
    """`broken` are photos that nobody can read, with the reason."""

    bodies: dict[str, bytes] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return "file:///photos"

    def names(self) -> Sequence[str]:
        return sorted(self.bodies)

    def read(self, name: str) -> bytes:
        if name in self.broken or name not in self.bodies:
            raise PhotoRefused(self.broken.get(name, f"{name} is gone"))
        return self.bodies[name]


class FakeInspector:
    """A photo is its own hash; bytes that begin with `bad` have that as their fault. What follows `~` is how the same
    picture was saved again: each of the number's bits flips one of the perceptual hash.
    """

    def fingerprint(self, photo: bytes) -> Fingerprint:
        if photo.startswith(b"bad"):
            return Fingerprint(fault=photo.decode())
        picture, _, again = photo.partition(b"~")
        digest, shown = (hashlib.sha256(body).digest() for body in (photo, picture))
        phash = int.from_bytes(shown[:8]) ^ int(again or b"0")
        return Fingerprint(digest.hex(), phash, 640, 480, 0.5, 500.0, digest)


BYTES = "application/octet-stream"
CONTENT_TYPES = {
    "json": "application/json",
    "html": "text/html; charset=utf-8",
    "css": "text/css",
    "svg": "image/svg+xml",
    "png": "image/png",
}


@dataclass
class FakeObjects:
    bodies: dict[str, bytes] = field(default_factory=dict)
    content_types: dict[str, str] = field(default_factory=dict)

    def read(self, uri: str) -> bytes:
        return self.bodies[uri]

    def write(self, uri: str, body: bytes, content_type: str = BYTES) -> None:
        """A browser shows what has the type of its name; what has none it offers to save."""
        by_name = CONTENT_TYPES.get(uri.rpartition(".")[2], BYTES)
        assert content_type in {BYTES, by_name}, f"{uri} is no {content_type}"
        self.bodies[uri], self.content_types[uri] = body, content_type

    def saved_only(self) -> list[str]:
        """What a browser would save instead of showing it, although it could."""
        known = {uri: CONTENT_TYPES.get(uri.rpartition(".")[2], BYTES) for uri in self.content_types}
        return [uri for uri, content_type in known.items() if self.content_types[uri] != content_type]

    def exists(self, uri: str) -> bool:
        return uri in self.bodies

    def list(self, prefix: str) -> Sequence[str]:
        return sorted(uri for uri in self.bodies if uri.startswith(prefix))

    def delete(self, uri: str) -> None:
        self.bodies.pop(uri, None)

    def link(self, uri: str) -> str:
        return uri.replace("s3://", "https://s3.test/")


@dataclass
class FakeWithholdings:
    confirmations: FakeConfirmations = field(default_factory=FakeConfirmations)
    known: dict[str, Withheld] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.confirmations.withheld = self.covers

    def covers(self, event: TaskConfirmedEvent) -> bool:
        return any(one.covers(event.confirmed_at, [_word(event)]) for one in standing(self.known.values()))

    def withhold(self, withheld: Withheld) -> Withheld:
        if same := asked_before(withheld, self.known.values()):
            return same
        before = self._waiting()
        self.known[withheld.id] = withheld
        self.known[withheld.id] = replace(withheld, corrections=len(before - self._waiting()))
        return self.known[withheld.id]

    def give_back(self, withheld_id: str, given_back: GivenBack) -> Withheld:
        kept = self.known[withheld_id]
        self.known[withheld_id] = replace(kept, given_back=kept.given_back or given_back)
        return self.known[withheld_id]

    def all(self) -> Sequence[Withheld]:
        return sorted(self.known.values(), key=lambda one: one.at, reverse=True)

    def words(self, task_ids: Sequence[str]) -> Mapping[str, Word]:
        said = sorted(self.confirmations.stored.values(), key=lambda e: (e.confirmed_at, e.key))
        return {event.task_id: _word(event) for event in said if event.task_id in task_ids}

    def _waiting(self) -> set[str]:
        return {e.key for e in self.confirmations.counting if e.corrected and not self.covers(e)}


def _word(event: TaskConfirmedEvent) -> Word:
    return Word(event.extra.get("branchId") or event.helper_id, event.extra.get("reviewerId"))


# Beside the worlds, which are copied.
_ERASING = threading.RLock()


@dataclass
class FakeDatasets:
    ids: dict[str, str] = field(default_factory=dict)
    types: dict[str, ModelType] = field(default_factory=dict)
    frozen_as: dict[str, str] = field(default_factory=dict)
    sides: dict[int, Split] = field(default_factory=dict)
    members: dict[tuple[ModelType, str], tuple[int, HeldOut]] = field(default_factory=dict)
    holdout_versions: dict[str, int] = field(default_factory=dict)
    lineage: dict[tuple[str, str], Appearance] = field(default_factory=dict)
    completed: dict[str, Dataset] = field(default_factory=dict)
    aside: dict[str, list[Quarantined]] = field(default_factory=dict)
    erased: dict[str, Erased] = field(default_factory=dict)
    cluster_of_task: dict[str, str] = field(default_factory=dict)
    uses: int = 0
    withholdings: FakeWithholdings = field(default_factory=FakeWithholdings)

    def begin(self, run_id: str, model_type: ModelType) -> str:
        dataset_id = self.ids.setdefault(run_id, dataset_name("2026", len(self.ids) + 1))
        demand_of_type(run_id, self.types.setdefault(dataset_id, model_type), model_type)
        return dataset_id

    @contextmanager
    def unfrozen(self, dataset_id: str) -> Iterator[bool]:
        with _ERASING:
            yield dataset_id not in self.frozen_as

    def freeze(self, dataset_id: str, manifest: Manifest, manifest_sha256: str) -> None:
        with _ERASING:
            self._freeze(dataset_id, manifest, manifest_sha256)

    def _freeze(self, dataset_id: str, manifest: Manifest, manifest_sha256: str) -> None:
        if dataset_id in self.frozen_as:
            return
        self._demand_unerased(manifest)
        known, words = standing(self.withholdings.all()), self.withholdings.words([*manifest.task_ids])
        if withheld := withheld_photos(manifest.photos, known, words):
            raise PhotosWithheld(dataset_id, len(withheld), str(withheld[0]))
        self.frozen_as[dataset_id] = manifest_sha256
        for cluster, split in sides_of_clusters(manifest).items():
            self.sides.setdefault(int(cluster, 16), split)
        run_id = next(run for run, known in self.ids.items() if known == dataset_id)
        self.cluster_of_task |= {p.task_id: p.cluster_id for p in manifest.photos}
        for p in manifest.photos:
            self.lineage[dataset_id, p.task_id] = Appearance(
                dataset_id, run_id, manifest.model_type, p.task_id, p.photo_url, p.sha256, p.label, p.source, p.split
            )
        self.aside[dataset_id] = sorted(manifest.quarantined, key=lambda q: q.task_id)

    def _demand_unerased(self, manifest: Manifest) -> None:
        hashes = {p.sha256 for p in (*manifest.photos, *manifest.quarantined) if p.sha256}
        if erased := [e.task_id for e in self.erased.values() if manifest.names(e.task_id) or hashes & {*e.sha256s}]:
            raise PhotosErased(manifest.dataset_id, sorted(erased))

    def set_aside(self, dataset_id: str) -> Sequence[Quarantined]:
        return self.aside.get(dataset_id, [])

    def lose(self, manifest: Manifest, rows: Sequence[Quarantined]) -> None:
        with _ERASING:
            self._demand_unerased(manifest)
            aside = self.aside.setdefault(manifest.dataset_id, [])
            known = {row.task_id for row in aside}
            aside += [row for row in rows if row.task_id not in known]
            aside.sort(key=lambda row: row.task_id)

    def look_for_again(self, manifest: Manifest, rows: Sequence[Quarantined]) -> None:
        aside, back = self.aside.get(manifest.dataset_id, []), {row.task_id for row in rows}
        aside[:] = [row for row in aside if row.task_id not in back]

    def hold_out(self, dataset_id: str, manifest: Manifest) -> None:
        if self.holdout_versions.get(dataset_id):
            return
        kind = self.types[dataset_id]
        version = max((v for (t, _), (v, _) in self.members.items() if t is kind), default=0)
        for p in manifest.of(Split.HOLDOUT):
            held = HeldOut(p.task_id, p.cluster_id, p.sha256, p.phash)
            self.members.setdefault((kind, p.task_id), (version + 1, held))
        now = max((v for (t, _), (v, _) in self.members.items() if t is kind), default=0)
        self.holdout_versions[dataset_id] = now

    def frozen_sha256(self, dataset_id: str) -> str | None:
        return self.frozen_as.get(dataset_id)

    def clusters(self) -> Mapping[int, Split]:
        return dict(self.sides)

    def clusters_of(self, task_ids: Sequence[str]) -> Mapping[str, str]:
        return {task_id: cluster for task_id, cluster in self.cluster_of_task.items() if task_id in set(task_ids)}

    def holdout(self, model_type: ModelType) -> Sequence[HeldOut]:
        rows = [(version, held) for (kind, _), (version, held) in self.members.items() if kind is model_type]
        return [held for _, held in sorted(rows, key=lambda row: -row[0])]

    def holdout_uses(self, model_type: ModelType, task_ids: Sequence[str]) -> int:
        return self.uses

    def complete(self, dataset: Dataset) -> None:
        made_by = next((run for run, known in self.ids.items() if known == dataset.id), dataset.run_id)
        version = self.holdout_versions.get(dataset.id, 0)
        self.completed[dataset.id] = replace(dataset, run_id=made_by, holdout_version=version)

    def finish(self, dataset: Dataset, manifest: Manifest) -> None:
        with _ERASING:
            self._demand_unerased(manifest)
            self.complete(dataset)

    def finished_sha256(self, dataset_id: str) -> str | None:
        found = self.completed.get(dataset_id)
        return found.sha256 if found else None

    def get(self, dataset_id: str) -> Dataset:
        if dataset_id not in self.completed:
            raise GiveUp(f"dataset {dataset_id!r} is unknown or not complete")
        return self.completed[dataset_id]

    def of_type(self, model_type: ModelType) -> Sequence[tuple[str, str]]:
        return [(i, run) for run, i in self.ids.items() if self.types[i] is model_type]

    def previous(self, dataset_id: str) -> Dataset | None:
        kind, order = self.types[dataset_id], list(self.types)
        before = [i for i in order[: order.index(dataset_id)] if self.types[i] is kind and i in self.completed]
        return self.completed[before[-1]] if before else None

    def frozen(self) -> Sequence[tuple[str, ModelType, str]]:
        return [(i, self.types[i], run) for run, i in self.ids.items() if i in self.frozen_as]

    def appearances(self, *, task_id: str | None = None, dataset_id: str | None = None) -> Sequence[Appearance]:
        rows = [self.lineage[key] for key in sorted(self.lineage)]
        return [r for r in rows if task_id in (None, r.task_id) and dataset_id in (None, r.dataset_id)]

    def first_photos(self, model_type: ModelType) -> Sequence[Appearance]:
        of = [[a for a in self.appearances(dataset_id=id) if a.model_type == model_type] for id in sorted(self.types)]
        of = [rows for rows in of if rows and all(a.task_id.startswith(FIRST) for a in rows)]
        return [a for a in of[-1] if a.photo_url] if of else []

    def kept(self, task_id: str) -> Sequence[Kept]:
        rows = [*self.lineage.values(), *(row for rows in self.aside.values() for row in rows)]
        known = {Kept(row.task_id, row.photo_url, row.sha256) for row in rows if row.photo_url}
        own = [one for one in known if one.task_id == task_id]
        return sorted(one for one in known if one in own or any(one.shows_the_photo_of(other) for other in own))


@dataclass
class FakeErasures:
    datasets: FakeDatasets

    def record(self, erased: Erased) -> None:
        known = self.datasets.erased.setdefault(erased.task_id, erased)
        sha256s = tuple(sorted({*known.sha256s, *erased.sha256s}))
        self.datasets.erased[erased.task_id] = replace(known, sha256s=sha256s)

    def all(self) -> Sequence[Erased]:
        return sorted(self.datasets.erased.values(), key=lambda e: e.at)

    def replace_manifest(self, dataset_id: str, manifest: Manifest, manifest_sha256: str) -> None:
        self.datasets.frozen_as[dataset_id] = manifest_sha256

    def addresses(self, key: str) -> Sequence[str]:
        d = self.datasets
        rows = [*d.lineage.values(), *(row for rows in d.aside.values() for row in rows)]
        return sorted({row.photo_url for row in rows if row.task_id == key and row.photo_url.startswith("s3://")})

    def strike(self, addresses: Sequence[str]) -> Mapping[str, int]:
        """Here are no texts but reasons."""
        changed = 0
        for rows in self.datasets.aside.values():
            for n, row in enumerate(rows):
                reason = functools.reduce(lambda said, url: said.replace(url, "(erased)"), addresses, row.reason)
                changed += reason != row.reason
                rows[n] = replace(row, reason=reason)
        return {"set_aside_tasks": changed} if changed else {}

    def anonymise(self, task_id: str) -> Mapping[str, int]:
        d = self.datasets
        rows = [key for key, row in d.lineage.items() if row.task_id == task_id and row.sha256]
        held = [key for key, (_, member) in d.members.items() if member.task_id == task_id and member.sha256]
        left_out = [
            (i, n) for i, rows in d.aside.items() for n, q in enumerate(rows) if q.task_id == task_id and q.reason
        ]
        for dataset_id, n in left_out:
            d.aside[dataset_id][n] = replace(d.aside[dataset_id][n], photo_url="", reason="", sha256="")
        for key in rows:
            d.lineage[key] = replace(d.lineage[key], photo_url="", sha256="")
        for member_key in held:
            version, member = d.members[member_key]
            d.members[member_key] = (version, replace(member, sha256=""))
        counts = {"dataset_photos": len(rows), "holdout_photos": len(held)}
        return {**counts, "set_aside_tasks": len(left_out), "task_confirmations": 0}


@dataclass
class FakeValidator:
    failures: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    measured: tuple[Measured, ...] = ()

    def check(self, manifest: Manifest, measured: Sequence[Measured], *, now: datetime) -> Validation:
        self.measured = tuple(measured)
        return Validation(self.failures, self.warnings, {"index.html": f"<html>{manifest.dataset_id}</html>".encode()})


@dataclass
class FakeReviewer:
    """Suspects the named tasks."""

    task_ids: tuple[str, ...] = ()

    def suspects(self, manifest: Manifest, descriptors: Mapping[str, bytes]) -> Sequence[Suspect]:
        # One that was erased since the manifest was read has none.
        assert descriptors.keys() <= {p.task_id for p in manifest.photos}
        found = [p for p in manifest.photos if p.task_id in self.task_ids]
        return [Suspect(p.task_id, p.label, next(n for n in manifest.labels if n != p.label), 0.1) for p in found]


class FakeReporter:
    def page(
        self, manifest: Manifest, found: Validation, suspects: Sequence[Suspect], photos: Mapping[str, bytes]
    ) -> bytes:
        return json.dumps([manifest.dataset_id, found.failures, found.warnings, sorted(photos)]).encode()

    def with_lost(self, page: bytes, lost: Sequence[Quarantined]) -> bytes:
        return json.dumps([*json.loads(page)[:4], [row.task_id for row in lost]]).encode()


class FakeAugmenter:
    """A shard is JSON of what went into it."""

    def shard(
        self, photos: Iterable[tuple[Photo, bytes]], *, augmentation: Augmentation, labels: Sequence[str]
    ) -> bytes:
        images = [[p.task_id, p.label, copy] for p, _ in photos for copy in range(augmentation.copies)]
        return json.dumps({"seed": augmentation.seed, "labels": list(labels), "images": images}).encode()

    def without(self, shard: bytes, task_id: str) -> bytes | None:
        found = json.loads(shard)
        images = [image for image in found["images"] if image[0] != task_id]
        return json.dumps({**found, "images": images}).encode() if len(images) < len(found["images"]) else None

    def contact_sheet(self, shards: Sequence[bytes], labels: Sequence[str]) -> bytes:
        of = sorted({image[0] for shard in shards for image in json.loads(shard)["images"]})
        return f"picture of {', '.join(of)} with {', '.join(labels)}".encode()
