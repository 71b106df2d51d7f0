"""What is measured about a selection before anything is spent on it, and what each figure must be (design D20)."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pipeline.domain.bounds import AtLeastOne, NotNegative, Share
from pipeline.domain.dataset import Manifest, Photo, Quarantined, Split, of_helper
from pipeline.domain.errors import DatasetRefused
from pipeline.domain.leakage import leaks
from pipeline.domain.training import MIN_PHOTOS_PER_CLASS
from pipeline.domain.withholding import WITHHELD

_SHOWN = 5
_NAME_CHARACTERS, _REASON_CHARACTERS = 60, 200
_FIGURES = re.compile(r"\d+")


@dataclass(frozen=True)
class QualityPolicy:
    """Bounds of one dataset; brightness 0-1, sharpness as in `Fingerprint`. `warn_…` do not stop a run."""

    min_class_share: Share = 0.10
    """Least share of each class among the training photos."""
    warn_class_share: Share = 0.25
    """Share of a class among the training photos below which the report warns."""
    min_class_support: AtLeastOne = 5
    """Photos of each class, near-duplicates counted once, that validation and the holdout need each: with fewer, how
    well a class is told apart could not be judged, so nothing is trained."""
    max_unusable_share: Share = 0.20
    """Share of tasks that cannot be used, of all, above which a run stops: a photo that is missing, unreadable, too
    large or too small, a label nobody knows, a date that cannot be. The first model's photos count for it alone. Of
    faces the same share of the confirmed checks at doors."""
    max_contradiction_share: Share = 0.05
    """Share of photos that were confirmed with two labels above which a run stops."""
    dark: Share = 0.05
    """Brightness below which a photo counts as dark."""
    bright: Share = 0.97
    """Brightness above which a photo counts as overexposed."""
    blurred: NotNegative = 20.0
    """Sharpness (variance of the Laplacian at 256 pixels) below which a photo counts as blurred."""
    warn_extreme_share: Share = 0.01
    """Share of dark, overexposed or blurred photos above which the report warns."""
    warn_near_duplicate_share: Share = 0.10
    """Share of near-duplicates on the same side above which the report warns."""
    warn_drift: Share = 0.15
    """Difference to the last dataset that the report warns of, if it is more than chance: of class shares (3 standard
    errors) and of brightness (largest gap between the two distributions)."""
    warn_holdout_uses: AtLeastOne = 50
    """Verdicts after which holdout photos count as worn: each tells a little of what is in them."""


@dataclass(frozen=True)
class Measured:
    """One figure of the whole selection with its bounds; `sentence` is what a person reads when it is out of them."""

    name: str
    value: float
    sentence: str
    minimum: float | None = None
    maximum: float | None = None
    hard: bool = True

    @property
    def is_within(self) -> bool:
        above = self.minimum is None or self.value >= self.minimum
        return above and (self.maximum is None or self.value <= self.maximum)


def measure(
    manifest: Manifest, previous: Manifest | None, holdout_uses: int, policy: QualityPolicy
) -> tuple[Measured, ...]:
    """Every figure no single row shows. `previous` is the last dataset, None for the first one."""
    return (
        *_separation(manifest),
        *_classes(manifest, policy),
        *_support(manifest, policy),
        *_set_aside(manifest, policy),
        *_appearance(manifest.photos, policy),
        *_doubles(manifest.photos, policy),
        *(_drift(manifest, previous, policy) if previous else ()),
        Measured(
            "holdout_uses",
            holdout_uses,
            f"the oldest holdout photos judged {holdout_uses} models, after {policy.warn_holdout_uses} they are worn:"
            " lower RETRAIN_HOLDOUT_LIMIT, so that newer ones take over",
            maximum=policy.warn_holdout_uses,
            hard=False,
        ),
    )


def _separation(manifest: Manifest) -> list[Measured]:
    found = leaks(manifest.photos)
    return [Measured("leaks", len(found), f"leak: {'; '.join(found[:_SHOWN])}", maximum=0)]


def _classes(manifest: Manifest, policy: QualityPolicy) -> list[Measured]:
    train, found = manifest.of(Split.TRAIN), []
    for number, label in enumerate(manifest.labels):
        count = sum(photo.label == label for photo in train)
        share = count / len(train) if train else 0.0
        sentence = f"only {count} of {len(train)} training photos are {label}"
        few = f"{sentence}: {MIN_PHOTOS_PER_CLASS} photos and {policy.min_class_share:.0%} needed"
        found += [
            Measured(f"train_photos_{number}", count, few, minimum=MIN_PHOTOS_PER_CLASS),
            Measured(f"train_share_{number}", share, few, minimum=policy.min_class_share),
            Measured(f"train_balance_{number}", share, sentence, minimum=policy.warn_class_share, hard=False),
        ]
    return found


def _support(manifest: Manifest, policy: QualityPolicy) -> list[Measured]:
    """That there is too little data is said before anything is trained: with few photos, a floor might pass
    by chance.
    """
    found, needed = [], policy.min_class_support
    for side in (Split.VALIDATION, Split.HOLDOUT):
        for number, label in enumerate(manifest.labels):
            count = len({photo.cluster_id for photo in manifest.of(side) if photo.label == label})
            sentence = (
                f"too little data: {side} has {count} different photos of {label}, {needed} needed: "
                f"{needed - count} more confirmed photos of {label} that fall to its side"
            )
            found.append(Measured(f"{side}_support_{number}", count, sentence, minimum=needed))
    return found


def _set_aside(manifest: Manifest, policy: QualityPolicy) -> list[Measured]:
    withheld = [row for row in manifest.quarantined if row.kind == WITHHELD]
    asked = manifest.task_ids - {row.task_id for row in withheld}
    # Share of the Helper's tasks: photos of the first model, however many, would only dilute it.
    judged = {task_id for task_id in asked if of_helper(task_id)} or asked

    def share(kind: str, what: str, maximum: float, advice: str) -> list[Measured]:
        every = [row for row in manifest.quarantined if row.kind == kind]
        rows = [row for row in every if row.task_id in judged]
        value = len(rows) / len(judged) if judged else 0.0
        return [
            Measured(f"{kind}_share", value, too_many(rows, len(judged), what, maximum, advice), maximum=maximum),
            Measured(f"{kind}_photos", len(every), _told(every, len(asked), what), maximum=0, hard=False),
        ]

    unusable = "mend these tasks in the Helper service or their photos in S3, or raise RETRAIN_MAX_UNUSABLE_SHARE"
    contradiction = "correct the tasks in the Helper service, or raise RETRAIN_MAX_CONTRADICTION_SHARE"
    return [
        *share("unusable", "tasks cannot be used", policy.max_unusable_share, unusable),
        *share("contradiction", "photos were confirmed with two labels", policy.max_contradiction_share, contradiction),
        *share("near_duplicate", "photos look like held-out ones and were left out", 1.0, "")[1:],
        Measured("withheld_photos", len(withheld), _said(withheld), maximum=0, hard=False),
    ]


def too_many(rows: Sequence[Quarantined], total: int, what: str, maximum: float, advice: str) -> str:
    """What a person reads when more than the share `maximum` was set aside."""
    return f"{_told(rows, total, what)} ({maximum:.0%} allowed); {advice}"


def demand_needed(needed: Collection[str], used: Collection[str], aside: Sequence[Quarantined], what: str) -> None:
    """A retraining with none of what people confirmed would have nothing new to learn, and pass for one that had.

    Raises `DatasetRefused`; `aside` are those of `needed` with their reasons.
    """
    if not set(needed).intersection(used):
        why = worst(aside) or "their photos were erased, or others chosen"
        raise DatasetRefused(f"none of {len(needed)} {what} can be used: {why}")


def _told(rows: Sequence[Quarantined], total: int, what: str) -> str:
    return f"{len(rows)} of {total} {what}" + (f": {worst(rows)}" if rows else "")


def _said(withheld: Sequence[Quarantined]) -> str:
    return f"people set {len(withheld)} tasks aside" + (f": {worst(withheld)}" if withheld else "")


def worst(rows: Sequence[Quarantined]) -> str:
    """The commonest reasons first, each with how many tasks have it and the first of them by name."""
    alike: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for row in rows:
        # These sentences are kept in many places, even after a photo is erased: they name tasks, never addresses.
        # Any other text in the column `photo_url` may also be a word of the sentence, and stays.
        is_address = row.photo_url.startswith("s3://")
        reason = row.reason.replace(row.photo_url, "its address") if is_address else row.reason
        # The same fault reads differently for two photos only by names and figures.
        alike[_FIGURES.sub("…", reason.replace(row.task_id, "…"))].append((row.task_id, reason))
    groups = sorted(alike.values(), key=lambda group: -len(group))
    named = [_named(group) for group in groups[:_SHOWN]]
    return "; ".join([*named, *([f"{len(groups) - _SHOWN} other reasons"] if len(groups) > _SHOWN else [])])


def _named(alike: Sequence[tuple[str, str]]) -> str:
    tasks = ", ".join(task_id[:_NAME_CHARACTERS] for task_id, _ in alike[:_SHOWN])
    more = f" and {len(alike) - _SHOWN} more" if len(alike) > _SHOWN else ""
    return f"{tasks}{more}: {alike[0][1][:_REASON_CHARACTERS]}"


def _appearance(photos: Sequence[Photo], policy: QualityPolicy) -> list[Measured]:
    def share(name: str, what: str, odd: list[Photo]) -> Measured:
        example = f", e.g. {odd[0].task_id}" if odd else ""
        value = len(odd) / len(photos) if photos else 0.0
        sentence = f"{len(odd)} of {len(photos)} photos are {what}{example}"
        return Measured(name, value, sentence, maximum=policy.warn_extreme_share, hard=False)

    blurred = [p for p in photos if p.sharpness is not None and p.sharpness < policy.blurred]
    return [
        share("dark_share", "dark", [p for p in photos if p.brightness < policy.dark]),
        share("overexposed_share", "overexposed", [p for p in photos if p.brightness > policy.bright]),
        share("blurred_share", "blurred", blurred),
    ]


def _doubles(photos: Sequence[Photo], policy: QualityPolicy) -> list[Measured]:
    clusters: dict[str, list[Photo]] = defaultdict(list)
    for photo in photos:
        clusters[photo.cluster_id].append(photo)
    doubles = sum(len(members) - 1 for members in clusters.values())
    disputed = [members for members in clusters.values() if len({p.label for p in members}) > 1]
    example = "; ".join(", ".join(f"{p.task_id} {p.label}" for p in members) for members in disputed[:_SHOWN])
    return [
        Measured(
            "near_duplicates_share",
            doubles / len(photos) if photos else 0.0,
            f"{doubles} of {len(photos)} photos are near-duplicates of another one on the same side",
            maximum=policy.warn_near_duplicate_share,
            hard=False,
        ),
        Measured(
            "disputed_clusters",
            len(disputed),
            f"near-duplicates with different labels, to be looked at: {example}",
            maximum=0,
            hard=False,
        ),
    ]


def _drift(manifest: Manifest, previous: Manifest, policy: QualityPolicy) -> list[Measured]:
    """Compares the natural samples only: training photos are chosen, so their shares say nothing about the world."""
    now, before = manifest.natural, previous.natural
    if not now or not before:
        return []
    found = []
    counts, earlier = Counter(p.label for p in now), Counter(p.label for p in before)
    for number, label in enumerate(manifest.labels):
        share, was = counts[label] / len(now), earlier[label] / len(before)
        chance = 3 * _standard_error(share, len(now), was, len(before))
        found.append(
            Measured(
                f"class_drift_{number}",
                abs(share - was),
                f"{share:.0%} of the natural sample are {label}, {was:.0%} in {previous.dataset_id}",
                maximum=max(policy.warn_drift, chance),
                hard=False,
            )
        )
    gap = _largest_gap([p.brightness for p in now], [p.brightness for p in before])
    # Kolmogorov-Smirnov: two samples of one distribution are further apart than this once in a thousand times.
    chance = 1.95 * math.sqrt(1 / len(now) + 1 / len(before))
    found.append(
        Measured(
            "brightness_drift",
            gap,
            f"photos are {_mean(now):.2f} bright on average, {_mean(before):.2f} in {previous.dataset_id}",
            maximum=max(policy.warn_drift, chance),
            hard=False,
        )
    )
    return found


def _standard_error(share: float, count: int, other: float, other_count: int) -> float:
    pooled = (share * count + other * other_count) / (count + other_count)
    return math.sqrt(pooled * (1 - pooled) * (1 / count + 1 / other_count))


def _largest_gap(one: Sequence[float], other: Sequence[float]) -> float:
    """Largest difference of the two cumulative distributions."""
    ordered = sorted({*one, *other})
    shares: list[Mapping[float, float]] = []
    for values in (one, other):
        counts, below, cumulative = Counter(values), 0, {}
        for value in ordered:
            below += counts[value]
            cumulative[value] = below / len(values)
        shares.append(cumulative)
    return max(abs(shares[0][value] - shares[1][value]) for value in ordered)


def _mean(photos: Sequence[Photo]) -> float:
    return sum(p.brightness for p in photos) / len(photos)
