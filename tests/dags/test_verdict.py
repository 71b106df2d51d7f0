"""After the verdict: the report's button, and one more run where other hyperparameters may help."""

import copy
from types import SimpleNamespace

import pytest
from airflow.sdk import TriggerRule
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, DagRunTriggerException
from hypothesis import given
from hypothesis import strategies as st

from dags.face_model_retraining import face_model_retraining
from dags.model_promotion import model_promotion
from dags.model_retraining import laundry
from dags.model_rollback import model_rollback
from pipeline.bootstrap import GiveUp, Pipeline
from pipeline.domain.errors import ServiceUnavailable
from plugins.verdict.links import VerificationReportLink
from plugins.verdict.retry_after_refusal import NOT_TRAVELLING, conf_of_retry
from tests.dags.running import DagRun

ADVICE = {
    "run_id": "retry-of-run-1",
    "reason": "run-1 was refused: …",
    "dataset_id": "DS-2026-001",
    "hyperparameters": {"epochs": 100},
}
face, promotion, rollback = face_model_retraining(), model_promotion(), model_rollback()
_PAGE = "http://airflow.example/plugin/models?model_type="
FIELDS = sorted(laundry.params)
OWN = {"force": True, "reason": ADVICE["reason"], "dataset_id": "DS-2026-001"}


@pytest.fixture
def an_address(monkeypatch):
    """Where people find Airflow."""
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "http://airflow.example/")


def conf_of(desk, advice=ADVICE, **form):
    desk.answers["retry"] = advice
    with pytest.raises(DagRunTriggerException) as triggered:
        DagRun(laundry, **form).do("retry")
    return triggered.value


def some_value_of(name):
    """What a person may enter in this field; None where it may stay empty."""
    schema = laundry.params.get_param(name).schema
    return from_schema({key: value for key, value in schema.items() if key not in {"section", "description_md"}})


def from_schema(schema):
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    low, high = schema.get("minimum", 1e-9), schema.get("maximum", 0.999)
    made = {
        "null": st.none(),
        "boolean": st.booleans(),
        "integer": st.integers(int(low), int(high)),
        "number": st.floats(low, high),
        "string": st.from_regex(schema["pattern"], fullmatch=True) if "pattern" in schema else st.text(max_size=500),
    }
    return st.one_of([made[kind] for kind in kinds])


def test_the_same_dag_runs_again_on_the_same_dataset_with_the_advised_hyperparameters_on_top(desk):
    triggered = conf_of(desk, epochs=50, backbone="ResNet50", rollout="canary", approval=True)
    assert (triggered.trigger_dag_id, triggered.dag_run_id) == (laundry.dag_id, "retry-of-run-1")
    assert triggered.skip_when_already_exists and triggered.logical_date is None
    assert desk.only("retry") == ("run-1",)
    assert triggered.conf == {
        **OWN,
        **{"epochs": 100, "backbone": "ResNet50", "rollout": "canary", "approval": True, "sweep": False},
        **dict.fromkeys(("batch_size", "learning_rate", "label_smoothing")),
    }


@given(form=st.fixed_dictionaries({name: some_value_of(name) for name in FIELDS}))
def test_whatever_a_person_asked_for_travels_with_the_retry(form):
    """Also in fields that are added later: what does not travel is listed with its reason."""
    travelling = [name for name in FIELDS if name not in NOT_TRAVELLING]
    conf = conf_of_retry(form, {**ADVICE, "hyperparameters": {}})
    assert {name: conf[name] for name in travelling} == {name: form[name] for name in travelling}
    assert {name: conf[name] for name in OWN} == OWN


def test_what_does_not_travel_is_a_field_that_the_retry_sets_itself():
    assert set(NOT_TRAVELLING) == set(OWN) <= set(FIELDS)
    assert all(NOT_TRAVELLING.values())


def test_the_form_accepts_the_conf_of_a_retry(desk):
    for name, value in conf_of(desk).conf.items():
        assert copy.deepcopy(laundry.params.get_param(name)).resolve(value) == value


def test_the_training_of_the_retry_gets_the_dataset_and_the_hyperparameters(desk):
    retry = DagRun(laundry, **conf_of(desk, backbone="ResNet50").conf)
    desk.answers["collect"] = "DS-2026-001"
    retry.do("collect")
    assert desk.only("collect")[2] == "DS-2026-001"
    expected = "--dataset-id DS-2026-001 --backbone ResNet50 --epochs 100"
    assert " ".join(rendered(retry, "train").split()).endswith(expected)


def rendered(run, task_id):
    task = copy.copy(run.dag.get_task(task_id)).prepare_for_execution()
    task.render_template_fields(run.context(task_id))
    return task.bash_command


def test_where_none_may_help_it_is_skipped(desk):
    desk.answers["retry"] = None
    with pytest.raises(AirflowSkipException, match="other hyperparameters cannot help, or enough of them were tried"):
        DagRun(laundry).do("retry")


@pytest.mark.parametrize("dag", [laundry], ids=lambda dag: dag.dag_id)
def test_only_a_failed_verdict_is_followed_by_a_retry_and_the_run_still_fails(dag):
    task = dag.get_task("retry")
    assert task.upstream_task_ids == {"decide"} and task.trigger_rule == TriggerRule.ONE_FAILED
    assert task.trigger_dag_id == dag.dag_id
    assert {leaf.task_id for leaf in dag.leaves} == {"finish", "retry"}


@pytest.mark.parametrize(("task_id", "name"), [("decide", "Verification report"), ("validate", "Data report")])
def test_a_report_is_a_button_of_the_task_that_wrote_it(task_id, name):
    (link,) = laundry.get_task(task_id).operator_extra_links
    pushed = {(task_id, "report_url"): "http://mlflow/report.html"}
    ti = SimpleNamespace(task_id=task_id, xcom_pull=lambda task_ids, key: pushed.get((task_ids, key)))
    assert isinstance(link, VerificationReportLink) and link.name == name
    assert link.get_link(None, ti_key=ti) == "http://mlflow/report.html"
    pushed.clear()
    assert link.get_link(None, ti_key=ti) == ""


@pytest.mark.parametrize(
    ("dag", "task_id", "name", "address"),
    [
        (laundry, "collect", "Dataset", "dataset_link('DS-2026-001',)"),
        (laundry, "train", "MLflow run", "experiment_link('run-2026-1', 'LAUNDRY')"),
        (laundry, "register", "MLflow run", "experiment_link('run-2026-1', 'LAUNDRY')"),
        (laundry, "hot_swap", "Replicas", _PAGE + "LAUNDRY"),
        (face, "hot_swap", "Replicas", _PAGE + "FACE"),
        (promotion, "hot_swap", "Replicas", _PAGE + "LAUNDRY"),
        (rollback, "roll_back", "Replicas", _PAGE + "LAUNDRY"),
    ],
    ids=lambda one: getattr(one, "dag_id", one),
)
@pytest.mark.usefixtures("an_address")
def test_what_belongs_to_a_task_is_a_button_of_it(desk, dag, task_id, name, address):
    for method in ("dataset_link", "experiment_link"):
        desk.answers[method] = lambda *about, method=method: f"{method}{about}"
    run = DagRun(dag, run_id="run:2026+1")
    run.results |= {"collect": "DS-2026-001", "register": "v1.1.0"}
    context = run.context(task_id)
    task = dag.get_task(task_id).prepare_for_execution()
    task.render_template_fields(context)
    (link,) = [one for one in task.operator_extra_links if one.name == name]
    assert link.get_link(task, ti_key=context["ti"]) == address
    # Whoever knows is away: the task is done all the same.
    desk.answers |= dict.fromkeys(("dataset_link", "experiment_link"), ServiceUnavailable("MLflow", "no answer"))
    assert link.get_link(task, ti_key=context["ti"]) in {"", address if name == "Replicas" else ""}


def test_buttons_of_one_task_do_not_take_each_others_place():
    for dag in (laundry, face, promotion, rollback):
        for task in dag.tasks:
            keys = [link.xcom_key for link in task.operator_extra_links]
            assert len(set(keys)) == len(keys)


def test_data_that_is_refused_has_its_report_as_a_button_all_the_same(desk):
    desk.answers |= {"collect": "DS-2026-001", "data_report": "http://s3/report", "validate": GiveUp("one class only")}
    run = DagRun(laundry)
    run.do("collect")
    with pytest.raises(AirflowFailException, match="one class only"):
        run.do("validate")
    assert run.pushed["validate", "report_url"] == "http://s3/report"


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        (
            {"accepted": False, "held": False, "advice": "more corrections are needed"},
            "was refused: too weak. Next: more",
        ),
        ({"accepted": False, "held": False, "advice": "more corrections"}, "was refused: too weak. Next: more"),
        (
            {"accepted": False, "held": True, "advice": ""},
            "waits for a person: too weak. Next: to let it go on,",
        ),
    ],
)
def test_the_task_that_decides_fails_with_a_sentence_and_the_reports_address(verdict, said):
    found = {"reasons": ["too weak"], "report_url": "http://mlflow/report.html", "report_uri": "s3://…", **verdict}
    with pytest.raises(GiveUp) as refused:
        Pipeline.demand_acceptance("run-1", found)
    assert said in str(refused.value) and "http://mlflow/report.html" in str(refused.value)
