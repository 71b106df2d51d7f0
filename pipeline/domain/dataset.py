"""What a dataset is made of: confirmed tasks, photos, the frozen manifest (design D1, D2)."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pipeline.domain.bounds import AtLeastOne, Count, Range, Share
from pipeline.domain.checksums import sha256

FIRST = "first:"
"""Prefix of the task id of a photo that somebody labelled for the first model."""


def of_helper(task_id: str) -> bool:
    """Whether it is a task of the Helper service, and not a photo of the first model."""
    return not task_id.startswith(FIRST)


class Split(StrEnum):
    """`HELD_OUT_CORRECTIONS` are corrections of clusters that are never trained on, beyond the natural sample."""

    TRAIN = "train"
    VALIDATION = "validation"
    HOLDOUT = "holdout"
    HELD_OUT_CORRECTIONS = "held_out_corrections"


class Source(StrEnum):
    """Why a photo is in the dataset. `MISSED_CORRECTION` is an earlier one of a kind that the champion gets wrong."""

    CORRECTION = "correction"
    EARLIER_CORRECTION = "earlier_correction"
    MISSED_CORRECTION = "missed_correction"
    REPLAY = "replay"
    EVALUATION = "evaluation"


def dataset_name(year: str, number: int) -> str:
    """`DS-2026-001`; the thousandth of a year has four digits."""
    return f"DS-{year}-{number:03d}"


@dataclass(frozen=True)
class ConfirmedTask:
    """One confirmed task as the Helper database tells it (specification, messages 9-13).

    `fault` says what of it could not be read; empty when all could.
    """

    task_id: str
    photo_url: str
    ai_result: str
    final_result: str
    corrected: bool
    correction_reason: str | None
    confirmed_at: datetime
    helper_id: str = ""
    fault: str = ""


@dataclass(frozen=True)
class Fingerprint:
    """A photo's identity: `sha256` of its bytes, `phash` 64-bit perceptual hash; size in pixels.

    `brightness` 0-1; `sharpness` is the variance of the Laplacian at a fixed size, low for blurred photos;
    `descriptor` are float32 figures of colour and texture, by which labels are compared with each other.
    `fault` says why the photo cannot be used; empty when it can.
    """

    sha256: str = ""
    phash: int = 0
    width: int = 0
    height: int = 0
    brightness: float = 0.0
    sharpness: float = 0.0
    descriptor: bytes = b""
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
    reasons: tuple[str, ...] = ()
    """What the correction's text means, by the list of reasons of that time."""


@dataclass(frozen=True)
class Quarantined:
    """A confirmed task that was set aside, and why.

    `kind` is `unusable`, `contradiction`, `near_duplicate` (of a held-out photo), `repeated` (counts once) or
    `withheld` (a person set aside what was said of it). `sha256` of the photo's bytes is empty for an unusable or
    withheld one, and in what earlier versions kept.
    """

    task_id: str
    photo_url: str
    reason: str
    kind: str = "unusable"
    sha256: str = ""


def set_aside(photo: Photo, reason: str, kind: str) -> Quarantined:
    """A photo that could be used, and is not."""
    return Quarantined(photo.task_id, photo.photo_url, reason, kind, photo.sha256)


@dataclass(frozen=True)
class Augmentation:
    """The specification's three transforms, kept with the dataset; the same photo and seed give the same images."""

    copies: AtLeastOne = 5
    """Images per training photo, the original included."""
    rotation_degrees: Annotated[float, Range(at_least=0, at_most=180)] = 15.0
    """Rotation up to plus or minus this."""
    flip_probability: Share = 0.5
    """Share of copies that are mirrored."""
    brightness: Share = 0.2
    """Largest change of brightness, as a share of the full range."""
    contrast: Share = 0.2
    """Largest change of contrast, as a share."""
    seed: Count = 7
    """Seed of the augmentations; the same photo and seed give the same images."""
    photos_per_slice: AtLeastOne = 250
    """Photos that one mapped augment task prepares."""


@dataclass(frozen=True)
class Manifest:
    """A frozen selection: the same run gives the same manifest, byte for byte.

    `policy` are the settings it was chosen by, for people; `augmentation` is what images are made by.
    """

    dataset_id: str
    model_type: str
    labels: tuple[str, ...]
    corrections_since: str | None
    corrections_through: str | None
    photos: tuple[Photo, ...]
    quarantined: tuple[Quarantined, ...] = ()
    policy: Mapping[str, Any] = field(default_factory=dict)
    augmentation: Augmentation = Augmentation()

    def of(self, split: Split) -> tuple[Photo, ...]:
        return tuple(photo for photo in self.photos if photo.split == split)

    @property
    def task_ids(self) -> set[str]:
        """Ids of every task in it, used or set aside."""
        return {p.task_id for p in self.photos} | {q.task_id for q in self.quarantined}

    def names(self, task_id: str) -> bool:
        return task_id in self.task_ids

    def without(self, task_id: str) -> "Manifest":
        photos = tuple(p for p in self.photos if p.task_id != task_id)
        return replace(self, photos=photos, quarantined=tuple(q for q in self.quarantined if q.task_id != task_id))

    def setting_aside(self, rows: Iterable[Quarantined]) -> "Manifest":
        """A copy without those of its photos that are among `rows`; other rows change nothing."""
        photos = {photo.task_id for photo in self.photos}
        gone = {row.task_id: row for row in rows if row.task_id in photos}
        left = tuple(photo for photo in self.photos if photo.task_id not in gone)
        return replace(self, photos=left, quarantined=(*self.quarantined, *gone.values()))

    @property
    def natural(self) -> tuple[Photo, ...]:
        """Photos at their natural frequency: what branch managers would see, errors and all."""
        return self.of(Split.VALIDATION) + self.of(Split.HOLDOUT)

    @property
    def sha256(self) -> str:
        """Of the manifest as it is stored."""
        return sha256(self.to_json())

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True, indent=0).encode()

    @classmethod
    def from_json(cls, body: bytes) -> "Manifest":
        """Raises `KeyError` for what is no list of tasks."""
        fields = json.loads(body)
        labels = tuple(fields.pop("labels"))
        photos = tuple(
            Photo(
                **{
                    **photo,
                    "source": Source(photo["source"]),
                    "split": Split(photo["split"]),
                    "reasons": tuple(photo.get("reasons", ())),
                }
            )
            for photo in fields.pop("photos")
        )
        quarantined = tuple(Quarantined(**row) for row in fields.pop("quarantined"))
        augmentation = Augmentation(**fields.pop("augmentation", {}))
        return cls(**fields, labels=labels, photos=photos, quarantined=quarantined, augmentation=augmentation)


@dataclass(frozen=True)
class Dataset:
    """A prepared dataset: `image_count = train_count + validation_count` images, `train_count` after augmentation.

    `holdout_version` numbers the state of the append-only holdout it was collected with.
    """

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
    holdout_version: int = 0

    @classmethod
    def counted(cls, run_id: str, uri: str, manifest: Manifest, sha256: str) -> "Dataset":
        """The row of an assembled manifest; `sha256` is that of its index of shards."""
        train_count = len(manifest.of(Split.TRAIN)) * manifest.augmentation.copies
        validation_count = len(manifest.of(Split.VALIDATION))
        through = manifest.corrections_through
        return cls(
            id=manifest.dataset_id,
            run_id=run_id,
            model_type=manifest.model_type,
            uri=uri,
            sha256=sha256,
            photo_count=len(manifest.photos),
            image_count=train_count + validation_count,
            train_count=train_count,
            validation_count=validation_count,
            holdout_count=len(manifest.of(Split.HOLDOUT)),
            corrections=sum(photo.source is Source.CORRECTION for photo in manifest.photos),
            corrections_through=datetime.fromisoformat(through) if through else None,
        )
