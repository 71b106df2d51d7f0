"""After the verdict: the report's button, and one more run where other hyperparameters may help."""

from types import SimpleNamespace

import pytest
from airflow.sdk import TriggerRule
from airflow.sdk.exceptions import AirflowSkipException, DagRunTriggerException

from dags.model_retraining import face, laundry
from pipeline.bootstrap import GiveUp, Pipeline
from plugins.retraining_tasks.verdict import VerificationReportLink

ADVICE = {"run_id": "retry-of-run-1", "reason": "run-1 was refused: …", "hyperparameters": {"epochs": 100}}


def retry_task(monkeypatch, answer):
    monkeypatch.setattr(Pipeline, "from_env", classmethod(lambda cls: SimpleNamespace(retry=lambda run: answer)))
    return laundry.get_task("retry")


def test_the_same_dag_runs_again_with_the_hyperparameters_that_change(monkeypatch):
    ti = SimpleNamespace(task_id="retry", xcom_push=lambda *values, **named: None)
    with pytest.raises(DagRunTriggerException) as triggered:
        retry_task(monkeypatch, ADVICE).execute({"ti": ti})
    assert (triggered.value.trigger_dag_id, triggered.value.dag_run_id) == (laundry.dag_id, "retry-of-run-1")
    assert triggered.value.conf == {"force": True, "reason": ADVICE["reason"], "epochs": 100}


def test_where_none_may_help_it_is_skipped(monkeypatch):
    with pytest.raises(AirflowSkipException):
        retry_task(monkeypatch, None).execute({})


@pytest.mark.parametrize("dag", [laundry, face], ids=lambda dag: dag.dag_id)
def test_only_a_failed_verdict_is_followed_by_a_retry_and_the_run_still_fails(dag):
    task = dag.get_task("retry")
    assert task.upstream_task_ids == {"decide"} and task.trigger_rule == TriggerRule.ONE_FAILED
    assert task.trigger_dag_id == dag.dag_id
    assert {leaf.task_id for leaf in dag.leaves} == {"finish", "retry"}


def test_advised_hyperparameters_fit_the_form():
    assert {"epochs", "backbone", "learning_rate", "label_smoothing"} <= set(laundry.params)


def test_the_report_is_a_button_of_the_task_that_decides():
    (link,) = laundry.get_task("decide").operator_extra_links
    pushed = {("decide", "report_url"): "http://mlflow/report.html"}
    ti = SimpleNamespace(task_id="decide", xcom_pull=lambda task_ids, key: pushed.get((task_ids, key)))
    assert isinstance(link, VerificationReportLink)
    assert link.get_link(None, ti_key=ti) == "http://mlflow/report.html"


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        (
            {"accepted": False, "held": False, "advice": "more corrections are needed"},
            "was refused: too weak. Next: more",
        ),
        ({"accepted": False, "held": False, "advice": "more corrections"}, "was refused: too weak. Next: more"),
        ({"accepted": False, "held": True, "advice": ""}, "waits for a person: too weak. To let it go on: `python -m"),
    ],
)
def test_the_task_that_decides_fails_with_a_sentence_and_the_reports_address(verdict, said):
    found = {"reasons": ["too weak"], "report_url": "http://mlflow/report.html", "report_uri": "s3://…", **verdict}
    with pytest.raises(GiveUp) as refused:
        Pipeline.demand_acceptance("run-1", found)
    assert said in str(refused.value) and "http://mlflow/report.html" in str(refused.value)
