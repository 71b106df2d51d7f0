"""Which photo shaped which dataset and model, and which photos may be used no more."""

from collections.abc import Mapping
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
    """One task's photo in one dataset; address and hash are empty once it was erased."""

    dataset_id: str
    run_id: str
    model_type: str
    task_id: str
    photo_url: str
    sha256: str
    label: str
    source: Source
    split: Split


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
