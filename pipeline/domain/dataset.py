"""Photos, their permanent split, and which of them make a dataset (design D1, D2)."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum

NEAR_DUPLICATE_BITS = 4


class Split(StrEnum):
    TRAIN = "train"
    VALIDATION = "validation"
    HOLDOUT = "holdout"


class Source(StrEnum):
    """Why a photo is in the dataset."""

    CORRECTION = "correction"
    REPLAY = "replay"
    EVALUATION = "evaluation"


@dataclass(frozen=True)
class ConfirmedTask:
    """One confirmed task as the Helper database tells it (specification, messages 9-13)."""

    task_id: str
    photo_url: str
    ai_result: str
    final_result: str
    corrected: bool
    correction_reason: str | None
    confirmed_at: datetime
    helper_id: str = ""


@dataclass(frozen=True)
class Fingerprint:
    """A photo's identity: `sha256` of its bytes, `phash` 64-bit perceptual hash; size in pixels.

    `brightness` 0-1; `sharpness` is the variance of the Laplacian at a fixed size, low for blurred photos.
    `fault` says why the photo cannot be used; empty when it can.
    """

    sha256: str = ""
    phash: int = 0
    width: int = 0
    height: int = 0
    brightness: float = 0.0
    sharpness: float = 0.0
    fault: str = ""


@dataclass(frozen=True)
class Photo:
    """One row of a dataset's manifest; fields with a default are missing in manifests of earlier versions."""

    task_id: str
    photo_url: str
    sha256: str
    phash: str
    cluster_id: str
    label: str
    corrected: bool
    source: Source
    split: Split
    confirmed_at: str
    width: int
    height: int
    brightness: float
    sharpness: float | None = None
    ai_result: str = ""
    correction_reason: str | None = None
    helper_id: str = ""


@dataclass(frozen=True)
class Quarantined:
    """A confirmed task whose photo cannot be used, and why."""

    task_id: str
    photo_url: str
    reason: str


@dataclass(frozen=True)
class Manifest:
    """A frozen selection: the same run gives the same manifest, byte for byte."""

    dataset_id: str
    model_type: str
    labels: tuple[str, ...]
    corrections_since: str | None
    corrections_through: str | None
    photos: tuple[Photo, ...]
    quarantined: tuple[Quarantined, ...] = ()

    def of(self, split: Split) -> tuple[Photo, ...]:
        return tuple(photo for photo in self.photos if photo.split == split)

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True, indent=0).encode()

    @classmethod
    def from_json(cls, body: bytes) -> "Manifest":
        fields = json.loads(body)
        photos = tuple(
            Photo(**{**photo, "source": Source(photo["source"]), "split": Split(photo["split"])})
            for photo in fields.pop("photos")
        )
        quarantined = tuple(Quarantined(**row) for row in fields.pop("quarantined"))
        labels = tuple(fields.pop("labels"))
        return cls(**fields, labels=labels, photos=photos, quarantined=quarantined)


@dataclass(frozen=True)
class Dataset:
    """A prepared dataset: `image_count = train_count + validation_count` images, `train_count` after augmentation."""

    id: str
    run_id: str
    model_type: str
    uri: str
    sha256: str
    photo_count: int
    image_count: int
    train_count: int
    validation_count: int
    holdout_count: int
    corrections: int
    corrections_through: datetime | None


@dataclass(frozen=True)
class SelectionPolicy:
    """How much of what goes into a dataset.

    `replay_per_correction`: unchanged verdicts replayed for each correction, class-balanced.
    `min_train_photos`: replay tops the training split up to this many photos.
    `sample_limit`: most recent confirmed tasks drawn at natural frequency for validation, holdout and replay.
    Shares are 0-1 of photo clusters, decided by hash for ever.
    """

    correction_limit: int = 500
    sample_limit: int = 2000
    replay_per_correction: float = 3.0
    min_train_photos: int = 400
    validation_share: float = 0.16
    holdout_share: float = 0.20

    def split_of(self, cluster_id: str) -> Split:
        """The same cluster gives the same split in every dataset."""
        point = int.from_bytes(hashlib.sha256(cluster_id.encode()).digest()[:8]) / 2**64
        if point < self.holdout_share:
            return Split.HOLDOUT
        return Split.VALIDATION if point < self.holdout_share + self.validation_share else Split.TRAIN


def cluster_ids(phashes: Sequence[int], known: Iterable[int] = ()) -> list[str]:
    """One cluster id a photo; near-duplicates (≤ `NEAR_DUPLICATE_BITS` bits apart) share the first one's.

    `known` are the founders of earlier datasets' clusters: a new near-duplicate inherits the old cluster, so that it
    can never land on the other side of the split.
    """
    founders = list(dict.fromkeys(known))
    ids = []
    for phash in phashes:
        founder = next((f for f in founders if (f ^ phash).bit_count() <= NEAR_DUPLICATE_BITS), None)
        if founder is None:
            founders.append(phash)
            founder = phash
        ids.append(f"{founder:016x}")
    return ids


def select(photos: Sequence[Photo], policy: SelectionPolicy) -> list[Photo]:
    """Corrections and class-balanced replay for training; validation and holdout at natural frequency."""
    evaluation = [replace(p, source=Source.EVALUATION) for p in photos if p.split is not Split.TRAIN]
    training = [p for p in photos if p.split is Split.TRAIN]
    corrections = [replace(p, source=Source.CORRECTION) for p in training if p.corrected]
    unchanged = [p for p in training if not p.corrected]
    wanted = max(round(len(corrections) * policy.replay_per_correction), policy.min_train_photos - len(corrections))
    replayed = [replace(p, source=Source.REPLAY) for p in _balanced(unchanged, corrections, wanted)]
    return sorted([*corrections, *replayed, *evaluation], key=lambda p: p.task_id)


def _balanced(pool: Sequence[Photo], already: Sequence[Photo], wanted: int) -> list[Photo]:
    """Up to `wanted` photos from `pool`, always from the class that has least; order by hash, not by chance."""
    counts = Counter(p.label for p in already)
    queues = {
        label: sorted((p for p in pool if p.label == label), key=_draw_order) for label in {p.label for p in pool}
    }
    drawn: list[Photo] = []
    while len(drawn) < wanted and any(queues.values()):
        label = min((label for label, queue in queues.items() if queue), key=lambda name: (counts[name], name))
        drawn.append(queues[label].pop())
        counts[label] += 1
    return drawn


def _draw_order(photo: Photo) -> str:
    return hashlib.sha256(photo.cluster_id.encode() + photo.task_id.encode()).hexdigest()


def leaks(photos: Iterable[Photo]) -> list[str]:
    """Clusters, bytes or tasks that stand on more than one side of the split; empty when there is no leak."""
    sides: dict[str, set[Split]] = {}
    for photo in photos:
        for key in (f"cluster {photo.cluster_id}", f"photo {photo.sha256[:12]}", f"task {photo.task_id}"):
            sides.setdefault(key, set()).add(photo.split)
    return [f"{key} is in {', '.join(sorted(found))}" for key, found in sorted(sides.items()) if len(found) > 1]
