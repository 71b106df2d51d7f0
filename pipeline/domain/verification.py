"""May this candidate serve? Numbers in, one immutable blessing out (specification §2.2; design D3, D14)."""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum


class Outcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Check:
    """One condition: `value` measured, `bar` the threshold, `support` the number of photos or requests behind it.

    `against` is the champion's version where the condition compares with it.
    """

    name: str
    outcome: Outcome
    value: float | None
    bar: float | None
    support: int
    reason: str
    against: str | None = None


@dataclass(frozen=True)
class Prediction:
    """One photo's verdict by one model beside the confirmed label."""

    task_id: str
    label: str
    predicted: str


@dataclass(frozen=True)
class AccuracyMeasurement:
    """Predictions of candidate and champion on the same photos; champion None for the first model."""

    champion_version: str | None

    validation: tuple[Prediction, ...]
    holdout: tuple[Prediction, ...]
    champion_validation: tuple[Prediction, ...] | None
    champion_holdout: tuple[Prediction, ...] | None


@dataclass(frozen=True)
class PerformanceMeasurement:
    """Measured through a private server process over gRPC; `gpu_utilization` 0-1 or None without a GPU."""

    mean_latency_ms: float
    p95_latency_ms: float
    throughput_per_second: float
    memory_bytes: int
    gpu_utilization: float | None
    requests: int


@dataclass(frozen=True)
class VerificationPolicy:
    """The specification's eight conditions; accuracies 0-1, limits inclusive."""

    min_validation_accuracy: float = 0.90
    min_holdout_accuracy: float = 0.88
    min_class_accuracy: float = 0.90
    max_mean_latency_ms: float = 200.0
    max_memory_bytes: int = 2_000_000_000
    max_gpu_utilization: float = 0.80
    min_throughput_per_second: float = 50.0

    def sha256(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def judge_accuracy(self, measured: AccuracyMeasurement, labels: Sequence[str]) -> tuple[Check, ...]:
        validation = accuracy(measured.validation)
        n = len(measured.validation)
        checks = [
            _at_least("validation_accuracy", validation, self.min_validation_accuracy, n),
            self._improvement(validation, measured),
            _at_least("holdout_accuracy", accuracy(measured.holdout), self.min_holdout_accuracy, len(measured.holdout)),
        ]
        by_class = accuracy_by_class(measured.validation)
        for label in labels:
            value, support = by_class.get(label, (math.nan, 0))
            checks.append(_at_least(f"class_accuracy.{label}", value, self.min_class_accuracy, support))
        return tuple(checks)

    def judge_performance(self, measured: PerformanceMeasurement) -> tuple[Check, ...]:
        n = measured.requests
        checks = [
            _at_most("mean_latency_ms", measured.mean_latency_ms, self.max_mean_latency_ms, n),
            _at_most("memory_bytes", measured.memory_bytes, self.max_memory_bytes, n),
            _at_least("throughput_per_second", measured.throughput_per_second, self.min_throughput_per_second, n),
        ]
        if measured.gpu_utilization is None:
            checks.append(
                Check(
                    "gpu_utilization", Outcome.NOT_MEASURED, None, self.max_gpu_utilization, 0, "not measured: no GPU"
                )
            )
        else:
            checks.append(_at_most("gpu_utilization", measured.gpu_utilization, self.max_gpu_utilization, n))
        return tuple(checks)

    @staticmethod
    def _improvement(validation: float, measured: AccuracyMeasurement) -> Check:
        name, n, theirs = "better_than_champion", len(measured.validation), measured.champion_validation
        if measured.champion_version is None:
            return Check(name, Outcome.PASSED, validation, None, n, "first model: no champion to beat")
        if theirs is None or [p.task_id for p in theirs] != [p.task_id for p in measured.validation]:
            reason = f"champion {measured.champion_version} was not measured on the same photos"
            return Check(name, Outcome.FAILED, validation, None, n, reason, measured.champion_version)
        champion = accuracy(theirs)
        passed = math.isfinite(champion) and validation > champion
        reason = (
            f"validation accuracy {validation:.4f}, more than {champion:.4f} of champion "
            f"{measured.champion_version} needed on the same {n} photos"
        )
        return Check(name, _outcome(passed), validation, champion, n, reason, measured.champion_version)


# Every one of these must be present for a model to be accepted: a check that did not run is a refusal.
LOAD_CHECKS = ("mean_latency_ms", "memory_bytes", "throughput_per_second", "gpu_utilization")
REQUIRED_CHECKS = ("validation_accuracy", "better_than_champion", "holdout_accuracy", *LOAD_CHECKS)


def objections(checks: Sequence[Check], labels: Sequence[str]) -> tuple[str, ...]:
    """Why a candidate may not serve; empty when it may."""
    found = {check.name for check in checks}
    required = [*REQUIRED_CHECKS, *(f"class_accuracy.{label}" for label in labels)]
    missing = [f"{name} was not measured" for name in required if name not in found]
    unmeasured = [
        f"{c.name} was not measured"
        for c in checks
        if c.outcome is Outcome.NOT_MEASURED and c.name != "gpu_utilization"
    ]
    failed = [check.reason for check in checks if check.outcome is Outcome.FAILED]
    nothing = [] if labels else ["no labels configured"]
    return tuple([*nothing, *missing, *unmeasured, *failed])


def accuracy(predictions: Sequence[Prediction]) -> float:
    """Share of right verdicts, 0-1; NaN for no predictions, which no threshold accepts."""
    if not predictions:
        return math.nan
    return sum(p.predicted == p.label for p in predictions) / len(predictions)


def accuracy_by_class(predictions: Iterable[Prediction]) -> Mapping[str, tuple[float, int]]:
    """For each confirmed label: share of right verdicts and number of photos."""
    groups: dict[str, list[Prediction]] = {}
    for prediction in predictions:
        groups.setdefault(prediction.label, []).append(prediction)
    return {label: (accuracy(group), len(group)) for label, group in groups.items()}


def negative_flips(candidate: Sequence[Prediction], champion: Sequence[Prediction]) -> tuple[str, ...]:
    """Task ids the champion got right and the candidate gets wrong."""
    right_before = {p.task_id for p in champion if p.predicted == p.label}
    return tuple(p.task_id for p in candidate if p.predicted != p.label and p.task_id in right_before)


def _at_least(name: str, value: float, bar: float, support: int) -> Check:
    passed = math.isfinite(value) and support > 0 and value >= bar
    return Check(name, _outcome(passed), value, bar, support, _reason(name, value, "≥", bar, support))


def _at_most(name: str, value: float, bar: float, support: int) -> Check:
    passed = math.isfinite(value) and support > 0 and value <= bar
    return Check(name, _outcome(passed), value, bar, support, _reason(name, value, "≤", bar, support))


def _reason(name: str, value: float, relation: str, bar: float, support: int) -> str:
    if support == 0 or not math.isfinite(value):
        return f"{name} could not be measured (support {support}), {relation} {bar:g} needed"
    return f"{name} {value:.4g}, {relation} {bar:g} needed (n={support})"


def _outcome(passed: bool) -> Outcome:
    return Outcome.PASSED if passed else Outcome.FAILED
