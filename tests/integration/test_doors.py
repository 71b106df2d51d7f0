"""Passwords that databases and broker do not take are one sentence before anything is changed."""

import os

import pytest

from include.docker.doors import demand_entry, demand_superuser
from include.stack.layout import environment
from include.stack.roles import OWN
from pipeline.bootstrap import GiveUp

pytestmark = pytest.mark.integration

_KEEPS = "PostgreSQL refuses the password in {}: its volume keeps the passwords of its first start"
_AT_ITS_START = (
    "RabbitMQ refuses the password in {}: it takes those of .env when it starts.* docker compose restart rabbitmq"
)


@pytest.fixture
def variables(running_services, monkeypatch):
    """As the service `migrate` has them, with the passwords that the volumes keep."""
    found = environment(running_services.stack)
    for name in ("ACCESS_DSN", "HELPER_DSN", "RETRAIN_MLOPS_DSN", "RETRAIN_HELPER_DSN", "RETRAIN_AMQP_URL"):
        monkeypatch.setenv(name, found[name])
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", found["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
    for database in OWN:
        monkeypatch.setenv(f"{database.owner}_DSN".upper(), running_services.stack.dsn(database.owner, database.name))
    monkeypatch.setenv("POSTGRES_ADMIN_DSN", running_services.stack.dsn("postgres", "postgres"))
    monkeypatch.setenv("MLFLOW_BACKEND_STORE_URI", running_services.stack.dsn("mlflow", "mlflow"))
    return running_services.stack.secrets


def test_the_passwords_of_the_first_start_open_every_door(variables):
    demand_superuser()
    demand_entry()


@pytest.mark.parametrize(
    ("variable", "secret", "sentence"),
    [
        ("POSTGRES_ADMIN_DSN", "postgres", _KEEPS),
        ("MLOPS_OWNER_DSN", "mlops_owner", _KEEPS),
        ("HELPER_DSN", "helper", _KEEPS),
        ("ACCESS_DSN", "access", _KEEPS),
        ("RETRAIN_MLOPS_DSN", "mlops", _KEEPS),
        ("RETRAIN_HELPER_DSN", "mlops_reader", _KEEPS),
        ("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "airflow", _KEEPS),
        ("MLFLOW_BACKEND_STORE_URI", "mlflow", _KEEPS),
        ("RETRAIN_AMQP_URL", "rabbitmq_pipeline", _AT_ITS_START),
    ],
)
def test_a_new_env_file_on_old_volumes_is_said_in_one_sentence(variables, monkeypatch, variable, secret, sentence):
    monkeypatch.setenv(variable, os.environ[variable].replace(f":{variables[secret]}@", ":of-another-env-file@"))
    with pytest.raises(GiveUp, match=f"^{sentence.format(variable)}.*runbook, A secret has to change"):
        demand_superuser()
        demand_entry()
