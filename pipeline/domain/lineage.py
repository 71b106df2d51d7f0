"""Which photo shaped which dataset and model, and which photos may no longer be used."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from pipeline.domain.dataset import Source, Split

ROLES = {
    Split.TRAIN: "learned from",
    Split.VALIDATION: "chose the best epoch by",
    Split.HOLDOUT: "judged by",
    Split.HELD_OUT_CORRECTIONS: "judged by",
}


@dataclass(frozen=True)
class Appearance:
    """One task's photo in one dataset; address and hash are empty once it was erased.

    `run_id` is the run that made the dataset; others may have been trained on it as well (see `runs_of`).
    """

    dataset_id: str
    run_id: str
    model_type: str
    task_id: str
    photo_url: str
    sha256: str
    label: str
    source: Source
    split: Split


@dataclass(frozen=True, order=True)
class Kept:
    """What a dataset kept of a task's photo, used or set aside; `sha256` is empty where its bytes could not be used."""

    task_id: str
    photo_url: str
    sha256: str

    def shows_the_photo_of(self, other: "Kept") -> bool:
        """Whether the address is known to be that photo's: before the photo was read, a row may say anything
        (`unknown`).
        """
        read = self.sha256 or other.sha256
        return bool(read) and (self.sha256 == other.sha256 or self.photo_url == other.photo_url)


def runs_of(made_by: str, tried: Sequence[str]) -> tuple[str, ...]:
    """Every run of a dataset once: the one that made it, then those that trained on it, in their order."""
    return tuple(dict.fromkeys((made_by, *tried)))


@dataclass(frozen=True)
class Erased:
    """A photo that was asked to be forgotten: `sha256s` of its bytes, so that a copy is not taken again either."""

    task_id: str
    sha256s: tuple[str, ...]
    actor: str
    reason: str
    at: datetime


@dataclass(frozen=True)
class Gone:
    """What was erased: no photo of these tasks or with these bytes is used, set aside or shown."""

    task_ids: frozenset[str]
    sha256s: frozenset[str]

    @classmethod
    def of(cls, erased: Sequence[Erased]) -> "Gone":
        return cls(frozenset(e.task_id for e in erased), frozenset(sha256 for e in erased for sha256 in e.sha256s))

    def has(self, task_id: str, sha256: str) -> bool:
        return task_id in self.task_ids or sha256 in self.sha256s


@dataclass
class Erasure:
    """What forgetting a photo did: URIs rewritten and deleted, table rows emptied, models that used it (they are kept),
    and what is left to people. `twins` are other tasks with the same photo, forgotten with it; `addresses` are where
    people find the originals.
    """

    task_id: str
    twins: list[str] = field(default_factory=list)
    rewritten: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    rows: Mapping[str, int] = field(default_factory=dict)
    models: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)

    def each_once(self) -> "Erasure":
        """Twins share datasets and models."""
        rewritten, deleted, models, left = (
            list(dict.fromkeys(said)) for said in (self.rewritten, self.deleted, self.models, self.left)
        )
        return replace(self, rewritten=rewritten, deleted=deleted, models=models, left=left)
