"""`python -m pipeline`: every step by hand; the exit status says whether the same command may succeed later."""

import errno
import json
import os
import runpy
import signal
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.__main__ import main
from pipeline.bootstrap import Asker, GiveUp, Pipeline, RollbackRequest, TryAgain
from pipeline.bootstrap.faces import FacePipeline
from pipeline.domain.errors import (
    ClaimLost,
    DatasetRefused,
    RegistryBehind,
    RunBusy,
    ServiceUnavailable,
    TrainingInterrupted,
    TrainingNeedsPerson,
)
from pipeline.domain.training import Epoch
from tests.builders import NOW, a_training_result
from tests.desk import CHANGED, Desk

STEPS = {
    "accumulate": [],
    "publish": [],
    "consider": [],
    "collect": ["--run-id", "r1"],
    "validate": ["--dataset-id", "DS-2026-001"],
    "data-report": ["--dataset-id", "DS-2026-001"],
    "augment": ["--run-id", "r1", "--dataset-id", "DS-2026-001"],
    "train": ["--run-id", "r1", "--dataset-id", "DS-2026-001"],
    "verify": ["--run-id", "r1"],
    "register": ["--run-id", "r1"],
    "sign-models": [],
    "hot-swap": ["--version", "v1.0.0", "--reason", "better"],
    "roll-back": ["--reason", "worse"],
    "approve": ["--run-id", "r1", "--actor", "kim", "--reason", "looked at the flips"],
    "refuse": ["--run-id", "r1", "--actor", "kim", "--reason", "looked at the flips"],
    "force-promote": ["r1", "--actor", "kim", "--reason", "drill"],
    "reconcile": [],
    "retrain": ["--run-id", "r1"],
    "first-model": ["photos"],
}
PEOPLE = {"exporter", "watch", "abort-canary", "clear-freeze", "release-claim", "retire", "restore", "settings"} | {
    *("withhold", "give-back", "withheld", "worth")
}
WHO = ("--actor", "kim", "--reason", "why")
BY = ("kim", "why")
REQUEST = "a request of its own"
RUN = ("--run-id", "r1")
DATASET = ("--dataset-id", "DS-2026-001")
FACE = ("--model-type", "FACE")
# What a person types, and what the pipeline is asked for it.
ASKED = [
    (("accumulate", "--limit", "7"), [("accumulate", 7)]),
    (("publish",), [("publish_events",)]),
    (("consider", *FACE), [("consider", "FACE", Asker("command line"))]),
    (("collect", *RUN, *FACE), [("collect", "r1", "FACE", None)]),
    (("collect", *RUN, *DATASET), [("collect", "r1", "LAUNDRY", "DS-2026-001")]),
    (("validate", *DATASET), [("validate", "DS-2026-001")]),
    (("data-report", *DATASET), [("data_report", "DS-2026-001")]),
    (
        ("augment", *RUN, *DATASET),
        [
            ("slices", "DS-2026-001"),
            ("augment_slice", "DS-2026-001", 0),
            ("augment_slice", "DS-2026-001", 1),
            ("assemble", "r1", "DS-2026-001"),
        ],
    ),
    (("verify", *RUN), [("verify_accuracy", "r1"), ("verify_performance", "r1"), ("decide", "r1")]),
    (("register", *RUN), [("register", "r1")]),
    (("hot-swap", *FACE, "--version", "v1.0.0", *WHO), [("hot_swap", "FACE", "v1.0.0", *BY, REQUEST)]),
    (("roll-back", *FACE, *WHO), [("roll_back", "FACE", RollbackRequest("previous", NOW), *BY, REQUEST)]),
    (
        ("roll-back", "--target", "v1.0.0", *WHO),
        [("roll_back", "LAUNDRY", RollbackRequest("v1.0.0", NOW), *BY, REQUEST)],
    ),
    (("approve", *RUN, *WHO), [("approve", "r1", *BY)]),
    (("refuse", *RUN, *WHO), [("refuse", "r1", *BY)]),
    (("force-promote", "r1", *FACE, *WHO), [("force_promote", "FACE", "r1", *BY, REQUEST)]),
    (("reconcile", *FACE), [("reconcile", "FACE")]),
    (("sign-models",), [("sign_models",)]),
    (("backups", "make"), [("back_up",)]),
    (("backups", "list"), [("backups",)]),
    (("backups", "erase-again"), [("erase_again",)]),
    (("backups", "test"), [("test_restore",)]),
    (
        ("backups", "restore", "--at", "2026-05-04T21:00:00+09:00", "--into", "data"),
        [("restore_databases", datetime(2026, 5, 4, 12, tzinfo=UTC), Path("data"))],
    ),
    (
        ("retrain", *RUN, *FACE, "--force", "kim"),
        [
            ("attended", "r1"),
            ("outcome_of_run", "r1"),
            ("begin_run", "r1", "FACE", Asker("command line", "kim", by_hand=True)),
        ],
    ),
]
WHOLE_RUN = ["validate", "slices", "augment_slice", "augment_slice", "assemble", "train", "verify_accuracy"]
WHOLE_RUN += ["verify_performance", "decide", "register", "hot_swap", "end_run", "publish_soon"]
ACCEPTED = {"accepted": True, "held": False, "reasons": []}
UNAVAILABLE = ServiceUnavailable("RabbitMQ", "connection refused")
FINISHES = "`python -m pipeline reconcile --model-type LAUNDRY` finishes it"


class CommandLinePipeline(Desk):
    """Every step succeeds; `answers` says where one does not."""

    def __init__(self, *, due=True, verdict=ACCEPTED, missing=(), **answers):
        ready = {
            "accumulate": {"received": 3, "stored": 2},
            "publish_events": 1,
            "consider": {"due": False, "reason": "12 corrections, 100 needed"},
            "outcome_of_run": None,
            "begin_run": {"due": due, "reason": "12 corrections, 100 needed"},
            "end_run": None,
            "collect": "DS-2026-001",
            "collect_first": "DS-2026-001",
            "validate": {"warnings": ["밝기"]},
            "slices": [0, 1],
            "assemble": {"image_count": 640},
            "train": a_training_result("r1", training_seconds=11_520.0),
            "training_report": {"modelVersion": "v1.1.0", "accuracy": 0.95},
            "verify_accuracy": [{"outcome": "passed", "reason": "accuracy 0.93"}],
            "verify_performance": [{"outcome": "passed", "reason": "20 ms"}],
            "decide": verdict,
            "register": "v1.1.0",
            "sign_models": {"LAUNDRY": {"signed": ["v1.1.0"], "left": {}}},
            "approve": {"run_id": "r1", "approved": True},
            "refuse": {"run_id": "r1", "refused": True},
            "force_promote": {"version": "v1.1.0"},
            "roll_back": {"version": "v1.0.0", "missing": list(missing), "registry_is_behind": False},
            "reconcile": {"champion": "v1.1.0", "repaired": [], "missing": list(missing)},
        }
        super().__init__(**{**ready, **answers})

    def train(self, run_id, dataset_id, on_epoch, **more):
        on_epoch(Epoch(1, 50, 0.5, 0.8, 0.6, 0.75, 0.001, 90.0))
        return self.answer("train", run_id, dataset_id, on_epoch, **more)

    def collect_first(self, run_id, model_type, place, on_photo):
        for done in range(1, 201):
            on_photo(done, 200)
        return self.answer("collect_first", run_id, model_type, place, on_photo)

    def ended(self):
        return [values[:2] for name, values, _ in self.asked if name == "end_run"]


@pytest.fixture
def run(monkeypatch, two_types):
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


def calls(pipeline):
    """(method, arguments, (name, value) of named ones), all requests called the same, and every now, too."""

    def plain(value):
        if isinstance(value, RollbackRequest):
            assert datetime.now(UTC) - value.at < timedelta(minutes=10)
            return replace(value, at=NOW)
        return REQUEST if str(value).startswith("command-") else value

    return [(name, *map(plain, values), *named.items()) for name, values, named in pipeline.asked]


def test_help_lists_every_step_with_what_it_does():
    shown = CliRunner().invoke(main, ["--help"])
    assert shown.exit_code == 0
    listed = dict(line.split(maxsplit=1) for line in shown.stdout.partition("Commands:\n")[2].splitlines() if line)
    about = {
        "history",
        "lineage",
        "erase-photo",
        "erase-person",
        "prune",
        "proof",
        "dead-letters",
        "face-model",
        "face-learn",
        "face-rates",
        "face-retraining",
        "backups",
    }
    assert set(listed) == {*STEPS, *about, *PEOPLE}
    assert all(len(text) > 10 for text in listed.values())


@pytest.mark.parametrize(("command", "asked"), ASKED)
def test_a_command_hands_on_what_it_was_told(run, command, asked):
    pipeline = CommandLinePipeline()
    run(pipeline, *command)
    assert calls(pipeline)[: len(asked)] == asked


@pytest.mark.parametrize("said", ["yesterday", "2026-05-04T12:00:00", "12:00"])
def test_a_moment_is_one_everywhere(run, said):
    pipeline = CommandLinePipeline()
    assert run(pipeline, "backups", "restore", "--at", said, "--into", "data").exit_code == 2
    assert pipeline.asked == []


@pytest.mark.parametrize("step", STEPS)
def test_a_step_answers_with_one_line_of_json(run, step):
    result = run(CommandLinePipeline(), step, *STEPS[step])
    assert result.exit_code == 0
    (line,) = result.stdout.splitlines()
    assert isinstance(json.loads(line), dict)


@pytest.mark.parametrize("step", [name for name, arguments in STEPS.items() if arguments])
def test_a_step_says_what_it_needs_to_know(run, step):
    pipeline = CommandLinePipeline()
    result = run(pipeline, step)
    assert result.exit_code == 2
    assert "Missing option '--" in result.stderr or "Missing argument" in result.stderr
    assert pipeline.asked == []


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
    assert run_module(CommandLinePipeline(**{step: error}), step, *STEPS[step]) == (code, [line])


def test_a_step_that_succeeds_ends_with_zero(run_module):
    assert run_module(CommandLinePipeline(), "reconcile") == (0, [])


def test_training_shows_each_epoch_and_answers_as_the_specification_does(run):
    result = run(CommandLinePipeline(), "train", *STEPS["train"])
    assert "head epoch 1/50  loss 0.5000" in result.stderr
    assert json.loads(result.stdout) == {"modelVersion": "v1.1.0", "accuracy": 0.95}


def test_training_starts_anew_when_told_to(run):
    pipeline = CommandLinePipeline()
    run(pipeline, "train", *STEPS["train"])
    run(pipeline, "train", *STEPS["train"], "--fresh")
    assert [named["fresh"] for name, _, named in pipeline.asked if name == "train"] == [False, True]


def test_a_training_that_was_asked_to_end_says_that_the_same_command_goes_on(run_module):
    code, lines = run_module(CommandLinePipeline(train=TrainingInterrupted("asked to end")), "train", *STEPS["train"])
    assert (code, lines[-1]) == (75, "try again: training was interrupted (asked to end); its checkpoint is kept")


def test_training_takes_other_hyperparameters_than_the_settings(run):
    pipeline = CommandLinePipeline()
    run(pipeline, "train", *STEPS["train"], "--epochs", "3", "--learning-rate", "0.01")
    _, _, _, *named = pipeline.only("train")
    assert {k: v for k, v in named if v} == {"epochs": 3, "learning_rate": 0.01}


@pytest.mark.parametrize("wrong", [["--epochs", "0"], ["--batch-size", "-1"], ["--learning-rate", "0"]])
def test_training_refuses_hyperparameters_that_cannot_work(run, wrong):
    pipeline = CommandLinePipeline()
    assert run(pipeline, "train", *STEPS["train"], *wrong).exit_code == 2
    assert pipeline.asked == []


def test_korean_stays_readable(run):
    assert "밝기" in run(CommandLinePipeline(), "validate", *STEPS["validate"]).stdout


@pytest.mark.parametrize(
    "command",
    [*([step, *STEPS[step]] for step in ("roll-back", "hot-swap", "force-promote")), ["abort-canary", "v1.1.0", *WHO]],
    ids=lambda command: command[0],
)
def test_what_people_do_is_published_after_it_happened(run, command):
    pipeline = CommandLinePipeline(abort_canary=True)
    assert run(pipeline, *command).exit_code == 0
    assert pipeline.names() == [command[0].replace("-", "_"), "publish_soon"]


@pytest.fixture
def run_unread(monkeypatch, two_types):
    """Runs one command whose readers, of stdout and stderr, have gone; its exit status."""

    def invoke(pipeline, *arguments):
        monkeypatch.setattr(Pipeline, "from_env", classmethod(lambda cls: pipeline))
        monkeypatch.setattr("pipeline.__main__.write_lines", lambda form: None)
        for name in ("stdout", "stderr"):
            read, write = os.pipe()
            os.close(read)
            monkeypatch.setattr(sys, name, os.fdopen(write, "w"))
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        sys.stdout.close()
        sys.stderr.close()
        return ended.value.code

    return invoke


@pytest.mark.parametrize("command", [*(command for command, _ in ASKED), ("abort-canary", "v1.1.0", *WHO)])
def test_a_command_does_all_that_it_does_and_succeeds_though_nobody_reads_what_it_says(run, run_unread, command):
    read, unread = CommandLinePipeline(), CommandLinePipeline()
    assert run(read, *command).exit_code == run_unread(unread, *command) == 0
    assert calls(unread) == calls(read)


def test_a_rollback_that_nobody_reads_says_by_its_status_that_replicas_are_missing(run_unread):
    pipeline = CommandLinePipeline(missing=["replica-2: no answer"])
    assert run_unread(pipeline, "roll-back", *STEPS["roll-back"]) == 3
    assert pipeline.names() == ["roll_back", "publish_soon"]


@pytest.mark.parametrize("command", ["hot-swap", "force-promote", "roll-back"])
def test_what_was_done_is_published_before_it_is_shown(monkeypatch, run, command):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    pipeline = CommandLinePipeline()
    monkeypatch.setattr("pipeline.people_commands.click.echo", full)
    with pytest.raises(OSError, match="No space left"):
        run(pipeline, command, *STEPS[command])
    assert pipeline.names()[-1] == "publish_soon"


@pytest.mark.parametrize("command", ["hot-swap", "force-promote"])
def test_what_was_done_is_published_while_the_registry_is_behind_too(run_module, command):
    pipeline = CommandLinePipeline(**{command.replace("-", "_"): RegistryBehind("LAUNDRY", "v1.1.0", UNAVAILABLE)})
    assert run_module(pipeline, command, *STEPS[command])[0] == 3
    assert pipeline.names()[-1] == "publish_soon"


def test_a_retraining_goes_through_every_step_in_order(run):
    pipeline = CommandLinePipeline()
    answer = json.loads(run(pipeline, "retrain", *STEPS["retrain"]).stdout)
    assert pipeline.names() == ["outcome_of_run", "begin_run", "collect", *WHOLE_RUN]
    assert (answer["version"], pipeline.ended()) == ("v1.1.0", [("r1", "deployed")])


def test_the_first_model_goes_the_same_way_in_the_name_of_whoever_asks(run):
    pipeline = CommandLinePipeline()
    done = run(pipeline, "first-model", "s3://archive/photos/", *FACE, "--actor", "kim")
    assert json.loads(done.stdout)["version"] == "v1.1.0" and "photos: 200/200 copied" in done.stderr
    assert pipeline.names() == ["outcome_of_run", "begin_run", "collect_first", *WHOLE_RUN]
    assert pipeline.only("begin_run") == ("first-face", "FACE", Asker("command line", "kim", by_hand=True))
    assert pipeline.only("collect_first")[:3] == ("first-face", "FACE", "s3://archive/photos/")
    assert pipeline.only("hot_swap") == ("FACE", "v1.1.0", "kim", "run first-face", "first-face")


def test_a_retraining_that_somebody_forced_goes_live_in_that_name(run):
    pipeline = CommandLinePipeline()
    run(pipeline, "retrain", *STEPS["retrain"], "--force", "kim")
    assert pipeline.only("hot_swap")[2] == "kim"


def test_a_folder_that_says_no_labels_ends_the_first_model_with_a_sentence(run_module):
    refused = DatasetRefused("no label is called wet: folders may be 양호 (or good)")
    pipeline = CommandLinePipeline(collect_first=refused)
    code, lines = run_module(pipeline, "first-model", *STEPS["first-model"], "--run-id", "r1")
    assert (code, lines[-1]) == (1, f"refused: {refused}")
    assert pipeline.ended() == [("r1", "failed")]


@pytest.mark.parametrize(("held", "outcome"), [(False, "refused"), (True, "held")])
def test_a_refused_or_held_model_is_neither_registered_nor_served(run_module, held, outcome):
    told = {"reasons": ["worse"], "advice": "look at the data", "report_uri": "s3://r", "report_url": "http://r"}
    pipeline = CommandLinePipeline(verdict={"accepted": False, "held": held, **told})
    code, lines = run_module(pipeline, "retrain", *STEPS["retrain"])
    said = f"refused: the model of run r1 was {outcome}: worse. What may help: look at the data. Report: http://r"
    assert (code, lines[-1]) == (1, said)
    assert {"register", "hot_swap"}.isdisjoint(pipeline.names())
    assert pipeline.ended() == [("r1", outcome)]


def test_a_retraining_that_is_not_due_touches_nothing(run):
    pipeline = CommandLinePipeline(due=False)
    result = run(pipeline, "retrain", *STEPS["retrain"])
    assert json.loads(result.stdout)["reason"] == "12 corrections, 100 needed"
    assert pipeline.names() == ["outcome_of_run", "begin_run"]


@pytest.mark.parametrize("step", ["collect", "validate", "augment_slice", "train", "decide", "register", "hot_swap"])
def test_a_retraining_that_fails_releases_its_claim(run_module, step):
    pipeline = CommandLinePipeline(**{step: UNAVAILABLE})
    code, lines = run_module(pipeline, "retrain", *STEPS["retrain"])
    assert (code, lines[-1]) == (75, "try again: RabbitMQ is unavailable: connection refused")
    assert pipeline.ended() == [("r1", "failed")]


def test_a_retraining_that_is_asked_to_end_releases_its_claim(run_module):
    class EndedFromOutside(CommandLinePipeline):
        def validate(self, dataset_id):
            os.kill(os.getpid(), signal.SIGTERM)

    pipeline, before = EndedFromOutside(), signal.getsignal(signal.SIGTERM)
    code, lines = run_module(pipeline, "retrain", *STEPS["retrain"])
    signal.signal(signal.SIGTERM, before)
    assert (code, pipeline.ended()) == (75, [("r1", "failed")])
    assert lines[-1].startswith("try again: training was interrupted (asked to end)")


@pytest.mark.parametrize("command", ["retrain", "first-model"])
def test_a_second_start_of_a_run_that_lives_touches_nothing_of_it(run_module, command):
    pipeline = CommandLinePipeline(attended=RunBusy("another process works at run r1"))
    code, lines = run_module(pipeline, command, *STEPS[command])
    assert (code, lines[-1], pipeline.names()) == (75, "try again: another process works at run r1", [])


def test_a_run_that_another_process_took_over_does_not_release_the_claim_of_that_one(run_module):
    class Lost:
        def __enter__(self):
            """The work begins."""

        def __exit__(self, *raised):
            raise ClaimLost("run r1 has no claim any more")

    pipeline = CommandLinePipeline(said_to_live=Lost())
    code, lines = run_module(pipeline, "retrain", *STEPS["retrain"])
    assert (code, lines[-1]) == (1, "refused: run r1 has no claim any more")
    assert pipeline.ended() == [] and pipeline.names()[-1] == "publish_soon"


class Faces(Desk):
    """Every step of a retraining of faces succeeds; `answers` says where one does not."""

    def __init__(self, **answers):
        learned = {"head": "identity", "threshold": 0.4}
        steps = {"outcome_of_run": None, "end_run": None, "collect": {}, "set_aside": [], "learn": learned}
        ready = {"begin_run": {"due": True, "reason": "60"}, **steps, "judge": ACCEPTED, "register": "v1.1.0"}
        super().__init__(FacePipeline, **{**ready, **answers})


@pytest.fixture
def retrain_faces(monkeypatch, run_module):
    def invoke(faces):
        monkeypatch.setattr(FacePipeline, "from_env", classmethod(lambda cls: faces))
        return run_module(CommandLinePipeline(), "face-retraining", *RUN)

    return invoke


@pytest.mark.parametrize(
    ("step", "code", "outcome"),
    [
        ({}, 0, "deployed"),
        ({"learn": UNAVAILABLE}, 75, "failed"),
        ({"judge": {"accepted": False, "held": True, "reasons": ["too alike"]}}, 1, "held"),
        ({"judge": {"accepted": False, "held": False, "reasons": ["worse"]}}, 1, "refused"),
    ],
    ids=["deployed", "out of reach", "held", "refused"],
)
def test_a_retraining_of_faces_gives_its_claim_back_however_it_ends(retrain_faces, step, code, outcome):
    faces = Faces(**step)
    assert (retrain_faces(faces)[0], faces.only("end_run")[:2]) == (code, ("r1", outcome))


def test_a_retraining_of_faces_that_is_asked_to_end_releases_its_claim(retrain_faces):
    def end(*_):
        os.kill(os.getpid(), signal.SIGTERM)

    faces, before = Faces(collect=end), signal.getsignal(signal.SIGTERM)
    code, lines = retrain_faces(faces)
    signal.signal(signal.SIGTERM, before)
    assert (code, faces.only("end_run")[:2]) == (75, ("r1", "failed"))
    assert lines[-1].startswith("try again: training was interrupted (asked to end)")


def test_a_retraining_of_faces_that_is_not_due_touches_nothing(retrain_faces):
    faces = Faces(begin_run={"due": False, "reason": "12 corrections, 50 needed"})
    assert retrain_faces(faces)[0] == 0 and faces.names() == ["outcome_of_run", "begin_run"]


@pytest.mark.parametrize("ended", ["deployed", "refused"])
def test_the_id_of_a_run_that_ended_is_used_up(run_module, ended):
    pipeline = CommandLinePipeline(outcome_of_run=ended)
    code, lines = run_module(pipeline, "retrain", *STEPS["retrain"])
    why = f"refused: run r1 was {ended} already, nothing would be trained: choose another --run-id"
    assert (code, lines[-1], pipeline.names()) == (1, why, ["outcome_of_run"])


@pytest.mark.parametrize("ended", ["failed", "held"])
def test_a_run_that_failed_or_waited_goes_on(run_module, ended):
    pipeline = CommandLinePipeline(outcome_of_run=ended)
    assert run_module(pipeline, "retrain", *STEPS["retrain"])[0] == 0
    assert pipeline.ended() == [("r1", "deployed")]


def test_a_reconcile_that_misses_a_replica_may_be_repeated(run_module):
    pipeline = CommandLinePipeline(missing=["replica-2 does not answer"])
    assert run_module(pipeline, "reconcile", *STEPS["reconcile"])[0] == 75


def test_a_rollback_that_misses_a_replica_is_done_and_not_to_be_asked_again(run_module):
    pipeline = CommandLinePipeline(missing=["replica-2 does not answer"])
    code, lines = run_module(pipeline, "roll-back", *STEPS["roll-back"])
    assert (code, lines[-1]) == (3, f"done, but not everywhere: replica-2 does not answer: {FINISHES}")


def test_so_is_one_of_which_the_registry_was_not_told(run_module):
    pipeline = CommandLinePipeline(roll_back={**CHANGED, "missing": [], "registry_is_behind": True})
    code, lines = run_module(pipeline, "roll-back", *STEPS["roll-back"])
    assert (code, lines[-1]) == (3, f"done, but not everywhere: the registry is behind: {FINISHES}")


@pytest.mark.parametrize("command", ["hot-swap", "force-promote"])
def test_a_version_that_serves_is_said_to_serve_while_the_registry_is_away(run_module, command):
    behind = RegistryBehind("LAUNDRY", "v1.1.0", ServiceUnavailable("MLflow", "connection refused"))
    pipeline = CommandLinePipeline(**{command.replace("-", "_"): behind})
    code, lines = run_module(pipeline, command, *STEPS[command])
    assert code == 3 and lines[-1] == (
        "done, but not everywhere: v1.1.0 went live on every replica; the registry is behind (MLflow is unavailable: "
        "connection refused): `python -m pipeline reconcile --model-type LAUNDRY` mends it"
    )


def test_a_rollback_that_was_refused_announces_nothing_and_what_was_found_done_before_it_is_told(run_module):
    pipeline = CommandLinePipeline(roll_back=GiveUp("v9.9.9 never served"))
    assert run_module(pipeline, "roll-back", *STEPS["roll-back"])[0] == 1
    assert pipeline.names() == ["roll_back", "publish_soon"]


def test_a_rollback_that_failed_is_told_for_nobody_tries_it_again(run_module):
    pipeline = CommandLinePipeline(roll_back=UNAVAILABLE, announce_failed_rollback=None)
    assert run_module(pipeline, "roll-back", *STEPS["roll-back"])[0] == 75
    ((_, asked, *_, request_id),) = (values for name, values, _ in pipeline.asked if name == "roll_back")
    told = ("LAUNDRY", asked, request_id, "RabbitMQ is unavailable: connection refused")
    assert pipeline.asked[-2:] == [("announce_failed_rollback", told, {}), ("publish_soon", (), {})]


def test_a_version_that_could_not_be_archived_is_a_failure_that_names_it(run_module):
    why = {"v1.0.0": "it stays where it is: model.xml is not what was registered"}
    pipeline = CommandLinePipeline(retire={"selected": ["v1.0.0", "v1.1.0"], "archived": ["v1.1.0"], "failed": why})
    code, lines = run_module(pipeline, "retire")
    assert (code, lines[-1]) == (1, f"refused: v1.0.0: {why['v1.0.0']}")


def test_every_command_is_a_request_of_its_own(run_module):
    pipeline = CommandLinePipeline()
    for _ in range(2):
        run_module(pipeline, "hot-swap", *STEPS["hot-swap"])
    assert len({values[-1] for name, values, _ in pipeline.asked if name == "hot_swap"}) == 2


def test_a_whole_retraining_is_one_request_named_by_its_run(run_module):
    pipeline = CommandLinePipeline()
    run_module(pipeline, "retrain", "--run-id", "r1")
    assert pipeline.only("hot_swap") == ("LAUNDRY", "v1.1.0", "command line", "run r1", "r1")
