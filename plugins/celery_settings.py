"""What Celery is told beside Airflow's own settings; named by `AIRFLOW__CELERY__CELERY_CONFIG_OPTIONS`.

Exchange and queues are there before (`include/stack/accounts.py`): nobody needs the right to make or bind any.
"""

from typing import Any

from airflow.providers.celery.executors.default_celery import DEFAULT_CELERY_CONFIG
from kombu import Exchange, Queue

from include.contract.work_queues import EXCHANGE, QUEUES

# Of any other kind: of a direct one Celery goes round it, and may reach every queue there is.
_EXCHANGE = Exchange(EXCHANGE, type="topic", durable=True, no_declare=True)

CONFIG: dict[str, Any] = {
    **DEFAULT_CELERY_CONFIG,
    "task_queues": [Queue(name, _EXCHANGE, routing_key=name, no_declare=True) for name in QUEUES],
    "task_create_missing_queues": False,
    # By it whoever may publish would command every worker.
    "worker_enable_remote_control": False,
    # A task whose message RabbitMQ has not confirmed was not sent.
    "broker_transport_options": {**DEFAULT_CELERY_CONFIG["broker_transport_options"], "confirm_publish": True},
    # With RabbitMQ away Airflow tries again by itself, and its scheduler has other things to do meanwhile.
    "task_publish_retry": False,
    # Both notice within a minute that the other is gone, and a worker waits for RabbitMQ however long it takes.
    "broker_heartbeat": 30,
    "broker_connection_max_retries": None,
}
