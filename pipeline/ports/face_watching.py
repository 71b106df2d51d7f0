"""What it takes to see how often a face model refuses, or lets in, people wrongly."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pipeline.domain.faces.looks import FaceLook
from pipeline.domain.live_accuracy import Period
from pipeline.ports.clock import Clock
from pipeline.ports.deployment import Transitions
from pipeline.ports.events import FaceConfirmations, Outbox
from pipeline.ports.live import Episodes


class FaceLooks(Protocol):
    """What the monitor saw of face champions."""

    def record(self, look: FaceLook) -> None: ...

    def last(self) -> FaceLook | None:
        """The newest; None before the first."""

    def within(self, period: Period, *, most: int) -> Sequence[FaceLook]:
        """Oldest first: of many, the last one of each of `most` equal spans of the period."""

    def forget(self, *, before: datetime, dry_run: bool) -> int:
        """Delete what was seen before that moment, or only count it; how many looks."""


@dataclass(frozen=True)
class FaceMonitoring:
    transitions: Transitions
    confirmations: FaceConfirmations
    looks: FaceLooks
    episodes: Episodes
    outbox: Outbox
    clock: Clock
    trial_hours: float = 48.0
    """As in `Monitoring`."""
