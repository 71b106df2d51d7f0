"""What can happen to the models of one type: acts by kind, and the entries of the append-only log (ADR 0004)."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from pipeline.domain.errors import GiveUp
from pipeline.domain.models import ModelType


class Kind(StrEnum):
    """Why the champion changed; below, what happens beside it."""

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


class Phase(StrEnum):
    """How far an act has come.

    `REQUESTED`: intended, nothing is known yet. `UNCONFIRMED`: tried, and nobody could be asked what came of it; still
    open. `FAILED`: seen to have come to nothing. `SERVED` ends a change of champion, `NOTED` any other act.
    `INCOMPLETE` and `COMPLETED` follow `SERVED` when replicas were missing, and when the last of them came back;
    `MIRRORED` follows it when the registry names the version, too.
    """

    REQUESTED = "requested"
    UNCONFIRMED = "unconfirmed"
    FAILED = "failed"
    SERVED = "served"
    INCOMPLETE = "incomplete"
    COMPLETED = "completed"
    MIRRORED = "mirrored"
    NOTED = "noted"


def storable(text: str) -> str:
    """The text with a question mark for each character that no database stores: no act may fail because of how a reason
    is written.
    """
    return text.encode(errors="replace").decode().replace("\0", "?")


@dataclass(frozen=True)
class By:
    """Who asks, why, and in which request: the DAG run or the command, the same for every retry of it."""

    actor: str
    reason: str
    request_id: str

    def __post_init__(self) -> None:
        for name, text in vars(self).copy().items():
            object.__setattr__(self, name, storable(text))

    @property
    def run(self) -> str:
        """The DAG run that asks, as keys and tables name it. A later trial of the same run is a request of its own."""
        asking, _, _ = self.request_id.partition(", trial ")
        return re.sub("[:+]", "-", asking)

    def demand_a_name(self, act: str) -> None:
        """Raises `GiveUp` for an act that somebody has to answer for, asked by nobody or without a reason."""
        if not self.actor.strip() or not self.reason.strip():
            raise GiveUp(f"{act} needs an actor and a reason")


@dataclass(frozen=True)
class Act:
    """`at` is when it was asked for. `id` is made of the request, so that the same request acts once."""

    id: str
    model_type: ModelType
    version: str
    by: By
    at: datetime

    @property
    def before(self) -> str | None:
        """The champion that the act was asked beside or against; None when it is about no other version."""
        return None


@dataclass(frozen=True)
class ChampionChange(Act):
    """`version` instead of `from_version`, the champion it was planned against; None for the first model."""

    kind: Kind
    from_version: str | None
    blessing_id: str | None = None

    @property
    def before(self) -> str | None:
        return self.from_version


@dataclass(frozen=True)
class CanaryStart(Act):
    """`version` gets a share of the requests beside the champion `beside`."""

    beside: str
    blessing_id: str | None = None

    kind: ClassVar[Kind] = Kind.CANARY_START

    @property
    def before(self) -> str:
        return self.beside


@dataclass(frozen=True)
class TrialOf:
    """Which trial is meant: that of `version` which the request `begun_by` began.

    None means whichever there is, and is for a person's command: a run that waits or is cleared days later may find
    that somebody tries the same version again.
    """

    version: str
    begun_by: str | None = None

    def is_meant(self, trial: CanaryStart) -> bool:
        if self.begun_by is not None and storable(self.begun_by) != trial.by.request_id:
            return False
        return trial.version == self.version


@dataclass(frozen=True)
class CanaryAbort(Act):
    """The trial `trial_id` of `version` ends without a promotion."""

    beside: str
    trial_id: str

    kind: ClassVar[Kind] = Kind.CANARY_ABORT

    @property
    def before(self) -> str:
        return self.beside


@dataclass(frozen=True)
class FreezeCleared(Act):
    """A person looked after an automatic rollback; `version` is the champion then."""

    kind: ClassVar[Kind] = Kind.FREEZE_CLEARED


@dataclass(frozen=True)
class Archive(Act):
    """The files of `version` were copied to the archive and may go."""

    kind: ClassVar[Kind] = Kind.ARCHIVE


@dataclass(frozen=True)
class Restore(Act):
    """The files of `version` come back from the archive."""

    kind: ClassVar[Kind] = Kind.RESTORE


Transition = ChampionChange | CanaryStart | CanaryAbort | FreezeCleared | Archive | Restore


@dataclass(frozen=True)
class Entry:
    """One line of the log: `act` came as far as `phase` at `at`; `detail` says why, or which replicas are missing."""

    phase: Phase
    act: Transition
    at: datetime
    detail: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "detail", storable(self.detail))
