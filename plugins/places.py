"""Where a task runs: beside the scheduler, on a worker that takes tasks of its queue (`RETRAIN_EXECUTOR=celery`), or in
a pod of its own, if it is heavy (`RETRAIN_EXECUTOR=kubernetes`). Without workers a queue means nothing.
"""

import logging
from typing import Any

from airflow.configuration import conf

from include.contract.work_queues import CPU_HEAVY, GPU
from pipeline.bootstrap.settings_at_start import Places
from pipeline.bootstrap.settings_at_start import places as wanted
from plugins.training_image import training_image

__all__ = ("CPU_HEAVY", "GPU", "beside", "beside_scheduler", "heavy", "of_slices")
log = logging.getLogger(__name__)
_BESIDE, _PODS = "BesideSchedulerExecutor", "KubernetesExecutor"


def places() -> Places:
    """What the settings say, if Airflow was started accordingly: a DAG that names a missing executor would vanish."""
    said = wanted()
    needed = _BESIDE if said.distributed else _PODS if said.in_pods else ""
    if needed in conf.get("core", "executor"):
        return said
    log.warning("RETRAIN_EXECUTOR has no effect: AIRFLOW__CORE__EXECUTOR lacks %s", needed)
    return said._replace(distributed=False, in_pods=False)


def beside() -> str | None:
    """The executor of tasks that must not wait for a worker; None where all run beside the scheduler."""
    return _BESIDE if places().distributed else None


def beside_scheduler() -> dict[str, Any]:
    """Defaults of a DAG that may wait neither for a worker nor for RabbitMQ, or needs a key that no worker has.

    Tasks that wait for workers fill the default pool, so these have another where they name none.
    """
    executor = beside()
    return {"executor": executor, "pool": "beside_scheduler"} if executor else {}


def of_slices() -> dict[str, Any]:
    """For the task that is there once a slice of photos: so many at once.

    Beside the scheduler they leave one slot of their pool to what takes seconds: events to publish, a replica to bring
    back. Where they wait for workers they have a pool of their own.
    """
    distributed, at_once, in_pods = places()
    apart = {"pool": "slices"} if distributed or in_pods else {}
    return {**heavy(), "max_active_tis_per_dag": at_once, **apart}


def heavy() -> dict[str, Any]:
    """For a task that would keep what takes seconds waiting. Its pod is that of include/k8s/task-pod.yaml."""
    if not places().in_pods:
        return {"queue": CPU_HEAVY}
    # Imported here because loading Kubernetes' client takes a while.
    from kubernetes.client import V1Container, V1Pod, V1PodSpec

    pod = V1Pod(spec=V1PodSpec(containers=[V1Container(name="base", image=training_image())]))
    return {"queue": CPU_HEAVY, "executor": _PODS, "executor_config": {"pod_override": pod}}
