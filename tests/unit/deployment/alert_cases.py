"""For every alert: what makes it fire, what just does not, and what ends it."""

from collections.abc import Mapping

from tests.unit.deployment.alert_trials import DAY, HOUR, MINUTE, Case, Trial, Value, ago, steady
from tests.unit.deployment.burning import Burning, errors, fast, lasting, slowness
from tests.unit.deployment.silence import NobodyAsks, Silence


def of(series: str, bad: float, edge: float, good: float, beside: Mapping[str, Value] | None = None) -> Case:
    """One series."""
    values = (steady(bad), steady(edge), steady(good))
    return Case(*({series: value} for value in values), beside or {})


def since(series: str, age: float, beside: Mapping[str, Value] | None = None) -> Case:
    """A moment in the past: it fires once that is more than `age` seconds ago, and ends with a new one."""
    return Case({series: ago(age * 1.03)}, {series: ago(age * 0.97)}, {series: ago(0)}, beside or {})


ONE, NONE = steady(1), steady(0)
CHAMPION = {'retraining_champion_info{model="laundry",version="v1.0.0"}': ONE}
FACE_CHAMPION = {'retraining_champion_info{model="face",version="v1.0.0"}': ONE}
UP, SERVES = 'up{job="faceserve",instance="a"}', 'faceserve_active_version{instance="a",model="laundry",version="%s"}'
STATE = 'retraining_live_accuracy_state{model="laundry",version="v1.0.0",state="%s"}'
_FACES = 'retraining_face_rates_state{model="face",version="v1.0.0",state="%s"}'
_BLIND = 'retraining_live_accuracy_high_ratio{model="laundry",version="v1.0.0",kind="blind"}'
_OBSERVED = 'retraining_live_accuracy_ratio{model="laundry",version="v1.0.0",kind="observed"}'
_PENDING = 'retraining_corrections_pending{model="laundry"}'
_TRAINED = 'retraining_last_training_timestamp_seconds{model="laundry"}'
_NEEDED = {
    'retraining_corrections_needed{model="laundry",of="retraining"}': steady(100),
    'retraining_training_interval_seconds{model="laundry"}': steady(3 * DAY),
}
_TASKS_READY = 'rabbitmq_detailed_queue_messages_ready{vhost="airflow",queue="gpu"}'
_WORKERS = 'rabbitmq_detailed_queue_consumers{vhost="airflow",queue="gpu"}'
_SAFEGUARD = 'retraining_safeguard_timestamp_seconds{kind="%s"}'
_OLDEST = "retraining_airflow_oldest_run_timestamp_seconds"
_CERTIFICATE = 'faceserve_certificate_expiry_timestamp_seconds{instance="a",certificate="caller",caller="pipeline"}'
_ANOTHER = {SERVES % "v1.0.0": NONE, SERVES % "v0.9.0": ONE}
_THE_SAME = {SERVES % "v1.0.0": ONE, SERVES % "v0.9.0": NONE}

CASES: Mapping[str, Case | Burning | Silence] = {
    "ErrorBudgetBurnsFast": Burning(fast(0.001), errors),
    "ErrorBudgetBurns": Burning(lasting(0.001), errors),
    "LatencyBudgetBurnsFast": Burning(fast(0.01), slowness),
    "LatencyBudgetBurns": Burning(lasting(0.01), slowness),
    "NoReplicaServes": of(UP, 0, 1, 1),
    "ModelUnavailable": of(SERVES % "v1.0.0", 0, 1, 1, {UP: ONE, **CHAMPION}),
    "FewerReplicasServe": of("retraining_replicas_expected", 2, 1, 1, {SERVES % "v1.0.0": ONE, **CHAMPION}),
    "ReplicaDown": of(UP, 0, 1, 1, {'up{job="faceserve",instance="b"}': ONE}),
    "ReplicaServesNothing": of(SERVES % "v1.0.0", 0, 1, 1, {UP: ONE, **CHAMPION}),
    "ReplicasDisagree": Case(_ANOTHER, _THE_SAME, _THE_SAME, CHAMPION),
    "CertificateEnds": Case(
        {_CERTIFICATE: ago(-13.9 * DAY)}, {_CERTIFICATE: ago(-14.1 * DAY)}, {_CERTIFICATE: ago(-365 * DAY)}
    ),
    "LiveAccuracyFailing": of(STATE % "failing", 1, 0, 0, {STATE % "low": ONE, **CHAMPION}),
    "LiveAccuracyLow": of(STATE % "low", 1, 0, 0, {STATE % "unknown": ONE, **CHAMPION}),
    "FaceRatesFailing": of(_FACES % "failing", 1, 0, 0, {_FACES % "warn": ONE, **FACE_CHAMPION}),
    "FaceRatesHigh": of(_FACES % "warn", 1, 0, 0, {_FACES % "unknown": ONE, **FACE_CHAMPION}),
    "BlindSampleIsWorse": of(_BLIND, 0.848, 0.852, 0.9, {_OBSERVED: steady(0.9)}),
    "GateAndLifeDisagree": of(
        'retraining_gate_vs_live_gap_ratio{model="laundry",version="v1.0.0"}', 0.051, 0.05, 0.01, CHAMPION
    ),
    "RollbackFailed": of('retraining_rollback_failed{model="laundry"}', 1, 0, 0),
    "DeploymentIncomplete": of(
        'retraining_deployment_incomplete{model="laundry"}',
        1,
        0,
        0,
        {'retraining_registry_is_behind{model="face"}': NONE},
    ),
    "PromotionsFrozen": since('retraining_promotions_frozen_timestamp_seconds{model="laundry"}', DAY),
    "CanaryUndecided": since('retraining_canary_timestamp_seconds{model="laundry",version="v1.1.0"}', 3 * DAY),
    "CandidatesRefused": of('retraining_refusals_in_a_row{model="laundry"}', 2, 1, 0),
    "NothingIsDecided": since('retraining_last_decision_timestamp_seconds{model="laundry"}', 26 * HOUR),
    "CorrectionsNotLearned": Case(
        {_PENDING: steady(100), _TRAINED: ago(5.1 * DAY)},
        {_PENDING: steady(100), _TRAINED: ago(4.9 * DAY)},
        {_PENDING: steady(99), _TRAINED: ago(5.1 * DAY)},
        _NEEDED,
    ),
    "ModelStale": since('retraining_last_promotion_timestamp_seconds{model="laundry"}', 90 * DAY, {_PENDING: ONE}),
    "MonitorSilent": since(
        'retraining_live_accuracy_looked_timestamp_seconds{model="laundry"}',
        HOUR,
        {'retraining_monitor_interval_seconds{model="laundry"}': steady(15 * MINUTE)},
    ),
    "DagPaused": of('retraining_dag_paused{dag_id="task_confirmed_intake"}', 1, 0, 0),
    "StepFailing": since('retraining_step_failing_timestamp_seconds{dag_id="model_rollback",step="x"}', 30 * MINUTE),
    "DeadLetters": of("retraining_dead_letters", 1, 0, 0),
    "ConfirmationsWait": of("retraining_confirmations_waiting", 1001, 1000, 0),
    "NoConfirmations": Silence(),
    "NoRequests": NobodyAsks(),
    "TasksWaitForWorkers": Case(
        bad={_TASKS_READY: ONE, _WORKERS: NONE},
        edge={_TASKS_READY: ONE, _WORKERS: ONE},
        good={_TASKS_READY: NONE, _WORKERS: NONE},
    ),
    "OutboxOld": of('retraining_outbox_oldest_seconds{database="mlops"}', 301, 300, 0),
    "NoticesOld": of('retraining_notices_oldest_seconds{database="mlops"}', 3601, 3600, 0),
    "BackupOld": since(_SAFEGUARD % "base", 26 * HOUR),
    "BackupLogStandsStill": since(_SAFEGUARD % "log", 15 * MINUTE),
    "RestoreNotTried": since(_SAFEGUARD % "restore_test", 8 * DAY),
    "DiskFull": of("retraining_disk_free_ratio", 0.149, 0.151, 0.5),
    "DagsUnreadable": of("airflow_dag_processing_import_errors", 1, 0, 0),
    "AirflowHistoryGrows": Case(
        {_OLDEST: ago(99.4 * DAY)},
        {_OLDEST: ago(98.6 * DAY)},
        {_OLDEST: ago(0)},
        {"retraining_airflow_history_seconds": steady(90 * DAY)},
    ),
    "AirflowIll": of('retraining_airflow_healthy{component="scheduler"}', 0, 1, 1),
    "SourceAway": of('retraining_exporter_up{source="database"}', 0, 1, 1),
    "ExporterAway": of('up{job="exporter"}', 0, 1, 1),
    "TargetDown": of('up{job="rabbitmq",instance="a"}', 0, 1, 1),
}

_BEHIND = 'retraining_registry_is_behind{model="laundry"}'
_VOLUME = 'kubelet_volume_stats_%s_bytes{namespace="retraining",persistentvolumeclaim="data-prometheus-0"}'
_PROMOTED = 'retraining_last_promotion_timestamp_seconds{model="laundry"}'
_FACE_SERVES = 'faceserve_active_version{instance="a",model="face",version="v1.0.0"}'
# The other half of those that fire for two reasons, or for one only beside another.
_ALSO: Mapping[str, Case] = {
    "DagsUnreadable": of("retraining_dag_files_unreadable", 1, 0, 0),
    "DiskFull": of(_VOLUME % "available", 149, 151, 500, {_VOLUME % "capacity": steady(1000)}),
    "DeploymentIncomplete": of(_BEHIND, 1, 0, 0),
    "ModelStale": of(_PENDING, 1, 0, 0, {_PROMOTED: ago(100 * DAY)}),
    "ReplicaServesNothing": of(_FACE_SERVES, 0, 1, 1, {UP: ONE, **FACE_CHAMPION}),
}


def trials_of(alert: str) -> list[Trial]:
    cases = [CASES[alert], *([_ALSO[alert]] if alert in _ALSO else [])]
    return [trial for case in cases for trial in case.trials(alert)]
