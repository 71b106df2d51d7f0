"""Where Airflow's tasks run: beside the scheduler, and on workers (`celery`) or in pods (`kubernetes`)."""

import json
from collections.abc import Mapping
from pathlib import Path

from include.contract.work_queues import SLICES_AT_ONCE, VIRTUAL_HOST

# Airflow's pools, by name; a rollback has one of its own. An executor slot for every slot of every pool, and one for a
# process that has ended and is not yet counted as gone: so no other task can take an emergency's place.
POOLS: dict[str, dict[str, object]] = json.loads(Path(__file__).with_name("pools.json").read_text())
PARALLELISM = 9
_MOST_WORKERS = 64
# Two backups at work leave two slots for tasks that take seconds.
_BESIDE = 4
# The first takes what names none. A task keeps the executor that it was made for: the second is there also where nobody
# takes tasks away, so that what is left from a time with workers is not passed over for ever.
_BESIDE_SCHEDULER = "plugins.ready_executor.BesideSchedulerExecutor"
_LOCAL = ("plugins.ready_executor.ReadyLocalExecutor", _BESIDE_SCHEDULER)
_WITH_WORKERS = ("plugins.patient_executor.PatientCeleryExecutor", _BESIDE_SCHEDULER)
# What the local stack keeps of it from one start to the next, unless it is said anew.
CHOICE = ("RETRAIN_EXECUTOR", "STACK_WORKERS", "RETRAIN_SLICES_AT_ONCE")
# The bucket of tasks' logs, where local files vanish with their host.
LOGS = "airflow-logs"


class ExecutorRefused(RuntimeError):
    """A setting of where tasks run that cannot be; one sentence."""


def distributed(variables: Mapping[str, str]) -> bool:
    return variables.get("RETRAIN_EXECUTOR") == "celery"


def logs_in_s3(variables: Mapping[str, str]) -> bool:
    return distributed(variables) or variables.get("AIRFLOW__LOGGING__REMOTE_LOGGING") == "True"


def choose(kept: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
    """The settings of `CHOICE` from now on: as `variables` say, otherwise as before. Raises `ExecutorRefused`."""
    choice = {**kept, **{name: variables[name] for name in CHOICE if name in variables}}
    executor = choice.get("RETRAIN_EXECUTOR", "local")
    if executor not in {"local", "celery"}:
        raise ExecutorRefused(f"RETRAIN_EXECUTOR is {executor!r}: one of local, celery is needed")
    workers_wanted(choice)
    return choice if distributed(choice) else {}


def workers_wanted(variables: Mapping[str, str]) -> int:
    """How many workers the local stack starts for what takes long, besides one for the rest; `ExecutorRefused`."""
    if not distributed(variables):
        return 0
    raw = variables.get("STACK_WORKERS", "2")
    if not (raw.isascii() and raw.isdigit() and 1 <= int(raw) <= _MOST_WORKERS):
        raise ExecutorRefused(f"STACK_WORKERS is {raw!r}: a whole number from 1 to {_MOST_WORKERS} is needed")
    return int(raw)


def pools(variables: Mapping[str, str]) -> dict[str, dict[str, object]]:
    """With workers or pods, slices of photos have a pool of their own, and so has what runs beside a scheduler with
    workers.
    """
    if not distributed(variables) and variables.get("RETRAIN_EXECUTOR") != "kubernetes":
        return POOLS
    slices = "slices of photos that are prepared, or wait for a worker or a pod"
    apart = {"slices": {"slots": _at_once(variables), "include_deferred": False, "description": slices}}
    if distributed(variables):
        beside = "what waits for no worker: the monitor, backups, what follows a rollback"
        apart["beside_scheduler"] = {"slots": _BESIDE, "include_deferred": False, "description": beside}
    return {**POOLS, **apart}


def executor_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """Variables for every part of Airflow, workers included."""
    if not distributed(variables):
        return {
            "AIRFLOW__CORE__EXECUTOR": ",".join(_LOCAL),
            "AIRFLOW__CORE__PARALLELISM": str(PARALLELISM),
        }
    return {
        "AIRFLOW__CORE__EXECUTOR": ",".join(_WITH_WORKERS),
        "AIRFLOW__CORE__PARALLELISM": str(PARALLELISM + _BESIDE + _at_once(variables)),
        "AIRFLOW__CELERY__CELERY_CONFIG_OPTIONS": "plugins.celery_settings.CONFIG",
        # RabbitMQ confirms each task, on a busy machine not within a second.
        "AIRFLOW__CELERY__OPERATION_TIMEOUT": "3",
        # A host that is gone says nothing any more: after this its tasks are tried again elsewhere. A busy one may
        # be silent for minutes.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "600",
        # How long a slice may wait for a worker before it counts as lost.
        "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "3600",
        # Local log files vanish with their hosts.
        "AIRFLOW__LOGGING__REMOTE_LOGGING": "True",
        "AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER": f"s3://{LOGS}/",
        "AIRFLOW__LOGGING__REMOTE_LOG_CONN_ID": "aws_default",
        # A worker's folder is in its memory.
        "AIRFLOW__LOGGING__DELETE_LOCAL_LOGS": "True",
    }


def of_local_stack(choice: Mapping[str, str], s3_endpoint: str) -> dict[str, str]:
    """It has as many places for slices as workers, unless somebody says otherwise."""
    if not distributed(choice):
        return executor_variables({})
    at_once = choice.get("RETRAIN_SLICES_AT_ONCE", str(workers_wanted(choice)))
    chosen = {"RETRAIN_EXECUTOR": "celery", "RETRAIN_SLICES_AT_ONCE": at_once}
    # Airflow's own handler of logs looks for S3 nowhere else.
    return {**chosen, **executor_variables(chosen), "AWS_ENDPOINT_URL_S3": s3_endpoint}


def broker_variables(amqp_url: str, dsn: str) -> dict[str, str]:
    """Variables of the account that sends or takes tasks; results are in a database of their own."""
    return {
        "AIRFLOW__CELERY__BROKER_URL": amqp_url.replace("/%2F", f"/{VIRTUAL_HOST}"),
        "AIRFLOW__CELERY__RESULT_BACKEND": dsn.replace("postgresql://", "db+postgresql+psycopg2://"),
    }


def _at_once(variables: Mapping[str, str]) -> int:
    """The number as the pipeline reads it; the pipeline reports what is wrong with it."""
    raw = variables.get("RETRAIN_SLICES_AT_ONCE", "")
    return int(raw) if raw.isascii() and raw.isdigit() and int(raw) else SLICES_AT_ONCE
