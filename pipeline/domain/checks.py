"""What verification measured, and one condition about it (specification §2.2, messages 20-26)."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from pipeline.domain.bounds import AtLeastOne


class Outcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    NOT_MEASURED = "not measured"


class Weight(StrEnum):
    """What a failed check means: a floor refuses, a proof leaves the verdict open, a hold waits for a person."""

    FLOOR = "floor"
    PROOF = "proof"
    HOLD = "hold"


class Group(StrEnum):
    """What a check is about, and so what a failed one calls for."""

    EXPORT = "export"
    QUALITY = "quality"
    LOAD = "load"
    COMPARISON = "comparison"


class CheckName(StrEnum):
    """Every condition a candidate is judged by; the value is what is stored, `heading` and `unit` are for people.

    `class_accuracy` stands once for each label, as `class_accuracy.<label>`.
    """

    heading: str
    unit: str
    group: Group

    def __new__(cls, value: str, heading: str, unit: str, group: Group) -> Self:
        name = str.__new__(cls, value)
        name._value_ = value
        name.heading, name.unit, name.group = heading, unit, group
        return name

    CANDIDATE_LOADS = "candidate_loads", "The model server loads it", "", Group.EXPORT
    VALIDATION_ACCURACY = "validation_accuracy", "Accuracy on validation photos", "0-1", Group.QUALITY
    BETTER_THAN_CHAMPION = (
        "better_than_champion",
        "Better than the champion on the same photos",
        "accuracy 0-1",
        Group.QUALITY,
    )
    HOLDOUT_ACCURACY = "holdout_accuracy", "Accuracy on the holdout", "0-1", Group.QUALITY
    SERVING_AGREES = "serving_agrees_with_training", "Server and trainer agree", "share 0-1", Group.EXPORT
    MEAN_LATENCY = "mean_latency_ms", "Mean latency", "ms", Group.LOAD
    MEMORY = "memory_bytes", "Memory of the server", "bytes", Group.LOAD
    THROUGHPUT = "throughput_per_second", "Requests answered", "per second", Group.LOAD
    GPU_UTILIZATION = "gpu_utilization", "GPU utilization", "0-1", Group.LOAD
    CLASS_ACCURACY = "class_accuracy", "Accuracy on", "0-1", Group.QUALITY
    NOT_WORSE_ON_HOLDOUT = (
        "not_worse_on_holdout",
        "Not worse on the holdout: paired score bound",
        "accuracy gained, 0-1",
        Group.COMPARISON,
    )
    GAIN_BEYOND_CHANCE = "gain_beyond_chance", "A gain beyond chance: exact McNemar", "p-value", Group.COMPARISON
    CORRECTIONS_FIXED = "corrections_fixed", "Held-out corrections fixed", "share 0-1", Group.COMPARISON
    NEGATIVE_FLIPS = "negative_flips", "Right before, wrong now", "share 0-1", Group.COMPARISON
    SLICES = "slices", "Worst fall of a slice", "accuracy lost, 0-1", Group.COMPARISON
    GAIN_NOT_SUSPICIOUS = (
        "gain_not_suspicious",
        "Gain not suspiciously large",
        "accuracy gained, 0-1",
        Group.COMPARISON,
    )

    @classmethod
    def of(cls, group: Group) -> "tuple[CheckName, ...]":
        return tuple(name for name in cls if name.group is group)


def class_accuracy(label: str) -> str:
    """The check of one label: `class_accuracy.양호`."""
    return f"{CheckName.CLASS_ACCURACY}.{label}"


def label_of(name: str) -> str | None:
    """The label that a check of one label is about, None for any other check."""
    kind, _, label = name.partition(".")
    return label if kind == CheckName.CLASS_ACCURACY and label else None


def required(labels: Sequence[str], *, compared: bool) -> tuple[str, ...]:
    """Every check that must be there for a model to be accepted: one that did not run is a refusal.

    `compared`: there was a champion to compare with.
    """
    alone = [n for n in CheckName if n.group is not Group.COMPARISON and n is not CheckName.CLASS_ACCURACY]
    return (*alone, *map(class_accuracy, labels), *(CheckName.of(Group.COMPARISON) if compared else ()))


@dataclass(frozen=True)
class Check:
    """One condition: `value` measured, `bar` the threshold, `support` the number of photos or requests behind it.

    `name` is a `CheckName`, or that of one label. `against` is the champion's version where the condition compares
    with it; `low` and `high` bound the value with 95 % confidence; `enough` is False when the support is too small to
    be sure of the outcome.
    """

    name: str
    outcome: Outcome
    value: float | None
    bar: float | None
    support: int
    reason: str
    against: str | None = None
    weight: Weight = Weight.FLOOR
    low: float | None = None
    high: float | None = None
    enough: bool = True

    @property
    def measured(self) -> bool:
        """Whether there was anything to measure; what was not measured refuses, too, and says nothing of a model."""
        return self.value is not None and math.isfinite(self.value) and self.support > 0

    @property
    def title(self) -> str:
        """For people, with the unit; verdicts of earlier releases may name checks that no longer exist."""
        label = label_of(self.name)
        kind = CheckName.CLASS_ACCURACY if label else self.name
        name = next((name for name in CheckName if name == kind), None)
        if name is None:
            return self.name
        return ", ".join(part for part in (f"{name.heading} {label or ''}".strip(), name.unit) if part)


@dataclass(frozen=True)
class Prediction:
    """One photo's verdict by one model beside the confirmed label."""

    task_id: str
    label: str
    predicted: str

    @property
    def right(self) -> bool:
        return self.predicted == self.label


@dataclass(frozen=True)
class ReasonFigures:
    """Of the corrections for one reason that were kept from training, how many a model answers as people corrected
    them.
    """

    reason: str
    photos: int
    right: int


def by_reason(said: Iterable[Prediction], reasons: Mapping[str, Sequence[str]]) -> list[ReasonFigures]:
    """Of every reason in `reasons`, which maps a task to its own; a correction for two reasons counts for both."""
    right: dict[str, list[bool]] = {}
    for one in said:
        for reason in reasons[one.task_id]:
            right.setdefault(reason, []).append(one.right)
    return [ReasonFigures(reason, len(found), sum(found)) for reason, found in sorted(right.items())]


@dataclass(frozen=True)
class AccuracyMeasurement:
    """Predictions of candidate and champion on the same photos; champion None for the first model.

    `champion_fault` says why a champion could not be measured; `trainer` is what the trainer itself said of the
    validation photos, before export, by task id. `corrections` are the candidate's answers on corrections that were
    held out beyond the natural sample; what the champion says of them is known: it was corrected.
    """

    champion_version: str | None

    validation: tuple[Prediction, ...]
    holdout: tuple[Prediction, ...]
    champion_validation: tuple[Prediction, ...] | None
    champion_holdout: tuple[Prediction, ...] | None
    champion_fault: str = ""
    trainer: Mapping[str, str] | None = None
    corrections: tuple[Prediction, ...] = ()


@dataclass(frozen=True)
class LoadTest:
    """How much load a candidate has to bear before it may go live."""

    requests: AtLeastOne = 1000
    """Inferences behind the performance verdict."""
    concurrency: AtLeastOne = 4
    """Requests in flight while measuring."""


@dataclass(frozen=True)
class PerformanceMeasurement:
    """Measured through a private server process over gRPC; `gpu_utilization` 0-1 or None without a GPU."""

    mean_latency_ms: float
    p95_latency_ms: float
    throughput_per_second: float
    memory_bytes: int
    gpu_utilization: float | None
    requests: int


def accuracy(predictions: Sequence[Prediction]) -> float:
    """Share of right verdicts, 0-1; NaN for no predictions, which no threshold accepts."""
    if not predictions:
        return math.nan
    return sum(p.right for p in predictions) / len(predictions)


def negative_flips(candidate: Sequence[Prediction], champion: Sequence[Prediction]) -> tuple[str, ...]:
    """Task ids the champion got right and the candidate gets wrong."""
    right_before = {p.task_id for p in champion if p.right}
    return tuple(p.task_id for p in candidate if not p.right and p.task_id in right_before)


def failed_floors(checks: Iterable[Check]) -> list[Check]:
    """The conditions that refuse a candidate; advice on another training is based on them."""
    return [c for c in checks if c.outcome is Outcome.FAILED and c.weight is Weight.FLOOR]


def outcome(passed: bool) -> Outcome:
    return Outcome.PASSED if passed else Outcome.FAILED


def plain_json(value: Any, *, indent: int | None = None) -> str:
    """JSON has no NaN and no infinity: what could not be measured becomes null. Any other unknown type becomes text."""
    return json.dumps(_measured(value), ensure_ascii=False, indent=indent, default=str, allow_nan=False)


def _measured(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _measured(one) for name, one in value.items()}
    return [_measured(one) for one in value] if isinstance(value, list | tuple) else value
