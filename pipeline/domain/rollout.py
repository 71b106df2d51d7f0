"""What becomes of a canary: it gets a share of the requests until people have confirmed enough of its answers
(specification §11).

Stable and canary saw different photos, and are looked at again and again: Wald's sequential test bounds the error of
all looks together (ADR 0011).
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pipeline.domain.bounds import AtLeastOne, OneSided, Range, Share
from pipeline.domain.live_accuracy import Tally
from pipeline.domain.statistics import log_times_likelier_below, log_times_likelier_equal

Decision = Literal["promote", "abort", "wait"]

# With fewer confirmations nothing is decided: the first few people may all be talking about the same photos.
_SOME = 20
# The logarithm beyond which nobody cares how many times likelier something is.
_MOST_TIMES = math.log(1e6)
_ENDED = frozenset({"aborted", "replaced", "promoted"})
# Replicas of an earlier release call a trial `aborted` even when another version was activated; this reason tells the
# two apart.
_REPLACED = re.compile(r"\S+ (was activated|serves everybody)")


def replaced_by(version: str) -> str:
    """The reason for ending a trial because `version` became champion: it says nothing about the canary."""
    return f"{version} serves everybody"


@dataclass(frozen=True)
class CanarySeen:
    """What one replica says of the canary: `running`, or how the last one ended; `harm` if it was thrown out.

    `fault` is why a replica says nothing.
    """

    replica: str
    version: str | None
    verdict: str
    reason: str
    requests: int
    errors: int
    fault: str = ""

    @property
    def running(self) -> bool:
        return self.version is not None and self.verdict not in {"", *_ENDED}

    @property
    def harm(self) -> bool:
        """Whether the trial ended because of errors, slowness or a word said to this replica alone: anything but
        another version being activated.
        """
        return self.verdict == "roll back" or (self.verdict == "aborted" and not _REPLACED.fullmatch(self.reason))

    def tries(self, version: str) -> bool:
        return self.running and self.version == version


def unasked(replica: str, fault: str) -> CanarySeen:
    return CanarySeen(replica, None, "", "", 0, 0, fault)


def silent(seen: Sequence[CanarySeen]) -> str:
    """Replicas that could not be asked, each with its fault; empty if there is none. Silence is not innocence."""
    return ", ".join(f"{one.replica} {one.fault}" for one in seen if one.fault)


def thrown_out(version: str, seen: Sequence[CanarySeen]) -> CanarySeen | None:
    """A replica that saw `version` do harm."""
    return next((replica for replica in seen if replica.version == version and replica.harm), None)


@dataclass(frozen=True)
class CanaryVerdict:
    decision: Decision
    reason: str


@dataclass(frozen=True)
class CanaryPolicy:
    """Promote what is proven not worse by `margin`, abort what surely is or what the deadline leaves unproven."""

    percent: Annotated[float, Range(above=0, at_most=100)] = 10.0
    """Share of the requests that a canary answers."""
    min_confirmations: AtLeastOne = 100
    """Confirmations of the canary's own answers below which nothing is promoted."""
    margin: Annotated[float, Range(above=0, at_most=1)] = 0.05
    """Loss of accuracy against the champion, 0-1, that has to be ruled out before everybody gets a canary."""
    deadline_hours: Annotated[float, Range(above=0, at_most=72)] = 72.0
    """A canary without that proof by then is aborted; a person may try it again, or force it."""
    floor: Share = 0.80
    """Accuracy that a canary must not surely fall below: that at which a champion is taken down."""
    confidence: OneSided = 0.95
    """How sure a proof has to be, over all looks: one in twenty that are worse by the margin is promoted, at most."""
    harm_confidence: OneSided = 0.99
    """How sure harm has to be, over all looks: one in a hundred that are as good is aborted for it, at most."""

    def judge(
        self, canary: Tally, stable: Tally, seen: Sequence[CanarySeen], *, started: datetime, now: datetime
    ) -> CanaryVerdict:
        for replica in seen:
            if replica.harm:
                return CanaryVerdict("abort", f"{replica.replica}: {replica.reason}")
        evidence = log_times_likelier_equal(_counts(canary), _counts(stable), self.margin)
        found = f"{_figures(canary)} of the canary against {_figures(stable)} of the champion: {self._odds(evidence)}"
        if evidence <= math.log(1 - self.harm_confidence):
            return CanaryVerdict("abort", f"{found}: worse by the margin")
        if canary.confirmed >= _SOME and self._surely_below_floor(canary):
            return CanaryVerdict("abort", f"{found}; surely below {self.floor:.0%}")
        needed = f"{self.min_confirmations} confirmations and {1 / (1 - self.confidence):.0f} times are needed"
        if canary.confirmed >= self.min_confirmations and evidence >= -math.log(1 - self.confidence):
            if away := silent(seen):
                return CanaryVerdict("wait", f"{found}: not worse, proven, but {away}")
            return CanaryVerdict("promote", f"{found}: not worse, proven")
        if (now - started) / timedelta(hours=1) >= self.deadline_hours:
            return CanaryVerdict(
                "abort",
                f"{found}; {needed}: not proven within {self.deadline_hours:g} hours; try again, or force-promote it",
            )
        return CanaryVerdict("wait", f"{found}; {needed}")

    def after_proof(self) -> "CanaryPolicy":
        """While somebody is asked to promote what was proven, only harm ends it: its deadline was met."""
        return replace(self, deadline_hours=math.inf)

    def _surely_below_floor(self, canary: Tally) -> bool:
        below = log_times_likelier_below(_counts(canary), self.floor) if self.floor else 0.0
        return below >= -math.log(1 - self.harm_confidence)

    def _odds(self, evidence: float) -> str:
        times, worse = math.exp(min(abs(evidence), _MOST_TIMES)), f"{self.margin * 100:g} points worse"
        if evidence >= 0:
            return f"{times:.3g} times likelier if it is as good than if it is {worse}"
        return f"{times:.3g} times likelier if it is {worse} than if it is as good"


def _counts(tally: Tally) -> tuple[int, int]:
    return tally.agreed, tally.confirmed


def _figures(tally: Tally) -> str:
    return f"{tally.agreed}/{tally.confirmed} right"
