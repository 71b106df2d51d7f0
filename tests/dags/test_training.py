"""What cannot succeed later fails at once; the rest is tried again."""

import copy
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from airflow.sdk import RetryAction
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from dags.model_retraining import laundry
from pipeline.bootstrap import Pipeline
from pipeline.domain.errors import ModelRefused, ServiceUnavailable
from plugins.steps import step
from plugins.training import local
from plugins.training.command import blame_memory
from plugins.training.local import ExitCodeRetryPolicy, LocalTraining
from plugins.training.memory import memory_is_to_blame, oom_kills
from tests.dags.running import DagRun


@pytest.fixture(autouse=True)
def wired(monkeypatch):
    monkeypatch.setattr(Pipeline, "from_env", classmethod(lambda cls, *_: "the pipeline"))


def raising(error):
    def call(pipeline):
        raise error

    return call


def test_a_step_gets_the_pipeline_and_its_answer_is_passed_on():
    assert step(lambda p: f"{p} answered") == "the pipeline answered"


def test_giving_up_fails_the_task_without_retries():
    with pytest.raises(AirflowFailException, match="ModelRefused: golden predictions differ"):
        step(raising(ModelRefused("golden predictions differ")))


def test_an_outage_is_left_to_airflows_retries():
    with pytest.raises(ServiceUnavailable):
        step(raising(ServiceUnavailable("S3", "timed out")))


@pytest.mark.parametrize(
    ("code", "action"),
    [(1, RetryAction.FAIL), (75, RetryAction.DEFAULT), (137, RetryAction.DEFAULT), (-9, RetryAction.DEFAULT)],
)
def test_the_trainings_exit_code_says_whether_another_try_helps(code, action):
    failed = RuntimeError(f"Bash command failed. The command returned a non-zero exit code {code}.")
    assert ExitCodeRetryPolicy().evaluate(failed, 1, 3).action == action


class Recording:
    """Notes which runs are said to have died of memory."""

    def __init__(self):
        self.blamed = []

    def blame_memory(self, run_id, dataset_id, detail):
        self.blamed.append((run_id, dataset_id, detail))
        return "batch size 32 → 16"


@pytest.mark.parametrize(
    ("script", "kernel_killed", "blamed"),
    [
        ("kill -9 $$", 1, True),
        ("exit 137", 1, True),
        ("kill -9 $$", 0, False),
        ("exit 75", 1, False),
    ],
)
def test_a_local_training_that_the_kernel_killed_for_memory_is_recorded_as_such(
    monkeypatch, script, kernel_killed, blamed
):
    pipeline, counter = Recording(), iter([7, 7 + kernel_killed])
    monkeypatch.setattr(Pipeline, "from_env", classmethod(lambda cls, *_: pipeline))
    monkeypatch.setattr(local, "oom_kills", lambda: next(counter))
    command = f"{script} # train --run-id run-1 --dataset-id DS-1"
    task = LocalTraining(task_id="train", bash_command=command, env={}, append_env=True)
    with pytest.raises(AirflowException, match="exit code"):
        task.execute({})
    assert [run for run, *_ in pipeline.blamed] == (["run-1"] if blamed else [])


def test_the_kernels_own_count_of_memory_kills_is_read(tmp_path):
    counters = tmp_path / "vmstat"
    counters.write_text("nr_free_pages 12\noom_kill 3\n")
    assert oom_kills(counters) == 3
    assert oom_kills(tmp_path / "missing") is None
    assert oom_kills() == oom_kills(Path("/proc/vmstat"))


@pytest.mark.parametrize(
    ("code", "before", "after", "blamed"),
    [(-9, 3, 4, True), (137, None, None, True), (137, 3, 3, False), (143, 3, 4, False), (0, 3, 4, False)],
)
def test_memory_is_blamed_for_an_outright_kill_unless_the_kernel_denies_it(code, before, after, blamed):
    assert memory_is_to_blame(code, before, after) is blamed


def test_the_training_runs_here_with_the_environment_of_the_worker_unless_told_otherwise():
    task = laundry.get_task("train")
    assert isinstance(task, LocalTraining) and task.append_env
    assert task.pool == "training" and task.execution_timeout == timedelta(hours=6)
    assert isinstance(task.retry_policy, ExitCodeRetryPolicy)


def test_empty_fields_of_the_form_are_no_options_of_the_command():
    run = DagRun(laundry, batch_size=16, learning_rate=0.01, label_smoothing=0.0, epochs=3, backbone="ResNet50")
    run.results["collect"] = "DS-2026-001"
    assert rendered(run) == (
        f"exec {sys.executable} -m pipeline train --model-type LAUNDRY --run-id run-1 --dataset-id DS-2026-001"
        " --backbone ResNet50 --epochs 3 --batch-size 16 --learning-rate 0.01 --label-smoothing 0.0"
    )
    run = DagRun(laundry)
    run.results["collect"] = "DS-2026-001"
    assert rendered(run).endswith("--dataset-id DS-2026-001")


def rendered(run):
    task = copy.copy(run.dag.get_task("train")).prepare_for_execution()
    task.render_template_fields(run.context("train"))
    return " ".join(task.bash_command.split())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("batch size 32 → 16", "batch size 32 → 16"),
        (None, "nothing, no attempt was running"),
    ],
)
def test_the_log_says_what_the_next_try_changes(desk, capsys, change, said):
    desk.answers["blame_memory"] = change
    blame_memory(["train", "--run-id", "run-1", "--dataset-id", "DS-1"], "killed")
    assert desk.only("blame_memory") == ("run-1", "DS-1", "killed")
    assert capsys.readouterr().out == f"killed; next: {said}\n"


def test_giving_up_says_so_in_the_grid():
    failed = RuntimeError("The command returned a non-zero exit code 1.")
    assert (
        ExitCodeRetryPolicy().evaluate(failed, 1, 3).reason
        == "the training gave up: another try would end the same way"
    )
    assert ExitCodeRetryPolicy().evaluate(RuntimeError("no code"), 1, 3).action is RetryAction.DEFAULT
