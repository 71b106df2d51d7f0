"""Heavy tasks in pods of their own (`RETRAIN_EXECUTOR=kubernetes`), as the manifests have it."""

from typing import Any

import kubernetes_validate
import pytest
import yaml
from airflow.providers.cncf.kubernetes.kube_config import KubeConfig
from airflow.providers.cncf.kubernetes.kubernetes_helper_functions import create_unique_id
from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator
from kubernetes.client import ApiClient

from include.stack.executor import POOLS, pools
from include.stack.layout import REPOSITORY
from plugins import places
from plugins.outside.connections import SOURCES
from tests.dags.conftest import OUTSIDE
from tests.dags.telling import found_by
from tests.kubernetes_clients import rendered

_K8S = REPOSITORY / "include/k8s"
_IMAGE = "registry.example/laundry-training@sha256:" + "ab" * 32
_READ = """
from airflow.dag_processing.dagbag import DagBag
from airflow.executors.executor_loader import ExecutorLoader
from airflow.serialization.serialized_objects import DagSerialization
bag = DagBag("dags")
for dag in bag.dags.values():
    DagSerialization.to_dict(dag)
tasks = [(f"{dag.dag_id}.{task.task_id}", task) for dag in bag.dags.values() for task in dag.tasks]
found = {name: [task.executor, task.pool, task.executor_config.get("pod_override") is not None] for name, task in tasks}
named = {task.executor for _, task in tasks if task.executor}
from tests.dags.telling import tell
tell([bag.import_errors, found, [str(ExecutorLoader.lookup_executor_name_by_str(one)) for one in named]])
"""


@pytest.fixture(scope="module")
def told() -> dict[str, str]:
    """What ConfigMaps say to Airflow's parts, with the image by digest."""
    maps = {m["metadata"]["name"]: m["data"] for m in rendered(_K8S / "overlays/cpu") if m["kind"] == "ConfigMap"}
    return {**maps["retraining"], **maps["storage"], **maps["airflow"], "RETRAIN_TRAINING_IMAGE": _IMAGE}


@pytest.fixture(scope="module")
def read(told: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a part of Airflow in the cluster reads in the DAGs folder."""
    own = {"AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow"))}
    own |= {"AIRFLOW__CORE__LOAD_EXAMPLES": "False", "AIRFLOW__METRICS__OTEL_ON": "False"}
    found, _ = found_by("-c", _READ, variables={**OUTSIDE, **told, **own})
    return found


def test_slices_and_verification_have_pods_and_what_takes_seconds_waits_for_none(read: Any) -> None:
    errors, tasks, executors = read
    assert errors == {}
    in_pods = {name for name, (executor, *_) in tasks.items() if executor}
    assert in_pods == {
        "laundry_model_retraining.augment_slice",
        "laundry_model_retraining.verify.accuracy",
        "laundry_model_retraining.verify.performance",
    }
    assert {name for name, (*_, own_image) in tasks.items() if own_image} == in_pods
    # Airflow was started with it: a DAG that names another one is gone.
    assert len(executors) == 1 and "KubernetesExecutor" in executors[0]


def test_every_pool_of_theirs_is_made_and_slices_take_no_slot_of_an_emergency(read: Any, told: dict[str, str]) -> None:
    _, tasks, _ = read
    made = pools(told)
    assert {pool for _, pool, _ in tasks.values()} == set(made)
    # Airflow counts the tasks of all its executors together, also those whose pods wait for a node.
    most = pools({**told, "RETRAIN_SLICES_AT_ONCE": "4"})
    assert sum(int(str(pool["slots"])) for pool in most.values()) < int(told["AIRFLOW__CORE__PARALLELISM"])
    assert {name: made[name] for name in POOLS} == POOLS


@pytest.fixture
def pod(told: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Of one slice, made as the executor makes it."""
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    chosen = places.of_slices()
    assert chosen["executor"] == "KubernetesExecutor"
    template = told["AIRFLOW__KUBERNETES_EXECUTOR__POD_TEMPLATE_FILE"]
    assert template == "/opt/retraining/include/k8s/task-pod.yaml"
    made = PodGenerator.construct_pod(
        dag_id="laundry_model_retraining",
        task_id="augment_slice",
        pod_id=create_unique_id("laundry_model_retraining", "augment_slice"),
        try_number=1,
        kube_image=KubeConfig().kube_image,
        date=None,
        args=["python", "-m", "airflow.sdk.execution_time.execute_workload"],
        pod_override_object=PodGenerator.from_obj(chosen["executor_config"]),
        base_worker_pod=PodGenerator.deserialize_model_file(str(_K8S / "task-pod.yaml")),
        namespace=told["AIRFLOW__KUBERNETES_EXECUTOR__NAMESPACE"],
        scheduler_job_id="1",
    )
    found: dict[str, Any] = ApiClient().sanitize_for_serialization(made)
    return found


def test_the_pod_fits_the_schema_of_kubernetes_and_runs_the_image_of_trainings(pod: dict[str, Any]) -> None:
    kubernetes_validate.validate(pod, "1.33", strict=True)
    (container,) = pod["spec"]["containers"]
    assert (container["name"], container["image"]) == ("base", _IMAGE)
    assert pod["metadata"]["labels"]["tier"] == "airflow" and pod["metadata"]["namespace"] == "retraining"
    assert container["securityContext"]["readOnlyRootFilesystem"] is True


def test_the_pod_has_what_tasks_need_and_no_key_of_airflow_itself(pod: dict[str, Any], told: dict[str, str]) -> None:
    (container,) = pod["spec"]["containers"]
    variables = {**told, **{one["name"]: one for one in container["env"]}}
    assert {name for source in SOURCES if source.needed for name in source.gives} <= set(variables)
    secrets = {one["valueFrom"]["secretKeyRef"]["name"] for one in container["env"] if "valueFrom" in one}
    values = yaml.safe_load((_K8S / "airflow/values.yaml").read_text())
    of_airflow = {values[name] for name in ("fernetKeySecretName", "jwtSecretName", "apiSecretKeySecretName")}
    assert secrets == {"airflow"} and not secrets & {*of_airflow, values["data"]["metadataSecretName"]}
    assert not [name for name in variables if name.startswith(("AIRFLOW__DATABASE", "AIRFLOW__API_AUTH"))]
    assert pod["spec"]["automountServiceAccountToken"] is False
    # Nor what signs models, and what copies every database.
    assert not {"RETRAIN_SIGNING_KEY", "RETRAIN_BACKUP_DSN"} & set(variables)


def test_without_that_executor_the_setting_alone_takes_no_dag_away(
    told: dict[str, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("RETRAIN_EXECUTOR", "kubernetes")
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "LocalExecutor")
    assert places.heavy() == {"queue": places.CPU_HEAVY} and "pool" not in places.of_slices()
    assert "AIRFLOW__CORE__EXECUTOR lacks KubernetesExecutor" in caplog.text
