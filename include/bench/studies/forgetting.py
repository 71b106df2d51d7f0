"""Ten retrainings while what comes in shifts from kind to kind: is any earlier kind forgotten?"""

import csv
import hashlib
import io
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from include.bench.measurement import Found, Say
from include.bench.studies.material import Head, Material, Numbers, seen
from include.demo.photos import PhotoSpec, base_specs
from pipeline.domain.dataset import Augmentation, Photo, Split
from pipeline.domain.selection import SelectionPolicy, select

# Cloth and defects of each month; those of the months before do not come again.
KINDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("floral", ("coffee", "grease")),
    ("dots", ("ink", "tear")),
    ("plaid", ("mud", "bleach")),
    ("knit", ("grease", "tear")),
    ("denim", ("bleach", "ink")),
    ("floral", ("tear", "bleach")),
    ("stripes", ("grease", "bleach")),
    ("dots", ("coffee", "grease")),
    ("plaid", ("tear", "ink")),
    ("plain", ("bleach", "grease")),
)
ARCHIVE, PHOTOS_A_MONTH, HELD_OUT, BRANCHES = 600, 400, 150, 5
MONTHS = len(KINDS)
_GOOD_SHARE, _SEEDS, _AUGMENTATION = 0.55, range(5), Augmentation(copies=2)
_START, _MONTH = datetime(2026, 1, 1, tzinfo=UTC), timedelta(days=30)
# What branch managers say of a defect that the model missed, and of a good garment that it called defective.
_WORDS = {"coffee": "커피", "mud": "진흙", "ink": "잉크", "grease": "기름", "tear": "찢어짐", "bleach": "탈색"}
_PATTERN = "무늬"
_WAYS = {
    "corrections only": SelectionPolicy(replay_per_correction=0, min_train_photos=0, earlier_limit=0),
    "400 photos, 500 of all time": SelectionPolicy(min_train_photos=400, history_limit=500),
    "as it is set": SelectionPolicy(),
}
Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Work:
    """Photos of every kind by their numbers: `held` only judge, `coming` are confirmed in the kind's month.

    Kind 0 is the archive that the first model learns from.
    """

    material: Material
    specs: Sequence[PhotoSpec]
    held: Sequence[Numbers]
    coming: Sequence[Numbers]

    @classmethod
    def divided(cls, material: Material, specs: Sequence[PhotoSpec], seed: int) -> "Work":
        rng, sizes = np.random.default_rng(seed), [ARCHIVE + HELD_OUT, *[PHOTOS_A_MONTH + HELD_OUT] * MONTHS]
        kinds = [rng.permutation(part) for part in np.split(np.arange(len(specs)), np.cumsum(sizes)[:-1])]
        return cls(material, specs, [kind[:HELD_OUT] for kind in kinds], [kind[HELD_OUT:] for kind in kinds])

    def learned(self, numbers: Numbers) -> Head:
        return Head().fit(*self.material.augmented(numbers))

    def accuracies(self, model: Head) -> list[float]:
        """On the held-out photos of every kind."""
        images, labels = self.material.images, self.material.labels
        return [model.accuracy(images[numbers, 0], labels[numbers]) for numbers in self.held]

    def confirmed(self, month: int, model: Head | None) -> list[Photo]:
        """What people said of a month's photos; without a model they agreed with everything."""
        numbers = self.coming[month]
        labels = self.material.labels[numbers]
        right = labels == (model.predict(self.material.images[numbers, 0]) if model else labels)
        return [
            self._row(int(n), month, at, right=bool(r)) for at, (n, r) in enumerate(zip(numbers, right, strict=True))
        ]

    def _row(self, number: int, month: int, at: int, *, right: bool) -> Photo:
        said = _WORDS.get(self.specs[number].defect or "", _PATTERN)
        return replace(
            self.material.photos[number],
            corrected=not right,
            confirmed_at=(_START + month * _MONTH + timedelta(minutes=at)).isoformat(),
            correction_reason=None if right else said,
            helper_id=f"BRANCH-{number % BRANCHES}",
        )


def forgetting(say: Say) -> Found:
    specs = _specs()
    material, rows = seen(specs, _AUGMENTATION, say), []
    for seed in _SEEDS:
        work = Work.divided(material, specs, seed)
        rows += [row for way in _WAYS for row in run(work, way, seed)]
        say(f"seed {seed}: {MONTHS} retrainings each way")
    figures = {f"worst_fall_points_{way.replace(',', '').replace(' ', '_')}": _worst(rows, way) for way in _WAYS}
    pages = {"forgetting.md": _page(rows).encode(), "forgetting.csv": _csv(rows)}
    return Found(figures, f"{len(specs)} drawn photos, {MONTHS} retrainings, means of {len(_SEEDS)} seeds.", pages)


def run(work: Work, way: str, seed: int) -> Iterator[dict[str, Any]]:
    """A row for each month and kind: accuracy after that month's retraining."""
    model, confirmed, learned = work.learned(work.coming[0]), work.confirmed(0, None), work.coming[0]
    for month in range(MONTHS + 1):
        corrections = 0
        if month:
            new = work.confirmed(month, model)
            confirmed, corrections = [*confirmed, *new], sum(photo.corrected for photo in new)
            learned = _chosen(confirmed, _WAYS[way], since=_START + month * _MONTH - timedelta(seconds=1))
            model = work.learned(learned) if len(learned) else model
        for kind, accuracy in enumerate(work.accuracies(model)):
            row = {"seed": seed, "way": way, "month": month, "corrections": corrections, "learned": len(learned)}
            yield row | {"kind": kind, "accuracy": round(accuracy, 4)}


def _specs() -> list[PhotoSpec]:
    rng, specs = np.random.default_rng(5), base_specs(ARCHIVE + HELD_OUT, 11)
    for month, (fabric, defects) in enumerate(KINDS, 1):
        for number in range(PHOTOS_A_MONTH + HELD_OUT):
            defect = None if rng.random() < _GOOD_SHARE else str(rng.choice(defects))
            specs.append(PhotoSpec(fabric, defect, 90_000_000 + month * 10_000 + number))
    return specs


def _chosen(confirmed: Sequence[Photo], policy: SelectionPolicy, *, since: datetime) -> Numbers:
    """As datasets are made: the newest tasks, some of all time, new corrections and earlier ones."""
    by_age = sorted(confirmed, key=lambda photo: photo.confirmed_at, reverse=True)
    by_hash = sorted(confirmed, key=lambda photo: hashlib.md5(photo.task_id.encode()).hexdigest())
    is_new = {photo.task_id: datetime.fromisoformat(photo.confirmed_at) > since for photo in confirmed}
    new = [photo for photo in by_age if photo.corrected and is_new[photo.task_id]]
    pool = [photo for photo in by_hash if photo.corrected and not is_new[photo.task_id]]
    clusters = {photo.task_id: photo.cluster_id for photo in pool}
    natural = [*by_age[: policy.sample_limit], *by_hash[: policy.history_limit]]
    gathered = [*natural, *policy.earlier_of(pool[: policy.earlier_pool], clusters), *new[: policy.correction_limit]]
    rows = {p.task_id: replace(p, split=policy.split_of(p.cluster_id)) for p in gathered}
    chosen = select(list(rows.values()), policy, natural={photo.task_id for photo in natural}, since=since)
    return np.array([int(p.task_id.removeprefix("TASK-")) for p in chosen if p.split is Split.TRAIN], int)


def _mean(rows: Rows, way: str, month: int, kind: int) -> float:
    """Accuracy in percent, over the seeds."""
    found = [r["accuracy"] for r in rows if (r["way"], r["month"], r["kind"]) == (way, month, kind)]
    return statistics.mean(found) * 100


def _fall(rows: Rows, way: str, kind: int) -> float:
    """Points that a kind loses at most after the month in which it was learned."""
    learned = _mean(rows, way, kind, kind)
    return max((learned - _mean(rows, way, month, kind) for month in range(kind + 1, MONTHS + 1)), default=0.0)


def _worst(rows: Rows, way: str) -> float:
    return max(_fall(rows, way, kind) for kind in range(MONTHS + 1))


def _page(rows: Rows) -> str:
    tables = "\n\n".join(f"## {way.capitalize()}\n\n{_table(rows, way)}" for way in _WAYS)
    worst = "\n".join(f"| {way} | {_worst(rows, way):.1f} points |" for way in _WAYS)
    return f"""# Is anything forgotten?

`python -m include.bench run forgetting`: a first model knows an archive of {ARCHIVE} drawn photos. Then each month
brings {PHOTOS_A_MONTH} photos of a kind that did not come before and does not come again; the model of the month before
judges them, people correct what is wrong, and the next one is trained. Each kind is judged on {HELD_OUT} photos that
nobody learns from, after the month in which it came and after every later one. Features of the frozen
EfficientNet-Lite0 and one dense layer, means of {len(_SEEDS)} seeds; every row is in `forgetting.csv`.

The largest fall of any kind after the month in which it came:

| what is learned | worst fall |
|---|---|
{worst}

What made models forget was how little of earlier months they learned again: with few corrections at most 400 photos,
drawn by hash out of the newest 2 000 tasks and 500 of all time. Now it is at least 1 800, where there are as many, out
of the newest 2 000 and 2 000 of all time, in turn of the months. The middle line has the former numbers, and the turns.

{tables}
"""


def _table(rows: Rows, way: str) -> str:
    head = "| kind | when it came | at the end | worst fall |\n|---|---|---|---|\n"
    names = ["archive", *(f"{fabric}: {', '.join(defects)}" for fabric, defects in KINDS)]
    lines = [
        f"| {name} | {_mean(rows, way, kind, kind):.1f} % | {_mean(rows, way, MONTHS, kind):.1f} % |"
        f" {_fall(rows, way, kind):.1f} |"
        for kind, name in enumerate(names)
    ]
    return head + "\n".join(lines)


def _csv(rows: Rows) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()
