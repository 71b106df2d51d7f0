"""Which photo shaped which dataset and model, and which photos may be used no more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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


def runs_of(made_by: str, tried: Sequence[str]) -> tuple[str, ...]:
    """Every run of a dataset once: the one that made it, then those that were trained on it in their order."""
    return tuple(dict.fromkeys((made_by, *tried)))


@dataclass(frozen=True)
class Erased:
    """A photo that was asked to be forgotten: `sha256s` of its bytes, so that a copy is not taken again either."""

    task_id: str
    sha256s: tuple[str, ...]
    actor: str
    reason: str
    at: datetime


@dataclass
class Erasure:
    """What forgetting a photo did: URIs rewritten and deleted, table rows emptied, models that used it (they are kept),
    and what is left to people.
    """

    task_id: str
    rewritten: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    rows: Mapping[str, int] = field(default_factory=dict)
    models: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
