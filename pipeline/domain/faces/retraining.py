"""When a face model is retrained: by corrections, and by how many people they are about (ADR 0017)."""

import sys
from dataclasses import dataclass, replace
from datetime import datetime

from pipeline.domain.bounds import AtLeastOne, Days, Hours
from pipeline.domain.cheap_hours import CheapHours
from pipeline.domain.retraining import Asker, Backlog, Claim, RetrainingDecision, RetrainingPolicy


@dataclass(frozen=True)
class FaceRules(RetrainingPolicy):
    """The rules for any model, and the corrections have to be about enough people."""

    min_people: int = 1

    def decide(
        self, backlog: Backlog, asker: Asker, *, now: datetime, claim: Claim | None = None
    ) -> RetrainingDecision:
        found = super().decide(backlog, asker, now=now, claim=claim)
        if found.rule == "no_champion":
            how = "`python -m pipeline face-model FOLDER --run-id NAME`"
            return replace(found, reason=f"no model yet: {how} makes the first one")
        people = backlog.people or 0
        if found.rule == "too_few" or asker.forced_by is not None or claim is not None or people >= self.min_people:
            return found
        reason = f"{backlog.corrections} corrections are about {people} people, {self.min_people} needed"
        return RetrainingDecision(False, "too_few_people", reason, backlog)


@dataclass(frozen=True)
class FaceRetrainingPolicy:
    """Counts people who were wrongly refused or wrongly let in; the last word on each check counts."""

    min_corrections: AtLeastOne = 50
    """Corrections at doors since the last training that make one due."""
    min_touched: AtLeastOne = 20
    """People whom these corrections have to be about: of one who looks like another a hundred say no more than one."""
    min_days: Days = 7.0
    """Days since the last training before another one."""
    retry_hours: Hours = 20.0
    """Hours before corrections are tried again that a retraining was begun with which came to no verdict."""

    def rules(self, cheap: CheapHours) -> FaceRules:
        """`cheap` is when a retraining that can wait begins. None is urgent: a model that fails at doors is taken down
        instead.
        """
        return FaceRules(
            self.min_corrections,
            urgent_corrections=sys.maxsize,
            min_days=self.min_days,
            retry_hours=self.retry_hours,
            cheap=cheap,
            min_people=self.min_touched,
        )
