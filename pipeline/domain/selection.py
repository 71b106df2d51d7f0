"""Which confirmed tasks make a dataset, and on which side of the permanent split each stands (design D1, D2)."""

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import zip_longest
from types import MappingProxyType
from typing import Any, TypeVar

from pipeline.domain.bounds import AtLeastOne, Count, NotNegative, Share
from pipeline.domain.dataset import Augmentation, ConfirmedTask, Photo, Source, Split
from pipeline.domain.reasons import ReasonList
from pipeline.domain.turns import in_turn

Kind = TypeVar("Kind", ConfirmedTask, Photo)

_KindOfCorrection = tuple[tuple[str, ...], str]

_POOL = 8
# Fewer of one kind that are answered wrongly may be wrong labels.
_NO_CHANCE = 3


@dataclass(frozen=True)
class SelectionPolicy:
    """How many photos of each kind go into a dataset (ADR 0002)."""

    correction_limit: AtLeastOne = 500
    """Most new corrections collected for one dataset; where more wait, in turn of branches, reasons and times."""
    sample_limit: AtLeastOne = 2000
    """Most recent confirmed tasks drawn for validation, holdout and replay, whatever their verdict."""
    history_limit: Count = 2000
    """Confirmed tasks spread over all time, drawn beside the most recent ones, whatever their verdict."""
    replay_per_correction: NotNegative = 3.0
    """Unchanged verdicts replayed for each correction, from the class that has least first, and in turn of months."""
    earlier_limit: Count = 500
    """Most corrections of earlier trainings learned again, however many new ones there are; spread over photos that
    differ, then over reasons, branches and months, so that no kind is forgotten."""
    missed_share: Share = 0.3
    """Share of `earlier_limit` for reasons and months of which the champion gets several wrong; the others are chosen
    whatever it says."""
    asked_of_earlier: Count = 1000
    """Earlier corrections it did not learn from that every new model is asked about, to know what it forgot."""
    min_train_photos: Count = 1800
    """Replay tops the training photos up to this many."""
    holdout_limit: Count = 1000
    """Most photos of the earlier holdout that a new model is judged on as well, newest first."""
    validation_share: Share = 0.16
    """Share of photo clusters for validation, decided by hash for ever (0.2 of what the holdout leaves)."""
    holdout_share: Share = 0.20
    """Share of photo clusters never trained on; a cluster that was seen keeps its side when shares change."""
    reasons: ReasonList = ReasonList()
    """Why verdicts are corrected"""

    def __post_init__(self) -> None:
        if self.validation_share + self.holdout_share >= 1:
            raise ValueError("validation_share and holdout_share leave nothing to train on: together below 1 is needed")

    @property
    def correction_pool(self) -> int:
        """New corrections to choose from: so many that every branch, and old and new ones of it, are among them."""
        return self.correction_limit * _POOL

    def new_of(self, pool: Sequence[ConfirmedTask]) -> list[ConfirmedTask]:
        return in_turn(pool, self.correction_limit, self.reasons)

    @property
    def earlier_pool(self) -> int:
        """Corrections to choose earlier ones from: so many that rare kinds are among them."""
        return self.earlier_limit * _POOL

    def of_everything(self, count: int) -> "SelectionPolicy":
        """A policy that takes all of `count` photos that nobody corrected, each on its side."""
        return replace(self, sample_limit=max(count, 1), min_train_photos=count)

    def of_missed_kinds(self, pool: Sequence[Kind], clusters: Mapping[str, str], missed: Collection[str]) -> list[Kind]:
        """Of the reasons and months that the champion gets wrong, in proportion to how many photos that differ each has
        among `missed`, the ids of those that it is known to get wrong.

        Kinds and not photos: a model that learned well goes on missing what was labelled wrongly, here and there.
        """
        kinds: dict[_KindOfCorrection, list[Kind]] = {}
        for one in pool:
            kinds.setdefault((self.reasons.of(one.correction_reason), _month(one)), []).append(one)
        # One photo, however often it was confirmed, is labelled wrongly every time.
        wrong = {
            kind: len({_shown(one, clusters) for one in members if one.task_id in missed})
            for kind, members in kinds.items()
        }
        shares = _shares(
            round(self.earlier_limit * self.missed_share),
            {kind: count for kind, count in wrong.items() if count >= _NO_CHANCE},
        )
        return [one for kind, share in shares.items() for one in spread(kinds[kind], share, self.reasons, clusters)]

    def earlier_of(self, pool: Sequence[Kind], clusters: Mapping[str, str], first: Collection[str] = ()) -> list[Kind]:
        """`clusters` by task, of those whose photo was looked at for an earlier dataset; `first` are ids of
        `of_missed_kinds`.
        """
        chosen: list[Kind] = [one for one in sorted(pool, key=_task_order) if one.task_id in first]
        chosen = chosen[: self.earlier_limit]
        others: list[Kind] = [one for one in pool if one.task_id not in first]
        return chosen + spread(others, self.earlier_limit - len(chosen), self.reasons, clusters)

    def to_judge_by(self, judging: Sequence[Kind], clusters: Mapping[str, str]) -> list[Kind]:
        """Of earlier corrections whose side is known to judge, as many beside `earlier_of` as that side is large."""
        share = self.validation_share + self.holdout_share
        return spread(judging, round(self.earlier_limit * share), self.reasons, clusters)

    def to_ask_of(self, left_out: Sequence[Kind], clusters: Mapping[str, str]) -> list[Kind]:
        """Of earlier corrections that a model did not learn from, those that it is asked about."""
        return spread(left_out, self.asked_of_earlier, self.reasons, clusters)

    def split_of(self, cluster_id: str, known: Mapping[str, Split] | None = None) -> Split:
        """The same cluster gives the same split in every dataset; `known` ones stay whatever the shares are now."""
        if known and cluster_id in known:
            return known[cluster_id]
        point = int.from_bytes(hashlib.sha256(cluster_id.encode()).digest()[:8]) / 2**64
        if point < self.holdout_share:
            return Split.HOLDOUT
        return Split.VALIDATION if point < self.holdout_share + self.validation_share else Split.TRAIN


@dataclass(frozen=True)
class Recipe:
    """What a dataset is made by: `labels` in their order, which photos, and how training photos are multiplied."""

    labels: tuple[str, ...]
    selection: SelectionPolicy
    augmentation: Augmentation


def select(
    photos: Sequence[Photo],
    policy: SelectionPolicy,
    *,
    natural: Collection[str],
    since: datetime | None = None,
    missed: Collection[str] = (),
) -> list[Photo]:
    """Corrections, earlier corrections and class-balanced replay for training; validation and holdout as they come.

    `natural` are the task ids drawn whatever their verdict; `since` divides new corrections from earlier ones, of which
    `missed` are of kinds that the champion gets wrong.
    """
    training = [p for p in photos if p.split is Split.TRAIN]
    corrected = [p for p in training if p.corrected]
    new = [replace(p, source=Source.CORRECTION) for p in corrected if _after(p, since)]
    old = [p for p in corrected if not _after(p, since)]
    clusters = {p.task_id: p.cluster_id for p in old}
    earlier = [replace(p, source=_earlier_source(p, missed)) for p in policy.earlier_of(old, clusters, missed)]
    corrections = [*new, *earlier]
    wanted = max(round(len(corrections) * policy.replay_per_correction), policy.min_train_photos - len(corrections))
    unchanged = [p for p in training if not p.corrected]
    replayed = [replace(p, source=Source.REPLAY) for p in _balanced(unchanged, corrections, wanted)]
    held_out = [_held_out(p, natural) for p in photos if p.split is not Split.TRAIN]
    return sorted([*corrections, *replayed, *held_out], key=lambda p: p.task_id)


def spread(
    corrections: Sequence[Kind], limit: int, reasons: ReasonList, clusters: Mapping[str, str] = MappingProxyType({})
) -> list[Kind]:
    """Up to `limit`: one of each cluster before a second of any, and among those in turn of every reason, of each
    reason of every branch, of each branch of every month.

    A kind that is rare is there as long as a common one is. Which of a kind is a matter of hashes, not of age. A photo
    whose cluster nobody knows is told by its address.
    """
    ways = (lambda one: reasons.of(one.correction_reason), _branch, _month)
    rounds: dict[int, list[Kind]] = {}
    before: Counter[str] = Counter()
    for one in _in_turn(sorted(corrections, key=_task_order), ways):
        shown = _shown(one, clusters)
        rounds.setdefault(before[shown], []).append(one)
        before[shown] += 1
    # Each round is put in turn anew: it is only a part of the list that was in turn before.
    return [one for _, of_round in sorted(rounds.items()) for one in _in_turn(of_round, ways)][:limit]


def _shown(correction: ConfirmedTask | Photo, clusters: Mapping[str, str]) -> str:
    return clusters.get(correction.task_id, correction.photo_url)


def _shares(limit: int, counts: Mapping[_KindOfCorrection, int]) -> dict[_KindOfCorrection, int]:
    """Of `limit`, in proportion to the counts; what is left of the whole shares goes to the largest remainders."""
    total = sum(counts.values())
    largest_first = sorted(counts, key=lambda kind: (-(limit * counts[kind] % total), -counts[kind], kind))
    shares = {kind: limit * counts[kind] // total for kind in largest_first}
    for kind in largest_first[: limit - sum(shares.values())]:
        shares[kind] += 1
    return shares


def _in_turn(corrections: list[Kind], ways: Sequence[Callable[[Any], Hashable]]) -> list[Kind]:
    if not ways:
        return corrections
    groups: dict[Hashable, list[Kind]] = {}
    for one in corrections:
        groups.setdefault(ways[0](one), []).append(one)
    turns = zip_longest(*(_in_turn(group, ways[1:]) for group in groups.values()))
    return [one for turn in turns for one in turn if one is not None]


def _branch(correction: ConfirmedTask | Photo) -> str:
    return correction.helper_id


def _month(correction: ConfirmedTask | Photo) -> str:
    return str(correction.confirmed_at)[: len("2026-05")]


def _task_order(correction: ConfirmedTask | Photo) -> str:
    return hashlib.sha256(correction.task_id.encode()).hexdigest()


def _earlier_source(photo: Photo, missed: Collection[str]) -> Source:
    return Source.MISSED_CORRECTION if photo.task_id in missed else Source.EARLIER_CORRECTION


def _after(photo: Photo, since: datetime | None) -> bool:
    return since is None or datetime.fromisoformat(photo.confirmed_at) > since


def _held_out(photo: Photo, natural: Collection[str]) -> Photo:
    """Photos drawn whatever their verdict: corrections that were searched for would make validation and holdout harder
    than the world is.
    """
    split = photo.split if photo.task_id in natural else Split.HELD_OUT_CORRECTIONS
    return replace(photo, source=Source.EVALUATION, split=split)


def _balanced(pool: Sequence[Photo], already: Sequence[Photo], wanted: int) -> list[Photo]:
    """Up to `wanted` photos from `pool`, always from the class that has least, in turn of its months.

    By hash alone, what came in lately would crowd out what no longer does. Which of a month is a matter of hashes.
    """
    counts = Counter(p.label for p in already)
    queues = {
        label: _in_turn(sorted((p for p in pool if p.label == label), key=_draw_order), (_month,))[::-1]
        for label in {p.label for p in pool}
    }
    drawn: list[Photo] = []
    while len(drawn) < wanted and any(queues.values()):
        label = min((label for label, queue in queues.items() if queue), key=lambda name: (counts[name], name))
        drawn.append(queues[label].pop())
        counts[label] += 1
    return drawn


def _draw_order(photo: Photo) -> str:
    return hashlib.sha256(photo.cluster_id.encode() + photo.task_id.encode()).hexdigest()
