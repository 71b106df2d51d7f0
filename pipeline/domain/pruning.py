"""What is thrown away after old retrainings: everything that can be made again, or that nobody asks for any more."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from pipeline.domain.blessing import Blessing
from pipeline.domain.bounds import AtLeastOne, Range

Kept = Annotated[float, Range(at_least=1, at_most=36_500)]


@dataclass(frozen=True)
class PruningPolicy:
    """Manifests, reports, verdicts and lineage stay for ever; the bulk beside them does not."""

    keep_datasets: AtLeastOne = 10
    """Newest datasets of a model type whose images stay. An older one can still be read about, not trained on again."""
    keep_refused_days: Kept = 90.0
    """Days that the model files of a run stay after its refusal, also by a person, who can force it live until then."""
    keep_unanswered_days: Kept = 365.0
    """Days that the model files of a run stay that waits for a person's answer, or was trained and never judged."""
    keep_readings_days: Kept = 400.0
    """Days that the monitor's readings of live accuracy are kept."""
    keep_decisions_days: Kept = 400.0
    """Days that decisions not to retrain are kept; why a retraining began is kept for ever."""
    keep_events_days: Kept = 400.0
    """Days that events stay in the outbox after they were published and people were told of them."""
    keep_experiments_days: Kept = 400.0
    """Days that the experiment tracker shows a retraining whose model got no number; its evidence stays in storage."""

    def old_datasets(self, oldest_first: Sequence[str], in_use: Collection[str]) -> tuple[str, ...]:
        """The datasets of one model type whose images are deleted."""
        return tuple(one for one in oldest_first[: -self.keep_datasets] if one not in in_use)

    def is_over(self, verdict: Blessing | None, trained_at: datetime | None, now: datetime) -> bool:
        """Whether a run was refused and not overruled, or never answered or never judged, long enough ago."""
        if verdict is None:
            return trained_at is not None and now - trained_at > timedelta(days=self.keep_unanswered_days)
        if verdict.refused:
            return now - verdict.settled_at > timedelta(days=self.keep_refused_days)
        return verdict.waits and now - verdict.settled_at > timedelta(days=self.keep_unanswered_days)

    def readings_before(self, now: datetime) -> datetime:
        """Readings from before this moment are deleted."""
        return now - timedelta(days=self.keep_readings_days)

    def decisions_before(self, now: datetime) -> datetime:
        return now - timedelta(days=self.keep_decisions_days)

    def events_before(self, now: datetime) -> datetime:
        return now - timedelta(days=self.keep_events_days)

    def experiments_before(self, now: datetime) -> datetime:
        return now - timedelta(days=self.keep_experiments_days)
