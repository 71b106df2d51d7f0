"""`python -m pipeline`: every step by hand; the exit status says whether the same command may succeed later."""

import json
import runpy
import sys

import pytest
from click.testing import CliRunner

from pipeline.__main__ import main
from pipeline.bootstrap import GiveUp, Pipeline, TryAgain
from pipeline.domain.errors import DatasetRefused, ServiceUnavailable, TrainingInterrupted, TrainingNeedsPerson
from pipeline.domain.training import Epoch
from tests.builders import a_training_result

STEPS = {
    "accumulate": [],
    "publish": [],
    "consider": [],
    "collect": ["--run-id", "r1"],
    "validate": ["--dataset-id", "DS-2026-001"],
    "augment": ["--run-id", "r1", "--dataset-id", "DS-2026-001"],
    "train": ["--run-id", "r1", "--dataset-id", "DS-2026-001"],
    "verify": ["--run-id", "r1"],
    "register": ["--run-id", "r1"],
    "hot-swap": ["--version", "v1.0.0", "--reason", "better"],
    "roll-back": ["--reason", "worse"],
    "approve": ["--run-id", "r1", "--actor", "kim", "--reason", "looked at the flips"],
    "force-promote": ["r1", "--actor", "kim", "--reason", "drill"],
    "reconcile": [],
    "retrain": ["--run-id", "r1"],
}
PEOPLE = {"watch", "abort-canary", "clear-freeze", "release-claim", "retire", "restore", "settings"}
UNAVAILABLE = ServiceUnavailable("RabbitMQ", "connection refused")


class FakePipeline:
    """Every step succeeds; `failing` names those that raise. What was called is kept in order."""

    def __init__(self, *, due=True, accepted=True, held=False, **failing):
        self.due, self.accepted, self.held, self.failing = due, accepted, held, failing
        self.called = []
        self.ended = {}
        self.overrides = {}
        self.requests: list[str] = []
        self.missing: list[str] = []

    def _step(self, name, value):
        self.called.append(name)
        if name in self.failing:
            raise self.failing[name]
        return value

    def accumulate(self, limit):
        return self._step("accumulate", {"received": 3, "stored": 2})

    def publish_events(self):
        return self._step("publish", 1)

    def consider(self, model_type, asked_by):
        return self._step("consider", {"due": False, "reason": "12 corrections, 100 needed"})

    def collect(self, run_id, model_type, dataset_id=None):
        return self._step("collect", dataset_id or "DS-2026-001")

    def validate(self, dataset_id):
        return self._step("validate", {"warnings": ["밝기"]})

    def slices(self, dataset_id):
        return [0, 1]

    def augment_slice(self, dataset_id, index):
        return self._step("augment", f"shard {index}")

    def assemble(self, run_id, dataset_id):
        return self._step("assemble", {"image_count": 640})

    def train(self, run_id, dataset_id, on_epoch, *, fresh=False, **overrides):
        self.overrides, self.fresh = overrides, fresh
        on_epoch(Epoch(1, 50, 0.5, 0.8, 0.6, 0.75, 0.001, 90.0))
        return self._step("train", a_training_result(run_id, training_seconds=11_520.0))

    def training_report(self, model_type, result):
        return {"modelVersion": "v1.1.0", "accuracy": result.accuracy}

    def verify_accuracy(self, run_id):
        return self._step("verify_accuracy", [{"outcome": "passed", "reason": "accuracy 0.93"}])

    def verify_performance(self, run_id):
        return self._step("verify_performance", [{"outcome": "passed", "reason": "20 ms"}])

    def decide(self, run_id):
        reasons = [] if self.accepted else ["worse"]
        return self._step("decide", {"accepted": self.accepted, "held": self.held, "reasons": reasons})

    def register(self, run_id):
        return self._step("register", "v1.1.0")

    def hot_swap(self, model_type, version, actor, reason, request_id):
        self.requests.append(request_id)
        return self._step("hot_swap", {"version": version})

    def roll_back(self, model_type, target, reason, actor, request_id):
        return self._step("roll_back", {"version": target, "missing": self.missing})

    def announce_failed_rollback(self, model_type, target, request_id, reason):
        self.called.append(f"told: {reason}")

    def approve(self, run_id, actor, reason):
        return self._step("approve", {"run_id": run_id, "approved": True})

    def force_promote(self, model_type, wanted, actor, reason, request_id):
        return self._step("force_promote", {"version": wanted})

    def reconcile(self, model_type):
        return self._step("reconcile", {"champion": "v1.1.0", "repaired": [], "missing": self.missing})

    def begin_run(self, run_id, model_type, asked_by, forced_by):
        return self._step("begin_run", {"due": self.due, "reason": "12 corrections, 100 needed"})

    def outcome_of_run(self, run_id):
        return self.ended.get(run_id)

    def end_run(self, run_id, outcome):
        self.ended[run_id] = outcome


@pytest.fixture
def run(monkeypatch):
    """Runs one command in this process; its result has exit code, stdout and stderr."""

    def invoke(pipeline, *arguments):
        monkeypatch.setattr(Pipeline, "from_env", classmethod(lambda cls: pipeline))
        return CliRunner().invoke(main, arguments, catch_exceptions=False)

    return invoke


@pytest.fixture
def run_module(monkeypatch, capsys):
    """Runs `python -m pipeline` as a process would: exit code and lines of stderr."""

    def invoke(pipeline, *arguments):
        monkeypatch.setattr(Pipeline, "from_env", classmethod(lambda cls: pipeline))
        monkeypatch.setattr(sys, "argv", ["pipeline", *arguments])
        monkeypatch.delitem(sys.modules, "pipeline.__main__", raising=False)
        with pytest.raises(SystemExit) as ended:
            runpy.run_module("pipeline", run_name="__main__")
        return ended.value.code, capsys.readouterr().err.splitlines()

    return invoke


def test_help_lists_every_step_with_what_it_does():
    shown = CliRunner().invoke(main, ["--help"])
    assert shown.exit_code == 0
    listed = dict(line.split(maxsplit=1) for line in shown.stdout.partition("Commands:\n")[2].splitlines() if line)
    assert set(listed) == {*STEPS, "history", "lineage", "erase-photo", "dead-letters", *PEOPLE}
    assert all(len(text) > 10 for text in listed.values())


@pytest.mark.parametrize("step", STEPS)
def test_a_step_answers_with_one_line_of_json(run, step):
    result = run(FakePipeline(), step, *STEPS[step])
    assert result.exit_code == 0
    (line,) = result.stdout.splitlines()
    assert isinstance(json.loads(line), dict)


@pytest.mark.parametrize("step", [name for name, arguments in STEPS.items() if arguments])
def test_a_step_says_what_it_needs_to_know(run, step):
    pipeline = FakePipeline()
    result = run(pipeline, step)
    assert result.exit_code == 2
    assert "Missing option '--" in result.stderr or "Missing argument" in result.stderr
    assert pipeline.called == []


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (UNAVAILABLE, 75, "try again: RabbitMQ is unavailable: connection refused"),
        (TryAgain("the other deployment is not done"), 75, "try again: the other deployment is not done"),
        (GiveUp("no such version"), 1, "refused: no such version"),
        (DatasetRefused("no confirmed tasks"), 1, "refused: no confirmed tasks"),
        (TrainingNeedsPerson("3 attempts failed"), 1, "refused: 3 attempts failed"),
    ],
)
@pytest.mark.parametrize("step", ["reconcile", "collect"])
def test_a_failed_step_ends_with_one_sentence_and_says_by_its_status_if_again_helps(
    run_module, step, error, code, line
):
    assert run_module(FakePipeline(**{step: error}), step, *STEPS[step]) == (code, [line])


def test_a_step_that_succeeds_ends_with_zero(run_module):
    assert run_module(FakePipeline(), "reconcile") == (0, [])


def test_training_shows_each_epoch_and_answers_as_the_specification_does(run):
    result = run(FakePipeline(), "train", *STEPS["train"])
    assert "head epoch 1/50  loss 0.5000" in result.stderr
    assert json.loads(result.stdout) == {"modelVersion": "v1.1.0", "accuracy": 0.95}


def test_training_starts_anew_when_told_to(run):
    pipeline = FakePipeline()
    run(pipeline, "train", *STEPS["train"])
    assert not pipeline.fresh
    run(pipeline, "train", *STEPS["train"], "--fresh")
    assert pipeline.fresh


def test_a_training_that_was_asked_to_end_says_that_the_same_command_goes_on(run_module):
    code, lines = run_module(FakePipeline(train=TrainingInterrupted("asked to end")), "train", *STEPS["train"])
    assert (code, lines[-1]) == (75, "try again: training was interrupted (asked to end); its checkpoint is kept")


def test_training_takes_other_hyperparameters_than_the_settings(run):
    pipeline = FakePipeline()
    run(pipeline, "train", *STEPS["train"], "--epochs", "3", "--learning-rate", "0.01")
    assert {k: v for k, v in pipeline.overrides.items() if v is not None} == {"epochs": 3, "learning_rate": 0.01}


@pytest.mark.parametrize("wrong", [["--epochs", "0"], ["--batch-size", "-1"], ["--learning-rate", "0"]])
def test_training_refuses_hyperparameters_that_cannot_work(run, wrong):
    pipeline = FakePipeline()
    assert run(pipeline, "train", *STEPS["train"], *wrong).exit_code == 2
    assert pipeline.called == []


def test_korean_stays_readable(run):
    assert "밝기" in run(FakePipeline(), "validate", *STEPS["validate"]).stdout


@pytest.mark.parametrize(
    ("step", "act"), [("hot-swap", "hot_swap"), ("roll-back", "roll_back"), ("force-promote", "force_promote")]
)
def test_a_change_of_champion_is_published_after_it_happened(run, step, act):
    pipeline = FakePipeline()
    run(pipeline, step, *STEPS[step])
    assert pipeline.called == [act, "publish"]


def test_a_retraining_goes_through_every_step_in_order(run):
    pipeline = FakePipeline()
    answer = json.loads(run(pipeline, "retrain", *STEPS["retrain"]).stdout)
    order = ["begin_run", "collect", "validate", "augment", "augment", "assemble", "train"]
    order += ["verify_accuracy", "verify_performance", "decide", "register", "hot_swap", "publish"]
    assert pipeline.called == order
    assert (answer["version"], pipeline.ended) == ("v1.1.0", {"r1": "deployed"})


@pytest.mark.parametrize(("held", "outcome"), [(False, "refused"), (True, "held")])
def test_a_refused_or_held_model_is_neither_registered_nor_served(run, held, outcome):
    pipeline = FakePipeline(accepted=False, held=held)
    answer = json.loads(run(pipeline, "retrain", *STEPS["retrain"]).stdout)
    assert answer["reasons"] == ["worse"]
    assert {"register", "hot_swap"}.isdisjoint(pipeline.called)
    assert pipeline.ended == {"r1": outcome}


def test_a_retraining_that_is_not_due_touches_nothing(run):
    pipeline = FakePipeline(due=False)
    result = run(pipeline, "retrain", *STEPS["retrain"])
    assert json.loads(result.stdout)["reason"] == "12 corrections, 100 needed"
    assert (pipeline.called, pipeline.ended) == (["begin_run"], {})


@pytest.mark.parametrize("step", ["collect", "validate", "augment", "train", "decide", "register", "hot_swap"])
def test_a_retraining_that_fails_releases_its_claim(run_module, step):
    pipeline = FakePipeline(**{step: UNAVAILABLE})
    code, lines = run_module(pipeline, "retrain", *STEPS["retrain"])
    assert (code, lines[-1]) == (75, "try again: RabbitMQ is unavailable: connection refused")
    assert pipeline.ended == {"r1": "failed"}


@pytest.mark.parametrize("ended", ["deployed", "refused"])
def test_the_id_of_a_run_that_ended_is_used_up(run_module, ended):
    pipeline = FakePipeline()
    pipeline.ended["r1"] = ended
    code, lines = run_module(pipeline, "retrain", *STEPS["retrain"])
    why = f"refused: run r1 was {ended} already, nothing would be trained: choose another --run-id"
    assert (code, lines[-1], pipeline.called) == (1, why, [])


@pytest.mark.parametrize("ended", ["failed", "held"])
def test_a_run_that_failed_or_waited_goes_on(run_module, ended):
    pipeline = FakePipeline()
    pipeline.ended["r1"] = ended
    assert run_module(pipeline, "retrain", *STEPS["retrain"])[0] == 0
    assert pipeline.ended == {"r1": "deployed"}


@pytest.mark.parametrize("step", ["roll-back", "reconcile"])
def test_what_is_done_but_not_on_every_replica_says_which_and_may_be_repeated(step, run_module):
    pipeline = FakePipeline()
    pipeline.missing = ["replica-2 does not answer"]
    assert run_module(pipeline, step, *STEPS[step])[0] == 75


def test_a_rollback_that_failed_is_told_for_nobody_tries_it_again(run_module):
    pipeline = FakePipeline(roll_back=UNAVAILABLE)
    assert run_module(pipeline, "roll-back", *STEPS["roll-back"])[0] == 75
    assert pipeline.called[-1] == "told: RabbitMQ is unavailable: connection refused"


def test_every_command_is_a_request_of_its_own(run_module):
    pipeline = FakePipeline()
    for _ in range(2):
        run_module(pipeline, "hot-swap", *STEPS["hot-swap"])
    assert len(set(pipeline.requests)) == 2


def test_a_whole_retraining_is_one_request_named_by_its_run(run_module):
    pipeline = FakePipeline()
    run_module(pipeline, "retrain", "--run-id", "r1")
    assert pipeline.requests == ["r1"]
