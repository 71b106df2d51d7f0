"""May this candidate serve? The specification's eight conditions as floors (§2.2; design D3)."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial

from pipeline.domain.bounds import AtLeastOne, Bytes, NotNegative, Positive, Share
from pipeline.domain.checks import (
    AccuracyMeasurement,
    Check,
    CheckName,
    Outcome,
    PerformanceMeasurement,
    Prediction,
    accuracy,
    class_accuracy,
    outcome,
)
from pipeline.domain.clusters import most_of
from pipeline.domain.comparison import ComparisonPolicy
from pipeline.domain.dataset import Photo
from pipeline.domain.statistics import Interval, binomial_upper_bound, wilson


@dataclass(frozen=True)
class VerificationPolicy:
    """Floors and limits, each inclusive."""

    min_validation_accuracy: Share = 0.90
    """Least share of validation photos judged right."""
    min_holdout_accuracy: Share = 0.88
    """Least share of holdout photos judged right."""
    min_class_accuracy: Share = 0.90
    """Least share of each class among the validation photos judged right."""
    max_mean_latency_ms: Positive = 200.0
    """Longest mean time of an answer under load."""
    max_memory_bytes: Bytes = 2_000_000_000
    """Most memory that the server may take under load."""
    max_gpu_utilization: Share = 0.80
    """Largest share of the GPU that the server may use under load, where there is one."""
    min_throughput_per_second: NotNegative = 50.0
    """Least answers a second under load."""
    min_speed_beside_champion: Share = 0.90
    """Where the champion too is slower than the floor in the same minutes, so that the machine cannot do it now: least
    throughput as a share of the champion's. Mean latency likewise."""
    min_support: AtLeastOne = 50
    """Photos behind an accuracy, of a class too, below which it is called unsure; near-duplicates count once."""
    min_agreement: Share = 0.98
    """Least share of photos on which server and trainer agree: bf16 and int8 may turn a verdict that hangs on a hair,
    never more than one in fifty."""
    comparison: ComparisonPolicy = field(default_factory=ComparisonPolicy)
    """What proves that a candidate is better than the champion"""

    def sha256(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def judge_accuracy(
        self, measured: AccuracyMeasurement, labels: Sequence[str], photos: Mapping[str, Photo]
    ) -> tuple[Check, ...]:
        """`photos` by task id say what is a near-duplicate of what, and which slice a photo is in."""
        share = partial(self._share, photos)
        checks = [
            LOADED,
            share(CheckName.VALIDATION_ACCURACY, measured.validation, self.min_validation_accuracy),
            self._improvement(measured),
            share(CheckName.HOLDOUT_ACCURACY, measured.holdout, self.min_holdout_accuracy),
        ]
        for label in labels:
            of_class = [p for p in measured.validation if p.label == label]
            checks.append(share(class_accuracy(label), of_class, self.min_class_accuracy))
        checks.append(self._agreement(measured, photos))
        return (*checks, *self.comparison.judge(measured, photos))

    def judge_performance(
        self, measured: PerformanceMeasurement, champion: PerformanceMeasurement | None = None
    ) -> tuple[Check, ...]:
        """`champion` in the same minutes says what the machine can do; None for the first model, or where needless."""
        n = measured.requests
        checks = [
            self._latency(measured, champion),
            _at_most(CheckName.MEMORY, measured.memory_bytes, self.max_memory_bytes, n),
            self._throughput(measured, champion),
        ]
        if measured.gpu_utilization is None:
            bar, reason = self.max_gpu_utilization, "not measured: no GPU"
            checks.append(Check(CheckName.GPU_UTILIZATION, Outcome.NOT_MEASURED, None, bar, 0, reason))
        else:
            checks.append(_at_most(CheckName.GPU_UTILIZATION, measured.gpu_utilization, self.max_gpu_utilization, n))
        return tuple(checks)

    def too_slow(self, measured: PerformanceMeasurement) -> bool:
        """Whether it is below a floor, which may only mean that the machine was busy."""
        return (
            measured.throughput_per_second < self.min_throughput_per_second
            or measured.mean_latency_ms > self.max_mean_latency_ms
        )

    def _throughput(self, measured: PerformanceMeasurement, champion: PerformanceMeasurement | None) -> Check:
        name, ours, bar = CheckName.THROUGHPUT, measured.throughput_per_second, self.min_throughput_per_second
        check = _at_least(name, ours, bar, measured.requests)
        if champion is None:
            return check
        theirs = champion.throughput_per_second
        return self._beside(check, 0 < theirs < bar, ours >= theirs * self.min_speed_beside_champion, theirs)

    def _latency(self, measured: PerformanceMeasurement, champion: PerformanceMeasurement | None) -> Check:
        name, mean, p95 = CheckName.MEAN_LATENCY, measured.mean_latency_ms, measured.p95_latency_ms
        bar = self.max_mean_latency_ms
        check = _at_most(name, mean, bar, measured.requests)
        check = replace(check, reason=f"{check.reason}; 95 of 100 answers within {_figure(p95)} ms")
        if champion is None:
            return check
        theirs = champion.mean_latency_ms
        return self._beside(check, theirs > bar, mean * self.min_speed_beside_champion <= theirs, theirs)

    def _beside(self, check: Check, machine_cannot: bool, keeps_up: bool, theirs: float) -> Check:
        if check.outcome is Outcome.PASSED or not machine_cannot:
            return check
        share = f"{self.min_speed_beside_champion:.0%} of the champion's speed needed"
        reason = f"{check.reason}; the champion had {_figure(theirs)} in the same minutes: the machine cannot do it"
        # NaN means that no speed was measured.
        passed = keeps_up and check.value is not None and math.isfinite(check.value) and check.support > 0
        return replace(check, outcome=outcome(passed), reason=f"{reason} now: {share}")

    def _share(self, photos: Mapping[str, Photo], name: str, predictions: Sequence[Prediction], bar: float) -> Check:
        """Of photos, and as sure as so many clusters of near-duplicates make it."""
        n = most_of((photos[p.task_id], p.right) for p in predictions)[1]
        value = accuracy(predictions)
        interval = wilson(value * n, n) if n else Interval(0.0, 1.0)
        passed = n > 0 and value >= bar
        reason = _reason(name, value, "≥", bar, n)
        # A check without measurements refuses; it does not merely raise a doubt.
        enough = n == 0 or n >= self.min_support
        return Check(name, outcome(passed), value, bar, n, reason, low=interval.low, high=interval.high, enough=enough)

    def _improvement(self, measured: AccuracyMeasurement) -> Check:
        name, n, theirs = CheckName.BETTER_THAN_CHAMPION, len(measured.validation), measured.champion_validation
        validation, version = accuracy(measured.validation), measured.champion_version
        if version is None:
            reason = "first model, rubber-stamped: there is no champion to compare with, only the floors apply"
            return Check(name, Outcome.PASSED, validation, None, n, reason)
        if theirs is None or [p.task_id for p in theirs] != [p.task_id for p in measured.validation]:
            reason = f"champion {version} was not measured on the same photos"
            if measured.champion_fault:
                reason += f": {measured.champion_fault}; bring its artifact back, roll back, or force-promote by name"
            return Check(name, Outcome.FAILED, None, None, n, reason, version)
        champion = accuracy(theirs)
        passed = math.isfinite(champion) and validation > champion
        reason = (
            f"validation accuracy {validation:.4f}, more than {champion:.4f} of champion {version} needed "
            f"on the same {n} photos"
        )
        return Check(name, outcome(passed), validation, champion, n, reason, version, enough=n >= self.min_support)

    def _agreement(self, measured: AccuracyMeasurement, photos: Mapping[str, Photo]) -> Check:
        """Training/serving skew: the exported model, asked through the server, beside the trainer's own answers."""
        name, trainer = CheckName.SERVING_AGREES, measured.trainer or {}
        both = [p for p in measured.validation if p.task_id in trainer]
        same, n = most_of((photos[p.task_id], p.predicted == trainer[p.task_id]) for p in both)
        value, high = same / n if n else math.nan, binomial_upper_bound(same, n)
        # On few photos one close verdict weighs much: only what is surely another model is refused.
        complete = bool(both) and len(both) == len(measured.validation)
        passed = complete and high >= self.min_agreement
        reason = (
            f"server and trainer give the same verdict on {value:.1%} of {n} photos, near-duplicates counted once, "
            f"with 95% confidence not above {high:.1%}; {self.min_agreement:.0%} needed"
        )
        found = value if complete else math.nan
        if not complete:
            reason += f"; the trainer said nothing of {len(measured.validation) - len(both)} photos"
        return Check(name, outcome(passed), found, self.min_agreement, n, reason, high=high)


LOADED = Check(
    CheckName.CANDIDATE_LOADS, Outcome.PASSED, 1.0, 1.0, 1, "the model server loads and serves the candidate"
)


def refused_to_load(reason: str, champion: str | None) -> Check:
    """`champion` is the version that the candidate would have been compared with, None for the first model."""
    return Check(CheckName.CANDIDATE_LOADS, Outcome.FAILED, 0.0, 1.0, 1, reason, against=champion)


def _at_least(name: str, value: float, bar: float, support: int) -> Check:
    passed = math.isfinite(value) and support > 0 and value >= bar
    return Check(name, outcome(passed), value, bar, support, _reason(name, value, "≥", bar, support))


def _at_most(name: str, value: float, bar: float, support: int) -> Check:
    passed = math.isfinite(value) and support > 0 and value <= bar
    return Check(name, outcome(passed), value, bar, support, _reason(name, value, "≤", bar, support))


def _reason(name: str, value: float, relation: str, bar: float, support: int) -> str:
    if support == 0 or not math.isfinite(value):
        return f"{name} could not be measured (support {support}), {relation} {bar:g} needed"
    return f"{name} {_figure(value)}, {relation} {_figure(bar)} needed (n={support})"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 1e6 else f"{value:.4g}"
