"""The training pod's life against a stand-in Kubernetes API: started by the task, watched by the trigger, judged at the
end, exactly as Airflow does it with a deferrable task.
"""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from airflow.providers.cncf.kubernetes.utils.pod_manager import PodNotFoundException
from airflow.sdk import RetryAction
from airflow.sdk.exceptions import AirflowException, TaskDeferred
from kmock import KubernetesEmulator, resource

from dags.model_retraining import model_retraining
from pipeline.bootstrap import Pipeline
from tests.dags.conftest import OUTSIDE

pytestmark = [pytest.mark.integration, pytest.mark.asyncio]

RUN = "manual__2026-03-01T17:00:00+00:00"
PODS = resource("", "v1", "pods")


class Cluster:
    """Plays scheduler and node: decides what happens to the one pod that was created."""

    def __init__(self, api: KubernetesEmulator) -> None:
        self._api = api
        api.resources[PODS] = {}
        api["get", "/api/v1/namespaces/retraining/events"] << {"items": [], "metadata": {"resourceVersion": "1"}}

    @property
    def pod_names(self) -> list[str]:
        return [name for _, _, name in self._api.objects if name]

    def _pod(self) -> Any:
        return self._api.objects[PODS, "retraining", self.pod_names[-1]]

    @property
    def pod(self) -> dict[str, Any]:
        found: dict[str, Any] = self._pod().last.raw
        return found

    @property
    def pod_is_there(self) -> bool:
        return not self._pod().deleted

    def log(self, text: str) -> None:
        self._api["get", f"/api/v1/namespaces/retraining/pods/{self.pod_names[-1]}/log"] << text.encode()

    def becomes(self, phase: str, state: dict[str, Any], conditions: tuple[dict[str, str], ...] = ()) -> None:
        container = {"name": "base", "ready": False, "restartCount": 0, "image": "x", "imageID": "x", "state": state}
        scheduled = {"type": "PodScheduled", "status": "True"}
        status = {"phase": phase, "conditions": [scheduled, *conditions], "containerStatuses": [container]}
        self._pod().patch({"status": status})

    def ends(
        self, code: int, message: str = "", *, reason: str = "Error", conditions: tuple[dict[str, str], ...] = ()
    ) -> None:
        now = datetime.now(UTC).isoformat()
        terminated = {"exitCode": code, "message": message, "reason": reason, "startedAt": now, "finishedAt": now}
        self.becomes("Failed" if code else "Succeeded", {"terminated": terminated}, conditions)

    def cannot_pull(self) -> None:
        self.becomes("Pending", {"waiting": {"reason": "ErrImagePull", "message": "manifest unknown"}})

    def finds_no_node(self) -> None:
        unschedulable = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
        self._pod().patch({"status": {"phase": "Pending", "conditions": [unschedulable]}})

    def vanishes(self) -> None:
        self._pod().delete()


class Attempt:
    """One attempt of the train task, in the three acts Airflow plays: execute, trigger, re-entry."""

    def __init__(self, number: int = 1, patience_seconds: int = 600) -> None:
        dag = model_retraining("LAUNDRY", None)
        self.task: Any = dag.get_task("train").prepare_for_execution()
        self.task.poll_interval = self.task.startup_check_interval_seconds = 0.05
        self.task.schedule_timeout_seconds = self.task.startup_timeout_seconds = patience_seconds
        self.pushed: dict[str, object] = {}
        ti = SimpleNamespace(
            dag_id=dag.dag_id,
            task_id="train",
            run_id=RUN,
            try_number=number,
            max_tries=4,
            map_index=-1,
            start_date=datetime.now(UTC),
            xcom_pull=lambda task_ids: "DS-2026-001",
            xcom_push=lambda key, value: self.pushed.update({key: value}),
        )
        form = {"backbone": None, "epochs": 3, "batch_size": None, "learning_rate": None, "label_smoothing": None}
        self.context: dict[str, Any] = {"ti": ti, "task_instance": ti, "dag": dag, "run_id": RUN, "params": form}

    async def starts(self) -> TaskDeferred:
        self.task.render_template_fields(self.context)
        with pytest.raises(TaskDeferred) as deferred:
            await asyncio.to_thread(self.task.execute, self.context)
        return deferred.value

    async def is_watched(self, deferred: TaskDeferred) -> dict[str, Any]:
        event = await asyncio.wait_for(anext(deferred.trigger.run()), timeout=240)
        payload: dict[str, Any] = event.payload
        return payload

    async def ends(self, event: dict[str, Any]) -> None:
        await asyncio.to_thread(self.task.trigger_reentry, self.context, event)


@pytest.fixture
def cluster(kmock: KubernetesEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "stand-in",
        "clusters": [{"name": "stand-in", "cluster": {"server": str(kmock.url).rstrip("/")}}],
        "users": [{"name": "airflow", "user": {"token": "airflow"}}],
        "contexts": [{"name": "stand-in", "context": {"cluster": "stand-in", "user": "airflow"}}],
    }
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    connection = {"conn_type": "kubernetes", "extra": {"kube_config_path": str(path)}}
    monkeypatch.setenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", json.dumps(connection))
    # Airflow knows the outside world; a pod has its own way to it.
    for name, value in OUTSIDE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RETRAIN_TRAINING_RUNTIME", "kubernetes")
    monkeypatch.setenv("RETRAIN_TRAINING_IMAGE", "retraining@sha256:" + "ab" * 32)
    return Cluster(kmock)


async def test_a_training_that_succeeds_leaves_no_pod_behind(cluster: Cluster) -> None:
    attempt = Attempt()
    deferred = await attempt.starts()
    cluster.log("epoch 3/3\n")
    cluster.becomes("Running", {"running": {"startedAt": datetime.now(UTC).isoformat()}})
    watching = asyncio.create_task(attempt.is_watched(deferred))
    await asyncio.sleep(0.3)
    assert not watching.done()
    cluster.ends(0)
    event = await watching
    assert event["status"] == "success"
    await attempt.ends(event)
    assert cluster.pod["spec"]["containers"][0]["args"][:3] == ["train", "--model-type", "LAUNDRY"]
    assert not cluster.pod_is_there


async def test_a_pod_whose_spot_node_is_taken_is_tried_again(cluster: Cluster) -> None:
    attempt = Attempt()
    deferred = await attempt.starts()
    cluster.log("epoch 2/3\n")
    taken = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
    cluster.ends(143, conditions=(taken,))
    event = await attempt.is_watched(deferred)
    assert event["status"] == "failed"
    with pytest.raises(AirflowException) as failed:
        await attempt.ends(event)
    assert attempt.task.retry_policy.evaluate(failed.value, 1, 4).action is RetryAction.RETRY


async def test_a_pod_that_is_gone_is_tried_again(cluster: Cluster) -> None:
    attempt = Attempt()
    deferred = await attempt.starts()
    cluster.vanishes()
    event = await attempt.is_watched(deferred)
    assert event["status"] == "error"
    with pytest.raises(PodNotFoundException) as failed:
        await attempt.ends(event)
    assert attempt.task.retry_policy.evaluate(failed.value, 1, 4).action is RetryAction.RETRY


async def test_a_training_that_gave_up_is_not_tried_again(cluster: Cluster) -> None:
    attempt = Attempt()
    deferred = await attempt.starts()
    cluster.log("refused: dataset DS-2026-001 is too small\n")
    cluster.ends(1, "refused: dataset DS-2026-001 is too small")
    event = await attempt.is_watched(deferred)
    with pytest.raises(AirflowException) as failed:
        await attempt.ends(event)
    assert attempt.task.retry_policy.evaluate(failed.value, 1, 4).action is RetryAction.FAIL
    # Kept, so that a person can look at it.
    assert cluster.pod_is_there


@pytest.fixture
def blamed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Run and dataset of each training that is recorded as killed for its memory."""
    found: list[tuple[str, str]] = []

    class Recording:
        def blame_memory(self, run_id: str, dataset_id: str, detail: str) -> str:
            found.append((run_id, dataset_id))
            return "batch size 32 → 16"

    monkeypatch.setattr(Pipeline, "from_env", classmethod(lambda cls, *_: Recording()))
    return found


async def test_a_pod_killed_for_its_memory_is_recorded_and_tried_again(
    cluster: Cluster, blamed: list[tuple[str, str]]
) -> None:
    attempt = Attempt()
    deferred = await attempt.starts()
    cluster.log("epoch 2/3\n")
    cluster.ends(137, reason="OOMKilled")
    event = await attempt.is_watched(deferred)
    with pytest.raises(AirflowException) as failed:
        await attempt.ends(event)
    assert blamed == [("manual__2026-03-01T17-00-00-00-00", "DS-2026-001")]
    assert attempt.task.retry_policy.evaluate(failed.value, 1, 4).action is RetryAction.DEFAULT


async def test_a_pod_that_failed_otherwise_is_not_blamed_on_memory(
    cluster: Cluster, blamed: list[tuple[str, str]]
) -> None:
    attempt = Attempt()
    deferred = await attempt.starts()
    cluster.log("try again: S3 is unavailable\n")
    cluster.ends(75, "try again: S3 is unavailable")
    event = await attempt.is_watched(deferred)
    with pytest.raises(AirflowException, match="S3 is unavailable") as failed:
        await attempt.ends(event)
    assert blamed == []
    assert attempt.task.retry_policy.evaluate(failed.value, 1, 4).action is RetryAction.DEFAULT


async def test_an_image_that_cannot_be_pulled_fails_the_attempt_with_the_reason_and_leaves_no_pod(
    cluster: Cluster,
) -> None:
    attempt = Attempt()
    deferred = await attempt.starts()
    cluster.log("")
    cluster.cannot_pull()
    event = await attempt.is_watched(deferred)
    with pytest.raises(AirflowException, match="ErrImagePull") as failed:
        await attempt.ends(event)
    assert attempt.task.retry_policy.evaluate(failed.value, 1, 4).action is RetryAction.DEFAULT
    assert not cluster.pod_is_there


async def test_a_pod_that_finds_no_node_is_taken_away_and_tried_again(cluster: Cluster) -> None:
    attempt = Attempt(patience_seconds=3)
    deferred = await attempt.starts()
    cluster.log("")
    cluster.finds_no_node()
    event = await attempt.is_watched(deferred)
    assert event["status"] == "timeout"
    with pytest.raises(AirflowException) as failed:
        await attempt.ends(event)
    assert attempt.task.retry_policy.evaluate(failed.value, 1, 4).action is RetryAction.DEFAULT
    assert not cluster.pod_is_there


async def test_a_worker_that_died_finds_the_pod_it_had_started(cluster: Cluster) -> None:
    first = Attempt()
    await first.starts()
    cluster.becomes("Running", {"running": {"startedAt": datetime.now(UTC).isoformat()}})
    again = Attempt()
    await again.starts()
    assert len(cluster.pod_names) == 1
    assert again.pushed == first.pushed
