"""The train task of the retraining DAG when it runs in a GPU pod."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import kubernetes_validate
import pytest
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import RetryAction
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from kubernetes.client import ApiClient

from dags.face_model_retraining import face_model_retraining
from dags.model_retraining import model_retraining
from plugins.training.pod import OF_FACES
from tests.dags.running import DagRun

IMAGE = "retraining@sha256:" + "ab" * 32
RUN = "scheduled__2026-03-01T17:00:00+00:00"


@pytest.fixture
def dag(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("RETRAIN_TRAINING_RUNTIME", "kubernetes")
    monkeypatch.setenv("RETRAIN_TRAINING_IMAGE", IMAGE)
    return model_retraining("LAUNDRY", None)


def _context(dag: Any, *, attempt: int = 1, **params: object) -> dict[str, Any]:
    """What Airflow gives a task of run `RUN`; `attempt` counts from 1 to 5."""
    options = ("backbone", "epochs", "batch_size", "learning_rate", "label_smoothing")
    form = {**dict.fromkeys(options), **params}
    ti = SimpleNamespace(
        dag_id=dag.dag_id,
        task_id="train",
        run_id=RUN,
        try_number=attempt,
        max_tries=4,
        map_index=-1,
        start_date=datetime.now(UTC),
        xcom_pull=lambda task_ids: "DS-2026-001" if task_ids == "collect" else None,
    )
    return {"ti": ti, "dag": dag, "run_id": RUN, "params": form}


def _pod(dag: Any, *, attempt: int = 1, **params: object) -> dict[str, Any]:
    """The pod of one attempt, as it is sent to Kubernetes."""
    context = _context(dag, attempt=attempt, **params)
    task = dag.get_task("train").prepare_for_execution()
    task.render_template_fields(context)
    found: dict[str, Any] = ApiClient().sanitize_for_serialization(task.build_pod_request_obj(context, dry_run=True))
    return found


def test_the_pod_fits_the_schema_of_kubernetes(dag: Any) -> None:
    kubernetes_validate.validate(_pod(dag), "1.33", strict=True)


def test_the_pod_asks_for_what_the_specification_says(dag: Any) -> None:
    (container,) = _pod(dag)["spec"]["containers"]
    assert container["resources"] == {
        "requests": {"cpu": "8", "memory": "16Gi", "ephemeral-storage": "8Gi"},
        "limits": {"memory": "16Gi", "nvidia.com/gpu": "2"},
    }
    assert {"name": "RETRAIN_DEMANDED_GPUS", "value": "2"} in container["env"]


def test_settings_make_the_pod_larger_smaller_or_do_without_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRAIN_TRAINING_RUNTIME", "kubernetes")
    for name, value in (("GPUS", "0"), ("CPUS", "3.5"), ("MEMORY_GB", "12")):
        monkeypatch.setenv(f"RETRAIN_TRAINING_POD_{name}", value)
    spec = _pod(model_retraining("LAUNDRY", None))["spec"]
    assert spec["containers"][0]["resources"]["requests"]["cpu"] == "3.5"
    assert spec["containers"][0]["resources"]["limits"] == {"memory": "12Gi"}
    assert {"name": "RETRAIN_DEMANDED_GPUS", "value": "0"} in spec["containers"][0]["env"]
    assert spec["nodeSelector"] == {"karpenter.sh/capacity-type": "spot"}


@pytest.mark.parametrize("nodes", ["karpenter", "gke", "eks", "plain"])
def test_spot_nodes_with_the_gpus_are_asked_for_until_the_last_attempt_which_nobody_takes_away(
    monkeypatch: pytest.MonkeyPatch, nodes: str
) -> None:
    monkeypatch.setenv("RETRAIN_TRAINING_RUNTIME", "kubernetes")
    monkeypatch.setenv("RETRAIN_TRAINING_POD_NODES", nodes)
    dag = model_retraining("LAUNDRY", None)
    assert dag.get_task("train").retries == 4
    placed = [_pod(dag, attempt=n)["spec"] for n in range(1, 6)]
    for pod in placed:
        kubernetes_validate.validate(
            {"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": pod}, "1.33", strict=True
        )
    early, last = placed[:4], placed[4]
    spot, lasting, t4 = {
        "karpenter": (
            {"karpenter.sh/capacity-type": "spot"},
            {"karpenter.sh/capacity-type": "on-demand"},
            {"karpenter.k8s.aws/instance-gpu-name": "t4"},
        ),
        "gke": ({"cloud.google.com/gke-spot": "true"}, {}, {"cloud.google.com/gke-accelerator": "nvidia-tesla-t4"}),
        "eks": (
            {"eks.amazonaws.com/capacityType": "SPOT"},
            {"eks.amazonaws.com/capacityType": "ON_DEMAND"},
            {"nvidia.com/gpu.product": "Tesla-T4"},
        ),
        "plain": (
            {"retraining/capacity": "spot"},
            {"retraining/capacity": "on-demand"},
            {"nvidia.com/gpu.product": "Tesla-T4"},
        ),
    }[nodes]
    assert all(pod["nodeSelector"] == {**spot, **t4} and not pod.get("affinity") for pod in early)
    assert last["nodeSelector"] == {**lasting, **t4}
    # GKE labels spot nodes only.
    node_affinity = last.get("affinity", {}).get("nodeAffinity", {})
    terms = node_affinity.get("requiredDuringSchedulingIgnoredDuringExecution", {})
    without = [rule for term in terms.get("nodeSelectorTerms", ()) for rule in term["matchExpressions"]]
    assert without == ([] if lasting else [{"key": "cloud.google.com/gke-spot", "operator": "DoesNotExist"}])


def test_another_kind_of_gpu_is_a_label(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRAIN_TRAINING_RUNTIME", "kubernetes")
    monkeypatch.setenv("RETRAIN_TRAINING_POD_GPU_LABEL", "nvidia.com/gpu.product=NVIDIA-L4")
    assert _pod(model_retraining("LAUNDRY", None))["spec"]["nodeSelector"]["nvidia.com/gpu.product"] == "NVIDIA-L4"


def test_every_spot_node_and_gpu_node_tolerates_the_pod(dag: Any) -> None:
    tolerated = {t["key"] for t in _pod(dag)["spec"]["tolerations"]}
    spot = {"karpenter.sh/capacity-type", "cloud.google.com/gke-spot", "retraining/capacity"}
    assert tolerated == {"nvidia.com/gpu", *spot}


def test_a_missing_template_is_an_import_error_of_the_dag(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("RETRAIN_TRAINING_RUNTIME", "kubernetes")
    monkeypatch.setattr("plugins.training.pod._POD", tmp_path / "train-pod.yaml")
    with pytest.raises(FileNotFoundError, match="train-pod.yaml is missing: without it no training can start"):
        model_retraining("LAUNDRY", None)


def test_the_pod_runs_the_pinned_image_with_settings_and_the_secrets_of_a_training(dag: Any) -> None:
    (container,) = _pod(dag)["spec"]["containers"]
    assert container["image"] == IMAGE
    assert container["envFrom"] == [{"configMapRef": {"name": name}} for name in ("retraining", "storage")]
    secret = {one["name"] for one in container["env"] if "valueFrom" in one}
    assert secret == {"RETRAIN_MLOPS_DSN", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD"}


# Faces


@pytest.fixture
def faces(dag: Any) -> Any:
    """Where trainings are in pods, too."""
    return face_model_retraining()


def test_what_of_faces_needs_tensorflow_is_in_a_pod_and_the_tasks_after_it_find_it_done(faces: Any) -> None:
    order = ["begin", "train", "collect", "learn", "decide", "register", "hot_swap"]
    assert all(faces.get_task(b).upstream_task_ids == {a} for a, b in pairwise(order))
    pod = _pod(faces)
    kubernetes_validate.validate(pod, "1.33", strict=True)
    (container,) = pod["spec"]["containers"]
    assert container["image"] == IMAGE and container["command"] == ["python", "-m", "pipeline"]
    assert container["args"] == ["face-learn", "--run-id", "scheduled__2026-03-01T17-00-00-00-00"]


def test_faces_are_learned_on_processors(faces: Any) -> None:
    spec = _pod(faces)["spec"]
    assert spec["containers"][0]["resources"]["limits"] == {"memory": "16Gi"}
    assert {"name": "RETRAIN_DEMANDED_GPUS", "value": "0"} in spec["containers"][0]["env"]
    assert not [label for label in spec["nodeSelector"] if "gpu" in label]


def test_only_a_pod_that_learns_faces_reads_what_people_confirmed_at_doors(dag: Any, faces: Any) -> None:
    known = {
        of: [
            (one["name"], one["valueFrom"]["secretKeyRef"]["name"])
            for one in _pod(made)["spec"]["containers"][0]["env"]
            if "valueFrom" in one
        ]
        for of, made in (("garments", dag), ("faces", faces))
    }
    keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    both = {(name, "retraining") for name in ("RETRAIN_MLOPS_DSN", "MLFLOW_TRACKING_PASSWORD")}
    assert set(known["garments"]) == both | {(name, "retraining") for name in keys}
    assert set(known["faces"]) == both | {(name, OF_FACES) for name in (*keys, "RETRAIN_ACCESS_DSN")}
    # Each once: of two values it would depend on the order which one counts.
    assert len(known["faces"]) == len(set(known["faces"]))


def test_where_trainings_are_at_home_faces_are_too() -> None:
    assert "train" not in face_model_retraining().task_ids


def test_a_pod_of_faces_that_ran_out_of_memory_fails_as_it_is(
    faces: Any, desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _resumed(faces, _ended("OOMKilled"), monkeypatch)
    assert desk.asked == []


def test_the_pod_trains_the_dataset_under_the_run_whatever_the_attempt(dag: Any) -> None:
    first, third = (_pod(dag, attempt=n)["spec"]["containers"][0] for n in (1, 3))
    # Checkpoints are kept under the run id: the third attempt finds those of the first.
    run = "scheduled__2026-03-01T17-00-00-00-00"
    expected = ["train", "--model-type", "LAUNDRY", "--run-id", run, "--dataset-id", "DS-2026-001"]
    assert first["command"] == ["python", "-m", "pipeline"]
    assert first["args"] == third["args"] == expected


def test_hyperparameters_of_the_form_reach_the_pod(dag: Any) -> None:
    args = _pod(dag, backbone="EfficientNetLite0", epochs=3, learning_rate=0.01)["spec"]["containers"][0]["args"]
    assert args[-6:] == ["--backbone", "EfficientNetLite0", "--epochs", "3", "--learning-rate", "0.01"]
    assert _pod(dag, sweep=True)["spec"]["containers"][0]["args"][-1] == "--sweep"


def test_the_task_waits_in_the_triggerer_and_one_at_a_time(dag: Any) -> None:
    task = dag.get_task("train")
    assert task.deferrable
    assert task.pool == "training"
    assert task.startup_timeout_seconds >= 900
    assert task.on_finish_action.value == "delete_succeeded_pod"


@pytest.mark.parametrize(
    ("said", "action"),
    [
        (
            "Pod failed: conditions: [{'type': 'DisruptionTarget', 'reason': 'EvictionByEvictionAPI'}]",
            RetryAction.RETRY,
        ),
        ("Pod retraining/train-x not found: PodNotFoundException", RetryAction.RETRY),
        ("status: reason: NodeShutdown", RetryAction.RETRY),
        ("terminated: exit_code: 1, message: refused: dataset DS-1 is invalid", RetryAction.FAIL),
        ("terminated: exit_code: 75, message: try again: S3 is unavailable", RetryAction.DEFAULT),
        ("terminated: exit_code: 1, message: Traceback (most recent call last)", RetryAction.DEFAULT),
    ],
)
def test_what_a_failed_pod_says_decides_whether_another_is_started(dag: Any, said: str, action: RetryAction) -> None:
    decision = dag.get_task("train").retry_policy.evaluate(RuntimeError(said), 1, 4)
    assert decision.action is action


def _resumed(dag: Any, pod: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """What becomes of a pod that ended badly while the task waited for it."""
    task = dag.get_task("train").prepare_for_execution()
    context = _context(dag)
    task.render_template_fields(context)
    task.pod = pod

    def failed(self: Any, context: Any, event: Any) -> None:
        raise AirflowException("Pod train-x returned a failure")

    monkeypatch.setattr(KubernetesPodOperator, "trigger_reentry", failed)
    with pytest.raises(AirflowException) as error:
        task.trigger_reentry(context, {})
    return str(error.value)


def _ended(reason: str | None) -> Any:
    terminated = SimpleNamespace(reason=reason) if reason else None
    statuses = [SimpleNamespace(state=SimpleNamespace(terminated=terminated))]
    return SimpleNamespace(status=SimpleNamespace(container_statuses=statuses))


@pytest.mark.parametrize(
    ("pod", "blamed"),
    [
        (_ended("OOMKilled"), True),
        (_ended("Error"), False),
        (_ended(None), False),
        (SimpleNamespace(status=SimpleNamespace(container_statuses=None)), False),
        (None, False),
    ],
    ids=["out of memory", "error", "gone", "never started", "no pod"],
)
def test_a_pod_killed_for_its_memory_is_recorded_as_such(
    dag: Any, desk: Any, monkeypatch: pytest.MonkeyPatch, pod: Any, blamed: bool
) -> None:
    desk.answers["blame_memory"] = "batch size 32 → 16"
    assert _resumed(dag, pod, monkeypatch) == "Pod train-x returned a failure"
    why = ("scheduled__2026-03-01T17-00-00-00-00", "DS-2026-001", "the pod was killed for its memory (OOMKilled)")
    assert [values for _, values, _ in desk.asked] == ([why] if blamed else [])


@pytest.mark.parametrize(("phase", "deleted"), [("Pending", ["train-x"]), ("Failed", [])])
def test_a_pod_that_never_started_does_not_begin_beside_the_next_one(
    dag: Any, monkeypatch: pytest.MonkeyPatch, phase: str, deleted: list[str]
) -> None:
    pod = SimpleNamespace(metadata=SimpleNamespace(name="train-x"), status=SimpleNamespace(phase=phase))
    task, gone = dag.get_task("train").prepare_for_execution(), []
    monkeypatch.setattr(
        type(task), "pod_manager", SimpleNamespace(delete_pod=lambda pod: gone.append(pod.metadata.name))
    )
    monkeypatch.setattr(KubernetesPodOperator, "process_pod_deletion", lambda self, pod, reraise: ("kept", reraise))
    answer = task.process_pod_deletion(pod, reraise=False)
    assert gone == deleted and answer == (True if deleted else ("kept", False))
    assert task.process_pod_deletion(pod) == (True if deleted else ("kept", True))


def test_how_patiently_a_pod_is_waited_for(dag: Any) -> None:
    task = dag.get_task("train")
    assert (task.poll_interval, task.logging_interval) == (20, 60)
    assert task.startup_timeout_seconds == task.schedule_timeout_seconds == 900
    assert task.execution_timeout == timedelta(hours=6)
    assert task.termination_message_policy == "FallbackToLogsOnError" and task.log_events_on_failure


def test_a_pod_says_what_it_is_for(dag: Any) -> None:
    metadata = _pod(dag)["metadata"]
    assert metadata["name"].startswith("train-laundry-")
    assert {"app.kubernetes.io/name": "retraining-train", "model-type": "laundry"}.items() <= metadata["labels"].items()


@pytest.mark.parametrize(
    ("said", "sentence", "minutes"),
    [
        ("NodeLost", "the spot node went away: training resumes on another one", 2),
        ("Preempting", "the spot node went away: training resumes on another one", 2),
        ("refused: no", "the training gave up: another try would end the same way", None),
    ],
)
def test_the_decision_says_why(dag: Any, said: str, sentence: str, minutes: int | None) -> None:
    decision = dag.get_task("train").retry_policy.evaluate(RuntimeError(said), 1, 4)
    assert decision.reason == sentence
    assert decision.retry_delay == (timedelta(minutes=minutes) if minutes else None)


@pytest.mark.parametrize("image", ["", "retraining:latest", "retraining@sha256:abc"])
@pytest.mark.parametrize("task_id", ["begin", "train"])
def test_without_an_image_by_digest_the_dag_loads_and_its_first_task_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, image: str, task_id: str
) -> None:
    monkeypatch.setenv("RETRAIN_TRAINING_RUNTIME", "kubernetes")
    monkeypatch.setenv("RETRAIN_TRAINING_IMAGE", image)
    with pytest.raises(AirflowFailException, match=r"RETRAIN_TRAINING_IMAGE.* by digest"):
        DagRun(model_retraining("LAUNDRY", None)).do(task_id)
