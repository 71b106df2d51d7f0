"""Whether databases and broker take the passwords of `.env`."""

import os

from pipeline.bootstrap import GiveUp

_OF_ROLES = (
    "ACCESS_OWNER_DSN",
    "HELPER_OWNER_DSN",
    "MLOPS_OWNER_DSN",
    "ACCESS_DSN",
    "HELPER_DSN",
    "RETRAIN_MLOPS_DSN",
    "RETRAIN_HELPER_DSN",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
    "MLFLOW_BACKEND_STORE_URI",
)
_POSTGRES_REFUSES = (
    "PostgreSQL refuses the password in {variable}: its volume keeps the passwords of its first start, and .env is "
    "another one now. "
    "Put the old .env back, or change the password there (runbook, A secret has to change)"
)
_RABBITMQ_REFUSES = (
    "RabbitMQ refuses the password in {variable}: it takes those of .env when it starts, and has not since. "
    "docker compose restart rabbitmq, then this again (runbook, A secret has to change)"
)


def demand_superuser() -> None:
    """As `demand_entry`, for the role that makes the others."""
    _knock_at_postgres("POSTGRES_ADMIN_DSN", os.environ["POSTGRES_ADMIN_DSN"])


def demand_entry() -> None:
    """Raises `GiveUp` with one sentence for a door that stays shut; another fault of the service is raised as it is."""
    for variable in _OF_ROLES:
        _knock_at_postgres(variable, os.environ[variable].replace("+psycopg2", ""))
    _knock_at_rabbitmq("RETRAIN_AMQP_URL", os.environ["RETRAIN_AMQP_URL"])


def _knock_at_postgres(variable: str, dsn: str) -> None:
    import psycopg2

    try:
        psycopg2.connect(dsn, connect_timeout=10).close()
    except psycopg2.OperationalError as error:
        if "authentication failed" not in str(error):
            raise
        raise GiveUp(_POSTGRES_REFUSES.format(variable=variable)) from error


def _knock_at_rabbitmq(variable: str, url: str) -> None:
    import logging

    import pika

    logging.getLogger("pika").setLevel(logging.CRITICAL)
    try:
        pika.BlockingConnection(pika.URLParameters(url)).close()
    except (pika.exceptions.ProbableAuthenticationError, pika.exceptions.AuthenticationError) as error:
        raise GiveUp(_RABBITMQ_REFUSES.format(variable=variable)) from error
