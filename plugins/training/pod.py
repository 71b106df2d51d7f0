"""The train task as a GPU pod (`RETRAIN_TRAINING_RUNTIME=kubernetes`)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk.exceptions import AirflowException
from kubernetes.client import V1EnvVar, V1EnvVarSource, V1Pod, V1ResourceRequirements, V1SecretKeySelector

from pipeline.bootstrap import settings_at_start
from plugins.outside.pipeline import thresholds_beside
from plugins.training.command import blame_memory, train_arguments
from plugins.training.place import put
from plugins.training.spot_retry_policy import SpotRetryPolicy
from plugins.training_image import demand_by_digest, training_image

_POD = Path(__file__).resolve().parents[2] / "include/k8s/train-pod.yaml"
_RETRIES = 4
_SCRATCH = "8Gi"
# A cluster makes a GPU node on demand: that takes minutes, not the default two.
_NODE_SECONDS = 900
_EXECUTION = timedelta(hours=6)
# Of a Secret of its own: what people confirmed at doors, and photos, a training on garments has no business with.
OF_FACES = "face-training"
_KEYS_OF_FACES = ("RETRAIN_ACCESS_DSN", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


class TrainingPod(KubernetesPodOperator):
    """Arguments that render to nothing (form fields left empty) are left out; one may render to several words.

    A pod killed for its memory cannot say so to the pipeline: it is recorded here, and the next one asks for less.
    A pod that never started is deleted, so that it does not begin beside the next one.
    """

    arguments: list[str]
    wanted: settings_at_start.TrainingPod
    env_vars: list[Any]

    def execute(self, context: Any) -> Any:
        demand_by_digest(self.image)
        self.env_vars = [*self.env_vars, *(V1EnvVar(name, raw) for name, raw in thresholds_beside().items())]
        return super().execute(context)

    def build_pod_request_obj(self, context: Any = None, *, dry_run: bool = False) -> V1Pod:
        self.arguments = self._words()
        pod = super().build_pod_request_obj(context, dry_run=dry_run)
        ti = (context or {}).get("ti")
        put(pod.spec, self.wanted, last_try=ti is not None and ti.try_number > ti.max_tries)
        for container in pod.spec.containers:
            # What is said here counts, and not what the template says of the same variable.
            container.env = list({variable.name: variable for variable in container.env}.values())
        return pod

    def trigger_reentry(self, context: Any, event: dict[str, Any]) -> Any:
        try:
            return super().trigger_reentry(context, event)
        except AirflowException:
            # Of faces nothing would ask for less.
            if self.pod is not None and "--dataset-id" in self.arguments and _ran_out_of_memory(self.pod):
                blame_memory(self._words(), "the pod was killed for its memory (OOMKilled)")
            raise

    def process_pod_deletion(self, pod: V1Pod, *, reraise: bool = True) -> bool:
        if pod is not None and pod.status.phase == "Pending":
            self.pod_manager.delete_pod(pod)
            return True
        deleted: bool = super().process_pod_deletion(pod, reraise=reraise)
        return deleted

    def _words(self) -> list[str]:
        return [word for argument in self.arguments for word in argument.split()]


def _ran_out_of_memory(pod: V1Pod) -> bool:
    statuses = pod.status.container_statuses or []
    return any(s.state.terminated is not None and s.state.terminated.reason == "OOMKilled" for s in statuses)


def train_in_pod(model_type: str, run_id: str) -> KubernetesPodOperator:
    """The `train` task. `run_id` may be a template: checkpoints are kept under it, never under the attempt, so the next
    attempt resumes. Raises `FileNotFoundError`.
    """
    return _pod(model_type, train_arguments(model_type, run_id), settings_at_start.training_pod(), ())


def learn_faces_in_pod(model_type: str, run_id: str) -> KubernetesPodOperator:
    """What of a face retraining needs TensorFlow; `run_id` as above. A head is learned on processors."""
    of_faces = [
        V1EnvVar(
            name,
            value_from=V1EnvVarSource(
                secret_key_ref=V1SecretKeySelector(name=OF_FACES, key=name, optional=name.startswith("AWS_"))
            ),
        )
        for name in _KEYS_OF_FACES
    ]
    without_gpus = replace(settings_at_start.training_pod(), gpus=0)
    return _pod(model_type, ["face-learn", "--run-id", run_id], without_gpus, of_faces)


def _pod(
    model_type: str, arguments: list[str], wanted: settings_at_start.TrainingPod, variables: Sequence[V1EnvVar]
) -> KubernetesPodOperator:
    """What is the same for every run is in the pod template, the rest here.

    Raises `FileNotFoundError` without the template: a pod that Kubernetes would be asked for all the same would have no
    rights, no settings and no GPU.
    """
    if not _POD.is_file():
        raise FileNotFoundError(f"{_POD} is missing: without it no training can start in Kubernetes")
    task = TrainingPod(
        task_id="train",
        name=f"train-{model_type.lower()}",
        image=training_image(),
        cmds=["python", "-m", "pipeline"],
        arguments=arguments,
        labels={"app.kubernetes.io/name": "retraining-train", "model-type": model_type.lower()},
        pod_template_file=str(_POD),
        container_resources=_resources(wanted),
        # So that a pod whose GPUs are not to be seen fails, instead of training on its processors for days.
        env_vars=[V1EnvVar("RETRAIN_DEMANDED_GPUS", str(wanted.gpus)), *variables],
        deferrable=True,
        poll_interval=20,
        logging_interval=60,
        startup_timeout_seconds=_NODE_SECONDS,
        schedule_timeout_seconds=_NODE_SECONDS,
        on_finish_action="delete_succeeded_pod",
        termination_message_policy="FallbackToLogsOnError",
        log_events_on_failure=True,
        execution_timeout=_EXECUTION,
        retries=_RETRIES,
        retry_policy=SpotRetryPolicy(),
        pool="training",
    )
    task.wanted = wanted
    return task


def _resources(wanted: settings_at_start.TrainingPod) -> V1ResourceRequirements:
    memory = f"{wanted.memory_gb}Gi"
    gpus = {"nvidia.com/gpu": str(wanted.gpus)} if wanted.gpus else {}
    requests = {"cpu": f"{wanted.cpus:g}", "memory": memory, "ephemeral-storage": _SCRATCH}
    return V1ResourceRequirements(requests=requests, limits={"memory": memory, **gpus})
