"""Is the candidate better than the champion beyond chance, on the same photos? (design D3; ADR 0011)"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.domain.bounds import AtLeastOne, OneSided, Share
from pipeline.domain.checks import AccuracyMeasurement, Check, CheckName, Prediction, Weight, outcome
from pipeline.domain.clusters import most_of
from pipeline.domain.dataset import Photo
from pipeline.domain.statistics import binomial_lower_bound, mcnemar, paired_lower_bound

_DARK, _BRIGHT = 0.35, 0.65
_NEWEST = timedelta(days=7)


@dataclass(frozen=True)
class Pair:
    """One photo judged by both models."""

    photo: Photo
    candidate_right: bool
    champion_right: bool

    @property
    def difference(self) -> int:
        return self.candidate_right - self.champion_right


@dataclass(frozen=True)
class Slice:
    """Photos with something in common; `p_value` is the probability that chance alone looks like this fall."""

    name: str
    photos: int
    candidate: float
    champion: float
    p_value: float

    @property
    def fall(self) -> float:
        return self.champion - self.candidate


@dataclass(frozen=True)
class ComparisonPolicy:
    """What proves a gain. Photos count by cluster of near-duplicates."""

    confidence: OneSided = 0.95
    """How sure a proof has to be (one-sided)."""
    margin: Share = 0.03
    """Loss against the champion, 0-1, that the holdout has to rule out for a proof."""
    min_holdout_photos: AtLeastOne = 100
    """Holdout photos, near-duplicates counted once, below which nothing is proven: with fewer, not even a candidate
    that turns none of them wrong would surely keep within the margin (0.97 ^ 99 < 5 %)."""
    min_corrections_fixed: Share = 0.50
    """Share of the corrections kept from training that the candidate answers as people corrected them, for a proof."""
    min_corrections_fixed_for_sure: Share = 0.35
    """Share of those corrections that must be fixed for sure (lower bound), for a proof."""
    max_negative_flips: Share = 0.05
    """Share of photos that the champion judges right and the candidate wrong, for a proof."""
    max_slice_fall: Share = 0.10
    """Largest fall of accuracy on a slice of photos; only a fall beyond chance counts."""
    slice_limits: tuple[tuple[str, float], ...] = ()
    """Largest falls of slices by name, instead of the general one, such as `[["corrected: 얼룩", 0.05]]`; the names are
    those in the report."""
    min_slice_photos: AtLeastOne = 50
    """Photos below which a slice says nothing."""
    max_gain: Share = 0.15
    """A gain over the champion surely beyond this waits for a person: a champion so much worse would have been rolled
    back already, so it smells of a leak."""

    def __post_init__(self) -> None:
        if odd := [name for name, limit in self.slice_limits if not 0 <= limit <= 1]:
            raise ValueError(f"slice_limits has a limit for {odd[0]!r} that is not from 0 to 1")

    def judge(self, measured: AccuracyMeasurement, photos: Mapping[str, Photo]) -> tuple[Check, ...]:
        """Nothing without a champion, or with one that could not be measured."""
        if measured.champion_validation is None or measured.champion_holdout is None:
            return ()
        validation = paired(measured.validation, measured.champion_validation, photos)
        holdout = paired(measured.holdout, measured.champion_holdout, photos)
        version = measured.champion_version or ""
        return (
            self._not_worse(holdout, version),
            self._significance(validation, version),
            self._corrections_fixed(
                [
                    *((pair.photo, pair.candidate_right) for pair in (*validation, *holdout) if pair.photo.corrected),
                    *((photos[said.task_id], said.right) for said in measured.corrections),
                ],
                version,
            ),
            self._negative_flips([*validation, *holdout], version),
            self._slices([*validation, *holdout], version),
            self._suspicion({"validation": validation, "holdout": holdout}, version),
        )

    def slices(self, measured: AccuracyMeasurement, photos: Mapping[str, Photo]) -> list[Slice]:
        """Every slice large enough to say something; none without a champion."""
        if measured.champion_validation is None or measured.champion_holdout is None:
            return []
        ours, theirs = (
            (*measured.validation, *measured.holdout),
            (*measured.champion_validation, *measured.champion_holdout),
        )
        return slices(paired(ours, theirs, photos), self.min_slice_photos)

    def _not_worse(self, holdout: Sequence[Pair], version: str) -> Check:
        n, gain, low = _clusters(holdout), _gain(holdout), self._for_sure(holdout)
        reason = (
            f"on the holdout the candidate is {_points(gain)} against champion {version}, with {self.confidence:.0%} "
            f"confidence not below {_points(low)}; {_points(-self.margin)} needed (n={n})"
        )
        enough = n >= self.min_holdout_photos
        if not enough:
            reason += f"; {self.min_holdout_photos} photos are needed to prove it"
        return Check(
            CheckName.NOT_WORSE_ON_HOLDOUT,
            outcome(enough and low >= -self.margin),
            gain,
            -self.margin,
            n,
            reason,
            version,
            Weight.PROOF,
            low=low,
            enough=enough,
        )

    def _significance(self, validation: Sequence[Pair], version: str) -> Check:
        wins, losses = _wins_and_losses(validation)
        p_value = mcnemar(wins, losses)
        reason = (
            f"of the validation photos on which they differ the candidate is right on {wins}, champion {version} "
            f"on {losses}: by chance alone with probability {p_value:.3g}"
        )
        bar, n = round(1 - self.confidence, 6), wins + losses
        return Check(
            CheckName.GAIN_BEYOND_CHANCE, outcome(p_value < bar), p_value, bar, n, reason, version, Weight.PROOF
        )

    def _corrections_fixed(self, corrections: Sequence[tuple[Photo, bool]], version: str) -> Check:
        """An absolute bar: the model that was corrected is wrong on these by construction.

        Needed, and never enough: an equally good model with other errors fixes most of them as well.
        """
        fixed, n = most_of(corrections)
        low = binomial_lower_bound(fixed, n, self.confidence)
        value = fixed / n if n else 0.0
        passed = value >= self.min_corrections_fixed and low >= self.min_corrections_fixed_for_sure
        reason = (
            f"{fixed} of {n} corrections kept from training, near-duplicates counted once, are answered as people "
            f"corrected them, with {self.confidence:.0%} confidence at least {low:.0%}; "
            f"{self.min_corrections_fixed:.0%} and {self.min_corrections_fixed_for_sure:.0%} needed"
        )
        bar = self.min_corrections_fixed
        return Check(
            CheckName.CORRECTIONS_FIXED, outcome(passed), value, bar, n, reason, version, Weight.PROOF, low=low
        )

    def _negative_flips(self, pairs: Sequence[Pair], version: str) -> Check:
        flipped, n = sum(pair.difference < 0 for pair in pairs), len(pairs)
        value = flipped / n if n else 1.0
        reason = (
            f"{flipped} of {n} photos that champion {version} judges right become wrong, "
            f"at most {self.max_negative_flips:.0%} may"
        )
        passed = value <= self.max_negative_flips
        return Check(
            CheckName.NEGATIVE_FLIPS, outcome(passed), value, self.max_negative_flips, n, reason, version, Weight.PROOF
        )

    def _slices(self, pairs: Sequence[Pair], version: str) -> Check:
        """A floor: one slice that falls far, and beyond chance, refuses the candidate however good the others are."""
        found = slices(pairs, self.min_slice_photos)
        # Many slices are looked at, and sooner or later one of them falls by chance.
        bar = (1 - self.confidence) / max(1, len(found))
        fallen = [s for s in found if s.fall > self._limit(s.name) and s.p_value < bar]
        worst = max(found, key=lambda s: s.fall - self._limit(s.name), default=None)
        fall, limit = (worst.fall, self._limit(worst.name)) if worst else (0.0, self.max_slice_fall)
        reason = f"of {len(found)} slices none falls more than {self.max_slice_fall * 100:g} pp beyond chance"
        if self.slice_limits:
            reason += f", or than {', '.join(f'{limit * 100:g} pp on {name}' for name, limit in self.slice_limits)}"
        if fallen:
            named = "; ".join(f"{s.name} {s.champion:.3f} → {s.candidate:.3f} (n={s.photos})" for s in fallen)
            allowed = "; ".join(dict.fromkeys(f"{self._limit(s.name) * 100:g} pp" for s in fallen))
            reason = f"worse than champion {version} on {named}: a fall of {allowed} is allowed"
        if unseen := [name for name, _ in self.slice_limits if name not in {s.name for s in found}]:
            reason += f"; too few photos to judge {', '.join(unseen)}: {self.min_slice_photos} needed"
        return Check(CheckName.SLICES, outcome(not fallen), fall, limit, len(pairs), reason, version, Weight.FLOOR)

    def _limit(self, name: str) -> float:
        return dict(self.slice_limits).get(name, self.max_slice_fall)

    def _suspicion(self, splits: Mapping[str, Sequence[Pair]], version: str) -> Check:
        bounds = {name: self._for_sure(pairs) for name, pairs in splits.items() if _gain(pairs) > self.max_gain}
        beyond = {name: low for name, low in bounds.items() if low > self.max_gain}
        # A small side may gain more, and prove less.
        name = max(beyond or splits, key=lambda split: _gain(splits[split]))
        gain, n, suspicious = _gain(splits[name]), _clusters(splits[name]), bool(beyond)
        reason = f"{_points(gain)} against champion {version} on {name}"
        if suspicious:
            sure = f"with {self.confidence:.0%} confidence beyond {_points(self.max_gain)}"
            reason += f" is suspicious, {sure}: look for a leak"
        return Check(
            CheckName.GAIN_NOT_SUSPICIOUS,
            outcome(not suspicious),
            gain,
            self.max_gain,
            n,
            reason,
            version,
            Weight.HOLD,
            low=bounds.get(name),
        )

    def _for_sure(self, pairs: Sequence[Pair]) -> float:
        return paired_lower_bound(*_wins_and_losses(pairs), _clusters(pairs), self.confidence)


def paired(candidate: Sequence[Prediction], champion: Sequence[Prediction], photos: Mapping[str, Photo]) -> list[Pair]:
    """Raises `ValueError` when the two did not see the same photos."""
    if [p.task_id for p in candidate] != [p.task_id for p in champion]:
        raise ValueError("candidate and champion were not measured on the same photos")
    both = zip(candidate, champion, strict=True)
    return [Pair(photos[ours.task_id], ours.right, theirs.right) for ours, theirs in both]


def slices(pairs: Sequence[Pair], min_photos: int) -> list[Slice]:
    """Label, branch helper, stain or other reason of correction, darkness and age; small slices say nothing."""
    newest = max((datetime.fromisoformat(p.photo.confirmed_at) for p in pairs), default=None)
    groups: dict[str, list[Pair]] = {}
    for pair in pairs:
        for name in _slice_names(pair.photo, newest):
            groups.setdefault(name, []).append(pair)
    return [_slice(name, group) for name, group in sorted(groups.items()) if len(group) >= min_photos]


def _slice_names(photo: Photo, newest: datetime | None) -> Iterator[str]:
    yield f"label {photo.label}"
    yield "dark photos" if photo.brightness < _DARK else "bright photos" if photo.brightness > _BRIGHT else "evenly lit"
    if photo.helper_id:
        yield f"helper {photo.helper_id}"
    # Datasets from before the list of reasons have only people's own words.
    for reason in photo.reasons or filter(None, [(photo.correction_reason or "")[:80]]):
        yield f"corrected: {reason}"
    if newest is not None:
        recent = newest - datetime.fromisoformat(photo.confirmed_at) <= _NEWEST
        yield "newest week" if recent else "older than a week"


def _slice(name: str, pairs: Sequence[Pair]) -> Slice:
    wins, losses = _wins_and_losses(pairs)
    n = len(pairs)
    return Slice(
        name,
        n,
        candidate=sum(p.candidate_right for p in pairs) / n,
        champion=sum(p.champion_right for p in pairs) / n,
        # The champion's wins over the candidate.
        p_value=mcnemar(losses, wins),
    )


def _wins_and_losses(pairs: Iterable[Pair]) -> tuple[int, int]:
    """By cluster: near-duplicates are judged alike, so that a burst of photos counts once."""
    sums: Counter[str] = Counter()
    for pair in pairs:
        sums[pair.photo.cluster_id] += pair.difference
    return sum(total > 0 for total in sums.values()), sum(total < 0 for total in sums.values())


def _clusters(pairs: Iterable[Pair]) -> int:
    return len({pair.photo.cluster_id for pair in pairs})


def _gain(pairs: Sequence[Pair]) -> float:
    """Of clusters: near-duplicates are one piece of evidence."""
    wins, losses = _wins_and_losses(pairs)
    return (wins - losses) / _clusters(pairs) if pairs else 0.0


def _points(share: float) -> str:
    # Adding zero takes the sign from minus zero.
    return f"{round(share * 100, 1) + 0.0:+.1f} pp"
