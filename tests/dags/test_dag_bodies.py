"""What every task asks of the pipeline, with which arguments, and what becomes of the answer."""

import pytest
from airflow.providers.standard.operators.trigger_dagrun import DagIsPaused
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowSkipException,
    DagRunTriggerException,
    DownstreamTasksSkipped,
)

from dags import (
    backup,
    face_model_retraining,
    live_accuracy_monitor,
    model_decision,
    model_promotion,
    model_retention,
    model_rollback,
    restore_test,
    task_confirmed_intake,
)
from dags.model_retraining import laundry
from pipeline.bootstrap import ALWAYS_ON, Asker, GiveUp, RunEnded, ServiceRefused, TryAgain
from plugins.decisions import ACTS
from plugins.faults import tell_failure
from tests.dags.running import DagRun, Kept
from tests.dags.test_refusals import KINDS
from tests.desk import CHANGED, Turns

RUN_ID = "scheduled__2026-03-01T17:00:00+00:00"
RUN = "scheduled__2026-03-01T17-00-00-00-00"
INTAKE, MONITOR = task_confirmed_intake.task_confirmed_intake(), live_accuracy_monitor.live_accuracy_monitor()
RETENTION, ROLLBACK = model_retention.model_retention(), model_rollback.model_rollback()
FACE = face_model_retraining.face_model_retraining()
PROMOTION, DECISION = model_promotion.model_promotion(), model_decision.model_decision()
SEEN = {"act": True, "version": "v1.2.0", "target": "v1.1.3", "reason": "right in 78 of 100", "problem": None}
MISSING = ["replica-2 does not answer"]


def positional(desk):
    return [(name, *values) for name, values, _ in desk.asked]


# Retraining


@pytest.mark.parametrize(("dag", "model_type"), [(laundry, "LAUNDRY")])
def test_a_retraining_asks_for_one_step_after_the_other_each_under_its_run(desk, dag, model_type):
    desk.answers |= {
        "begin_run": {"due": True, "reason": "500 corrections"},
        "collect": "DS-2026-001",
        "slices": [0, 1],
        "decide": {"accepted": True, "report_url": "http://mlflow/report.html"},
        "assemble": {"dataset_id": "DS-2026-001", "train_count": 640},
        "register": "v1.1.0",
    }
    run = DagRun(dag, run_id=RUN_ID, run_type="scheduled", user=None)
    for task in ("begin", "collect", "validate", "plan"):
        run.do(task)
    run.do("augment_slice", map_index=1)
    for task in ("assemble", "verify.accuracy", "verify.performance", "decide", "register", "hot_swap", "finish"):
        run.do(task)
    assert positional(desk) == [
        ("begin_run", RUN, model_type, Asker(dag.dag_id, idle=dag.dag_id)),
        ("collect", RUN, model_type, None),
        ("data_report", "DS-2026-001"),
        ("validate", "DS-2026-001"),
        ("slices", "DS-2026-001"),
        ("augment_slice", "DS-2026-001", 1),
        ("assemble", RUN, "DS-2026-001"),
        ("verify_accuracy", RUN),
        ("verify_performance", RUN),
        ("decide", RUN),
        ("demand_acceptance", RUN, desk.answers["decide"]),
        ("resume_run", RUN, model_type),
        ("register", RUN),
        ("hot_swap", model_type, "v1.1.0", dag.dag_id, f"scheduled run of {dag.dag_id}", RUN_ID),
        ("finish_run", RUN),
        ("untold",),
    ]


def test_a_task_hands_on_what_the_step_answered(desk):
    run = DagRun(laundry, run_id=RUN_ID)
    run.results["collect"] = "DS-2026-001"
    for task, method in (
        ("validate", "validate"),
        ("plan", "slices"),
        ("verify.accuracy", "verify_accuracy"),
        ("verify.performance", "verify_performance"),
        ("register", "register"),
        ("finish", "finish_run"),
    ):
        assert run.do(task) == f"the answer of {method}"
    run.results["plan"] = [0, 1]
    assert run.do("augment_slice", map_index=0) == "the answer of augment_slice"


@pytest.mark.parametrize(("dag", "model_type"), [(laundry, "LAUNDRY")])
def test_other_teams_see_a_dataset_and_a_version_with_what_is_in_them(desk, dag, model_type):
    desk.answers |= {"assemble": {"dataset_id": "DS-2026-001", "train_count": 640}, "register": "v1.1.0"}
    run = DagRun(dag, run_id=RUN_ID)
    run.results["collect"] = "DS-2026-001"
    for task in ("assemble", "register"):
        run.do(task)
    assert run.asset_events() == {
        f"{model_type} dataset": {"run_id": RUN, "dataset_id": "DS-2026-001", "train_count": 640},
        f"{model_type} version": {"run_id": RUN, "version": "v1.1.0"},
    }
    outlets = {task: [asset.name for asset in dag.get_task(task).outlets] for task in ("assemble", "register")}
    assert outlets == {"assemble": [f"{model_type} dataset"], "register": [f"{model_type} version"]}


def test_a_slice_is_named_in_the_ui_by_its_number():
    assert laundry.get_task("augment_slice").map_index_template == "slice {{ task.op_kwargs['index'] }}"


@pytest.mark.parametrize(
    ("user", "force", "forced_by"),
    [("kim", True, "kim"), ("kim", False, None), (None, True, "run-0 was refused"), (None, False, None)],
)
def test_only_a_forced_run_is_forced_by_a_person_or_by_the_reason_of_the_retry(desk, user, force, forced_by):
    desk.answers["begin_run"] = {"due": True, "reason": "…"}
    assert DagRun(laundry, user=user, force=force, reason="run-0 was refused").do("begin") is True
    asker = Asker(laundry.dag_id, forced_by, by_hand=user is not None, idle=laundry.dag_id)
    assert desk.only("begin_run") == ("run-1", "LAUNDRY", asker)


@pytest.mark.parametrize(("alive", "idle"), [(1, laundry.dag_id), (2, None)])
def test_a_run_knows_by_airflow_whether_another_one_of_its_dag_lives(desk, alive, idle):
    desk.answers["begin_run"] = {"due": True, "reason": "…"}
    run = DagRun(laundry, user=None)
    run.running[laundry.dag_id] = alive
    run.do("begin")
    assert desk.only("begin_run")[2].idle == idle


@pytest.mark.parametrize(("alive", "idle"), [(0, laundry.dag_id), (1, None)])
def test_the_intake_knows_whether_a_retraining_lives(desk, alive, idle):
    run = DagRun(INTAKE)
    run.running[laundry.dag_id] = alive
    run.do("consider")
    assert desk.only("consider") == ("LAUNDRY", Asker("task_confirmed_intake", idle=idle))


@pytest.mark.parametrize(("run_type", "told"), [("scheduled", True), ("manual", False)])
def test_when_nothing_is_due_everything_is_skipped_and_a_nightly_run_says_so(desk, capsys, run_type, told):
    desk.answers["begin_run"] = {"due": False, "rule": "too_few", "reason": "3 of 500 corrections"}
    run = DagRun(laundry, run_type=run_type, user=None)
    with pytest.raises(DownstreamTasksSkipped) as skipped:
        run.do("begin")
    assert set(laundry.task_ids) - set(skipped.value.tasks) == {"begin", "finish"}
    with pytest.raises(AirflowSkipException, match="nothing was due"):
        run.do("finish")
    assert "3 of 500 corrections" in capsys.readouterr().out
    announced = [("announce_skipped", "run-1", "LAUNDRY", "3 of 500 corrections"), ("untold",)]
    assert positional(desk)[1:] == (announced if told else [])


@pytest.mark.parametrize("dag", [laundry, FACE])
def test_nobody_hears_every_night_that_there_is_no_first_model_yet(desk, face_desk, dag):
    for one in (desk, face_desk):
        one.answers["begin_run"] = {"due": False, "rule": "no_champion", "reason": "no model yet"}
    with pytest.raises(DownstreamTasksSkipped):
        DagRun(dag, run_type="scheduled", user=None).do("begin")
    assert [call for call in (*positional(desk), *positional(face_desk)) if call[0] == "announce_skipped"] == []


def test_a_forced_run_that_may_not_begin_is_red(desk):
    desk.answers["begin_run"] = {"due": False, "reason": "a retraining is already running: run-0"}
    with pytest.raises(AirflowFailException, match="nothing is trained: a retraining is already running: run-0"):
        DagRun(laundry, force=True).do("begin")


@pytest.mark.parametrize(
    ("run_type", "user", "told"),
    [("manual", "kim", False), ("operator_triggered", "kim", True), ("operator_triggered", None, True)],
)
def test_a_retry_that_may_not_begin_is_told_to_people_as_nobody_looks_at_it(desk, run_type, user, told):
    desk.answers["begin_run"] = {"due": False, "reason": "a retraining is already running: run-0"}
    with pytest.raises(AirflowFailException):
        DagRun(laundry, run_type=run_type, user=user, force=True, reason="run-0 was refused").do("begin")
    busy = "a retraining is already running: run-0"
    announced = [("announce_skipped", "run-1", "LAUNDRY", busy, "run-0 was refused")]
    assert positional(desk)[1:] == (announced if told else [])


@pytest.mark.parametrize("failed", [[], ["train"], ["train", "export"]])
def test_the_note_of_a_run_that_a_fault_ended_names_the_task(desk, failed):
    no = RunEnded("run run-1 ended without a deployment: failed")
    desk.answers["finish_run"] = no
    run = DagRun(laundry)
    run.states = {"collect": "success", **dict.fromkeys(failed, "failed"), "register": "upstream_failed"}
    with pytest.raises(AirflowFailException):
        run.do("finish")
    named = f": {', '.join(sorted(failed))} failed. Next: look at the end of that log" if failed else ""
    assert run.pushed["finish", "note"] == f"run run-1 ended without a deployment: failed{named}"


def test_a_nightly_run_that_is_due_announces_nothing(desk):
    desk.answers["begin_run"] = {"due": True, "reason": "…"}
    DagRun(laundry, run_type="scheduled").do("begin")
    assert desk.names() == ["begin_run"]


def test_a_dataset_of_the_form_is_trained_on_again(desk):
    DagRun(laundry, dataset_id="DS-2026-007").do("collect")
    assert desk.only("collect") == ("run-1", "LAUNDRY", "DS-2026-007")


def test_the_report_is_linked_even_when_the_model_is_refused(desk):
    desk.answers |= {"decide": {"report_url": "http://mlflow/r.html"}, "demand_acceptance": GiveUp("too weak")}
    run = DagRun(laundry)
    with pytest.raises(AirflowFailException, match="too weak"):
        run.do("decide")
    assert run.pushed == {("decide", "report_url"): "http://mlflow/r.html"}


def test_a_refusal_leaves_what_the_note_of_the_run_is_made_of(desk):
    desk.answers |= {
        "decide": {"report_url": "http://mlflow/r.html"},
        "demand_acceptance": RunEnded("the model was refused", ["too weak"], "more photos", "http://mlflow/r.html"),
    }
    run = DagRun(laundry)
    with pytest.raises(AirflowFailException):
        run.do("decide")
    note = "the model was refused: too weak. Next: more photos (report: http://mlflow/r.html)"
    assert run.pushed["decide", "note"] == note


@pytest.mark.parametrize(
    ("run_type", "user", "reason", "kept"),
    [
        ("manual", "kim", "new uniforms", "new uniforms"),
        ("manual", "kim", None, "kim asked and gave no reason"),
        ("scheduled", None, None, "scheduled run of laundry_model_retraining"),
    ],
)
def test_the_history_keeps_why_or_who_asked_and_never_a_word_that_everybody_leaves_there(
    desk, run_type, user, reason, kept
):
    run = DagRun(laundry, run_type=run_type, user=user, reason=reason)
    run.results["register"] = "v1.1.0"
    run.do("hot_swap")
    assert desk.only("hot_swap")[3] == kept
    if run_type == "manual":
        rollback = DagRun(ROLLBACK, user=user, reason=reason)
        rollback.do("roll_back")
        assert desk.only("roll_back")[3] == kept


def test_people_are_told_however_a_retraining_ends(desk):
    desk.answers["finish_run"] = GiveUp("refused")
    with pytest.raises(AirflowFailException):
        DagRun(laundry).do("finish")
    assert positional(desk) == [("finish_run", "run-1"), ("untold",)]


# Faces


def test_a_retraining_of_faces_asks_for_one_step_after_the_other_each_under_its_run(desk, face_desk):
    verdict = {"accepted": True, "report_url": "http://s3/report.json"}
    face_desk.answers |= {
        "begin_run": {"due": True, "reason": "60 corrections"},
        "collect": {"dataset_id": "DS-2026-001", "photos": 900},
        "judge": verdict,
        "register": "v1.1.0",
    }
    run = DagRun(FACE, run_id=RUN_ID, run_type="scheduled", user=None)
    for task in ("begin", "collect", "learn", "decide", "register", "hot_swap", "finish"):
        run.do(task)
    assert positional(face_desk) == [
        ("begin_run", RUN, "FACE", Asker(FACE.dag_id, idle=FACE.dag_id)),
        ("collect", RUN),
        ("learn", RUN),
        ("judge", RUN),
        ("resume_run", RUN, "FACE"),
        ("register", RUN),
        ("finish_run", RUN),
    ]
    assert positional(desk) == [
        ("demand_acceptance", RUN, verdict),
        ("hot_swap", "FACE", "v1.1.0", FACE.dag_id, f"scheduled run of {FACE.dag_id}", RUN_ID),
        ("untold",),
    ]
    assert run.asset_events()["FACE version"] == {"version": "v1.1.0", "run_id": RUN}
    assert run.pushed["decide", "report_url"] == "http://s3/report.json"


def test_a_night_without_enough_corrections_about_faces_is_skipped_and_says_why(desk, face_desk, capsys):
    face_desk.answers["begin_run"] = {
        "due": False,
        "rule": "too_few_people",
        "reason": "60 corrections are about 3 people, 20 needed",
    }
    run = DagRun(FACE, run_type="scheduled", user=None)
    with pytest.raises(DownstreamTasksSkipped) as skipped:
        run.do("begin")
    assert set(FACE.task_ids) - set(skipped.value.tasks) == {"begin", "finish"}
    with pytest.raises(AirflowSkipException, match="nothing was due"):
        run.do("finish")
    assert "about 3 people, 20 needed" in capsys.readouterr().out
    assert face_desk.only("announce_skipped")[1:] == ("FACE", "60 corrections are about 3 people, 20 needed")


# Intake


def test_the_intake_drains_considers_and_triggers_a_retraining_by_its_decision(desk, capsys):
    desk.answers["consider"] = {"due": True, "reason": "500 corrections", "decision_id": "d-7"}
    run = DagRun(INTAKE)
    assert run.do("drain") == "the answer of accumulate"
    run.do("consider")
    assert run.do("due") is True
    assert "500 corrections" in capsys.readouterr().out
    with pytest.raises(DagRunTriggerException) as triggered:
        run.do("retrain")
    assert triggered.value.trigger_dag_id == "laundry_model_retraining"
    assert triggered.value.dag_run_id == "corrections-d-7"
    assert triggered.value.conf == {"reason": "500 corrections"}
    assert triggered.value.skip_when_already_exists and triggered.value.logical_date is None
    assert desk.asked == [
        ("accumulate", (), {"stay": True}),
        ("consider", ("LAUNDRY", Asker("task_confirmed_intake", idle=laundry.dag_id)), {}),
    ]


def test_without_enough_corrections_nothing_is_triggered(desk):
    run = DagRun(INTAKE)
    run.results["consider"] = {"due": False, "reason": "3 of 500 corrections"}
    with pytest.raises(DownstreamTasksSkipped) as skipped:
        run.do("due")
    assert list(skipped.value.tasks) == ["retrain"]


def test_a_retraining_that_waits_in_the_queue_is_not_asked_for_twice(desk, capsys):
    run = DagRun(INTAKE)
    run.results["consider"] = {"due": True, "reason": "500 corrections"}
    run.waiting = {"laundry_model_retraining": 1}
    with pytest.raises(DownstreamTasksSkipped):
        run.do("due")
    assert "a run of laundry_model_retraining waits already" in capsys.readouterr().out


@pytest.mark.parametrize("dag", [INTAKE, MONITOR], ids=lambda dag: dag.dag_id)
def test_whoever_looks_says_which_dags_are_paused(desk, dag):
    run = DagRun(dag)
    run.paused = {"model_rollback"}
    assert run.do("pauses") == ["model_rollback"]
    (paused, consequences) = desk.only("report_pauses")
    assert {dag_id for dag_id, is_paused in paused.items() if is_paused} == {"model_rollback"}
    assert paused.keys() == consequences.keys() == ALWAYS_ON.keys()
    assert desk.names()[1:] == ["publish_events"]


# Monitor


@pytest.mark.parametrize(("model_type", "suffix"), [("LAUNDRY", ""), ("FACE", "_face")])
def test_the_monitor_rolls_back_what_it_found_failing(desk, capsys, model_type, suffix):
    desk.answers["watch"] = {**SEEN, "problem": "a rollback is incomplete"}
    run = DagRun(MONITOR, run_id=RUN_ID)
    assert run.do(f"watch{suffix}") == desk.answers["watch"]
    # No mail server keeps it waiting: the rollback tells people.
    assert positional(desk) == [("watch", model_type)]
    assert "right in 78 of 100\na rollback is incomplete\n" in capsys.readouterr().out
    with pytest.raises(DagRunTriggerException) as triggered:
        run.do(f"roll_back{suffix}")
    assert triggered.value.trigger_dag_id == "model_rollback"
    assert triggered.value.dag_run_id == f"live-accuracy{suffix}-v1.2.0-{RUN_ID}"
    assert triggered.value.skip_when_already_exists and triggered.value.logical_date is None
    assert triggered.value.conf == {
        "target": "v1.1.3",
        "judged": "v1.2.0",
        "reason": "right in 78 of 100",
        "model_type": model_type,
    }


def test_the_monitor_leaves_a_sound_champion_alone(desk, capsys):
    desk.answers["watch"] = {**SEEN, "act": False}
    with pytest.raises(DownstreamTasksSkipped) as skipped:
        DagRun(MONITOR).do("watch")
    assert list(skipped.value.tasks) == ["roll_back"]
    assert "None" not in capsys.readouterr().out.splitlines()


def test_a_paused_rollback_dag_fails_the_monitor_instead_of_waiting_unseen(desk):
    run = DagRun(MONITOR)
    run.results["watch"], run.paused = SEEN, {"model_rollback"}
    with pytest.raises(DagIsPaused):
        run.do("roll_back")


def test_reconcile_fails_until_no_replica_is_missing(desk):
    whole = {"missing": [], "replicas": ["replica-1", "replica-2"]}
    desk.answers["reconcile"] = Turns([{"missing": MISSING}, whole])
    run = DagRun(MONITOR)
    with pytest.raises(TryAgain, match="replica-2 does not answer"):
        run.do("reconcile", map_index=0)
    assert run.do("reconcile", map_index=0) == whole
    assert positional(desk) == [("reconcile", "LAUNDRY"), ("reconcile", "LAUNDRY")]


# Rollback and promotion


@pytest.mark.parametrize("dag", [ROLLBACK, PROMOTION], ids=lambda dag: dag.dag_id)
def test_events_are_published_and_people_told(desk, dag):
    assert DagRun(dag).do("publish_events") == 3
    assert positional(desk) == [("untold",), ("publish_events",)]


def test_people_are_told_also_while_the_broker_is_away(desk):
    desk.answers["publish_events"] = TryAgain("RabbitMQ is away")
    with pytest.raises(TryAgain):
        DagRun(ROLLBACK).do("publish_events")
    assert positional(desk)[0] == ("untold",)


@pytest.mark.parametrize("model_type", ["LAUNDRY", "FACE"])
def test_a_rollback_is_not_complete_before_the_last_replica_is_back(desk, capsys, model_type):
    desk.answers |= {
        "complete_rollback": Turns([TryAgain("replica-2 is missing"), {"version": "v1.1.3"}]),
        "publish_events": TryAgain("RabbitMQ is away"),
    }
    run = DagRun(ROLLBACK, model_type=model_type)
    with pytest.raises(TryAgain, match="replica-2 is missing"):
        run.do("complete")
    assert run.do("complete") == {"version": "v1.1.3"}
    assert positional(desk) == [("complete_rollback", model_type), ("untold",), ("publish_events",)] * 2
    assert "events stay in the outbox: RabbitMQ is away" in capsys.readouterr().out


def test_the_log_of_a_rollback_names_the_replicas_that_are_missing(desk, capsys):
    desk.answers["roll_back"] = {**CHANGED, "missing": MISSING}
    DagRun(ROLLBACK).do("roll_back")
    assert MISSING[0] in capsys.readouterr().out


@pytest.mark.parametrize("model_type", ["LAUNDRY", "FACE"])
@pytest.mark.parametrize(
    ("dag", "task", "kind"), [(ROLLBACK, "roll_back", "rollback"), (PROMOTION, "hot_swap", "promotion")]
)
def test_other_teams_see_that_the_champion_changed_by_whom_and_why(desk, dag, task, kind, model_type):
    desk.answers[task] = {**CHANGED, "missing": MISSING}
    run = DagRun(dag, model_type=model_type, reason="calls clean towels bad", version="v1.1.0", rollout="full")
    run.do(task)
    seen = run.asset_events()
    assert set(seen) == {f"{model_type} champion", f"{model_type} {kind}"}
    assert seen[f"{model_type} champion"] == {
        "model_type": model_type,
        "kind": kind,
        "version": "v1.1.0",
        "previous_version": "v1.0.0",
        "replicas": CHANGED["replicas"],
        "missing": MISSING,
        "actor": "kim",
        "reason": "calls clean towels bad",
    }


def test_a_promoted_canary_changes_the_champion_for_the_reason_of_its_verdict(desk):
    run = DagRun(PROMOTION, version="v1.1.0", rollout="canary")
    run.kept["hot_swap"] = Kept(verdict="93/100 right")
    run.do("hot_swap")
    assert run.asset_events()["LAUNDRY promotion"]["reason"] == "93/100 right"


def test_a_request_that_changed_nothing_is_no_news_for_other_teams(desk):
    desk.answers["roll_back"] = {**CHANGED, "missing": [], "serves_now": "v1.3.0"}
    run = DagRun(ROLLBACK)
    run.do("roll_back")
    assert run.asset_events() == {}


# Decisions of people


@pytest.mark.parametrize("user", ["kim", None])
@pytest.mark.parametrize(
    ("act", "about", "asked"),
    [
        ("abort_canary", "v1.1.0", ("LAUNDRY", "v1.1.0", ..., "too strict", RUN_ID)),
        ("clear_freeze", "rollback:7", ("LAUNDRY", ..., "too strict", RUN_ID, "rollback:7")),
        ("force_promote", "v1.1.0", ("LAUNDRY", "v1.1.0", ..., "too strict", RUN_ID)),
        ("approve", "run-7", ("run-7", ..., "too strict")),
        ("refuse", "run-7", ("run-7", ..., "too strict")),
        ("requeue_letter", "3f2a", ("3f2a", ..., "too strict")),
        ("discard_letter", "3f2a", ("3f2a", ..., "too strict")),
        ("withhold", "branch:B-1", ("LAUNDRY", "branch:B-1", ..., "too strict", RUN_ID)),
        ("give_back", "3f2a", ("3f2a", ..., "too strict")),
    ],
)
def test_what_a_person_decided_is_done_once_under_that_persons_name(desk, act, about, asked, user):
    run = DagRun(DECISION, run_id=RUN_ID, user=user, act=act, about=about, reason="too strict")
    assert run.do("carry_out") == desk.answers.get(act, f"the answer of {act}")
    done = [call for call in desk.asked if call[0] != "demand_administrator"]
    assert done == [(act, tuple((user or "a person") if value is ... else value for value in asked), {})]


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("kind", [GiveUp, *KINDS], ids=lambda kind: kind.__name__)
def test_what_is_refused_to_a_person_says_what_to_do_as_only_the_rule_itself_knows(desk, act, kind):
    desk.answers[act] = kind("v1.1.0 may not")
    run = DagRun(DECISION, act=act, about="v1.1.0", reason="too strict")
    with pytest.raises(AirflowFailException):
        run.do("carry_out")
    advice = getattr(kind, "usual_advice", "") or "look at what is there now, and decide anew"
    assert run.pushed["carry_out", "note"] == f"{act} was refused: v1.1.0 may not. Next: {advice}"


@pytest.mark.parametrize("act", ["clear_freeze", "force_promote"])
def test_what_undoes_a_safeguard_an_administrator_does_or_nobody(desk, monkeypatch, act):
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS", "boss:admin,kim:user,lee:op")
    desk.answers["demand_administrator"] = GiveUp("kim is no administrator: ask lee")
    with pytest.raises(AirflowFailException, match="kim is no administrator: ask lee"):
        DagRun(DECISION, act=act).do("carry_out")
    assert desk.asked == [("demand_administrator", ("kim", ("boss",)), {})]


@pytest.mark.parametrize("act", ["clear_freeze", "force_promote"])
def test_whoever_clears_an_administrators_run_does_nothing_in_that_persons_name(desk, act):
    run = DagRun(DECISION, user="boss", act=act, about="v1.1.0")
    run.run.clear_number = 1
    with pytest.raises(AirflowFailException, match=f"this run was cleared, and {act} is asked for anew"):
        run.do("carry_out")
    assert desk.asked == []


def test_a_model_that_is_forced_live_is_a_promotion_by_that_person_for_other_teams(desk):
    run = DagRun(DECISION, act="force_promote", about="v1.1.0", reason="sees the new uniforms")
    run.do("carry_out")
    said = run.asset_events()["LAUNDRY promotion"]
    assert (said["version"], said["actor"], said["reason"]) == ("v1.1.0", "kim", "sees the new uniforms")


def test_every_act_of_the_form_is_carried_out(desk):
    for act in DECISION.params.get_param("act").schema["enum"]:
        DagRun(DECISION, act=act, about="v1.0.0").do("carry_out")
    assert [name for name, *_ in desk.asked if name != "demand_administrator"] == DECISION.params.get_param(
        "act"
    ).schema["enum"]


def test_what_is_not_there_any_more_fails_at_once_with_the_sentence_and_is_no_fault(desk):
    desk.answers["requeue_letter"] = GiveUp("no dead letter '3f2a'")
    run = DagRun(DECISION, act="requeue_letter", about="3f2a")
    with pytest.raises(AirflowFailException, match="no dead letter '3f2a'") as refused:
        run.do("carry_out")
    tell_failure({**run.context("carry_out"), "exception": refused.value})
    assert "report_fault" not in desk.names()


def test_a_decision_that_a_place_lets_nobody_carry_out_is_a_fault(desk):
    desk.answers["requeue_letter"] = ServiceRefused("RabbitMQ", "no right to write")
    run = DagRun(DECISION, act="requeue_letter", about="3f2a")
    with pytest.raises(AirflowFailException) as failed:
        run.do("carry_out")
    tell_failure({**run.context("carry_out"), "exception": failed.value})
    assert "no right to write" in desk.only("report_fault")[0].reason


# Retention


@pytest.mark.parametrize(("index", "model_type"), list(enumerate(["LAUNDRY", "FACE"])))
@pytest.mark.parametrize(("user", "who"), [("kim", "kim"), (None, "model_retention")])
def test_old_versions_of_every_model_type_are_retired_as_the_form_says(desk, user, who, index, model_type):
    desk.answers["retire"] = {"archived": ["v1.0.0"], "failed": {}}
    run = DagRun(RETENTION, run_id=RUN_ID, user=user, keep=3, dry_run=True)
    assert run.do("retire", map_index=index) == desk.answers["retire"]
    named = {"keep": 3, "dry_run": True}
    assert desk.asked == [("retire", (model_type, who, RUN_ID), named)]


def test_a_version_that_could_not_be_archived_is_red_and_named(desk):
    desk.answers["retire"] = {"archived": ["v1.1.0"], "failed": {"v1.0.0": "it stays where it is: altered"}}
    with pytest.raises(AirflowFailException, match=r"v1\.0\.0: it stays where it is: altered"):
        DagRun(RETENTION, keep=None, dry_run=False).do("retire", map_index=0)


@pytest.mark.parametrize(("index", "model_type"), list(enumerate(["LAUNDRY", "FACE"])))
def test_what_grew_is_thrown_away_for_every_model_type_unless_it_is_a_dry_run(desk, index, model_type):
    run = DagRun(RETENTION, keep=None, dry_run=True)
    assert run.do("prune", map_index=index) == "the answer of prune"
    assert desk.asked == [("prune", (model_type,), {"dry_run": True})]


@pytest.mark.parametrize("name", ["retire", "prune"])
def test_the_model_type_is_named_in_the_ui(name):
    assert RETENTION.get_task(name).map_index_template == "{{ task.op_kwargs['model_type'] }}"


# Backups


@pytest.mark.parametrize(
    ("dag", "task", "asked"),
    [(backup.backup(), "copy", "back_up"), (restore_test.restore_test(), "restore", "test_restore")],
)
def test_databases_are_backed_up_unless_somebody_else_does_that(desk, dag, task, asked):
    desk.answers["backups_still_wanted"] = True
    run = DagRun(dag)
    assert run.do("wanted") is True
    assert run.do(task) == f"the answer of {asked}"
    assert positional(desk) == [("backups_still_wanted",), (asked,)]
    desk.answers["backups_still_wanted"] = False
    with pytest.raises(DownstreamTasksSkipped):
        DagRun(dag).do("wanted")


def test_what_was_erased_is_written_down_whoever_backs_the_databases_up(desk):
    dag = backup.backup()
    DagRun(dag).do("keep_erasures")
    assert positional(desk) == [("keep_erasures",)] and dag.get_task("wanted").upstream_task_ids == {"keep_erasures"}
