"""Model versions, their numbers, and the transitions of the champion (specification §11; design D13)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ModelType(StrEnum):
    LAUNDRY = "LAUNDRY"
    FACE = "FACE"


MODEL_TYPES = tuple(str(one) for one in ModelType)


class Status(StrEnum):
    """Projection of the transition log onto `model_versions.status`."""

    CANDIDATE = "CANDIDATE"
    CANARY = "CANARY"
    ACTIVE = "ACTIVE"
    RETIRED = "RETIRED"
    ARCHIVED = "ARCHIVED"


class Kind(StrEnum):
    """Why the champion changed; below, what is noted beside it."""

    PROMOTE = "promote"
    FORCED = "forced"
    CANARY_PROMOTE = "canary_promote"
    ROLLBACK_MANUAL = "rollback_manual"
    ROLLBACK_AUTO = "rollback_auto"

    CANARY_START = "canary_start"
    CANARY_ABORT = "canary_abort"
    FREEZE_CLEARED = "freeze_cleared"
    ARCHIVE = "archive"
    RESTORE = "restore"


ROLLBACKS = frozenset({Kind.ROLLBACK_MANUAL, Kind.ROLLBACK_AUTO})
NOTES = frozenset({Kind.CANARY_START, Kind.CANARY_ABORT, Kind.FREEZE_CLEARED, Kind.ARCHIVE, Kind.RESTORE})


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
    """One row of `model_versions`; accuracies 0-1, `accuracy` on the training photos, `val_accuracy` on validation."""

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


@dataclass(frozen=True)
class Transition:
    """A change of champion that every replica was seen to serve, or a note about `to_version` beside it.

    `expected_current` is the champion the change was planned against (compare-and-swap).
    """

    id: str
    model_type: ModelType
    kind: Kind
    from_version: str | None
    to_version: str
    expected_current: str | None
    actor: str
    reason: str
    blessing_id: str | None
    requested_at: datetime
    confirmed_served_at: datetime | None = None


@dataclass(frozen=True)
class FailedChange:
    """The latest attempt to change the champion, when it came to nothing."""

    transition: Transition
    reason: str


def rollback_target(served: Sequence[Transition]) -> str | None:
    """The version that really served before the current one: `served` in order, oldest first.

    Never one that was taken down automatically: going back to it would be a step from bad to known bad.
    """
    if not served:
        return None
    shunned = {served[-1].to_version} | taken_down(served)
    return next((t.to_version for t in reversed(served) if t.to_version not in shunned), None)


def taken_down(served: Sequence[Transition]) -> frozenset[str]:
    """Versions that an automatic rollback ended; it happens at most once to each."""
    return frozenset(t.from_version for t in served if t.kind is Kind.ROLLBACK_AUTO and t.from_version)


def frozen_by(facts: Sequence[Transition]) -> Transition | None:
    """The automatic rollback since which nothing is promoted, until a person cleared the freeze."""
    frozen = None
    for fact in facts:
        if fact.kind is Kind.ROLLBACK_AUTO:
            frozen = fact
        elif fact.kind is Kind.FREEZE_CLEARED:
            frozen = None
    return frozen


def frozen_sentence(freeze: Transition) -> str:
    return (
        f"promotions are frozen since {freeze.from_version} was rolled back automatically ({freeze.reason}): "
        "find out why it was bad, then clear the freeze"
    )


def on_trial(facts: Sequence[Transition]) -> Transition | None:
    """The canary that gets its share of requests now; any change of champion ends it."""
    trial = None
    for fact in facts:
        if fact.kind is Kind.CANARY_START:
            trial = fact
        elif fact.kind is Kind.CANARY_ABORT or fact.kind not in NOTES:
            trial = None
    return trial
