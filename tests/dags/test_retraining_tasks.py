"""What cannot succeed later fails at once; the rest is tried again."""

import pytest
from airflow.sdk import RetryAction
from airflow.sdk.exceptions import AirflowFailException

from pipeline.bootstrap import Pipeline
from pipeline.domain.errors import ModelRefused, ServiceUnavailable
from plugins.retraining_tasks import step
from plugins.retraining_tasks.training import ExitCodeRetryPolicy


@pytest.fixture(autouse=True)
def wired(monkeypatch):
    monkeypatch.setattr(Pipeline, "from_env", classmethod(lambda cls: "the pipeline"))


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
    ("code", "action"), [(1, RetryAction.FAIL), (75, RetryAction.DEFAULT), (137, RetryAction.DEFAULT)]
)
def test_the_trainings_exit_code_says_whether_another_try_helps(code, action):
    failed = RuntimeError(f"Bash command failed. The command returned a non-zero exit code {code}.")
    assert ExitCodeRetryPolicy().evaluate(failed, 1, 3).action == action
