"""One way to play acts: headlines with their time, refusals that break a promise, waiting, and a count of requests."""

import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from include.demo import measurements
from include.demo.report import Report
from include.demo.stage import Stage, publish, refusals_as_sentences
from include.demo.traffic import Answer
from include.stack.airflow_api import DagRunFailed, TaskTime
from include.stack.layout import Stack
from include.stack.ports import PREFERRED_PORTS
from pipeline.bootstrap import GiveUp

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


class SentBefore:
    """Traffic whose answers are known."""

    def __init__(self, *answers):
        self._answers = list(answers)

    def answers(self):
        return self._answers


def an_answer(replica="replica-1", version="v1.0.0", error=""):
    return Answer(0.0, 5.0, replica, version, error)


def a_task(name, start, end, index=-1):
    times = (BEGIN + timedelta(seconds=seconds) for seconds in (start, end))
    return TaskTime(name, index, "success", *times)


@pytest.fixture
def printed():
    return io.StringIO()


@pytest.fixture
def console(printed):
    return Console(file=printed, highlight=False)


@pytest.fixture
def stage(tmp_path, console):
    stack = Stack(tmp_path, dict(PREFERRED_PORTS), {"rabbitmq": "secret", "airflow_admin": "secret"})
    return Stage(stack, "Trial", console)


def test_an_act_is_announced_with_the_seconds_since_the_beginning(stage, printed):
    stage.act("A model is trained")
    stage.say("[v1.0.0] serves")
    assert printed.getvalue() == "   0.0 s  A model is trained\n          [v1.0.0] serves\n"


@pytest.mark.parametrize("refusal", [GiveUp, RuntimeError, TimeoutError, DagRunFailed])
def test_an_act_that_is_refused_breaks_a_promise_and_the_next_one_follows(stage, printed, refusal):
    def _bad_model():
        raise refusal("pool [training] is taken")

    def _archive():
        stage.report.record(archived=["v1.0.0"])

    for act in (_bad_model, _archive):
        stage.attempt(act)
    assert stage.report.broken == ["bad model: pool [training] is taken"]
    assert stage.report.figures == {"archived": ["v1.0.0"]}
    assert "did not happen: pool [training] is taken" in printed.getvalue()


def test_a_fault_of_the_program_is_no_refusal(stage):
    with pytest.raises(ZeroDivisionError):
        stage.attempt(lambda: 1 / 0)


def test_what_is_waited_for_is_returned(stage):
    assert stage.wait(lambda: "run-1", "a run", 1) == "run-1"


def test_what_does_not_come_in_time_is_named(stage):
    with pytest.raises(TimeoutError, match="waited 0 s for the queue to be empty"):
        stage.wait(lambda: None, "the queue to be empty", 0)


def test_the_newest_answer_of_each_replica_says_what_is_served(stage):
    stage._traffic = SentBefore(
        an_answer("replica-1", "v1.0.0"), an_answer("replica-2", "v1.1.0"), an_answer("replica-1", "v1.1.0")
    )
    stage.wait_until_served("v1.1.0")


def test_at_the_end_every_request_is_counted(stage, printed):
    stage._traffic = SentBefore(
        an_answer(), an_answer(version="v1.1.0"), an_answer(version="", error="UNAVAILABLE: gone")
    )
    figures = stage.conclude().figures
    assert (figures["requests_sent"], figures["requests_failed"]) == (3, 1)
    assert figures["unversioned_answers"] == 0 and figures["total_seconds"] >= 0
    assert stage.report.broken == ["not one request failed"]
    assert "failed request at replica-1: UNAVAILABLE: gone" in printed.getvalue()
    assert "answers by version: v1.0.0: 1, v1.1.0: 1" in printed.getvalue()


def test_no_request_at_all_is_no_success(stage):
    assert stage.conclude().broken == ["not one request failed"]


@pytest.mark.parametrize(("promises", "status"), [([], 0), (["not one request failed"], 1)])
def test_a_broken_promise_is_the_exit_status(tmp_path, console, printed, promises, status):
    report = Report("Trial", {"requests_sent": 3, "stage_seconds": {"train": 1.25}}, promises)
    assert publish(report, tmp_path / "report.json", console) == status
    assert json.loads((tmp_path / "report.json").read_text())["broken_promises"] == promises
    assert "stage_seconds.train" in printed.getvalue() and str(tmp_path) in printed.getvalue()


def test_what_keeps_the_demo_from_going_on_is_one_sentence(console, printed):
    with pytest.raises(SystemExit) as ended, refusals_as_sentences("demo", console):
        raise DagRunFailed("model_rollback run-1 is failed; failed tasks: swap")
    assert ended.value.code == 1
    assert printed.getvalue() == "the demo cannot go on: model_rollback run-1 is failed; failed tasks: swap\n"


def test_a_stage_of_the_retraining_lasts_from_its_first_to_its_last_task():
    tasks = [
        a_task("augment.plan", 0, 1),
        a_task("augment_slice", 1, 3, index=0),
        a_task("augment_slice", 1, 5.5, index=1),
        a_task("train", 6, 9),
    ]
    assert measurements.seconds(tasks, "augment") == 5.5
    assert measurements.seconds(tasks, "validate") == 0.0
    begin, end = measurements.on_our_clock(tasks, "train")
    assert end - begin == pytest.approx(3)


def test_accuracy_is_the_share_of_right_predictions():
    right, wrong = {"label": "양호", "predicted": "양호"}, {"label": "양호", "predicted": "불량"}
    assert measurements.accuracy([right, right, wrong]) == 0.6667
