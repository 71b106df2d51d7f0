"""Where tasks run when there are workers, and that without any nothing changes."""

import os
import subprocess
import sys
from datetime import timedelta

import pytest

from include.contract.work_queues import CPU_HEAVY, DEFAULT, GPU, LONGEST_TASK_SECONDS, QUEUES
from include.stack.executor import PARALLELISM, POOLS, executor_variables, pools
from include.stack.layout import REPOSITORY
from plugins import places
from plugins.ready_executor import BesideSchedulerExecutor
from tests.dags.conftest import OUTSIDE
from tests.dags.telling import found_by
from tests.dags.test_dags import ALL

_BESIDE = "BesideSchedulerExecutor"
_READ = """
from airflow.dag_processing.dagbag import DagBag
bag = DagBag("dags")
seconds = lambda task: task.execution_timeout and task.execution_timeout.total_seconds()
found = {
    f"{dag.dag_id}.{task.task_id}": [task.executor, task.queue, task.pool, task.max_active_tis_per_dag, seconds(task)]
    for dag in bag.dags.values() for task in dag.tasks
}
from plugins.celery_settings import CONFIG
told = CONFIG["task_queues"]
queues = [[q.name, q.exchange.name, q.exchange.type, q.no_declare, q.exchange.no_declare] for q in told]
of = lambda dag: dag.deadline[0] if isinstance(dag.deadline, list) else dag.deadline
late = {name: of(dag).callback.executor for name, dag in bag.dags.items() if dag.deadline}
from tests.dags.telling import tell
tell([bag.import_errors, found, queues, CONFIG["worker_enable_remote_control"], late])
"""
_CHOSEN = {"RETRAIN_EXECUTOR": "celery", "RETRAIN_SLICES_AT_ONCE": "6"}


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """What a process reads in the DAGs folder and of Celery's settings where there are workers."""
    chosen = {**_CHOSEN, **executor_variables(_CHOSEN), "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow"))}
    variables = {
        **OUTSIDE,
        **chosen,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    variables["AIRFLOW__CELERY__RESULT_BACKEND"] = "db+postgresql+psycopg2://celery@127.0.0.1:1/celery"
    (errors, tasks, queues, commanded, late), _ = found_by("-c", _READ, variables=variables)
    assert errors == {}
    return tasks, queues, commanded, late


def test_a_rollback_and_the_look_that_asks_for_it_wait_neither_for_a_worker_nor_for_rabbitmq(read):
    tasks, *_ = read
    emergencies = {name for name, (_, _, pool, *_) in tasks.items() if pool == "emergency"}
    assert emergencies and all(tasks[name][0] == _BESIDE for name in emergencies)
    # Neither do runs of theirs whose other tasks wait keep the next one waiting.
    theirs = {
        name: task for name, task in tasks.items() if name.startswith(("model_rollback.", "live_accuracy_monitor."))
    }
    assert all(executor == _BESIDE and pool != "default_pool" for executor, _, pool, *_ in theirs.values())


def test_what_copies_every_database_runs_where_its_key_is(read):
    tasks, *_ = read
    beside = {name.partition(".")[0] for name, (executor, *_) in tasks.items() if executor == _BESIDE}
    assert beside == {"model_rollback", "live_accuracy_monitor", "backup", "restore_test"}


def test_trainings_slices_and_verification_have_queues_of_their_own(read):
    tasks, *_ = read
    on_workers = {name: queue for name, (executor, queue, *_) in tasks.items() if executor is None}
    assert {name for name, queue in on_workers.items() if queue == GPU} == {
        "laundry_model_retraining.train",
        "face_model_retraining.learn",
    }
    assert {name for name, queue in on_workers.items() if queue == CPU_HEAVY} == {
        "laundry_model_retraining.augment_slice",
        "laundry_model_retraining.verify.accuracy",
        "laundry_model_retraining.verify.performance",
        "face_model_retraining.collect",
    }
    assert set(on_workers.values()) == {*QUEUES} == {DEFAULT, GPU, CPU_HEAVY}


def test_slices_wait_for_workers_in_a_pool_of_their_own(read):
    tasks, *_ = read
    assert tasks["laundry_model_retraining.augment_slice"][1:4] == [CPU_HEAVY, "slices", 6]
    assert {name for name, (_, _, pool, *_) in tasks.items() if pool == "slices"} == {
        "laundry_model_retraining.augment_slice"
    }
    assert pools(_CHOSEN)["slices"]["slots"] == 6


def test_every_slot_of_every_pool_has_one_of_an_executor_and_there_is_one_to_spare(read):
    tasks, *_ = read
    slots = sum(int(str(pool["slots"])) for pool in pools(_CHOSEN).values())
    assert int(executor_variables(_CHOSEN)["AIRFLOW__CORE__PARALLELISM"]) > slots
    beside = {pool for executor, _, pool, *_ in tasks.values() if executor == _BESIDE}
    assert sum(int(str(pools(_CHOSEN)[pool]["slots"])) for pool in beside) < BesideSchedulerExecutor.slots


def test_rabbitmq_takes_no_task_for_lost_while_it_may_still_run(read):
    tasks, *_ = read
    longest = max(seconds for executor, *_, seconds in tasks.values() if executor is None)
    assert timedelta(seconds=longest) < timedelta(seconds=LONGEST_TASK_SECONDS)


def test_nobody_needs_the_right_to_make_a_queue_and_celery_goes_round_no_exchange(read):
    """What is for a direct one it sends through the exchange without a name, by which every queue is reached."""
    _, queues, commanded, _ = read
    assert queues == [[name, "airflow", "topic", True, True] for name in QUEUES]
    assert commanded is False


def test_without_workers_all_run_where_they_did(monkeypatch):
    assert executor_variables({}) == {
        "AIRFLOW__CORE__EXECUTOR": f"plugins.ready_executor.ReadyLocalExecutor,plugins.ready_executor.{_BESIDE}",
        "AIRFLOW__CORE__PARALLELISM": str(PARALLELISM),
    }
    tasks = [task for dag in ALL for task in dag.tasks]
    assert {task.executor for task in tasks} == {None}
    assert {task.pool for task in tasks} <= {*POOLS} and pools({}) == POOLS
    assert ALL[0].get_task("augment_slice").max_active_tis_per_dag == 2


def test_what_is_left_from_a_time_with_workers_is_done_without_any(tmp_path):
    """Airflow keeps a task's executor in its row, and passes over a task whose executor it does not have."""
    find = "from airflow.executors.executor_loader import ExecutorLoader as Loader\n"
    find += f"print('READ', [type(e).__name__ + str(e.parallelism) for e in Loader.init_executors()], {_BESIDE!r})"
    variables = {**os.environ, **executor_variables({}), "AIRFLOW_HOME": str(tmp_path), "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", find]
    done = subprocess.run(command, cwd=REPOSITORY, env=variables, capture_output=True, text=True, check=False)
    assert f"READ ['ReadyLocalExecutor{PARALLELISM}', '{_BESIDE}2']" in done.stdout, done.stderr[-2000:]


def test_where_airflow_was_started_without_workers_the_setting_alone_takes_no_dag_away(monkeypatch, caplog):
    """In Kubernetes it has pods instead."""
    monkeypatch.setenv("RETRAIN_EXECUTOR", "celery")
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "plugins.ready_executor.ReadyLocalExecutor")
    assert (places.beside_scheduler(), places.beside(), "pool" in places.of_slices()) == ({}, None, False)
    assert f"AIRFLOW__CORE__EXECUTOR lacks {_BESIDE}" in caplog.text
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor_variables(_CHOSEN)["AIRFLOW__CORE__EXECUTOR"])
    assert places.beside_scheduler() == {"executor": _BESIDE, "pool": "beside_scheduler"}


def test_that_a_retraining_is_late_is_told_while_no_worker_takes_anything(read):
    *_, late = read
    assert late == {"laundry_model_retraining": _BESIDE, "face_model_retraining": _BESIDE}


_SENT = """
from uuid import uuid4
from airflow.executors.executor_loader import ExecutorLoader
from airflow.executors.workloads import BundleInfo, ExecuteTask
from airflow.executors.workloads.task import TaskInstanceDTO
about = dict(task_id="t", dag_id="d", run_id="r", try_number=1, map_index=-1, pool_slots=1, queue="gpu")
ti = TaskInstanceDTO(id=uuid4(), dag_version_id=uuid4(), priority_weight=1, **about)
work = ExecuteTask(ti=ti, dag_rel_path="d.py", bundle_info=BundleInfo(name="b"), token="", log_path=None)
executor = ExecutorLoader.import_default_executor_cls()[0](parallelism=4)
executor.queue_workload(work, session=None)
for _ in range(5):
    executor.heartbeat()
from tests.dags.telling import tell
tell([len(executor.queued_tasks), [str(state) for state, _ in executor.event_buffer.values()]])
"""


def test_with_rabbitmq_away_a_task_waits_and_no_try_of_it_is_lost(tmp_path):
    chosen = {**_CHOSEN, **executor_variables(_CHOSEN), "AIRFLOW_HOME": str(tmp_path)}
    nobody = {
        "AIRFLOW__CELERY__BROKER_URL": "amqp://airflow@127.0.0.1:1/airflow",
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+sqlite:///{tmp_path}/results.db",
    }
    waiting, _ = found_by("-c", _SENT, variables={**chosen, **nobody})
    assert waiting == [1, []]
