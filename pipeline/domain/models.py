"""Model versions and their numbers (specification §11)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pipeline.domain.errors import GiveUp


class ModelType(StrEnum):
    """The model types that databases and registries may name; `pipeline.bootstrap.kinds` says which of them have a
    whole pipeline.
    """

    LAUNDRY = "LAUNDRY"
    FACE = "FACE"


def demand_of_type(run_id: str, known: str, asked: ModelType) -> None:
    """A run id names one run of one model type: no other type may go on with what it made."""
    if known != asked:
        raise GiveUp(f"run {run_id} is one of {known}: name that of {asked} otherwise")


class Status(StrEnum):
    """Projection of the transition log onto `model_versions.status`."""

    CANDIDATE = "CANDIDATE"
    CANARY = "CANARY"
    ACTIVE = "ACTIVE"
    RETIRED = "RETIRED"
    ARCHIVED = "ARCHIVED"


@dataclass(frozen=True, order=True)
class VersionNumber:
    """`vMAJOR.MINOR.PATCH`: architecture changed, retrained, same data with other hyperparameters."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> "VersionNumber":
        match = re.fullmatch(r"v(\d{1,6})\.(\d{1,6})\.(\d{1,6})", text)
        if match is None:
            raise ValueError(f"{text[:40]!r} is not a version like v1.2.3")
        return cls(*(int(part) for part in match.groups()))

    def __str__(self) -> str:
        return f"v{self.major}.{self.minor}.{self.patch}"


@dataclass(frozen=True)
class Artifact:
    """Where the served files are: `uri` an `s3://…/` prefix, `manifest_sha256` the hash of its manifest.json."""

    uri: str
    manifest_sha256: str


@dataclass(frozen=True)
class ModelVersion:
    """One row of `model_versions`; accuracies 0-1 on the validation photos.

    `accuracy` is the verdict's, of the served model; `val_accuracy` what the trainer said before the export. Of a face
    model they are the share of pairs of one person that are accepted, at its threshold and where that was looked for.
    """

    version: str
    model_type: ModelType
    run_id: str
    dataset_id: str
    backbone: str
    artifact: Artifact
    accuracy: float
    val_accuracy: float
    trained_at: datetime
    status: Status = Status.CANDIDATE
    deployed_at: datetime | None = None
    previous_version: str | None = None


def newest_first(versions: Iterable[ModelVersion]) -> list[ModelVersion]:
    """Ordered by when they were trained, not by number: a second model of earlier data has a lower number than models
    made since.
    """
    return sorted(versions, key=lambda one: (one.trained_at, VersionNumber.parse(one.version)), reverse=True)
