"""A rollback has a place of its own: pools, executor slots, many runs; for every way the stack is started."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from dags import live_accuracy_monitor, model_promotion, model_retention, model_rollback, task_confirmed_intake
from dags.model_retraining import laundry
from include.docker import migrate
from include.stack import own_tables
from include.stack.executor import PARALLELISM, POOLS, pools
from include.stack.layout import environment, load_or_create

_ROOT = Path(__file__).parents[2]
ROLLBACK, MONITOR = model_rollback.model_rollback(), live_accuracy_monitor.live_accuracy_monitor()
OTHERS = [
    *(laundry, model_promotion.model_promotion()),
    *(model_retention.model_retention(), task_confirmed_intake.task_confirmed_intake()),
]
EMERGENCY = {
    ("live_accuracy_monitor", "watch"),
    ("live_accuracy_monitor", "roll_back"),
    ("live_accuracy_monitor", "watch_face"),
    ("live_accuracy_monitor", "roll_back_face"),
    ("model_rollback", "roll_back"),
}
TASKS = {(dag.dag_id, task.task_id): task for dag in (ROLLBACK, MONITOR, *OTHERS) for task in dag.tasks}
_PARALLELISM = "AIRFLOW__CORE__PARALLELISM"


def _kubernetes():
    manifests = yaml.safe_load_all((_ROOT / "include/k8s/base/airflow.yaml").read_text())
    return {m["metadata"]["name"]: m["data"] for m in manifests}


def _parallelism(tmp_path):
    compose = yaml.safe_load((_ROOT / "docker-compose.yaml").read_text())
    return {
        "local": int(environment(load_or_create(tmp_path, preferred=False))[_PARALLELISM]),
        "compose": int(compose["services"]["airflow-scheduler"]["environment"][_PARALLELISM]),
        "kubernetes": int(_kubernetes()["airflow"][_PARALLELISM]),
    }


def test_all_pools_together_leave_an_executor_slot_to_spare(tmp_path):
    """So the slots of the emergency cannot be taken by anything else, not even by processes that are just ending."""
    found = _parallelism(tmp_path)
    slots = {name: sum(pool["slots"] for pool in POOLS.values()) for name in found}
    slots["kubernetes"] += int(pools({"RETRAIN_EXECUTOR": "kubernetes"})["slices"]["slots"])
    assert found["local"] == found["compose"] == PARALLELISM
    assert all(slots[name] < found[name] for name in found)


def test_every_pool_that_a_task_names_exists_and_none_is_left_over():
    assert {task.pool for task in TASKS.values()} == set(POOLS)
    assert all(task.pool_slots == 1 for task in TASKS.values())


@pytest.mark.parametrize("chosen", [{}, {"RETRAIN_EXECUTOR": "celery", "RETRAIN_SLICES_AT_ONCE": "5"}])
def test_containers_import_the_same_pools(monkeypatch, chosen):
    imported = []
    monkeypatch.setattr(migrate, "migrate_airflow", lambda _: None)
    monkeypatch.setattr(own_tables, "_run", lambda words, _: imported.append(Path(words[-1]).read_text()))
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    migrate.airflow()
    assert json.loads(imported[0]) == pools(chosen)


def test_the_emergencys_pool_is_for_rollbacks_and_what_asks_for_them():
    assert {name for name, task in TASKS.items() if task.pool == "emergency"} == EMERGENCY


def test_two_rollbacks_and_a_look_of_the_monitor_fit_beside_each_other():
    assert POOLS["emergency"]["slots"] >= 3


def test_what_waits_for_an_answer_or_a_canary_holds_no_place():
    assert not POOLS["emergency"]["include_deferred"] and not POOLS["serving_swap"]["include_deferred"]


def test_a_pod_that_trains_keeps_its_place():
    assert POOLS["training"] == {**POOLS["training"], "slots": 1, "include_deferred": True}


def test_an_emergency_is_queued_before_everything_else():
    """Airflow adds up the weights of what follows a task; no other DAG has so many tasks."""
    longest = max(len(dag.tasks) for dag in OTHERS)
    weights = {name: task.priority_weight for name, task in TASKS.items()}
    assert all(weights[name] > longest for name in EMERGENCY)
    assert {weights[dag.dag_id, task.task_id] for dag in OTHERS for task in dag.tasks} == {1}


def test_waiting_rollbacks_do_not_keep_the_next_one_waiting():
    assert ROLLBACK.max_active_runs == 100
    assert ROLLBACK.max_active_tasks >= len(ROLLBACK.tasks)
    assert all(task.max_active_tis_per_dag is None for task in ROLLBACK.tasks)


@pytest.mark.parametrize(
    "name", ["model_rollback", "live_accuracy_monitor", "task_confirmed_intake", "model_retention"]
)
def test_nobody_has_to_unpause_what_safety_depends_on_and_nothing_pauses_it(name):
    (dag,) = (dag for dag in (ROLLBACK, MONITOR, *OTHERS) if dag.dag_id == name)
    assert dag.is_paused_upon_creation is False
    assert dag.max_consecutive_failed_dag_runs == 0


def test_a_rollback_that_hangs_gives_its_place_back():
    assert ROLLBACK.get_task("roll_back").execution_timeout == timedelta(minutes=10)


def test_replicas_that_are_missing_are_waited_for_elsewhere_for_a_week():
    complete = ROLLBACK.get_task("complete")
    assert complete.pool == "serving_swap" and complete.upstream_task_ids == {"roll_back"}
    assert complete.retries * complete.max_retry_delay >= timedelta(days=6)
    assert (complete.retry_delay, complete.retry_exponential_backoff) == (timedelta(seconds=30), 2.0)
    assert complete.max_retry_delay == timedelta(minutes=5)


def test_events_are_published_before_the_last_replica_is_back():
    assert ROLLBACK.get_task("publish_events").upstream_task_ids == {"roll_back"}
    assert {task.task_id for task in ROLLBACK.leaves} == {"publish_events", "complete"}


def test_a_look_or_a_reconcile_that_hangs_does_not_keep_the_next_look_waiting():
    assert MONITOR.max_active_runs == 4
    assert {task.execution_timeout for task in MONITOR.tasks} == {timedelta(minutes=5)}
    assert {task.task_id: task.max_active_tis_per_dag for task in MONITOR.tasks} == {
        "watch": 1,
        "watch_face": 1,
        "reconcile": 2,
        "pauses": None,
        "roll_back": None,
        "roll_back_face": None,
    }
