"""The DAGs as Airflow reads them."""

import copy
import importlib
import json
import math
from datetime import timedelta

import pytest
from airflow.sdk.exceptions import ParamValidationError
from airflow.serialization.serialized_objects import DagSerialization

from dags import (
    backup,
    face_model_retraining,
    live_accuracy_monitor,
    model_decision,
    model_promotion,
    model_retention,
    model_retraining,
    model_rollback,
    restore_test,
    task_confirmed_intake,
)
from pipeline.bootstrap import ALWAYS_ON, LONGEST_RUN
from pipeline.domain.troubles import ON_DEMAND
from plugins.faults import note_success, tell_failure, tell_overdue
from plugins.model_rollout.hot_swap import announce_failure
from plugins.model_rollout.roll_back import page, page_about_verdict
from tests.dags.telling import found_by

_PARSE = """
import sys, time
began = time.process_time()
from airflow.dag_processing.dagbag import DagBag
ready = time.process_time()
bag = DagBag("dags")
seconds = {"airflow": ready - began, "dags": time.process_time() - ready}
heavy = {"tensorflow", "keras", "mlflow", "openvino", "cv2", "great_expectations"} & set(sys.modules)
found = {"dags": sorted(bag.dag_ids), "errors": bag.import_errors, "heavy": sorted(heavy), "seconds": seconds}
from tests.dags.telling import tell
tell(found)
"""


@pytest.fixture(scope="module")
def parsed(tmp_path_factory):
    """What a fresh process finds in the DAGs folder."""
    home = str(tmp_path_factory.mktemp("airflow"))
    found, _ = found_by("-c", _PARSE, variables={"AIRFLOW_HOME": home})
    return found


LAUNDRY = model_retraining.laundry
INTAKE, ROLLBACK = task_confirmed_intake.task_confirmed_intake(), model_rollback.model_rollback()
MONITOR, PROMOTION = live_accuracy_monitor.live_accuracy_monitor(), model_promotion.model_promotion()
RETENTION, DECISION = model_retention.model_retention(), model_decision.model_decision()
BACKUP, RESTORE_TEST = backup.backup(), restore_test.restore_test()
FACE = face_model_retraining.face_model_retraining()
ALL = [LAUNDRY, FACE, INTAKE, ROLLBACK, MONITOR, PROMOTION, RETENTION, DECISION, BACKUP, RESTORE_TEST]


def dag_id(dag):
    return dag.dag_id


def upstream(dag, task_id):
    return set(dag.get_task(task_id).upstream_task_ids)


def test_only_what_has_no_schedule_is_told_to_run_on_demand():
    assert {dag.dag_id for dag in ALL if dag.schedule is None} == ON_DEMAND


def test_every_dag_is_found_without_an_import_error(parsed):
    assert parsed["errors"] == {}
    assert parsed["dags"] == [
        "backup",
        "face_model_retraining",
        "laundry_model_retraining",
        "live_accuracy_monitor",
        "model_decision",
        "model_promotion",
        "model_retention",
        "model_rollback",
        "restore_test",
        "task_confirmed_intake",
    ]


def test_reading_the_dags_loads_nothing_heavy(parsed):
    assert parsed["heavy"] == []


def test_all_dags_together_take_less_of_a_processor_than_airflow_itself(parsed):
    assert parsed["seconds"]["dags"] < parsed["seconds"]["airflow"]


@pytest.mark.parametrize("dag", ALL, ids=dag_id)
def test_a_dag_explains_itself_and_makes_up_for_no_missed_time(dag):
    assert dag.doc_md.startswith("### ") and dag.tags
    assert not dag.catchup
    assert {task.owner for task in dag.tasks} == {"mlops"}


@pytest.mark.parametrize("dag", ALL, ids=dag_id)
def test_a_dag_is_live_when_it_is_new_and_never_pauses_itself(dag):
    """What a person or the monitor triggers would wait unseen; when a retraining is due, its own policy says."""
    assert dag.is_paused_upon_creation is False
    assert dag.max_consecutive_failed_dag_runs == 0
    assert dag.dag_id in ALWAYS_ON


@pytest.mark.parametrize("dag", ALL, ids=dag_id)
def test_every_run_and_every_try_of_a_task_ends(dag):
    assert dag.dagrun_timeout is not None
    assert [t.task_id for t in dag.tasks if t.execution_timeout is None] == []
    assert max(t.execution_timeout for t in dag.tasks) < dag.dagrun_timeout


@pytest.mark.parametrize("dag", ALL, ids=dag_id)
def test_every_failure_ends_with_people_who_know(dag):
    monitors = dict.fromkeys(("roll_back", "roll_back_face"), page_about_verdict)
    own = {("model_rollback", "roll_back"): page, **{("live_accuracy_monitor", of): monitors[of] for of in monitors}}
    for task in dag.tasks:
        expected = own.get((dag.dag_id, task.task_id), announce_failure if task.task_id == "hot_swap" else tell_failure)
        # A mapped task keeps the function itself, any other one a list of it.
        assert task.on_failure_callback in (expected, [expected])
        assert task.on_success_callback in (note_success, [note_success])
    assert dag.on_failure_callback == tell_overdue


@pytest.mark.parametrize("dag", [LAUNDRY, FACE, INTAKE, RETENTION, BACKUP, RESTORE_TEST], ids=dag_id)
def test_what_is_no_emergency_runs_one_at_a_time(dag):
    assert dag.max_active_runs == 1


def test_what_waits_for_people_or_was_decided_by_them_keeps_nothing_else_waiting():
    assert PROMOTION.max_active_runs == DECISION.max_active_runs == 16


@pytest.mark.parametrize("dag", ALL, ids=dag_id)
def test_every_task_is_tried_again(dag):
    assert [t.task_id for t in dag.tasks if t.retries < 2] == []


@pytest.mark.parametrize("dag", ALL, ids=dag_id)
def test_serialised_twice_a_dag_is_the_same(dag):
    """Otherwise Airflow would keep a new version of it at every parse."""
    first, second = (json.dumps(DagSerialization.to_dict(dag), sort_keys=True) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("dag", [LAUNDRY, FACE], ids=dag_id)
def test_models_are_retrained_at_two_at_night_in_seoul(dag):
    assert (dag.schedule.expression, dag.schedule.timezone) == ("0 2 * * *", "Asia/Seoul")


@pytest.mark.parametrize("dag", [LAUNDRY], ids=dag_id)
@pytest.mark.parametrize(
    ("task", "after"),
    [
        ("begin", set()),
        ("collect", {"begin"}),
        ("validate", {"collect"}),
        ("plan", {"collect", "validate"}),
        ("augment_slice", {"collect", "plan"}),
        ("assemble", {"collect", "augment_slice"}),
        ("train", {"assemble"}),
        ("verify.accuracy", {"train"}),
        ("verify.performance", {"train"}),
        ("decide", {"verify.accuracy", "verify.performance"}),
        ("register", {"decide"}),
        ("hot_swap", {"register"}),
        ("finish", {"hot_swap"}),
    ],
)
def test_the_stations_of_a_retraining_have_their_order(dag, task, after):
    assert upstream(dag, task) == after


@pytest.mark.parametrize(
    ("task", "after"),
    [
        ("begin", set()),
        ("collect", {"begin"}),
        ("learn", {"collect"}),
        ("decide", {"learn"}),
        ("register", {"decide"}),
        ("hot_swap", {"register"}),
        ("finish", {"hot_swap"}),
    ],
)
def test_the_stations_of_a_retraining_of_faces_have_their_order(task, after):
    assert upstream(FACE, task) == after


def test_slices_of_photos_are_mapped_over():
    assert LAUNDRY.get_task("augment_slice").is_mapped


@pytest.mark.parametrize("dag", [LAUNDRY, FACE], ids=dag_id)
def test_the_claim_is_released_however_the_run_ends_and_what_failed_stays_red(dag):
    finish = dag.get_task("finish")
    assert finish.is_teardown and finish.on_failure_fail_dagrun
    assert finish.retries * finish.max_retry_delay >= LONGEST_RUN


@pytest.mark.parametrize("dag", [LAUNDRY, FACE], ids=dag_id)
def test_when_nothing_is_due_the_whole_run_is_skipped(dag):
    assert dag.get_task("begin").ignore_downstream_trigger_rules


@pytest.mark.parametrize("dag", [LAUNDRY, FACE, PROMOTION], ids=dag_id)
def test_one_deployment_at_a_time(dag):
    assert dag.get_task("hot_swap").pool == "serving_swap"


def test_without_a_wish_for_a_canary_or_a_word_the_retraining_pays_for_neither():
    assert LAUNDRY.params["rollout"] == "full" and LAUNDRY.params["approval"] is False
    assert LAUNDRY.get_task("hot_swap").downstream_task_ids == {"finish"}


@pytest.mark.parametrize(("model_type", "suffix"), [("LAUNDRY", ""), ("FACE", "_face")])
def test_the_monitor_rolls_back_in_a_run_of_its_own_that_names_what_it_judged(model_type, suffix):
    roll_back = MONITOR.get_task(f"roll_back{suffix}")
    assert roll_back.trigger_dag_id == ROLLBACK.dag_id
    assert set(roll_back.conf) == set(ROLLBACK.params) - {"approval"}
    assert model_type in ROLLBACK.params.get_param("model_type").schema["enum"]
    assert upstream(MONITOR, f"roll_back{suffix}") == {f"watch{suffix}"}
    assert upstream(MONITOR, "reconcile") == set()


def test_events_are_drained_before_the_policy_is_asked():
    assert upstream(INTAKE, "drain") == {"wait_for_events"}
    assert upstream(INTAKE, "consider") == {"drain"}
    assert upstream(INTAKE, "retrain") == {"due"}
    assert INTAKE.get_task("retrain").trigger_dag_id == LAUNDRY.dag_id


@pytest.mark.parametrize(
    ("dag", "name", "value"),
    [
        (LAUNDRY, "force", "yes"),
        (FACE, "force", "yes"),
        (FACE, "reason", "x" * 501),
        (FACE, "approval", "maybe"),
        (LAUNDRY, "backbone", "VGG16"),
        (LAUNDRY, "epochs", 0),
        (LAUNDRY, "epochs", 2.5),
        (LAUNDRY, "batch_size", -1),
        (LAUNDRY, "learning_rate", 0),
        (LAUNDRY, "learning_rate", 2),
        (ROLLBACK, "target", "latest"),
        (ROLLBACK, "target", "v1"),
        (ROLLBACK, "target", "v1.0.0; rm -rf /"),
        (ROLLBACK, "target", "v1.0.0\n"),
        (ROLLBACK, "target", "previous\n"),
        (ROLLBACK, "judged", "v1.0.0\n"),
        (PROMOTION, "version", "v1.0.0\n"),
        (LAUNDRY, "dataset_id", "DS-2026-001\n"),
        (LAUNDRY, "learning_rate", math.nan),
        (LAUNDRY, "label_smoothing", math.nan),
        (LAUNDRY, "learning_rate", math.inf),
        (LAUNDRY, "epochs", math.nan),
        (ROLLBACK, "reason", ""),
        (ROLLBACK, "model_type", "CAR"),
        (PROMOTION, "model_type", "CAR"),
        (ROLLBACK, "judged", "the one before"),
        (ROLLBACK, "approval", "maybe"),
        (LAUNDRY, "rollout", "blue-green"),
        (LAUNDRY, "approval", "maybe"),
        (LAUNDRY, "reason", "x" * 501),
        (LAUNDRY, "epochs", 1001),
        (LAUNDRY, "batch_size", 4097),
        (LAUNDRY, "label_smoothing", 1),
        (LAUNDRY, "label_smoothing", -0.1),
        (LAUNDRY, "dataset_id", "DS-1"),
        (LAUNDRY, "dataset_id", "DS-2026-01"),
        (LAUNDRY, "dataset_id", "DS-2026-001; rm -rf /"),
        (LAUNDRY, "dataset_id", "../DS-2026-001"),
        (ROLLBACK, "reason", "no"),
        (ROLLBACK, "reason", "x" * 501),
        (PROMOTION, "reason", "no"),
        (PROMOTION, "reason", "x" * 501),
        (PROMOTION, "approval", "maybe"),
        (PROMOTION, "rollout", "blue-green"),
        (DECISION, "act", "promote"),
        (DECISION, "about", "x" * 251),
        (DECISION, "about", "v1.0.0\n"),
        (DECISION, "about", "v1.0.0\nv2.0.0"),
        (DECISION, "reason", "no"),
        (DECISION, "reason", "x" * 501),
        (DECISION, "model_type", "CAR"),
        (RETENTION, "keep", 1001),
        (PROMOTION, "version", "latest"),
        (PROMOTION, "version", "v1.0.0\nv2.0.0"),
        (RETENTION, "keep", 0),
        (RETENTION, "keep", "all"),
        (RETENTION, "dry_run", "no"),
    ],
)
def test_the_form_refuses_what_makes_no_sense(dag, name, value):
    with pytest.raises(ParamValidationError):
        copy.deepcopy(dag.params.get_param(name)).resolve(value)


@pytest.mark.parametrize(
    ("dag", "name", "value"),
    [
        (LAUNDRY, "force", True),
        (FACE, "reason", "x" * 500),
        (LAUNDRY, "backbone", None),
        (LAUNDRY, "backbone", "ResNet50"),
        (LAUNDRY, "backbone", "EfficientNetLite0"),
        (LAUNDRY, "epochs", 1),
        (LAUNDRY, "epochs", 1000),
        (LAUNDRY, "epochs", None),
        (LAUNDRY, "batch_size", 1),
        (LAUNDRY, "batch_size", 4096),
        (LAUNDRY, "batch_size", None),
        (LAUNDRY, "learning_rate", 1),
        (LAUNDRY, "learning_rate", 0.001),
        (LAUNDRY, "learning_rate", None),
        (LAUNDRY, "label_smoothing", 0),
        (LAUNDRY, "label_smoothing", None),
        (LAUNDRY, "reason", "x" * 500),
        (LAUNDRY, "rollout", "full"),
        (LAUNDRY, "rollout", "canary"),
        (LAUNDRY, "dataset_id", "DS-2026-001"),
        (LAUNDRY, "dataset_id", "DS-2026-1000"),
        (ROLLBACK, "target", "previous"),
        (ROLLBACK, "target", "v1.12.0"),
        (ROLLBACK, "reason", "bad"),
        (ROLLBACK, "reason", "x" * 500),
        (ROLLBACK, "model_type", "LAUNDRY"),
        (ROLLBACK, "judged", None),
        (ROLLBACK, "judged", "v1.12.0"),
        (PROMOTION, "version", "v1.12.0"),
        (PROMOTION, "model_type", "LAUNDRY"),
        (PROMOTION, "model_type", "FACE"),
        (PROMOTION, "rollout", "full"),
        (PROMOTION, "reason", "bad"),
        (PROMOTION, "reason", "x" * 500),
        (DECISION, "act", "discard_letter"),
        (DECISION, "about", ""),
        (DECISION, "about", "x" * 250),
        (DECISION, "reason", "bad"),
        (DECISION, "reason", "x" * 500),
        (RETENTION, "keep", 1),
        (RETENTION, "keep", 1000),
        (RETENTION, "dry_run", True),
    ],
)
def test_the_form_takes_what_does(dag, name, value):
    assert copy.deepcopy(dag.params.get_param(name)).resolve(value) == value


def test_what_the_form_says_before_anybody_touches_it():
    assert LAUNDRY.params.dump() == {
        **{"force": False, "reason": None, "rollout": "full", "approval": False, "dataset_id": None, "sweep": False},
        **dict.fromkeys(("backbone", "epochs", "batch_size", "learning_rate", "label_smoothing")),
    }
    assert FACE.params.dump() == {"force": False, "reason": None, "approval": False}
    assert PROMOTION.params.dump() == {
        **{"version": "v0.0.0", "rollout": "canary", "approval": False, "reason": None, "model_type": "LAUNDRY"}
    }
    assert ROLLBACK.params.dump() == {
        **{"target": "previous", "reason": None, "model_type": "LAUNDRY", "approval": False, "judged": None}
    }
    assert DECISION.params.dump() == {**{"act": "clear_freeze", "about": "", "model_type": "LAUNDRY", "reason": None}}
    assert RETENTION.params.dump() == {"dry_run": False, "keep": None}


@pytest.mark.parametrize("dag", ALL, ids=dag_id)
def test_every_field_of_a_form_has_a_type_and_is_explained_or_names_its_choices(dag):
    fields = {name: dag.params.get_param(name) for name in dag.params}
    assert [name for name, p in fields.items() if "type" not in p.schema] == []
    assert [name for name, p in fields.items() if not p.serialize()["schema"].get("description_md")] in (
        [],
        ["model_type"],
    )


def schedule(dag):
    return getattr(dag.schedule, "expression", dag.schedule), getattr(dag.schedule, "timezone", None)


@pytest.mark.parametrize(
    ("dag", "expected"),
    [
        (INTAKE, ("@continuous", None)),
        (MONITOR, ("*/15 * * * *", "UTC")),
        (RETENTION, ("0 4 * * 0", "Asia/Seoul")),
        (BACKUP, ("30 3 * * *", "Asia/Seoul")),
        (RESTORE_TEST, ("0 6 * * 0", "Asia/Seoul")),
        (PROMOTION, (None, None)),
        (DECISION, (None, None)),
        (ROLLBACK, (None, None)),
    ],
    ids=["intake", "monitor", "retention", "backup", "restore", "promotion", "decision", "rollback"],
)
def test_when_a_dag_runs_by_itself(dag, expected):
    assert schedule(dag) == expected


@pytest.mark.parametrize(
    ("setting", "expected"),
    [("* * * * *", "* * * * *"), *dict.fromkeys(("", " ", "hourly", "99 * * * *", "* * *"), "*/15 * * * *").items()],
)
def test_the_period_of_the_monitor_is_a_setting_and_nonsense_does_not_make_it_vanish(monkeypatch, setting, expected):
    monkeypatch.setenv("RETRAIN_MONITOR_SCHEDULE", setting)
    again = importlib.reload(live_accuracy_monitor).live_accuracy_monitor()
    assert schedule(again) == (expected, "UTC")


@pytest.mark.parametrize(
    ("dag", "retries", "seconds"),
    [
        *((LAUNDRY, 3, 15), (FACE, 3, 15), (INTAKE, 12, 10), (ROLLBACK, 3, 5), (PROMOTION, 3, 5), (MONITOR, 2, 5)),
        *((RETENTION, 3, 30), (DECISION, 3, 5), (BACKUP, 3, 300), (RESTORE_TEST, 2, 600)),
    ],
    ids=lambda value: getattr(value, "dag_id", value),
)
def test_how_often_a_task_is_tried_again_and_after_how_long(dag, retries, seconds):
    own = {"finish", "train", "complete"}
    found = {(t.retries, t.retry_delay.total_seconds()) for t in dag.tasks if t.task_id not in own}
    assert found == {(retries, seconds)}


def test_a_retraining_tries_patiently_and_ends_before_its_claim_expires():
    tasks = [LAUNDRY.get_task(name) for name in ("collect", "train", "hot_swap")]
    assert {(t.retry_exponential_backoff, t.max_retry_delay) for t in tasks} == {(2.0, timedelta(minutes=10))}
    assert LAUNDRY.dagrun_timeout == LONGEST_RUN
