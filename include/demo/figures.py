"""Every figure of the specification's §9, read from Prometheus and held against the database."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from include.demo.prometheus import PrometheusApi

Ask = Callable[[str], list[tuple[Any, ...]]]

_CHAMPION = " * on (model, version) group_left () retraining_champion_info{model='laundry'}"
_CHAMPIONS_RUN = (
    "(SELECT run_id FROM model_versions WHERE model_type = 'LAUNDRY' AND version = (SELECT to_version"
    " FROM transitions WHERE model_type = 'LAUNDRY' AND phase = 'served' ORDER BY position DESC LIMIT 1))"
)
_LOOK = "FROM live_accuracy_readings WHERE model_type = 'LAUNDRY' ORDER BY at DESC LIMIT 1"
_DONE = "retraining_deployments_total{model='laundry',outcome='done',kind%s~'rollback.*|canary_(start|abort)'}"
_ROLLBACKS = "retraining_deployments_total{model='laundry',outcome='done',kind=~'rollback.*'}"
_ENDED = "retraining_deployments_total{model='laundry',outcome=~'done|failed',kind!~'canary_(start|abort)'}"
_CHANGES = "FROM transitions WHERE model_type = 'LAUNDRY' AND kind NOT IN ('canary_start', 'canary_abort')"
_CONFIRMED = "retraining_confirmations_total{model='laundry'%s}"


@dataclass(frozen=True)
class Figure:
    """`expr` gives one number, `sql` the same; without it only Prometheus knows, and `least` to `most` is right."""

    name: str
    expr: str
    sql: str | None = None
    least: float = 0.0
    most: float = math.inf
    may_be_unknown: bool = False
    """Whether it is also right that neither knows it."""


def _trained(column: str) -> str:
    return f"SELECT (result ->> '{column}')::float FROM training_results WHERE run_id = {_CHAMPIONS_RUN}"


def _checked(name: str) -> str:
    return (
        "SELECT (c ->> 'value')::float FROM blessings b, jsonb_array_elements(b.verdict -> 'checks') c"
        f" WHERE b.run_id = {_CHAMPIONS_RUN} AND c ->> 'name' = '{name}'"
    )


def _latency(quantile: float) -> str:
    buckets = "sum by (le) (rate(faceserve_request_duration_seconds_bucket{model='laundry'}[2m]))"
    return f"histogram_quantile({quantile}, {buckets})"


def _live(end: str, kind: str, columns: tuple[str, str]) -> Figure:
    """An end of the 95 % Wilson interval, worked out once more; `columns` are how many agreed, and of how many."""
    agreed, confirmed = columns
    z = "1.959963984540054::float8"
    share, scale = f"{agreed}::float8 / {confirmed}", f"(1 + {z} ^ 2 / {confirmed})"
    half = f"{z} * sqrt({share} * (1 - {share}) / {confirmed} + ({z} / (2 * {confirmed})) ^ 2)"
    sign, most, edge = ("-", "GREATEST", 0) if end == "low" else ("+", "LEAST", 1)
    interval = f"{most}({edge}, ({share} + {z} ^ 2 / (2 * {confirmed}) {sign} {half}) / {scale})"
    return Figure(
        f"live_accuracy_{kind}_{end}",
        f"retraining_live_accuracy_{end}_ratio{{model='laundry',kind='{kind}'}}",
        f"SELECT CASE WHEN state <> 'unknown' AND {confirmed} > 0 THEN {interval} END {_LOOK}",
        may_be_unknown=True,
    )


_OF_THE_MODEL = (
    Figure("accuracy_train", f"retraining_model_accuracy_ratio{{split='train'}}{_CHAMPION}", _trained("accuracy")),
    Figure(
        "accuracy_validation",
        f"retraining_model_accuracy_ratio{{split='validation'}}{_CHAMPION}",
        _checked("validation_accuracy"),
    ),
    Figure(
        "accuracy_test", f"retraining_model_accuracy_ratio{{split='test'}}{_CHAMPION}", _checked("holdout_accuracy")
    ),
    Figure("loss_train", f"retraining_model_loss{{split='train'}}{_CHAMPION}", _trained("loss")),
    Figure("loss_validation", f"retraining_model_loss{{split='validation'}}{_CHAMPION}", _trained("val_loss")),
    Figure("f1", f"retraining_model_f1_ratio{_CHAMPION}", _trained("f1_score")),
    Figure("auc_roc", f"retraining_model_auc_ratio{_CHAMPION}", _trained("auc")),
    *(
        Figure(
            f"confusion_{actual}_called_{predicted}",
            f"retraining_model_confusion_photos{{actual='{actual}',predicted='{predicted}'}}{_CHAMPION}",
            f"SELECT (result #>> '{{confusion,{row},{column}}}')::float FROM training_results"
            f" WHERE run_id = {_CHAMPIONS_RUN}",
        )
        for row, actual in enumerate(("양호", "불량"))
        for column, predicted in enumerate(("양호", "불량"))
    ),
)
_OF_DEPLOYMENTS = (
    Figure(
        "deployments",
        f"sum({_DONE % '!'})",
        f"SELECT count(*) {_CHANGES} AND phase = 'served' AND kind NOT LIKE 'rollback%'",
    ),
    Figure(
        "rollbacks", f"sum({_ROLLBACKS})", f"SELECT count(*) {_CHANGES} AND phase = 'served' AND kind LIKE 'rollback%'"
    ),
    Figure(
        "deployment_success_rate",
        f"sum({_ENDED.replace('|failed', '')}) / sum({_ENDED})",
        "SELECT (count(DISTINCT id) FILTER (WHERE phase = 'served'))::float / count(DISTINCT (id, phase))"
        f" {_CHANGES} AND phase IN ('served', 'failed')",
    ),
    Figure("downtime_seconds", "sum_over_time(model:faceserve_unavailable:bool{model='laundry'}[%ss:5s]) * 5", most=0),
)
_OF_PRODUCTION = (
    Figure("latency_p50_seconds", _latency(0.5), most=5),
    Figure("latency_p95_seconds", _latency(0.95), most=5),
    Figure("latency_p99_seconds", _latency(0.99), most=5),
    Figure("throughput_per_second", "sum(rate(faceserve_requests_total{model='laundry'}[2m]))", least=0.1),
    Figure("error_rate", "model:faceserve_errors:ratio_rate5m{model='laundry'}", most=0),
    Figure(
        "live_accuracy_state_known",
        "1 - retraining_live_accuracy_state{model='laundry',state='unknown'}",
        f"SELECT (state <> 'unknown')::int {_LOOK}",
    ),
    Figure(
        "live_confirmations",
        "retraining_live_confirmations{model='laundry',kind='observed'}",
        f"SELECT confirmed {_LOOK}",
    ),
    Figure(
        "live_confirmations_blind",
        "retraining_live_confirmations{model='laundry',kind='blind'}",
        f"SELECT blind_confirmed {_LOOK}",
    ),
    Figure(
        "live_accuracy",
        "retraining_live_accuracy_ratio{model='laundry',kind='observed'}",
        f"SELECT CASE WHEN state <> 'unknown' THEN accuracy END {_LOOK}",
        may_be_unknown=True,
    ),
    *(_live(end, "observed", ("agreed", "confirmed")) for end in ("low", "high")),
    *(_live(end, "blind", ("blind_agreed", "blind_confirmed")) for end in ("low", "high")),
    Figure("memory_bytes", "sum(process_resident_memory_bytes{job='faceserve'})", least=1e6),
    Figure("processor_cores", "sum(rate(process_cpu_seconds_total{job='faceserve'}[2m]))", least=0.001),
)
_OF_THE_BUSINESS = (
    Figure("confirmations", f"sum({_CONFIRMED % ''})", "SELECT count(*) FROM task_confirmations"),
    Figure(
        "correction_rate",
        f"sum({_CONFIRMED % (',corrected=' + repr('true'))}) / sum({_CONFIRMED % ''})",
        "SELECT avg(corrected::int)::float FROM task_confirmations",
    ),
    Figure(
        "approval_rate",
        f"sum({_CONFIRMED % (',final_result=' + repr('양호'))}) / sum({_CONFIRMED % ''})",
        "SELECT avg((final_result = '양호')::int)::float FROM task_confirmations",
    ),
    Figure(
        "verdicts_that_stood",
        f"sum({_CONFIRMED % (',corrected=' + repr('false'))}) / sum({_CONFIRMED % ''})",
        "SELECT avg((NOT corrected)::int)::float FROM task_confirmations",
    ),
    Figure(
        "reviews_timed",
        "retraining_reviews_timed_total{model='laundry'}",
        "SELECT count(review_seconds_of(extra)) FROM task_confirmations",
    ),
    Figure(
        "review_seconds",
        "retraining_review_seconds_total{model='laundry'}",
        "SELECT COALESCE(sum(review_seconds_of(extra)), 0) FROM task_confirmations",
    ),
)
FIGURES = (*_OF_THE_MODEL, *_OF_DEPLOYMENTS, *_OF_PRODUCTION, *_OF_THE_BUSINESS)


@dataclass(frozen=True)
class Compared:
    """What Prometheus said, by figure, and a sentence for each that is not as it has to be."""

    seen: dict[str, float | None] = field(default_factory=dict)
    wrong: tuple[str, ...] = ()


def compare(api: PrometheusApi, ask: Ask, serving_seconds: float, figures: Sequence[Figure] = FIGURES) -> Compared:
    """`ask` gives rows of the pipeline's database; `serving_seconds` is how long the first model serves."""
    since = str(max(5, int(serving_seconds)))
    seen = {figure.name: api.number(figure.expr.replace("%s", since)) for figure in figures}
    faults = (_fault(figure, seen[figure.name], ask) for figure in figures)
    return Compared(seen, tuple(fault for fault in faults if fault))


def _fault(figure: Figure, found: float | None, ask: Ask) -> str | None:
    if figure.sql is None:
        right = found is not None and figure.least <= found <= figure.most
        return None if right else f"{figure.name} is {found} in Prometheus, which cannot be right"
    kept = ask(figure.sql)
    known = float(kept[0][0]) if kept and kept[0][0] is not None else None
    if figure.may_be_unknown and found is None and known is None:
        return None
    return None if _equal(found, known) else f"{figure.name} is {found} in Prometheus and {known} in the database"


def _equal(one: float | None, other: float | None) -> bool:
    return one is not None and other is not None and math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
