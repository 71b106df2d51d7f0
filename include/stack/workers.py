"""Workers of Airflow on this machine, each as on a host of its own: they share nothing but services."""

import time

import pika

from include.contract.work_queues import CPU_HEAVY, DEFAULT, GPU, VIRTUAL_HOST
from include.stack.accounts import ADMINISTRATOR
from include.stack.airflow_worker import NOT_FOR_WORKERS
from include.stack.executor import POOLS, workers_wanted
from include.stack.knowing import tasks_by, told
from include.stack.layout import Stack, bin_folder
from include.stack.services import Program, Service, StackError

_PATIENCE_SECONDS = 240


def workers(stack: Stack) -> list[Service]:
    """One for tasks that take seconds, so that these never wait for the others; none where nobody asked for workers."""
    wanted = workers_wanted(stack.choice)
    if not wanted:
        return []
    quick = _worker(stack, "quick", DEFAULT, int(str(POOLS["default_pool"]["slots"])) + 1)
    heavy = [_worker(stack, str(number), f"{GPU},{CPU_HEAVY}", 1) for number in range(1, wanted + 1)]

    def finish() -> None:
        _await_consumers(stack, {DEFAULT: 1, CPU_HEAVY: wanted})

    return [Service("workers", (quick, *heavy), after=("airflow", "rabbitmq", "s3"), finish=finish)]


def _worker(stack: Stack, name: str, queues: str, places: int) -> Program:
    home = stack.root / "workers" / name
    knows = told(stack, "AIRFLOW__API__SECRET_KEY", "RETRAIN_", "MLFLOW_", "AWS_")
    variables = {
        **{variable: value for variable, value in knows.items() if variable not in NOT_FOR_WORKERS},
        **tasks_by(stack, "worker"),
        "AIRFLOW_HOME": str(home),
        # What tasks say is on S3 when they have ended; until then Airflow, on the same machine, reads it here.
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(stack.root / "airflow" / "logs"),
    }
    command = (str(bin_folder() / "python"), "-m", "include.stack.airflow_worker", queues, str(places))
    return Program(
        f"airflow_worker_{name}",
        (*command, "--skip-serve-logs"),
        lambda: True,
        environment=variables,
        # A running task may finish its step.
        stop_seconds=30,
        code=("plugins", "pipeline", "requirements.txt"),
    )


def _await_consumers(stack: Stack, wanted: dict[str, int]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while missing := [queue for queue, count in wanted.items() if _consumers(stack, queue) < count]:
        if time.monotonic() > deadline:
            raise StackError(
                f"no worker takes tasks of {', '.join(missing)}, see {stack.root}/logs/airflow_worker_*.log"
            )
        time.sleep(1)


def _consumers(stack: Stack, queue: str) -> int:
    url = stack.amqp_url_of(ADMINISTRATOR, "rabbitmq", virtual_host=VIRTUAL_HOST)
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        return int(connection.channel().queue_declare(queue, passive=True).method.consumer_count)
    finally:
        connection.close()
