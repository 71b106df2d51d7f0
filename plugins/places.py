"""Where a task runs: beside the scheduler, or on a worker that takes tasks of its queue (`RETRAIN_EXECUTOR=celery`).

Without workers all run beside the scheduler, and a queue means nothing.
"""

import logging
from typing import Any

from airflow.configuration import conf

from include.contract.work_queues import CPU_HEAVY, GPU
from pipeline.bootstrap.settings_at_start import Places
from pipeline.bootstrap.settings_at_start import places as wanted

__all__ = ("CPU_HEAVY", "GPU", "beside", "beside_scheduler", "of_slices")
log = logging.getLogger(__name__)
_BESIDE = "BesideSchedulerExecutor"


def places() -> Places:
    """What the settings say, where Airflow was started so: a DAG that names an executor it does not have is gone."""
    said = wanted()
    if not said.distributed or _BESIDE in conf.get("core", "executor"):
        return said
    log.warning("RETRAIN_EXECUTOR=celery has no effect: AIRFLOW__CORE__EXECUTOR lacks %s", _BESIDE)
    return said._replace(distributed=False)


def beside() -> str | None:
    """The executor of what may wait for no worker; None where all run beside the scheduler."""
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
    distributed, at_once = places()
    return {"queue": CPU_HEAVY, "max_active_tis_per_dag": at_once, **({"pool": "slices"} if distributed else {})}
