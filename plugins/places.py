"""Where a task runs: beside the scheduler, or on a worker that takes tasks of its queue (`RETRAIN_EXECUTOR=celery`).

Without workers all run beside the scheduler, and a queue means nothing.
"""

from typing import Any

from include.contract.work_queues import CPU_HEAVY, GPU
from pipeline.bootstrap.settings_at_start import places

__all__ = ("CPU_HEAVY", "GPU", "beside_scheduler", "of_slices")


def beside_scheduler() -> dict[str, Any]:
    """Defaults of a DAG that may wait neither for a worker nor for RabbitMQ, or needs a key that no worker has.

    Tasks that wait for workers fill the default pool, so these have another where they name none.
    """
    return {"executor": "BesideSchedulerExecutor", "pool": "beside_scheduler"} if places().distributed else {}


def of_slices() -> dict[str, Any]:
    """For the task that is there once a slice of photos: so many at once.

    Beside the scheduler they leave one slot of their pool to what takes seconds: events to publish, a replica to bring
    back. Where they wait for workers they have a pool of their own.
    """
    distributed, at_once = places()
    return {"queue": CPU_HEAVY, "max_active_tis_per_dag": at_once, **({"pool": "slices"} if distributed else {})}
