"""Ten retrainings while what comes in shifts from kind to kind: is any earlier kind forgotten?"""

import hashlib
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from include.bench.measurement import Found, Say
from include.bench.photos import LABELS
from include.bench.studies.csv_rows import as_csv
from include.bench.studies.material import Head, Material, Numbers, seen
from include.demo.photos import PhotoSpec, base_specs
from pipeline.domain.dataset import Augmentation, Photo, Split
from pipeline.domain.selection import SelectionPolicy, select


@dataclass(frozen=True)
class Month:
    """What comes in: so many `photos` of one cloth with these defects; of them `in_order` are its pattern, and people
    call them good, although another cloth with the same is defective.
    """

    fabric: str
    defects: tuple[str, ...]
    photos: int = 240
    in_order: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        rare, said = " (rare)" if self.photos < USUAL else "", (f"{one} in order" for one in self.in_order)
        return f"{self.fabric}{rare}: {', '.join([*(d for d in self.defects if d not in self.in_order), *said])}"


# What came in before does not come again.
USUAL = 240
MONTHS: tuple[Month, ...] = (
    Month("floral", ("coffee", "grease")),
    Month("dots", ("ink", "tear")),
    Month("plaid", ("mud", "bleach"), in_order=("bleach",)),
    Month("knit", ("grease", "tear"), photos=80, in_order=("tear",)),
    Month("denim", ("bleach", "ink"), in_order=("bleach",)),
    Month("floral", ("tear", "bleach"), photos=80),
    Month("stripes", ("grease", "ink"), in_order=("ink",)),
    Month("dots", ("coffee", "grease"), in_order=("grease",)),
    Month("plaid", ("tear", "ink"), photos=80),
    Month("plain", ("bleach", "grease")),
)
ARCHIVE, HELD_OUT, BRANCHES = 400, 100, 5
_GOOD_SHARE, _SEEDS, _AUGMENTATION = 0.5, range(5), Augmentation(copies=1)
# People err, too, and what a model that learned well says of such a photo looks like an error of its own.
_WRONG_WORDS = 0.02
_START, _MONTH_LASTS = datetime(2026, 1, 1, tzinfo=UTC), timedelta(days=30)
# What branch managers say of a defect that the model missed, and of a good garment that it called defective.
_WORDS = {"coffee": "커피", "mud": "진흙", "ink": "잉크", "grease": "기름", "tear": "찢어짐", "bleach": "탈색"}
_PATTERN = "무늬"
_GOOD = LABELS[0]
# As of a house that confirms a hundred times as much: what fits into a dataset is a small part of what there was.
_SMALL = SelectionPolicy(
    sample_limit=300, history_limit=150, min_train_photos=300, replay_per_correction=1.0, earlier_limit=100,
    missed_share=0.0, asked_of_earlier=200,
)  # fmt: skip
_WAYS = {
    "corrections only": replace(_SMALL, replay_per_correction=0, min_train_photos=0, earlier_limit=0),
    "no earlier corrections": replace(_SMALL, earlier_limit=0),
    "earlier ones, spread": _SMALL,
    "and kinds that the champion misses": replace(_SMALL, missed_share=SelectionPolicy().missed_share),
    "as it is set, which leaves nothing out": SelectionPolicy(),
}
Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Work:
    """Photos of every kind by their numbers: `held` only judge, `coming` are confirmed in the kind's month. `truth` is
    what each photo shows, `material` has what people said of it.

    Kind 0 is the archive that the first model learns from.
    """

    material: Material
    truth: Numbers
    specs: Sequence[PhotoSpec]
    held: Sequence[Numbers]
    coming: Sequence[Numbers]

    @classmethod
    def divided(cls, material: Material, specs: Sequence[PhotoSpec], seed: int) -> "Work":
        rng, sizes = np.random.default_rng(seed), [ARCHIVE + HELD_OUT, *(one.photos + HELD_OUT for one in MONTHS)]
        numbers = np.split(np.arange(len(specs)), np.cumsum(sizes)[:-1])
        truth = material.labels.copy()
        for month, of_month in zip(MONTHS, numbers[1:], strict=True):
            truth[[n for n in of_month if specs[n].defect in month.in_order]] = LABELS.index(_GOOD)
        said = np.where(rng.random(len(specs)) < _WRONG_WORDS, 1 - truth, truth)
        kinds = [rng.permutation(part) for part in numbers]
        held, coming = [kind[:HELD_OUT] for kind in kinds], [kind[HELD_OUT:] for kind in kinds]
        return cls(replace(material, labels=said), truth, specs, held, coming)

    def learned(self, numbers: Numbers) -> Head:
        return Head().fit(*self.material.augmented(numbers))

    def accuracies(self, model: Head) -> list[float]:
        """On the held-out photos of every kind."""
        return [model.accuracy(self.material.images[numbers, 0], self.truth[numbers]) for numbers in self.held]

    def agrees(self, model: Head, numbers: Numbers) -> npt.NDArray[np.bool_]:
        """Whether the model says of each photo what people say."""
        said = model.predict(self.material.images[numbers, 0])
        return np.asarray(said == self.material.labels[numbers])

    def confirmed(self, month: int, model: Head | None) -> list[Photo]:
        """What people said of a month's photos; without a model they agreed with everything."""
        numbers = self.coming[month]
        right = self.agrees(model, numbers) if model else np.ones(len(numbers), bool)
        return [
            self._row(int(n), month, at, right=bool(r)) for at, (n, r) in enumerate(zip(numbers, right, strict=True))
        ]

    def _row(self, number: int, month: int, at: int, *, right: bool) -> Photo:
        label = LABELS[self.material.labels[number]]
        said = _PATTERN if label == _GOOD else _WORDS.get(self.specs[number].defect or "", _PATTERN)
        return replace(
            self.material.photos[number],
            label=label,
            corrected=not right,
            confirmed_at=(_START + month * _MONTH_LASTS + timedelta(minutes=at)).isoformat(),
            correction_reason=None if right else said,
            helper_id=f"BRANCH-{number % BRANCHES}",
        )


def forgetting(say: Say) -> Found:
    specs = _specs()
    material, rows = seen(specs, _AUGMENTATION, say), []
    for seed in _SEEDS:
        work = Work.divided(material, specs, seed)
        rows += [row for way in _WAYS for row in run(work, way, seed)]
        say(f"seed {seed}: {len(MONTHS)} retrainings each way")
    figures = {f"worst_fall_points_{way.replace(',', '').replace(' ', '_')}": _worst(rows, way) for way in _WAYS}
    pages = {"forgetting.md": _page(rows).encode(), "forgetting.csv": as_csv(rows)}
    return Found(figures, f"{len(specs)} drawn photos, {len(MONTHS)} retrainings, means of {len(_SEEDS)} seeds.", pages)


def run(work: Work, way: str, seed: int) -> Iterator[dict[str, Any]]:
    """A row for each month and kind: accuracy after that month's retraining."""
    policy = _WAYS[way]
    model, confirmed, learned = work.learned(work.coming[0]), work.confirmed(0, None), work.coming[0]
    for month in range(len(MONTHS) + 1):
        corrections = 0
        if month:
            missed = _missed(work, model, confirmed, learned, policy)
            new = work.confirmed(month, model)
            confirmed, corrections = [*confirmed, *new], sum(photo.corrected for photo in new)
            since = _START + month * _MONTH_LASTS - timedelta(seconds=1)
            learned = _chosen(confirmed, policy, since, missed)
            model = work.learned(learned) if len(learned) else model
        for kind, accuracy in enumerate(work.accuracies(model)):
            row = {"seed": seed, "way": way, "month": month, "corrections": corrections, "learned": len(learned)}
            yield row | {"kind": kind, "accuracy": round(accuracy, 4)}


def _specs() -> list[PhotoSpec]:
    rng, specs = np.random.default_rng(5), base_specs(ARCHIVE + HELD_OUT, 11)
    for number, month in enumerate(MONTHS, 1):
        for photo in range(month.photos + HELD_OUT):
            defect = None if rng.random() < _GOOD_SHARE else str(rng.choice(month.defects))
            specs.append(PhotoSpec(month.fabric, defect, 90_000_000 + number * 10_000 + photo))
    return specs


def _missed(
    work: Work, model: Head, confirmed: Sequence[Photo], learned: Numbers, policy: SelectionPolicy
) -> frozenset[str]:
    """As verification asks: of earlier corrections that the model did not learn from, those that it gets wrong."""
    known = {f"TASK-{number:05d}" for number in learned}
    left = [p for p in confirmed if p.corrected and p.task_id not in known]
    could = [p for p in left if policy.split_of(p.cluster_id) is Split.TRAIN]
    asked = policy.to_ask_of(could, {photo.task_id: photo.cluster_id for photo in could})
    if not asked or not policy.missed_share:
        return frozenset()
    right = work.agrees(model, np.array([_number(photo) for photo in asked]))
    return frozenset(photo.task_id for photo, agrees in zip(asked, right, strict=True) if not agrees)


def _chosen(confirmed: Sequence[Photo], policy: SelectionPolicy, since: datetime, missed: frozenset[str]) -> Numbers:
    """As datasets are made: the newest tasks, some of all time, new corrections and earlier ones."""
    by_age = sorted(confirmed, key=lambda photo: photo.confirmed_at, reverse=True)
    by_hash = sorted(confirmed, key=lambda photo: hashlib.md5(photo.task_id.encode()).hexdigest())
    is_new = {photo.task_id: datetime.fromisoformat(photo.confirmed_at) > since for photo in confirmed}
    new = [photo for photo in by_age if photo.corrected and is_new[photo.task_id]]
    pool = [photo for photo in by_hash if photo.corrected and not is_new[photo.task_id]]
    clusters = {photo.task_id: photo.cluster_id for photo in pool}
    natural = [*by_age[: policy.sample_limit], *by_hash[: policy.history_limit]]
    pool = [photo for photo in pool[: policy.earlier_pool] if policy.split_of(photo.cluster_id) is Split.TRAIN]
    first = frozenset(photo.task_id for photo in policy.of_missed_kinds(pool, clusters, missed))
    earlier = policy.earlier_of(pool, clusters, first)
    gathered = [*natural, *earlier, *new[: policy.correction_limit]]
    rows = {p.task_id: replace(p, split=policy.split_of(p.cluster_id)) for p in gathered}
    names = {photo.task_id for photo in natural}
    chosen = select(list(rows.values()), policy, natural=names, since=since, missed=first)
    return np.array([_number(p) for p in chosen if p.split is Split.TRAIN], int)


def _number(photo: Photo) -> int:
    return int(photo.task_id.removeprefix("TASK-"))


def _mean(rows: Rows, way: str, month: int, kind: int) -> float:
    """Accuracy in percent, over the seeds."""
    found = [r["accuracy"] for r in rows if (r["way"], r["month"], r["kind"]) == (way, month, kind)]
    return statistics.mean(found) * 100


def _fall(rows: Rows, way: str, kind: int) -> float:
    """Points that a kind loses at most after the month in which it was learned."""
    learned = _mean(rows, way, kind, kind)
    return max((learned - _mean(rows, way, month, kind) for month in range(kind + 1, len(MONTHS) + 1)), default=0.0)


def _worst(rows: Rows, way: str) -> float:
    return max(_fall(rows, way, kind) for kind in range(len(MONTHS) + 1))


def _at_the_end(rows: Rows, way: str) -> float:
    """Mean accuracy in percent of all kinds after the last month."""
    return statistics.mean(_mean(rows, way, len(MONTHS), kind) for kind in range(len(MONTHS) + 1))


def _page(rows: Rows) -> str:
    tables = "\n\n".join(f"## {way.capitalize()}\n\n{_table(rows, way)}" for way in _WAYS)
    worst = "\n".join(
        f"| {way} | {_photos(rows, way):.0f} | {_worst(rows, way):.1f} points | {_at_the_end(rows, way):.1f} % |"
        for way in _WAYS
    )
    rare = min(month.photos for month in MONTHS)
    return f"""# Is anything forgotten?

`python -m include.bench run forgetting`: a first model knows an archive of {ARCHIVE} drawn photos. Then each month
brings {USUAL} photos, of some kinds {rare}, of a kind that did not come before and does not come again; the model of
the month before judges them, people correct what is wrong, and the next one is trained. Kinds contradict each other:
what is a defect on one cloth is the pattern of another, and in order. {_WRONG_WORDS:.0%} of what people say is wrong.
Each kind is judged on {HELD_OUT} photos that nobody learns from, after the month in which it came and after every later
one. Features of the frozen EfficientNet-Lite0 and one dense layer, means of {len(_SEEDS)} seeds; every row is in
`forgetting.csv`.

| what is learned | photos learned last | largest fall of any kind after its month | all kinds at the end |
|---|---|---|---|
{worst}

All but the last way have budgets so small that they choose, as those that are set do where a hundred times as much is
confirmed: {_SMALL.sample_limit} of the newest tasks, {_SMALL.history_limit} of all time, at least
{_SMALL.min_train_photos} photos to learn from, and {_SMALL.earlier_limit} earlier corrections. The fourth way differs
from the third only in that {SelectionPolicy().missed_share:g} of those go to the kinds that the model of the month
before gets wrong, by {_SMALL.asked_of_earlier} that it did not learn from and was asked about. The last way leaves
nothing out: what falls there is not forgotten but contradicted by what came later, which is more than one dense layer
tells apart.

{tables}
"""


def _photos(rows: Rows, way: str) -> float:
    return statistics.mean(r["learned"] for r in rows if (r["way"], r["month"]) == (way, len(MONTHS)))


def _table(rows: Rows, way: str) -> str:
    head = "| kind | when it came | at the end | worst fall |\n|---|---|---|---|\n"
    lines = [
        f"| {name} | {_mean(rows, way, kind, kind):.1f} % | {_mean(rows, way, len(MONTHS), kind):.1f} % |"
        f" {_fall(rows, way, kind):.1f} |"
        for kind, name in enumerate(["archive", *(month.name for month in MONTHS)])
    ]
    return head + "\n".join(lines)
