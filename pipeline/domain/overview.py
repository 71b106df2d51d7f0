"""What a person sees of one model type at one moment: facts that were recorded, and what may be done about them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pipeline.domain.blessing import Blessing
from pipeline.domain.errors import UnknownVersion
from pipeline.domain.ledger import Ledger
from pipeline.domain.live_accuracy import State
from pipeline.domain.models import ModelVersion
from pipeline.domain.retraining import Backlog, Claim
from pipeline.domain.training import TrainingResult
from pipeline.domain.troubles import Trouble
from pipeline.domain.withholding import Scope, Withheld


@dataclass(frozen=True)
class Sighting:
    """One look of the monitor at the champion of then: `accuracy`, `low` and `high` are 0-1, `decision` a sentence."""

    at: datetime
    version: str
    state: State
    confirmed: int
    accuracy: float | None
    low: float
    high: float
    blind_confirmed: int
    blind_agreed: int
    decision: str


@dataclass(frozen=True)
class Answer:
    """One answer of the retraining policy, as it was kept."""

    at: datetime
    due: bool
    rule: str
    reason: str
    asked_by: str


@dataclass(frozen=True)
class Unpublished:
    """Events that wait in the outbox, the oldest of them since `since`."""

    events: int = 0
    since: datetime | None = None


@dataclass(frozen=True)
class Voice:
    """A source of `corrections` that wait or were learned, which somebody may want to set aside."""

    scope: Scope
    name: str
    corrections: int


@dataclass(frozen=True)
class Judged:
    """What came of one training: the verdict, and a version when it got a number; `at` is when it was judged."""

    run_id: str
    at: datetime
    version: ModelVersion | None
    blessing: Blessing | None
    result: TrainingResult | None


@dataclass(frozen=True)
class Page:
    """Newest first; `more` when there are older ones."""

    judged: Sequence[Judged]
    more: bool


@dataclass(frozen=True)
class Destination:
    """A version that served until `until`, and why a rollback cannot bring it back; None when it can."""

    version: str
    until: datetime | None
    why_not: str | None


@dataclass(frozen=True)
class Overview:
    """All that is known of a model type at `at`; `seen` is the monitor's last look."""

    at: datetime
    ledger: Ledger
    seen: Sighting | None
    backlog: Backlog
    claim: Claim | None
    answers: Sequence[Answer]
    unpublished: Unpublished
    troubles: Sequence[Trouble]
    withheld: Sequence[Withheld]


def destinations(ledger: Ledger, *, most: int) -> tuple[Destination, ...]:
    """Versions that served and are not the champion, the one that served last first."""
    until = {reign.version: reign.until for reign in ledger.reigns}
    newest_first = sorted((v for v in until if v != ledger.champion), key=lambda v: str(until[v]), reverse=True)
    return tuple(Destination(v, until[v], _refusal(ledger, v)) for v in newest_first[:most])


def _refusal(ledger: Ledger, version: str) -> str | None:
    try:
        ledger.rollback_target(version)
    except UnknownVersion as refused:
        return str(refused)
    return None
