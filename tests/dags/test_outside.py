"""Where a setting comes from in Airflow: the environment, a connection or the variable with thresholds, the default."""

import json
import subprocess
import sys

import pytest
from airflow.sdk import Connection
from airflow.sdk.execution_time import supervisor
from pydantic import SecretStr

from include.stack.layout import REPOSITORY
from pipeline.bootstrap import GiveUp, Pipeline, TryAgain
from pipeline.settings import Settings
from pipeline.settings.variables import variables
from plugins.outside import pipeline as outside
from plugins.outside.connections import SOURCES
from plugins.outside.show_settings import show_settings
from plugins.training.local import LocalTraining
from tests.dags.conftest import OUTSIDE

SECRETS = ("s3cret/@:?", "s3cr%2F", "token-of-replicas", "KEY/of+s3")
CONNECTIONS = {
    "retraining_mlops": {
        "conn_type": "postgres",
        "host": "db",
        "login": "mlops",
        "password": SECRETS[0],
        "schema": "ours",
        "extra": '{"sslmode": "require"}',
    },
    "retraining_helper": {"conn_type": "postgres", "host": "helper-db", "port": 5433, "login": "reader", "schema": "h"},
    "retraining_s3": {
        "conn_type": "aws",
        "login": "AKIA",
        "password": SECRETS[3],
        "extra": '{"endpoint_url": "http://s3:9000", "region_name": "ap-northeast-2"}',
    },
    "retraining_rabbitmq": {"conn_type": "amqp", "host": "rabbit", "login": "us/er", "password": SECRETS[1]},
    "retraining_mlflow": {"conn_type": "http", "host": "mlflow", "port": 5000},
    "retraining_faceserve": {"conn_type": "grpc", "host": "a:8600,b", "port": 8700, "password": SECRETS[2]},
}
AS_SETTINGS = {
    "RETRAIN_MLOPS_DSN": "postgresql://mlops:s3cret%2F%40%3A%3F@db/ours?sslmode=require",
    "RETRAIN_HELPER_DSN": "postgresql://reader@helper-db:5433/h",
    "RETRAIN_S3_ENDPOINT": "http://s3:9000",
    "RETRAIN_S3_REGION": "ap-northeast-2",
    "RETRAIN_S3_ACCESS_KEY_ID": "AKIA",
    "RETRAIN_S3_SECRET_ACCESS_KEY": SECRETS[3],
    "RETRAIN_AMQP_URL": "amqp://us%2Fer:s3cr%252F@rabbit:5672/%2F",
    "RETRAIN_MLFLOW_URL": "http://mlflow:5000",
    "RETRAIN_FACESERVE_REPLICAS": '["a:8600", "b:8700"]',
    "RETRAIN_FACESERVE_TOKEN": SECRETS[2],
}


class Vault:
    """A place where secrets are kept; `away` is what it raises when it does not answer."""

    def __init__(self):
        self.connections, self.variables, self.away, self.asked = {}, {}, None, []

    def get_connection(self, conn_id):
        self.asked.append(conn_id)
        if self.away:
            raise self.away
        found = self.connections.get(conn_id)
        return Connection(conn_id=conn_id, **found) if found else None

    def get_variable(self, key, team_name=None):
        self.asked.append(key)
        if self.away:
            raise self.away
        return self.variables.get(key)


@pytest.fixture
def vault(monkeypatch):
    """The only place that Airflow asks; the environment has no setting."""
    made = Vault()
    monkeypatch.setattr(supervisor, "ensure_secrets_backend_loaded", lambda: [made])
    for name in OUTSIDE:
        monkeypatch.delenv(name)
    made.connections = dict(CONNECTIONS)
    return made


def test_connections_give_the_settings_of_the_outside_world(vault):
    assert outside.variables_beside() == AS_SETTINGS
    settings = outside.open_pipeline()._w.settings
    assert settings.mlops_dsn.get_secret_value() == AS_SETTINGS["RETRAIN_MLOPS_DSN"]
    assert settings.faceserve_replicas == ("a:8600", "b:8700")


def test_a_setting_of_the_environment_wins_and_its_connection_is_not_asked_for(vault, monkeypatch):
    monkeypatch.setenv("RETRAIN_MLOPS_DSN", "postgresql://here@127.0.0.1/mlops")
    assert outside.open_pipeline()._w.settings.mlops_dsn.get_secret_value() == "postgresql://here@127.0.0.1/mlops"
    assert "retraining_mlops" not in vault.asked


@pytest.mark.parametrize("name", ["RETRAIN_S3_ENDPOINT", "RETRAIN_S3_REGION", "RETRAIN_FACESERVE_REPLICAS"])
def test_an_address_of_the_environment_wins_for_itself_and_the_login_is_still_the_connections(vault, monkeypatch, name):
    monkeypatch.setenv(name, '["elsewhere:9000"]')
    assert outside.variables_beside() == {other: raw for other, raw in AS_SETTINGS.items() if other != name}


@pytest.mark.parametrize(
    "name", ["RETRAIN_S3_ACCESS_KEY_ID", "RETRAIN_S3_SECRET_ACCESS_KEY", "RETRAIN_S3_SESSION_TOKEN"]
)
def test_a_login_is_one_places_as_a_whole(vault, monkeypatch, name):
    monkeypatch.setenv(name, "of-the-environment")
    given = {name for name in outside.variables_beside() if name.startswith("RETRAIN_S3_")}
    assert given == {"RETRAIN_S3_ENDPOINT", "RETRAIN_S3_REGION"}


def test_every_secret_that_a_connection_gives_is_its_login_or_all_that_it_gives():
    """Two secrets that two places may give apart would be mixed."""
    secret = {variable.name for variable in variables(Settings) if variable.kind is SecretStr}
    for source in SOURCES:
        secrets = secret.intersection(source.gives)
        assert len(secrets) <= 1 or secrets <= set(source.login), source.conn_id


def test_of_a_connection_that_the_environment_gives_in_part_the_rest_may_be_missing(vault, monkeypatch):
    monkeypatch.setenv("RETRAIN_FACESERVE_REPLICAS", '["here:8600"]')
    del vault.connections["retraining_faceserve"]
    assert outside.open_pipeline()._w.settings.faceserve_replicas == ("here:8600",)


def test_without_a_connection_for_s3_the_machines_own_role_is_used(vault):
    del vault.connections["retraining_s3"]
    settings = outside.open_pipeline()._w.settings
    assert (settings.s3_endpoint, settings.s3_access_key_id) == (None, "")
    vault.connections["retraining_s3"] = {"conn_type": "aws", "extra": '{"region_name": "eu-west-1"}'}
    outside.forget()
    assert outside.variables_beside()["RETRAIN_S3_REGION"] == "eu-west-1"
    assert "RETRAIN_S3_ACCESS_KEY_ID" not in outside.variables_beside()


@pytest.mark.parametrize("conn_id", [source.conn_id for source in SOURCES if source.needed])
def test_a_missing_connection_is_named_in_one_sentence(vault, conn_id):
    del vault.connections[conn_id]
    sentence = rf"^Airflow has no connection {conn_id}, and RETRAIN_\w+( and RETRAIN_\w+)? is not set"
    with pytest.raises(GiveUp, match=sentence):
        outside.open_pipeline()


@pytest.mark.parametrize(
    ("conn_id", "wrong", "sentence"),
    [
        ("retraining_mlops", {"conn_type": "mysql"}, "is of type mysql, but must be postgres"),
        ("retraining_mlops", {"host": None}, "names no host"),
        ("retraining_helper", {"host": ""}, "names no host"),
        ("retraining_rabbitmq", {"host": None}, "names no host"),
        ("retraining_mlflow", {"login": "me"}, "has a login"),
        ("retraining_faceserve", {"host": "a,b", "port": None}, "names a replica without a port"),
        ("retraining_s3", {"conn_type": "generic"}, "is of type generic, but must be aws"),
        ("retraining_s3", {"extra": '{"role_arn": 7}'}, r"cannot be used \(\w+\)"),
    ],
)
def test_a_wrong_connection_is_named_and_shows_no_secret(vault, conn_id, wrong, sentence):
    vault.connections[conn_id] = {**CONNECTIONS[conn_id], **wrong}
    with pytest.raises(GiveUp, match=f"^connection {conn_id} {sentence}") as refused:
        outside.open_pipeline()
    assert not any(secret in str(refused.value) for secret in SECRETS)


def test_a_value_that_no_setting_may_have_is_refused_with_its_connection(vault):
    vault.connections["retraining_mlflow"] = {**CONNECTIONS["retraining_mlflow"], "schema": "ftp"}
    sentence = "^RETRAIN_MLFLOW_URL of connection retraining_mlflow is 'ftp://mlflow:5000', but must be an address"
    with pytest.raises(GiveUp, match=sentence):
        outside.open_pipeline()


def test_a_place_that_does_not_answer_is_waited_for(vault):
    vault.away = OSError("vault is sealed")
    with pytest.raises(TryAgain, match="Airflow could not look up .*retraining_mlops.*OSError"):
        outside.open_pipeline()


def test_thresholds_may_be_a_variable_of_airflow(vault, monkeypatch):
    vault.variables["retraining_thresholds"] = (
        '{"min_corrections": 200, "RETRAIN_MAX_GAIN": "0.2", "backbone": "ResNet50"}'
    )
    monkeypatch.setenv("RETRAIN_MAX_GAIN", "0.3")
    settings = outside.open_pipeline()._w.settings
    assert settings.retraining.min_corrections == 200
    assert settings.verification.comparison.max_gain == 0.3, "the environment wins"
    assert outside.thresholds_beside() == {"RETRAIN_MIN_CORRECTIONS": "200", "RETRAIN_BACKBONE": "ResNet50"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("min_corrections=200", "variable retraining_thresholds is no JSON"),
        ("[1]", "variable retraining_thresholds is no JSON object such as"),
        ('{"min_correction": 1}', "names RETRAIN_MIN_CORRECTION, which is no threshold"),
        ('{"mlops_dsn": "x"}', "names RETRAIN_MLOPS_DSN, which is no threshold"),
        ('{"cheap_from": "03:00"}', "names RETRAIN_CHEAP_FROM, which is no threshold"),
        (
            '{"min_corrections": 0}',
            "RETRAIN_MIN_CORRECTIONS of variable retraining_thresholds is 0, RETRAIN_URGENT_CORRECTIONS is 300",
        ),
        (
            '{"max_gain": 2}',
            "RETRAIN_MAX_GAIN of variable retraining_thresholds is '2', but must be a number from 0 to 1",
        ),
        ('{"min_corrections": "many"}', "RETRAIN_MIN_CORRECTIONS of variable retraining_thresholds is 'many', but"),
    ],
)
def test_a_wrong_variable_is_refused_in_one_sentence(vault, text, sentence):
    vault.variables["retraining_thresholds"] = text
    with pytest.raises(GiveUp, match=sentence):
        outside.open_pipeline()


def test_what_a_task_asked_for_is_kept_a_minute(vault, monkeypatch):
    outside.open_pipeline()
    asked = len(vault.asked)
    outside.open_pipeline()
    assert len(vault.asked) == asked
    now = outside.time.monotonic()
    monkeypatch.setattr(outside.time, "monotonic", lambda: now + 61)
    outside.open_pipeline()
    assert len(vault.asked) > asked


def test_every_setting_is_listed_with_its_place_and_without_a_secret(vault, monkeypatch):
    vault.variables["retraining_thresholds"] = '{"min_corrections": 200}'
    monkeypatch.setenv("RETRAIN_EPOCHS", "7")
    shown = show_settings()
    lines = [line.strip() for line in shown.splitlines()]
    for start in (
        "RETRAIN_MLFLOW_URL = http://mlflow:5000  (from connection retraining_mlflow;",
        "RETRAIN_MLOPS_DSN = **********  (from connection retraining_mlops;",
        "RETRAIN_MIN_CORRECTIONS = 200  (from variable retraining_thresholds; default 100",
        "RETRAIN_EPOCHS = 7  (from the environment; default 50",
        "RETRAIN_URGENT_CORRECTIONS = 300  (default;",
    ):
        assert any(line.startswith(start) for line in lines), start
    assert not any(secret in shown for secret in SECRETS)


def test_the_training_beside_the_worker_gets_what_only_airflow_knows(vault):
    task = LocalTraining(task_id="train", bash_command="true", append_env=True)
    environment = task.get_env({})
    assert {name: environment[name] for name in AS_SETTINGS} == AS_SETTINGS
    assert task.env is None, "what is shown of the task has no secret"


def test_dag_files_ask_for_no_connection_and_load_no_provider():
    """Whoever reads DAG files asks the api-server, or a vault, every half minute otherwise."""
    code = (
        "import sys, tests.dags.folder\n"
        "slow = ('airflow.providers.postgres.hooks', 'airflow.providers.amazon.aws')\n"
        "print([name for name in sys.modules if name.startswith(slow)])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1].replace("'", '"')) == []


def test_the_pipeline_is_opened_with_what_airflow_says_by_every_plugin():
    found = [p for p in (REPOSITORY / "plugins").rglob("*.py") if "Pipeline.from_env" in p.read_text()]
    assert [p.name for p in found] == ["pipeline.py"] and Pipeline.from_env is not None
