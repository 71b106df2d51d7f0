"""What a face model has to be like to go live: judged on people it never saw, at the threshold that is served."""

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from pipeline.domain.blessing import Conclusion
from pipeline.domain.bounds import AtLeastOne, Positive, Share, TwoSided
from pipeline.domain.checks import Check, Outcome, Weight, outcome
from pipeline.domain.faces.live import Rate, rate_of_people
from pipeline.domain.faces.measured import Champion, FaceMeasurement, Gallery
from pipeline.domain.faces.rates import AtThreshold, far_interval, tar_gained, tar_interval

# Whoever judges needs the measurements as well, and so imports only this module.
__all__ = ["FaceCheck", "FaceGatePolicy", "FaceMeasurement", "conclude", "refusals"]

# The least a slice is compared with: where hardly anybody is refused, one refusal more is chance.
_REFUSED_AT_LEAST = 0.01


class FaceCheck(StrEnum):
    """Every condition that a face model is judged by."""

    PEOPLE = "people_who_judge"
    TAR = "tar_at_served_threshold"
    FAR = "far_at_served_threshold"
    SLICES = "worst_slice_of_people"
    NOT_COLLAPSED = "embeddings_spread"
    GALLERY = "everybody_finds_themselves"
    FPIR = "strangers_named_among_many"
    NOT_WORSE = "tar_not_worse"
    NEGATIVE_FLIPS = "mates_refused_now"
    NOT_SUSPICIOUS = "tar_gain_not_suspicious"


@dataclass(frozen=True)
class FaceGatePolicy:
    """What may go live. Rates are shares, 0-1; a figure that is NaN passes nothing."""

    min_people: AtLeastOne = 50
    """People on the test side, below which nothing can be said."""
    enough_people: AtLeastOne = 200
    """People from which on the strict FAR is judged; of fewer the loose one."""
    far: Share = 0.001
    """Share of pairs of two people that may be accepted."""
    far_of_few: Share = 0.01
    """The same where fewer people judge: less cannot be seen."""
    fpir: Share = 0.01
    """Share of strangers that may be named as somebody where a photo is looked for among many people (1:N)."""
    fpir_of_few: Share = 0.05
    """The same where fewer people judge, of whom one alone may be more than the strict share; it counts there only when
    it is sure."""
    min_tar: Share = 0.8
    """Share of pairs of one person that has to be accepted."""
    margin: Share = 0.02
    """Most of the champion's TAR that may be lost for sure."""
    margin_of_few: Share = 0.05
    """The same where fewer people judge: of less nobody can prove that it was not lost."""
    max_gain: Share = 0.2
    """A greater gain, for sure, looks like a leak: a person looks."""
    max_negative_flips: Share = 0.02
    """Share of the pairs of one person that the champion accepts and that are refused now."""
    max_flips_of_few: Share = 0.05
    """The same where fewer people judge, of whom one alone may be as much as the strict share; it counts there only
    when it is sure."""
    max_slice_ratio: Positive = 2.0
    """How many times as often people of a slice may be refused as others."""
    min_slice_people: AtLeastOne = 20
    """People that a slice needs to be judged."""
    min_dimensions: Positive = 8.0
    """Dimensions over which embeddings spread at least; fewer is a collapse."""
    confidence: TwoSided = 0.95
    """Confidence of the two-sided intervals that bars are held against: 0.95 is 97.5 % sure of one side."""

    def sha256(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def target(self, people: int) -> float:
        """The FAR that a threshold is chosen for when so many people judge it."""
        return self.far_of_few if self._is_few(people) else self.far

    def _is_few(self, people: int) -> bool:
        return people < self.enough_people

    def judge(self, measured: FaceMeasurement) -> tuple[Check, ...]:
        """Every check, in order; none is skipped because another one failed."""
        m = measured
        alone = (
            self._people(m.candidate),
            self._tar(m.candidate),
            self._far(m.candidate),
            self._slices(m),
            self._spread(m),
            self._gallery(m.gallery),
            self._strangers(m),
        )
        if m.champion:
            return (*alone, *self._beside(m.champion.ours or m.candidate, m.champion))
        return (*alone, self._not_compared(m)) if m.incomparable else alone

    def _people(self, errors: AtThreshold) -> Check:
        n = len(errors.photos)
        reason = f"{n} people judge, {self.min_people} needed"
        return Check(FaceCheck.PEOPLE, outcome(n >= self.min_people), n, self.min_people, n, reason)

    def _tar(self, errors: AtThreshold) -> Check:
        value, sure = errors.tar(_all(errors)), tar_interval(errors, confidence=self.confidence)
        reason = f"{value:.1%} of pairs of one person are accepted, {self.min_tar:.0%} needed"
        passed, n = value >= self.min_tar, len(errors.photos)
        return Check(FaceCheck.TAR, outcome(passed), value, self.min_tar, n, reason, low=sure.low, high=sure.high)

    def _far(self, errors: AtThreshold) -> Check:
        """The share itself, without an interval: the threshold, which other people set, already leaves room
        for chance.
        """
        value, sure = errors.far(_all(errors)), far_interval(errors, confidence=self.confidence)
        n, bar = len(errors.photos), self.target(len(errors.photos))
        at_least = f"at least {value:.1%}" if errors.more else f"{value:.1e}"
        reason, passed = f"{at_least} of pairs of two people are accepted, at most {bar:.0e} allowed", value <= bar
        return Check(
            FaceCheck.FAR, outcome(passed and not errors.more), value, bar, n, reason, low=sure.low, high=sure.high
        )

    def _slices(self, m: FaceMeasurement) -> Check:
        """The slice whose people are refused most often, beside everybody who is not in it. Of many small ones one is
        always bad by chance. One fails that is surely above the bar, and waits for a person where it is above the bar
        and surely refused more often than the others: the more slices, the surer.
        """
        found = [self._slice(m.candidate, name, who) for name, who in m.slices.items() if self._is_judged(who)]
        sure = 1 - (1 - self.confidence) / max(1, len(found))
        failing = [one for one in found if one.rate.surely_above(self._bar(one), sure)]
        held = [one for one in found if one.share > self._bar(one) and one.rate.surely_above(one.usual, sure)]
        everybody = self._slice(m.candidate, "everybody", frozenset(range(len(m.candidate.photos))))
        worst = max(failing or held or found, key=lambda one: one.share, default=everybody)
        passed = not failing and not held and math.isfinite(everybody.share)
        return Check(
            FaceCheck.SLICES,
            outcome(passed),
            worst.share,
            self._bar(worst),
            worst.people,
            f"{worst.share:.1%} of pairs of one person are refused for {worst.name}, {worst.others:.1%} for others",
            weight=Weight.HOLD if held and not failing else Weight.FLOOR,
        )

    def _is_judged(self, who: frozenset[int]) -> bool:
        return len(who) >= self.min_slice_people

    def _slice(self, errors: AtThreshold, name: str, who: frozenset[int]) -> "_Slice":
        """The slice beside all others, or beside everybody where too few are outside it."""
        everybody = range(len(errors.photos))
        others = refusals(errors, set(everybody) - who)
        beside = others if others.people >= self.min_slice_people else refusals(errors, everybody)
        return _Slice(name, len(who), refusals(errors, who), beside.share or 0.0)

    def _bar(self, one: "_Slice") -> float:
        return self.max_slice_ratio * one.usual

    def _spread(self, m: FaceMeasurement) -> Check:
        value, bar, n = m.spread.dimensions, self.min_dimensions, len(m.candidate.photos)
        reason = f"embeddings spread over {value:.1f} dimensions, {bar:g} needed"
        if not m.spread.finite:
            reason = "embeddings have numbers that are not finite"
        return Check(FaceCheck.NOT_COLLAPSED, outcome(m.spread.finite and value >= bar), value, bar, n, reason)

    def _gallery(self, gallery: Gallery) -> Check:
        reason = (
            f"for {gallery.lost} of {gallery.people} people of the dataset their own newest photo is not the best match"
        )
        return Check(FaceCheck.GALLERY, outcome(gallery.lost == 0), gallery.lost, 0, gallery.people, reason)

    def _strangers(self, m: FaceMeasurement) -> Check:
        """As in `_flips`: the share itself where enough people judge, with few people its sure bound."""
        n, bar = len(m.candidate.photos), self.fpir
        if m.sought is None or (value := m.sought.fpir.share) is None:
            return Check(
                FaceCheck.FPIR, Outcome.NOT_MEASURED, None, bar, n, "no stranger was searched for among enrolled people"
            )
        passed, tpir = value <= bar, m.sought.tpir.share
        if self._is_few(n):
            bar = max(bar, self.fpir_of_few)
            passed = value <= bar and not m.sought.fpir.surely_above(self.fpir, self.confidence)
        found = (
            "nobody enrolled was searched for" if tpir is None else f"{tpir:.1%} of enrolled people are found (TPIR)"
        )
        reason = (
            f"{value:.2%} of strangers are named as one of {m.sought.others} people at threshold "
            f"{m.sought.threshold:.3f}, at most {bar:.1%} allowed; {found}"
        )
        sure = m.sought.fpir.sure(self.confidence)
        return Check(FaceCheck.FPIR, outcome(passed), value, bar, n, reason, low=sure.low, high=sure.high)

    def _not_compared(self, m: FaceMeasurement) -> Check:
        n, against = len(m.candidate.photos), m.incomparable
        reason = (
            f"champion {against} is of another base network, and of too few of these people photos are there that both "
            "networks saw: look at what it refuses and lets in at doors, and decide"
        )
        return Check(FaceCheck.NOT_WORSE, Outcome.NOT_MEASURED, None, -self.margin, n, reason, against, Weight.HOLD)

    def _beside(self, ours: AtThreshold, champion: Champion) -> tuple[Check, ...]:
        theirs, against, n = champion.errors, champion.version, len(ours.photos)
        value, sure = (
            ours.tar(_all(ours)) - theirs.tar(_all(theirs)),
            tar_gained(ours, theirs, confidence=self.confidence),
        )
        reason = f"{value * 100:+.1f} pp of pairs of one person are accepted, against champion {against}"
        margin = max(self.margin, self.margin_of_few) if self._is_few(n) else self.margin
        passed, calm = sure.low >= -margin, sure.low <= self.max_gain
        not_worse = Check(
            FaceCheck.NOT_WORSE, outcome(passed), value, -margin, n, reason, against, Weight.PROOF, sure.low
        )
        not_suspicious = Check(
            FaceCheck.NOT_SUSPICIOUS, outcome(calm), value, self.max_gain, n, reason, against, Weight.HOLD, sure.low
        )
        return not_worse, self._flips(champion, n), not_suspicious

    def _flips(self, champion: Champion, people: int) -> Check:
        """The share itself where enough people judge; with few people, where chance is larger than the bar, its sure
        bound.
        """
        rate, against, bar = champion.flips, champion.version, self.max_negative_flips
        # A champion that was asked and accepts nobody has nothing to lose.
        nothing = 0.0 if any(champion.errors.pairs) else math.nan
        value = nothing if rate.share is None else rate.share
        if self._is_few(people):
            bar = max(bar, self.max_flips_of_few)
            passed = value <= bar and not rate.surely_above(self.max_negative_flips, self.confidence)
        else:
            passed = value <= bar
        reason = f"{rate.failed} of {rate.checks} pairs of one person that champion {against} accepts are refused now"
        return Check(FaceCheck.NEGATIVE_FLIPS, outcome(passed), value, bar, people, reason, against, Weight.PROOF)


@dataclass(frozen=True)
class _Slice:
    """How often these people are refused, and how often `others` are."""

    name: str
    people: int
    rate: Rate
    others: float

    @property
    def usual(self) -> float:
        return max(self.others, _REFUSED_AT_LEAST)

    @property
    def share(self) -> float:
        return math.nan if self.rate.share is None else self.rate.share


_ALONE = tuple(FaceCheck)[: tuple(FaceCheck).index(FaceCheck.NOT_WORSE)]


def conclude(checks: Sequence[Check], *, compared: bool) -> Conclusion:
    """What may go live. A model that opens doors gets no benefit of the doubt: what is not proven is refused, and what
    is too good to be true waits for a person. `compared`: a champion serves.
    """
    found = {check.name for check in checks}
    missing = [f"{name} was not measured" for name in (FaceCheck if compared else _ALONE) if name not in found]
    failed = [c for c in checks if c.outcome is not Outcome.PASSED]
    refused = (*missing, *(c.reason for c in failed if c.weight is not Weight.HOLD))
    held = tuple(c.reason for c in failed if c.weight is Weight.HOLD)
    if refused:
        return Conclusion(False, False, refused, held)
    return Conclusion(not held, bool(held), held, held)


def _all(errors: AtThreshold) -> list[int]:
    return [1] * len(errors.photos)


def refusals(errors: AtThreshold, people: Iterable[int]) -> Rate:
    """How many pairs of photos of one person are refused, with an interval that counts people."""
    return rate_of_people([(errors.pairs[one] - errors.accepted[one], errors.pairs[one]) for one in sorted(people)])
