"""Empties the product's data while the stack is up, so that a demo never depends on the one before."""

import os
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

import boto3
import pika
import psycopg2

from include.stack.airflow_api import AirflowApi, airflow_of
from include.stack.layout import BUCKETS, Stack, environment
from include.stack.roles import OWN
from include.stack.services import StackError, demand_complete, faceserve
from include.stack.supervision import Supervision

_PARSE_SECONDS = 60
_QUEUES = ("mlops.task-confirmed", "mlops.task-confirmed.dead")


def reset(stack: Stack) -> None:
    """Airflow keeps its history; everything the product wrote is gone. DAGs should be paused meanwhile.

    Raises `StackError` for a stack of an earlier release.
    """
    demand_complete(stack)
    supervision = Supervision(stack)
    replicas = faceserve(stack).programs
    for replica in replicas:
        supervision.stop(replica.name)
        shutil.rmtree(replica.environment["FACESERVE_STATE_DIR"], ignore_errors=True)
    for database in OWN:
        truncate(stack.dsn(database.owner, database.name))
    empty(stack, BUCKETS)
    purge(stack.amqp_url)
    _forget_models(environment(stack))
    for replica in replicas:
        supervision.start(replica)


def pause_dags(stack: Stack, dag_ids: Sequence[str]) -> None:
    """Wait until Airflow knows the DAGs, then pause them and end their open runs."""
    airflow = airflow_of(stack)
    for dag_id in dag_ids:
        _await_dag(airflow, dag_id)
        airflow.pause(dag_id)
        airflow.fail_open_runs(dag_id)


def _await_dag(airflow: AirflowApi, dag_id: str) -> None:
    deadline = time.monotonic() + _PARSE_SECONDS
    while not airflow.knows(dag_id):
        if time.monotonic() > deadline:
            raise StackError(f"Airflow did not find DAG {dag_id} within {_PARSE_SECONDS} s: see its dag_processor log")
        time.sleep(0.5)


def truncate(dsn: str) -> None:
    """Every table of a database, migrations aside; append-only ones too, which takes their owner.

    Only what holds rows is touched: making a table anew costs far more than a look at it.
    """
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        # A look does not block those that write meanwhile.
        connection.autocommit = True
        filled = _filled(cursor)
        switches = [
            [f"ALTER TABLE {one} {word} TRIGGER never_emptied" for one, locked in filled if locked]
            for word in ("DISABLE", "ENABLE")
        ]
        restart = "SELECT setval(format('%I', sequencename)::regclass, start_value, false) FROM pg_sequences"
        emptying = [f"TRUNCATE {', '.join(one for one, _ in filled)}"] if filled else []
        # Sent together they are one transaction, so that the guard is never off for anybody else.
        cursor.execute("; ".join([*switches[0], *emptying, *switches[1], f"{restart} WHERE last_value IS NOT NULL"]))


def _filled(cursor: Any) -> list[tuple[str, bool]]:
    """Tables that hold rows, with those that point to them; and whether a trigger keeps each from being emptied."""
    cursor.execute(
        "SELECT t.oid::regclass::text,"
        " EXISTS (SELECT FROM pg_trigger WHERE tgname = 'never_emptied' AND tgrelid = t.oid),"
        " ARRAY (SELECT confrelid::regclass::text FROM pg_constraint WHERE conrelid = t.oid AND contype = 'f')"
        " FROM pg_class t WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
        " AND relname NOT LIKE '%yoyo%'"
    )
    tables = cursor.fetchall()
    looks = " UNION ALL ".join(f"SELECT '{one}' WHERE EXISTS (SELECT FROM {one})" for one, *_ in tables)
    cursor.execute(looks)
    found = {name for (name,) in cursor.fetchall()}
    while more := {one for one, _, targets in tables if one not in found and found & set(targets)}:
        found |= more
    return [(one, locked) for one, locked, _ in tables if one in found]


def empty(stack: Stack, buckets: Sequence[str]) -> None:
    """Every object of these buckets."""
    storage = object_storage(stack)
    for bucket in buckets:
        storage.Bucket(bucket).objects.all().delete()


def object_storage(stack: Stack) -> Any:
    """The stack's, with a login that may do anything in it."""
    return boto3.resource(
        "s3",
        endpoint_url=stack.s3_endpoint,
        aws_access_key_id="retraining",
        aws_secret_access_key=stack.secrets["s3"],
        region_name="us-east-1",
    )


def purge(amqp_url: str) -> None:
    """The queue of confirmations and its dead letters."""
    connection = pika.BlockingConnection(pika.URLParameters(amqp_url))
    for queue in _QUEUES:
        channel = connection.channel()
        try:
            channel.queue_purge(queue)
        except pika.exceptions.ChannelClosedByBroker:
            # Not declared yet: nothing to purge.
            continue
    connection.close()


def _forget_models(variables: Mapping[str, str]) -> None:
    from mlflow import MlflowClient
    from mlflow.entities import ViewType

    # MLflow's client takes its login from nowhere else.
    os.environ |= {name: variables[name] for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")}
    client = MlflowClient(tracking_uri=variables["RETRAIN_MLFLOW_URL"])
    for model in client.search_registered_models():
        client.delete_registered_model(model.name)
    for experiment in client.search_experiments(view_type=ViewType.ACTIVE_ONLY):
        if experiment.name != "Default":
            client.rename_experiment(experiment.experiment_id, f"{experiment.name} until {time.time_ns()}")
            client.delete_experiment(experiment.experiment_id)
