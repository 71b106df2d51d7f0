"""What verification measured, and one condition about it (specification §2.2, messages 20-26)."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

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


@dataclass(frozen=True)
class Check:
    """One condition: `value` measured, `bar` the threshold, `support` the number of photos or requests behind it.

    `against` is the champion's version where the condition compares with it; `low` and `high` bound the value with
    95 % confidence; `enough` is False when the support is too small to be sure of the outcome.
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
    """How hard a candidate is asked before it may go live."""

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


def accuracy_by_class(predictions: Iterable[Prediction]) -> Mapping[str, tuple[float, int]]:
    """For each confirmed label: share of right verdicts and number of photos."""
    groups: dict[str, list[Prediction]] = {}
    for prediction in predictions:
        groups.setdefault(prediction.label, []).append(prediction)
    return {label: (accuracy(group), len(group)) for label, group in groups.items()}


def negative_flips(candidate: Sequence[Prediction], champion: Sequence[Prediction]) -> tuple[str, ...]:
    """Task ids the champion got right and the candidate gets wrong."""
    right_before = {p.task_id for p in champion if p.right}
    return tuple(p.task_id for p in candidate if not p.right and p.task_id in right_before)


def outcome(passed: bool) -> Outcome:
    return Outcome.PASSED if passed else Outcome.FAILED
