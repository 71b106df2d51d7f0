"""The tasks that change the champion: in full, by canary, after a person's word."""

import copy
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import get_args

import pytest
import structlog
from airflow.callbacks.callback_requests import TaskCallbackRequest
from airflow.dag_processing import processor
from airflow.dag_processing.processor import _execute_task_callbacks
from airflow.providers.standard.operators import hitl
from airflow.sdk.exceptions import AirflowFailException, TaskAwaitingInput, TaskDeferred
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import GetXComSequenceSlice, XComResult, XComSequenceSliceResult

from dags import live_accuracy_monitor, model_promotion, model_rollback
from dags.model_retraining import laundry
from pipeline.bootstrap import WATCHED_TYPES, CanaryEnded, GiveUp, RollbackRequest, StaleTransition, TryAgain
from pipeline.bootstrap.kinds import complete
from pipeline.domain.transitions import By
from plugins.faults import tell_failure
from plugins.model_rollout.answer import say
from plugins.model_rollout.approval import Declined
from plugins.model_rollout.hot_swap import announce_failure
from plugins.model_rollout.roll_back import page, page_about_verdict
from plugins.notices import publishing
from tests.dags.running import ASKED_AT, DagRun, Kept
from tests.desk import CHANGED, PLAN, Turns

PROMOTION, ROLLBACK = model_promotion.model_promotion(), model_rollback.model_rollback()
MONITOR = live_accuracy_monitor.live_accuracy_monitor()
# What people said since the verdict counts too.
PROMOTED = ["judge_canary", "promote_canary"]
GOOD, BAD = {"decision": "promote", "reason": "92/100 right"}, {"decision": "abort", "reason": "worse by 10%"}


@pytest.fixture(autouse=True)
def questions(monkeypatch):
    """What people were asked, as Airflow keeps it."""
    found = []
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **fields: found.append(fields))
    return found


def promotion(**form):
    run_fields = {name: form.pop(name) for name in ("run_type", "user", "run_id") if name in form}
    return DagRun(PROMOTION, version="v1.1.0", reason="better", **run_fields, **{"rollout": "full", **form})


def answer(chosen, user="lee"):
    who = {"id": user, "name": user} if user else None
    at = datetime(2026, 5, 4, tzinfo=UTC)
    return {"chosen_options": [chosen], "params_input": {}, "responded_at": at, "responded_by_user": who}


def reply(run, task_id, chosen, user="lee"):
    return run.do(task_id, method="execute_complete", event=answer(chosen, user))


def judged(run, verdict):
    return run.do("hot_swap", method="canary_judged", event=verdict)


# Hot swap


def test_in_full_it_swaps_at_once_in_the_name_of_the_run(desk):
    assert promotion().do("hot_swap") == CHANGED
    assert desk.only("hot_swap") == ("LAUNDRY", "v1.1.0", "kim", "better", "run-1")


def test_the_form_says_of_which_model(desk, questions):
    run = promotion(model_type="FACE", approval=True)
    with pytest.raises(TaskAwaitingInput):
        run.do("hot_swap")
    assert questions[0]["subject"] == "Serve FACE v1.1.0 to everybody?"
    reply(run, "hot_swap", "Approve")
    assert desk.only("hot_swap") == ("FACE", "v1.1.0", "lee", "better", "run-1")
    with pytest.raises(TaskDeferred) as deferred:
        promotion(model_type="LAUNDRY", rollout="canary").do("hot_swap")
    assert deferred.value.trigger.about == {"model_type": "LAUNDRY", "version": "v1.1.0", "begun_by": "run-1"}


@pytest.mark.parametrize("rollout", ["full", "canary"])
@pytest.mark.parametrize("model_type", WATCHED_TYPES)
def test_each_type_goes_live_in_the_way_of_the_form_or_a_sentence_says_why_not(desk, model_type, rollout):
    run = promotion(model_type=model_type, rollout=rollout)
    if rollout == "full":
        assert run.do("hot_swap") == CHANGED
        return
    try:
        complete(model_type)
    except GiveUp:
        with pytest.raises(Declined, match=f"no canary tries {model_type} models: choose the rollout full") as no:
            run.do("hot_swap")
        announce_failure({**run.context("hot_swap"), "exception": no.value})
        assert desk.names() == ["publish_events"]
    else:
        with pytest.raises(TaskDeferred):
            run.do("hot_swap")
        assert desk.only("start_canary")[0] == model_type


def test_a_version_asked_for_again_by_another_run_is_another_request(desk):
    promotion(run_id="run-1").do("hot_swap")
    promotion(run_id="run-2").do("hot_swap")
    assert [values[-1] for _, values, _ in desk.asked] == ["run-1", "run-2"]


def test_a_scheduled_run_acts_in_the_name_of_its_dag(desk):
    promotion(run_type="scheduled", user=None).do("hot_swap")
    assert desk.only("hot_swap")[2] == "model_promotion"


def test_the_log_says_when_something_else_serves_by_now_and_which_replicas_were_left_out(desk, capsys):
    desk.answers["hot_swap"] = {**CHANGED, "serves_now": "v1.2.0", "skipped": ["replica-2", "replica-3"]}
    promotion().do("hot_swap")
    said = capsys.readouterr().out
    assert "this request put v1.1.0 live before; v1.2.0 serves by now, and stays" in said
    assert "left out, because a person took them out of rotation: replica-2, replica-3" in said


def test_the_log_says_when_the_registry_is_behind_a_rollback(desk, capsys):
    desk.answers["roll_back"] = {**CHANGED, "registry_is_behind": True}
    rollback().do("roll_back")
    assert "the registry does not name v1.1.0 yet" in capsys.readouterr().out


def test_an_ordinary_change_needs_no_words(capsys):
    assert say(CHANGED) == CHANGED
    assert capsys.readouterr().out == ""


def test_a_canary_is_started_and_waited_for_without_a_slot(desk):
    with pytest.raises(TaskDeferred) as deferred:
        promotion(rollout="canary").do("hot_swap")
    assert desk.asked == [("start_canary", ("LAUNDRY", "v1.1.0", "kim", "better", "run-1"), {})]
    assert deferred.value.method_name == "canary_judged"
    assert deferred.value.trigger.about == {"model_type": "LAUNDRY", "version": "v1.1.0", "begun_by": "run-1"}
    assert deferred.value.timeout == timedelta(days=8)


def test_a_good_canary_is_promoted_with_its_figures_as_the_reason(desk, capsys):
    assert judged(promotion(rollout="canary"), GOOD) == CHANGED
    assert desk.only("promote_canary") == ("LAUNDRY", "v1.1.0", "kim", "92/100 right", "run-1")
    assert desk.names() == PROMOTED
    assert "92/100 right" in capsys.readouterr().out


def test_a_promotion_that_has_to_be_tried_again_does_not_start_a_second_canary(desk):
    desk.answers["promote_canary"] = Turns([TryAgain("replica-1 is busy"), CHANGED])
    run = promotion(rollout="canary")
    with pytest.raises(TryAgain):
        judged(run, GOOD)
    assert run.do("hot_swap") == CHANGED
    assert desk.asked[:2] == desk.asked[2:] and desk.names() == PROMOTED * 2


def test_a_bad_canary_is_taken_off_and_fails_the_task_without_retries(desk):
    with pytest.raises(AirflowFailException, match="the canary was aborted: worse by 10%"):
        judged(promotion(rollout="canary"), BAD)
    assert desk.asked == [
        ("abort_canary", ("LAUNDRY", "v1.1.0", "kim", "worse by 10%", "run-1"), {"begun_by": "run-1"})
    ]


def test_an_approval_that_comes_after_the_canary_was_aborted_changes_nothing(desk):
    desk.answers["promote_canary"] = CanaryEnded("v1.1.0 is not on trial: kim aborted it")
    run = promotion(rollout="canary", approval=True)
    with pytest.raises(TaskDeferred):
        judged(run, GOOD)
    with pytest.raises(AirflowFailException, match=r"v1\.1\.0 is not on trial"):
        reply(run, "hot_swap", "Approve")
    assert desk.names() == PROMOTED


def test_while_somebody_is_asked_the_canary_is_judged_on(desk, questions):
    run = promotion(rollout="canary", approval=True)
    with pytest.raises(TaskDeferred) as deferred:
        judged(run, GOOD)
    assert len(questions) == 1 and deferred.value.method_name == "execute_complete"
    about = dict(deferred.value.trigger.about)
    assert timedelta(hours=23, minutes=59) < about.pop("deadline") - datetime.now(UTC) <= timedelta(hours=24)
    assert about == {"model_type": "LAUNDRY", "version": "v1.1.0", "begun_by": "run-1"}


def test_a_canary_that_does_harm_while_somebody_is_asked_is_taken_off_and_the_question_ends(desk):
    run = promotion(rollout="canary", approval=True)
    with pytest.raises(TaskDeferred):
        judged(run, GOOD)
    with pytest.raises(AirflowFailException, match="the canary was aborted: worse by 10%"):
        run.do("hot_swap", method="execute_complete", event=BAD)
    aborted = ("LAUNDRY", "v1.1.0", "kim", "worse by 10%", "run-1", ("begun_by", "run-1"))
    assert desk.names() == ["abort_canary"] and desk.only("abort_canary") == aborted


def _judged_bad(run, desk):
    judged(run, BAD)


def _bad_while_asked(run, desk):
    with pytest.raises(TaskDeferred):
        judged(run, GOOD)
    run.do("hot_swap", method="execute_complete", event=BAD)


def _rejected(run, desk):
    with pytest.raises(TaskDeferred):
        judged(run, GOOD)
    reply(run, "hot_swap", "Reject")


def _approved_too_late(run, desk):
    desk.answers["promote_canary"] = CanaryEnded("replica-2 threw v1.1.0 out")
    with pytest.raises(TaskDeferred):
        judged(run, GOOD)
    reply(run, "hot_swap", "Approve")


@pytest.mark.parametrize("end", [_judged_bad, _bad_while_asked, _rejected, _approved_too_late])
def test_cleared_by_hand_after_its_end_a_canary_starts_anew_in_a_request_of_its_own(desk, questions, end):
    run = promotion(rollout="canary", approval=True)
    with pytest.raises(AirflowFailException):
        end(run, desk)
    asked_before = len(questions)
    with pytest.raises(TaskDeferred) as deferred:
        run.do("hot_swap")
    assert deferred.value.method_name == "canary_judged"
    assert desk.asked[-1] == ("start_canary", ("LAUNDRY", "v1.1.0", "kim", "better", "run-1, trial 2"), {})
    assert By("kim", "better", "run-1, trial 2").run == run.run_id
    desk.answers["promote_canary"] = CHANGED
    with pytest.raises(TaskDeferred):
        judged(run, GOOD)
    assert len(questions) == asked_before + 1
    assert reply(run, "hot_swap", "Approve") == CHANGED
    assert desk.asked[-1] == ("promote_canary", ("LAUNDRY", "v1.1.0", "lee", "92/100 right", "run-1, trial 2"), {})


def test_after_a_freeze_the_task_cleared_by_hand_promotes_the_canary_it_had_found_good(desk):
    desk.answers["promote_canary"] = Turns([GiveUp("promotions are frozen"), CHANGED])
    run = promotion(rollout="canary")
    with pytest.raises(AirflowFailException, match="promotions are frozen"):
        judged(run, GOOD)
    assert run.do("hot_swap") == CHANGED
    assert desk.names() == PROMOTED * 2


def test_a_task_that_is_cleared_days_after_its_verdict_takes_off_what_people_found_bad_since(desk):
    desk.answers["promote_canary"] = GiveUp("promotions are frozen")
    run = promotion(rollout="canary")
    with pytest.raises(AirflowFailException, match="promotions are frozen"):
        judged(run, GOOD)
    desk.answers |= {"judge_canary": BAD, "abort_canary": True}
    desk.asked.clear()
    with pytest.raises(AirflowFailException, match="the canary was aborted: worse by 10%"):
        run.do("hot_swap")
    own = {"begun_by": "run-1"}
    assert desk.asked == [
        ("judge_canary", ("LAUNDRY", "v1.1.0"), {"proven": True, **own}),
        ("abort_canary", ("LAUNDRY", "v1.1.0", "kim", "worse by 10%", "run-1"), own),
    ]
    with pytest.raises(TaskDeferred):
        run.do("hot_swap")
    assert desk.asked[-1][1][-1] == "run-1, trial 2"


def test_what_an_earlier_try_promoted_is_no_canary_to_take_off(desk):
    run = promotion(rollout="canary")
    assert judged(run, GOOD) == CHANGED
    desk.answers |= {"judge_canary": {**BAD, "reason": "v1.1.0 is not on trial any more"}, "abort_canary": False}
    assert run.do("hot_swap") == CHANGED
    assert desk.asked[-1][1][-1] == "run-1"


def test_a_canary_whose_abort_a_replica_out_of_reach_held_up_can_be_tried_anew(desk):
    desk.answers["abort_canary"] = TryAgain("replica-2 is away")
    run = promotion(rollout="canary")
    with pytest.raises(TryAgain):
        judged(run, BAD)
    desk.answers["start_canary"] = Turns([CanaryEnded("this trial of v1.1.0 is over"), {}])
    with pytest.raises(AirflowFailException, match=r"this trial of v1\.1\.0 is over"):
        run.do("hot_swap")
    with pytest.raises(TaskDeferred):
        run.do("hot_swap")
    assert [values[-1] for _, values, _ in desk.asked] == ["run-1", "run-1", "run-1, trial 2"]


@pytest.mark.parametrize(
    ("rollout", "done", "reason"), [("full", "hot_swap", "better"), ("canary", "promote_canary", "92/100 right")]
)
def test_with_approval_somebody_is_asked_first_and_answers_for_it(desk, questions, rollout, done, reason):
    run = promotion(rollout=rollout, approval=True)
    with pytest.raises((TaskAwaitingInput, TaskDeferred)) as waiting:
        run.do("hot_swap") if rollout == "full" else judged(run, GOOD)
    # A canary's question has a deadline of its own, in the trigger that goes on judging.
    assert desk.names() == [] and waiting.value.timeout == (timedelta(hours=24) if rollout == "full" else None)
    assert (questions[0]["subject"], questions[0]["body"]) == (
        "Serve LAUNDRY v1.1.0 to everybody?",
        "Reason given: better",
    )
    assert (questions[0]["options"], questions[0]["defaults"]) == (["Approve", "Reject"], ["Reject"])
    assert reply(run, "hot_swap", "Approve") == CHANGED
    assert desk.asked[-1:] == [(done, ("LAUNDRY", "v1.1.0", "lee", reason, "run-1"), {})]
    assert desk.names() == (["hot_swap"] if rollout == "full" else PROMOTED)


def test_an_approval_is_remembered_while_replicas_are_away(desk, questions):
    desk.answers["hot_swap"] = Turns([TryAgain("replica-1 is away"), CHANGED])
    run = promotion(approval=True)
    with pytest.raises(TryAgain):
        reply(run, "hot_swap", "Approve")
    assert run.do("hot_swap") == CHANGED
    assert questions == [] and [values[2] for _, values, _ in desk.asked] == ["lee", "lee"]


@pytest.mark.parametrize(("user", "why"), [("lee", "rejected by lee"), (None, "not answered within 24 hours")])
def test_a_no_fails_the_run_with_a_sentence_and_changes_nothing(desk, user, why):
    with pytest.raises(Declined, match=f"nothing was changed: serving v1.1.0 to everybody was {why}"):
        reply(promotion(approval=True), "hot_swap", "Reject", user)
    assert desk.names() == []


@pytest.mark.parametrize(
    ("user", "actor", "why"), [("lee", "lee", "rejected by lee"), (None, "kim", "not answered within 24 hours")]
)
def test_a_no_takes_the_canary_off(desk, user, actor, why):
    with pytest.raises(Declined, match=f"the canary v1.1.0 was taken out of the requests: its promotion was {why}"):
        reply(promotion(rollout="canary", approval=True), "hot_swap", "Reject", user)
    said = f"its promotion was {why}"
    assert desk.only("abort_canary") == ("LAUNDRY", "v1.1.0", actor, said, "run-1", ("begun_by", "run-1"))


def test_a_no_is_remembered_until_the_canary_is_off_and_then_forgotten(desk, questions):
    desk.answers["abort_canary"] = Turns([TryAgain("replica-1 is away"), True])
    run = promotion(rollout="canary", approval=True)
    with pytest.raises(TaskDeferred):
        judged(run, GOOD)
    with pytest.raises(TryAgain):
        reply(run, "hot_swap", "Reject")
    with pytest.raises(Declined):
        run.do("hot_swap")
    assert (len(questions), desk.names()) == (1, ["abort_canary"] * 2)


def test_a_question_about_a_canary_that_nobody_answers_in_time_takes_it_off(desk):
    run = promotion(rollout="canary", approval=True)
    with pytest.raises(TaskDeferred):
        judged(run, GOOD)
    with pytest.raises(Declined, match="its promotion was not answered within 24 hours"):
        run.do("hot_swap", method="execute_complete", event={"decision": "unanswered", "reason": "nobody answered"})
    assert desk.names() == ["abort_canary"]
    asked, outcome = desk.only("announce_lapse")
    assert asked.text == "Serve LAUNDRY v1.1.0 to everybody?" and "not answered within 24 hours" in outcome


@pytest.mark.parametrize("error", [TryAgain("the mlops database is away"), GiveUp("RETRAIN_EPOCHS is 'ten'")])
def test_a_question_that_nobody_can_be_told_of_is_asked_all_the_same(desk, questions, error):
    desk.answers["announce_question"] = error
    with pytest.raises(TaskAwaitingInput):
        promotion(approval=True).do("hot_swap")
    assert len(questions) == 1


@pytest.mark.parametrize("error", [GiveUp("replica-2 refused"), None])
def test_a_swap_that_failed_is_announced_and_people_are_told(desk, error):
    context = promotion().context("hot_swap")
    context["task"].model_type, context["task"].version = "LAUNDRY", "v1.1.0"
    announce_failure({**context, **({"exception": error} if error else {})})
    why = str(error) if error else "the task hot_swap was killed before it ended"
    assert desk.asked == [
        ("announce_failed_swap", ("LAUNDRY", "v1.1.0", "run-1", why), {}),
        ("untold", (), {}),
        ("publish_events", (), {}),
    ]


@pytest.mark.parametrize("error", [TryAgain("the mlops database is away"), GiveUp("RETRAIN_EPOCHS is 'ten'")])
def test_a_failed_swap_that_cannot_be_stored_is_told_at_once(desk, monkeypatch, error):
    sent = []
    monkeypatch.setattr(publishing, "open_channels", lambda: {"notices_webhook": sent.append})
    desk.answers["announce_failed_swap"] = error
    context = promotion().context("hot_swap")
    context["task"].model_type, context["task"].version = "LAUNDRY", "v1.1.0"
    announce_failure(context)
    assert [notice["subject"] for notice in sent] == ["URGENT: LAUNDRY v1.1.0 could not go live"]
    assert str(error) in sent[0]["body"]
    assert desk.names() == ["announce_failed_swap", "publish_events"]


def test_a_no_is_not_announced_as_a_failure(desk):
    announce_failure({**promotion().context("hot_swap"), "exception": Declined("rejected by lee")})
    assert desk.names() == ["publish_events"]


# Roll back


def rollback(**form):
    run_fields = {name: form.pop(name) for name in ("run_type", "user") if name in form}
    return DagRun(ROLLBACK, reason="too many wrong", **run_fields, **form)


def ask(run):
    with pytest.raises(TaskDeferred) as deferred:
        run.do("roll_back")
    return deferred.value


def test_a_persons_rollback_is_never_an_automatic_one(desk):
    assert rollback(judged="v1.1.0").do("roll_back") == {**CHANGED, "missing": []}
    assert desk.only("roll_back") == (
        *("LAUNDRY", RollbackRequest("previous", ASKED_AT)),
        *("kim", "too many wrong", "run-1"),
    )


def test_a_rollback_of_nobody_in_particular_says_so(desk):
    rollback(user=None, model_type="FACE", target="v1.0.0").do("roll_back")
    assert desk.only("roll_back")[:4] == ("FACE", RollbackRequest("v1.0.0", ASKED_AT), "a person", "too many wrong")


def test_the_monitors_rollback_names_the_version_it_judged_and_never_asks(desk, questions):
    run = rollback(run_type="operator_triggered", user=None, judged="v1.1.0", approval=True)
    run.do("roll_back")
    assert questions == []
    assert desk.only("roll_back")[1:] == (
        RollbackRequest("previous", ASKED_AT, judged="v1.1.0"),
        *("live_accuracy_monitor", "too many wrong", "run-1"),
    )


def test_the_question_names_the_version_and_waits_without_a_slot(desk, questions):
    deferred = ask(rollback(approval=True, target="previous"))
    assert questions[0]["subject"] == PLAN["question"]
    assert questions[0]["body"] == "Reason given: too many wrong"
    assert deferred.method_name == "execute_complete" and deferred.timeout is None
    about = dict(deferred.trigger.about)
    assert timedelta(hours=23, minutes=59) < about.pop("deadline") - datetime.now(UTC) <= timedelta(hours=24)
    assert about == {"model_type": "LAUNDRY", "target": "previous", "from_version": "v1.2.0"}
    asked, until = desk.only("announce_question")
    assert (asked.text, asked.run_id) == (PLAN["question"], "run-1")
    assert desk.only("rollback_plan") == ("LAUNDRY", "previous") and until == deferred.trigger.about["deadline"]


def test_another_try_does_not_make_a_question_live_longer(desk):
    run = rollback(approval=True)
    deadline = ask(run).trigger.about["deadline"]
    assert ask(run).trigger.about["deadline"] == deadline


def test_a_question_that_is_asked_again_after_its_end_has_as_much_time_as_a_new_one(desk):
    run = rollback(approval=True)
    ask(run)
    run.kept["roll_back"].set("deadline", "2026-05-05T06:11:00+00:00")
    assert ask(run).trigger.about["deadline"] > datetime.now(UTC) + timedelta(hours=23)


@pytest.mark.parametrize("kept", [False, True])
def test_an_approval_from_before_an_upgrade_that_named_no_version_is_asked_for_anew(desk, kept):
    run = rollback(approval=True)
    if kept:
        run.kept["roll_back"] = Kept(answer={"approved": True, "by": "lee"})
    with pytest.raises(TaskDeferred):
        run.do("roll_back") if kept else reply(run, "roll_back", "Approve")
    assert desk.names() == ["rollback_plan"]
    reply(run, "roll_back", "Approve")
    model_type, asked, *_ = desk.only("roll_back")
    assert (model_type, asked.target) == ("LAUNDRY", "v1.1.3")


def test_nobody_is_asked_when_there_is_nothing_to_go_back_to(desk, questions):
    desk.answers["rollback_plan"] = GiveUp("v1.0.0 is the only LAUNDRY version that ever served")
    with pytest.raises(AirflowFailException, match="the only LAUNDRY version"):
        rollback(approval=True).do("roll_back")
    assert questions == []


def test_an_approval_is_for_the_version_in_the_question_and_as_old_as_the_request(desk):
    run = rollback(approval=True)
    ask(run)
    assert reply(run, "roll_back", "Approve") == {**CHANGED, "missing": []}
    assert desk.only("roll_back") == (
        *("LAUNDRY", RollbackRequest("v1.1.3", ASKED_AT, instead_of="v1.2.0")),
        *("lee", "too many wrong", "run-1"),
    )


def test_an_approved_rollback_is_tried_again_without_another_question(desk, questions):
    desk.answers["roll_back"] = Turns([TryAgain("no replica answers"), {**CHANGED, "missing": []}])
    run = rollback(approval=True)
    ask(run)
    with pytest.raises(TryAgain):
        reply(run, "roll_back", "Approve")
    run.do("roll_back")
    assert len(questions) == 1
    allowed = (RollbackRequest("v1.1.3", ASKED_AT, instead_of="v1.2.0"), "lee")
    assert [values[1:3] for name, values, _ in desk.asked if name == "roll_back"] == [allowed] * 2


@pytest.mark.parametrize(("user", "why"), [("lee", "rejected by lee"), (None, "not answered within 24 hours")])
def test_a_rejected_rollback_fails_and_says_that_nothing_was_changed(desk, user, why):
    run = rollback(approval=True)
    ask(run)
    with pytest.raises(Declined, match=f"nothing was changed: rolling LAUNDRY back to v1.1.3 was {why}"):
        reply(run, "roll_back", "Reject", user)
    assert desk.names() == ["rollback_plan"]


def test_a_rollback_that_another_one_overtook_ends_by_itself(desk):
    run = rollback(approval=True)
    ask(run)
    with pytest.raises(Declined, match=r"nothing was changed: v1\.3\.0 serves by now"):
        run.do("roll_back", method="execute_complete", event={"withdrawn": "v1.3.0 serves by now"})
    assert desk.names() == ["rollback_plan"]


def test_an_approved_rollback_that_another_one_overtook_just_before_pages_nobody(desk):
    desk.answers["roll_back"] = StaleTransition("the rollback was about v1.2.0, but v1.3.0 serves by now")
    run = rollback(approval=True)
    ask(run)
    with pytest.raises(Declined, match=r"nothing was changed: .* v1\.3\.0 serves by now") as declined:
        reply(run, "roll_back", "Approve")
    page({**run.context("roll_back"), "exception": declined.value})
    assert "announce_failed_rollback" not in desk.names()
    assert run.pushed["roll_back", "note"].endswith(f". Next: {StaleTransition.usual_advice}")


def test_an_approval_by_somebody_without_a_name_is_one_all_the_same(desk):
    run = rollback(approval=True)
    ask(run)
    reply(run, "roll_back", "Approve", user=None)
    assert desk.only("roll_back")[2] == "a person"


@pytest.mark.parametrize(
    ("form", "judged"),
    [({}, None), ({"run_type": "operator_triggered", "judged": "v1.2.0"}, "v1.2.0"), ({"judged": "v1.2.0"}, None)],
)
@pytest.mark.parametrize("error", [TryAgain("no replica answers"), None])
def test_a_rollback_that_failed_pages_even_while_the_broker_is_away(desk, form, judged, error):
    desk.answers["publish_events"] = TryAgain("RabbitMQ is away")
    page({**rollback(**form).context("roll_back"), "exception": error})
    why = str(error) if error else "the task roll_back was killed before it ended"
    assert desk.asked == [
        ("announce_failed_rollback", ("LAUNDRY", RollbackRequest("previous", ASKED_AT, judged), "run-1", why), {}),
        ("untold", (), {}),
        ("publish_events", (), {}),
    ]


def test_a_rollback_that_failed_with_the_database_pages_without_it(desk, monkeypatch):
    sent = []
    monkeypatch.setattr(publishing, "open_channels", lambda: {"notices_webhook": sent.append})
    desk.answers["announce_failed_rollback"] = desk.answers["publish_events"] = TryAgain("the database is away")
    page({**rollback().context("roll_back"), "exception": TryAgain("no ledger")})
    subject, body = "URGENT: LAUNDRY could not be rolled back to previous", "no ledger (the database is away)"
    assert sent == [{"subject": subject, "body": body}]


def test_a_no_pages_nobody(desk):
    page({**rollback().context("roll_back"), "exception": Declined("rejected by lee")})
    assert desk.names() == ["publish_events"]


@pytest.mark.parametrize(
    ("dag", "task_id", "callback"),
    [
        (PROMOTION, "hot_swap", announce_failure),
        (ROLLBACK, "roll_back", page),
        (MONITOR, "roll_back", page_about_verdict),
        (MONITOR, "watch", tell_failure),
        (MONITOR, "reconcile", tell_failure),
    ],
)
def test_what_happens_when_the_task_has_failed(dag, task_id, callback):
    found = dag.get_task(task_id).on_failure_callback
    assert found in (callback, [callback])


# Killed: the callback runs in the DAG processor, with the task as it is written and without an exception


@pytest.fixture
def killed(monkeypatch):
    """Lets Airflow itself handle the news that a task's process is gone; `xcom` is what any other task left."""

    def handle(dag, task_id, xcom=None, run_type="manual", **form):
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Comms(xcom), raising=False)
        uuid, run = "01990000-0000-7000-8000-000000000000", {"dag_id": dag.dag_id, "run_id": "run-1"}
        nothing = dict.fromkeys(("logical_date", "data_interval_start", "data_interval_end", "partition_key"))
        began = {"run_after": ASKED_AT, "start_date": ASKED_AT, "run_type": run_type, "state": "running"}
        dag_run = {**run, **nothing, **began, "end_date": None, "conf": form, "consumed_asset_events": []}
        request = TaskCallbackRequest(
            filepath="dag.py",
            bundle_name="dags-folder",
            bundle_version=None,
            ti={**run, "id": uuid, "task_id": task_id, "try_number": 4, "dag_version_id": uuid},
            task_callback_type="failed",
            context_from_server={"dag_run": dag_run, "max_tries": 3},
        )
        _execute_task_callbacks(SimpleNamespace(dags={dag.dag_id: copy.deepcopy(dag)}), request, structlog.get_logger())

    return handle


class Comms:
    """Answers what the DAG processor may ask for, which is less than a worker may."""

    def __init__(self, xcom):
        self.xcom = xcom

    def send(self, msg):
        assert isinstance(msg, get_args(get_args(processor.ToManager)[0])), f"{msg} would be refused"
        many = isinstance(msg, GetXComSequenceSlice)
        return XComSequenceSliceResult(root=[self.xcom]) if many else XComResult(key="return_value", value=self.xcom)


@pytest.mark.parametrize(
    ("dag", "form", "xcom"),
    [(PROMOTION, {"version": "v1.1.0", "reason": "better"}, None), (laundry, {}, "v1.1.0")],
    ids=["promotion", "retraining"],
)
def test_a_swap_that_was_killed_is_announced_with_its_version(desk, killed, dag, form, xcom):
    killed(dag, "hot_swap", xcom, **form)
    assert desk.asked[0] == (
        "announce_failed_swap",
        ("LAUNDRY", "v1.1.0", "run-1", "the task hot_swap was killed before it ended"),
        {},
    )
    assert desk.names()[1:] == ["publish_events"]


@pytest.mark.parametrize(("run_type", "judged"), [("manual", None), ("operator_triggered", "v1.2.0")])
def test_a_rollback_that_was_killed_pages(desk, killed, run_type, judged):
    killed(ROLLBACK, "roll_back", run_type=run_type, reason="too bad", judged="v1.2.0", target="v1.1.3")
    assert desk.only("announce_failed_rollback") == (
        *("LAUNDRY", RollbackRequest("v1.1.3", ASKED_AT, judged)),
        *("run-1", "the task roll_back was killed before it ended"),
    )
    assert desk.names()[1:] == ["publish_events"]


@pytest.mark.parametrize(("model_type", "task"), [("LAUNDRY", "roll_back"), ("FACE", "roll_back_face")])
def test_a_monitor_that_was_killed_before_it_could_start_the_rollback_pages(desk, killed, model_type, task):
    killed(MONITOR, task, {"version": "v1.2.0", "target": "v1.1.3"}, run_type="scheduled")
    of, asked, *why = desk.only("announce_failed_rollback")
    assert (of, asked.target, asked.judged) == (model_type, "v1.1.3", "v1.2.0")
    assert why == ["run-1", f"the task {task} was killed before it ended"]
    # Not when the run began: its champion may serve since then only.
    assert datetime.now(UTC) - asked.at < timedelta(minutes=10)
