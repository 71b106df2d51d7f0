"""Figures that are counted as things happen, so that they may be asked for every few seconds."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pipeline.domain.figures.production import Confirmed, LookedAt, Predicted
from pipeline.domain.figures.retraining import Decided
from pipeline.domain.models import ModelType


@dataclass(frozen=True)
class Waiting:
    """Events that nobody outside was told of yet; ages are those of the oldest, 0 when nothing waits."""

    unpublished: int
    unpublished_seconds: float
    untold_seconds: float


@dataclass(frozen=True)
class Unpublished:
    """The same for another service's events, about which people are not told in any other way."""

    waiting: int
    oldest_seconds: float


@dataclass(frozen=True)
class DagsSeen:
    """`paused` says of each DAG of ours that Airflow knows whether it is; `unreadable` counts files that it cannot
    read. `oldest_run` is of the monitor, which runs more often than any other; None before its first.
    """

    paused: Mapping[str, bool]
    unreadable: int
    oldest_run: datetime | None


class Totals(Protocol):
    """Read from small tables and single rows, however many confirmations there are."""

    def confirmed(self) -> Sequence[Confirmed]: ...

    def predicted(self, versions: Collection[str]) -> Sequence[Predicted]:
        """What these said, by branch."""

    def decided(self, model_type: ModelType) -> Sequence[Decided]: ...

    def ended(self, model_type: ModelType) -> Sequence[str]:
        """Outcomes of the retrainings that ended, newest first."""

    def newest_look(self, model_type: ModelType) -> LookedAt | None:
        """What the monitor saw last; None before its first look."""

    def looks(self, model_type: ModelType, versions: Collection[str]) -> Sequence[LookedAt]:
        """What it saw last of each of these versions, ordered by version; one that it never looked at is missing."""

    def waiting(self) -> Waiting: ...

    def erased(self) -> int:
        """Photos that were forgotten."""

    def begun(self) -> datetime:
        """When the first of these tables was made."""
