"""The loop goes on by itself: real runs of the real DAGs through a quiet night, an outage, failures; odd requests."""

import json

import pytest

from include.stack.layout import REPOSITORY
from pipeline.bootstrap import ALWAYS_ON
from tests.dags.conftest import OUTSIDE
from tests.dags.lifecycle import BAD, IN_A_ROW
from tests.dags.telling import found_by

DONE = {"wait_for_events", "drain", "consider", "due", "pauses"}


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    home = tmp_path_factory.mktemp("airflow")
    passwords = {"admin": "secret", "viewer": "secret of viewer", "operator": "secret of operator"}
    (home / "passwords.json").write_text(json.dumps(passwords))
    variables = {
        **OUTSIDE,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # Somebody's installation pauses what fails twice; nothing of ours may be.
        "AIRFLOW__CORE__MAX_CONSECUTIVE_FAILED_DAG_RUNS_PER_DAG": "2",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,viewer:viewer,operator:user",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "AIRFLOW__API_AUTH__JWT_SECRET": "secret of these tests, as long as it has to be: sixty-four bytes",
    }
    found, _ = found_by("-m", "tests.dags.lifecycle", variables=variables)
    return found


def succeeded(run):
    return {task for task, state in run["tasks"].items() if state == "success"}


def test_quiet_nights_are_green_and_pause_nothing(seen):
    assert len(seen["quiet nights"]) == IN_A_ROW
    for night in seen["quiet nights"]:
        assert (night["state"], night["paused"], succeeded(night)) == ("success", False, DONE)
        assert night["hours of silence"] == pytest.approx(6, abs=0.1)


def test_an_hour_of_outage_is_waited_through_and_then_everything_is_taken_in(seen):
    assert seen["outage"]["state"] == "success"
    assert succeeded(seen["outage"]) == DONE
    assert seen["hours of outage"] > 1


def test_runs_that_fail_again_and_again_pause_nothing_and_people_know(seen):
    assert len(seen["failing"]) == IN_A_ROW
    for run in seen["failing"]:
        assert run["state"] == "failed" and not run["paused"]
        assert run["tasks"]["drain"] == "failed"
        assert "report_fault" in run["told"]


def test_the_run_after_the_mending_is_green_and_starts_what_is_due(seen):
    assert seen["mended"]["state"] == "success"
    assert succeeded(seen["mended"]) == DONE | {"retrain"}
    assert "report_fault" not in seen["mended"]["told"] and "report_success" in seen["mended"]["told"]


def test_a_retraining_in_the_queue_stays_the_only_one_and_can_be_ended_also_while_its_dag_is_paused(seen):
    assert seen["due again"]["state"] == "success" and seen["due again"]["tasks"]["retrain"] == "skipped"
    assert seen["queued"] == ["corrections-7"]
    assert seen["ended"] == {"corrections-7": "failed"}


@pytest.mark.parametrize("dag_id", BAD)
def test_a_form_that_makes_no_sense_is_refused_and_starts_nothing(seen, dag_id):
    assert seen["refused"][dag_id] == [400] * len(BAD[dag_id])
    assert seen["refused"][f"{dag_id} has the same runs"]


def test_the_same_run_id_twice_is_one_run(seen):
    assert seen["twice"] == 409
    assert seen["open"] == ["once"]


def test_a_viewer_sees_and_an_operator_triggers_under_the_own_name(seen):
    allowed, forbidden = 200, 403
    assert seen["people"] == {
        "viewer": {"look": allowed, "see runs": allowed, "trigger": forbidden, "pause": forbidden},
        "operator": {"look": allowed, "see runs": allowed, "trigger": allowed, "pause": allowed},
    }
    assert seen["asked by"] == "operator"


def test_whoever_watches_sees_with_a_viewers_login_what_airflow_knows(seen):
    assert seen["watched"] == seen["kept"]
    assert seen["watched"]["paused"].keys() == ALWAYS_ON.keys()
    assert seen["watched"]["paused"]["model_retention"] and not seen["watched"]["paused"]["model_rollback"]
    assert seen["watched"]["oldest"]


def test_no_route_of_the_dashboard_answers_anybody_without_a_login_that_counts(seen):
    statuses = seen["doors"]["statuses"]
    assert {"/", "/icon.svg", "/api/overview", "/api/proof"} <= set(statuses)
    for path, by in statuses.items():
        assert (by["nobody"], by["expired"]) == (401, 401) and by["forged"] in {401, 403}, path


def test_of_the_dashboard_a_viewer_sees_all_and_every_login_may_do_what_its_role_allows(seen):
    doors = seen["doors"]
    # Where the database is away each answer of the database is a sentence.
    for path, by in doors["statuses"].items():
        assert by["viewer"] in ({200, 503} if path.startswith("/api/") else {200, 404}), path
    assert doors["database away"]["detail"].startswith("the mlops database is unavailable")
    assert doors["may trigger"] == {"viewer": [False], "operator": [True], "admin": [True]}


def test_airflow_has_the_dashboard_in_its_navigation_with_its_own_rules_for_scripts(seen):
    doors = seen["doors"]
    assert doors["broken plugins"] == [] and {"Models", "ModelsStrip"} <= set(doors["navigation"])
    for headers in doors["headers"].values():
        assert "script-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"] and headers["x-content-type-options"] == "nosniff"


def test_a_model_is_forced_live_by_an_administrators_login_and_by_no_operators(seen):
    assert seen["forced"] == {
        "operator": {"state": "failed", "changed": False},
        "admin": {"state": "success", "changed": True},
    }


def test_each_task_of_a_retraining_may_be_marked_as_failed_and_cleared_again(seen):
    again = seen["again"]
    for task, then in again["marked"].items():
        # What gives the claim back runs whatever failed, and says of the run that nothing was deployed.
        assert then["run"] == "failed" and then["finish"] == ("success" if task == "retry" else "failed"), task
        assert then["cleared"] == ("skipped" if task == "retry" else "success"), task
    assert again["run"] == "success"
    assert {task for task, state in again["tasks"].items() if state != "success"} == {"retry"}


def test_steps_are_asked_the_same_however_often_their_tasks_are_cleared(seen):
    asked = {}
    for name, values, _ in seen["again"]["asked"]:
        asked.setdefault(name, set()).add(json.dumps(values))
    slices = asked.pop("augment_slice")
    assert slices == {'["DS-2026-001", 0]', '["DS-2026-001", 1]'}
    assert [name for name, different in asked.items() if len(different) > 1] == []
    (swapped,) = asked["hot_swap"]
    assert json.loads(swapped) == ["LAUNDRY", "v1.1.0", "operator", "operator asked and gave no reason", "again"]


def test_the_log_of_a_task_that_was_told_no_ends_with_a_short_block_and_has_no_traceback(seen):
    told = seen["told no"]
    assert told["tasks"]["carry_out"] == "failed"
    line, (what, why, then) = "─" * 100, told["lines"][-4:-1]
    assert told["lines"][-5] == told["lines"][-1] == line
    assert what == "force_promote was refused"
    assert why.startswith("  • operator is no administrator") and then.startswith("What to do: ")
    assert told["traced"] == []
