"""The tasks that change the champion: in full, by canary, after a person's word; and who is told."""

import asyncio
from datetime import UTC, datetime
from importlib import import_module
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowNotFoundException,
    AirflowSkipException,
    TaskAwaitingInput,
    TaskDeferred,
)

from pipeline.bootstrap import GiveUp, Pipeline
from pipeline.domain.errors import CanaryEnded, ServiceUnavailable
from plugins.model_rollout.hot_swap import HotSwapOperator, announce_failure
from plugins.model_rollout.roll_back import RollBackOperator
from plugins.model_rollout.trigger import CanaryTrigger
from plugins.notices import channels, tell_people

NOTICE = {"id": "event-1", "subject": "v1.1.0 is live", "body": "<script> {{ 7*7 }}", "urgent": False}


class Desk:
    """The pipeline as these tasks use it; what was asked is kept."""

    def __init__(self):
        self.asked, self.verdicts, self.notices, self.marked = [], [], [NOTICE], []
        self.down = None

    def __getattr__(self, name):
        def call(*values, **named):
            self.asked.append((name, *values))
            self.named = named
            return {"version": "v1.1.0"}

        return call

    def judge_canary(self, model_type, version):
        verdict = self.verdicts.pop(0)
        if isinstance(verdict, Exception):
            raise verdict
        return verdict

    def untold(self):
        if self.down:
            raise self.down
        return self.notices

    def told(self, ids):
        self.marked += ids

    def names(self):
        return [name for name, *_ in self.asked]


@pytest.fixture
def desk(monkeypatch):
    made = Desk()
    monkeypatch.setattr(Pipeline, "from_env", classmethod(lambda cls: made))
    monkeypatch.setattr("airflow.providers.standard.operators.hitl.upsert_hitl_detail", lambda **fields: None)
    return made


def a_context(run_type="manual", user="kim", **params):
    run = SimpleNamespace(
        run_id="run-1", run_type=run_type, triggering_user_name=user, run_after=datetime(2026, 5, 4, tzinfo=UTC)
    )
    fields = {"rollout": "full", "approval": False, "reason": "better", **params}
    return {
        "params": fields,
        "dag_run": run,
        "run_id": "run-1",
        "dag": SimpleNamespace(dag_id="model_promotion"),
        "task_instance": SimpleNamespace(id="ti-1"),
    }


def answer(chosen, user="lee"):
    at = datetime(2026, 5, 4, tzinfo=UTC)
    who = {"id": user, "name": user} if user else None
    return {"chosen_options": [chosen], "params_input": {}, "responded_at": at, "responded_by_user": who}


def hot_swap():
    return HotSwapOperator(task_id="hot_swap", model_type="LAUNDRY", version="v1.1.0")


def test_in_full_it_swaps_at_once(desk):
    assert hot_swap().execute(a_context()) == {"version": "v1.1.0"}
    assert desk.asked == [("hot_swap", "LAUNDRY", "v1.1.0", "kim", "better")]


def test_a_scheduled_run_acts_in_the_name_of_its_dag(desk):
    hot_swap().execute(a_context("scheduled", user=None))
    assert desk.asked[0][3] == "model_promotion"


def test_a_canary_is_started_and_waited_for_without_a_slot(desk):
    with pytest.raises(TaskDeferred) as deferred:
        hot_swap().execute(a_context(rollout="canary"))
    assert desk.names() == ["start_canary"]
    assert deferred.value.method_name == "canary_judged"
    assert deferred.value.trigger.version == "v1.1.0"


def test_a_good_canary_is_promoted_with_its_figures_as_the_reason(desk):
    hot_swap().canary_judged(a_context(rollout="canary"), {"decision": "promote", "reason": "92/100 right"})
    assert desk.asked == [("promote_canary", "LAUNDRY", "v1.1.0", "kim", "92/100 right")]


def test_a_bad_canary_is_taken_off_and_fails_the_task_without_retries(desk):
    with pytest.raises(AirflowFailException, match="worse by 10%"):
        hot_swap().canary_judged(a_context(rollout="canary"), {"decision": "abort", "reason": "worse by 10%"})
    assert desk.names() == ["abort_canary"]


@pytest.mark.parametrize(("rollout", "done"), [("full", "hot_swap"), ("canary", "promote_canary")])
def test_with_approval_somebody_is_asked_first_and_answers_for_it(desk, rollout, done):
    operator, context = hot_swap(), a_context(rollout=rollout, approval=True)
    with pytest.raises(TaskAwaitingInput):
        if rollout == "full":
            operator.execute(context)
        else:
            operator.canary_judged(context, {"decision": "promote", "reason": "92/100 right"})
    assert desk.asked == []
    operator.execute_complete(context, answer("Approve"))
    assert (desk.names(), desk.asked[0][3]) == ([done], "lee")


@pytest.mark.parametrize(("user", "by"), [("lee", "lee"), (None, "nobody within 24 hours")])
def test_a_no_takes_the_canary_off_and_is_no_failure(desk, user, by):
    with pytest.raises(AirflowSkipException, match=f"refused by {by}"):
        hot_swap().execute_complete(a_context(rollout="canary", approval=True), answer("Reject", user))
    assert desk.asked == [("abort_canary", "LAUNDRY", "v1.1.0", by, f"refused by {by}")]


def test_a_swap_that_failed_is_announced(desk):
    announce_failure({"task": hot_swap(), "run_id": "run-1", "exception": GiveUp("replica-2 refused")})
    assert desk.asked[0] == ("announce_failed_swap", "LAUNDRY", "v1.1.0", "run-1", "replica-2 refused")


def rollback(desk, **context):
    RollBackOperator(task_id="roll_back").execute(
        a_context(target="previous", model_type="LAUNDRY", judged="v1.1.0", **context)
    )
    return desk.asked[0], desk.named


def test_a_persons_rollback_is_never_an_automatic_one(desk):
    asked, named = rollback(desk)
    assert asked == ("roll_back", "LAUNDRY", "previous", "better", "kim")
    assert (named["judged"], named["request_id"]) == (None, "run-1")


def test_the_monitors_rollback_names_the_version_it_judged(desk):
    asked, named = rollback(desk, run_type="operator_triggered", user=None)
    assert (asked[4], named["judged"]) == ("live_accuracy_monitor", "v1.1.0")


# Waiting for a verdict


def fire(desk, *verdicts):
    desk.verdicts = list(verdicts)
    trigger = CanaryTrigger("LAUNDRY", "v1.1.0", poll_seconds=0.001, first_delay_seconds=0)
    return asyncio.run(anext(trigger.run())).payload


def test_it_waits_through_outages_until_there_is_a_verdict(desk):
    verdict = {"decision": "promote", "reason": "92/100 right"}
    assert fire(desk, {"decision": "wait"}, ServiceUnavailable("faceserve", "away"), verdict) == verdict


def test_what_cannot_be_judged_is_aborted(desk):
    assert fire(desk, CanaryEnded("gone")) == {"decision": "abort", "reason": "gone"}


def test_it_is_the_same_after_a_restart_of_the_triggerer():
    path, fields = CanaryTrigger("LAUNDRY", "v1.1.0", 7, 1).serialize()
    module, name = path.rsplit(".", 1)
    again = getattr(import_module(module), name)(**fields)
    assert again.serialize() == (path, fields)


# Telling people


@pytest.fixture
def connections(monkeypatch):
    """Connections by id; asking for another one says there is none."""
    known = {}

    def get(conn_id):
        if conn_id not in known:
            raise AirflowNotFoundException(conn_id)
        return known[conn_id]

    monkeypatch.setattr(channels.BaseHook, "get_connection", staticmethod(get))
    return known


def test_without_a_connection_there_is_one_warning_and_no_failure(desk, connections, caplog):
    tell_people()
    assert [r.message for r in caplog.records if r.levelname == "WARNING"] == [
        "nobody is told of 1 events: no connection smtp_default or notices_webhook"
    ]
    assert desk.marked == ["event-1"]


def test_a_webhook_gets_plain_text(desk, connections, monkeypatch):
    connections["notices_webhook"] = SimpleNamespace(password="https://hooks.example.com/secret", extra_dejson={})
    posted = []

    def post(address, json, timeout):
        posted.append((address, json))
        return SimpleNamespace(raise_for_status=lambda: None)

    monkeypatch.setattr(channels.httpx, "post", post)
    tell_people()
    assert posted == [("https://hooks.example.com/secret", {"text": "v1.1.0 is live\n<script> {{ 7*7 }}"})]
    assert desk.marked == ["event-1"]


def test_what_no_channel_could_send_is_told_later(desk, connections, monkeypatch, caplog):
    connections["notices_webhook"] = SimpleNamespace(password="https://hooks.example.com/secret", extra_dejson={})

    def post(address, json, timeout):
        raise OSError("connection refused")

    monkeypatch.setattr(channels.httpx, "post", post)
    tell_people()
    assert desk.marked == []
    assert "secret" not in caplog.text


def test_mail_shows_markup_as_text_and_renders_no_template(desk, connections, monkeypatch):
    connections["smtp_default"] = SimpleNamespace(extra_dejson={"to": "ops@example.com"})
    sent = []
    notifier = "airflow.providers.smtp.notifications.smtp.SmtpNotifier.notify"
    monkeypatch.setattr(notifier, lambda self, context: sent.append((self.to, self.subject, self.html_content)))
    tell_people()
    assert sent == [("ops@example.com", "v1.1.0 is live", "<p>&lt;script&gt; {{ 7*7 }}</p>")]


def test_a_database_that_is_away_fails_nothing(desk, connections):
    desk.down = ServiceUnavailable("the mlops database", "gone")
    tell_people()
    assert desk.marked == []
