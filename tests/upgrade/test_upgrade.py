"""Databases of an earlier build become those of this one: nothing of them is lost, and the loop goes on with them."""

import gzip
import importlib.util
import json
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import psycopg2
import pytest
from mlflow import MlflowClient

from include.stack.layout import REPOSITORY
from include.stack.migrations import migrate
from include.stack.own_tables import migrate_airflow, migrate_mlflow
from include.stack.postgres import query
from include.stack.roles import OWN, grant
from pipeline.adapters.confirmation_table import ConfirmationTable
from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.adapters.postgres_programs import program, variables
from pipeline.adapters.total_tables import TotalTables
from pipeline.adapters.transition_log import TransitionLog
from pipeline.adapters.version_table import VersionTable
from pipeline.domain.ledger import RollbackRequest
from pipeline.domain.models import ModelType
from pipeline.domain.transitions import By, Entry, Phase
from tests.builders import an_event

pytestmark = pytest.mark.integration

FOLDER = Path(__file__).parent
LAUNDRY = ModelType.LAUNDRY
NOW = datetime(2027, 1, 1, tzinfo=UTC)


# The access service had none.
DATABASES = [database for database in OWN if (FOLDER / f"{database.name}.sql.gz").exists()]


class Upgraded:
    """Both databases, under names of their own; `rows` is what each table had before the upgrade."""

    def __init__(self, stack):
        self.stack, self.rows = stack, {}
        for database in DATABASES:
            name = self.name(database.name)
            admin(stack, f'CREATE DATABASE "{name}" OWNER {database.owner}')
            psql(stack.dsn("postgres", name), gzip.decompress((FOLDER / f"{database.name}.sql.gz").read_bytes()))
            self.rows[database.name] = counts(stack.dsn("postgres", name))
            dsn = stack.dsn(database.owner, name)
            migrate(dsn, REPOSITORY / "include/sql" / database.name)
            grant(dsn, database)

    @staticmethod
    def name(database):
        return f"{database}_of_before"

    def dsn(self, role, database):
        return self.stack.dsn(role, self.name(database))

    def close(self):
        for database in DATABASES:
            admin(self.stack, f'DROP DATABASE "{self.name(database.name)}" WITH (FORCE)')


def admin(stack, statement):
    connection = psycopg2.connect(stack.dsn("postgres", "postgres"))
    connection.autocommit = True
    connection.cursor().execute(statement)
    connection.close()


def psql(dsn, sql):
    command = [program("psql"), "--quiet", "--set=ON_ERROR_STOP=1"]
    done = subprocess.run(command, input=sql, env=variables(dsn), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def counts(dsn):
    names = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename !~ 'yoyo' ORDER BY 1"
    return {table: query(dsn, f"SELECT count(*) FROM {table}")[0][0] for (table,) in query(dsn, names)}


def schema(dsn):
    """Every table, index, rule, trigger, function and right, as PostgreSQL itself writes them down."""
    command = [program("pg_dump"), "--schema-only"]
    said = subprocess.run(command, env=variables(dsn), capture_output=True, text=True, check=True).stdout
    # Read back, a condition has other parentheses.
    lines = [
        re.sub("[()]", "", line) for line in said.splitlines() if line and not re.match(r"--|\\(un)?restrict ", line)
    ]
    # Who was given a right last stands last, which is no difference.
    rights = [line for line in lines if line.startswith(("GRANT ", "REVOKE "))]
    return [line for line in lines if line not in rights] + sorted(rights)


@pytest.fixture(scope="module")
def upgraded(running_services):
    running_services.empty()
    made = Upgraded(running_services.stack)
    yield made
    made.close()


@pytest.fixture
def mlops(upgraded):
    return MlopsDatabase(upgraded.dsn("mlops", "mlops"))


@pytest.mark.parametrize("database", ["mlops", "helper"])
def test_tables_rules_and_rights_are_those_of_a_new_installation(upgraded, database):
    """Also where somebody changed a migration that was applied long ago: an old database does not get that."""
    new = upgraded.stack.dsn("postgres", database)
    assert schema(upgraded.dsn("postgres", database)) == schema(new)


@pytest.mark.parametrize("database", ["mlops", "helper"])
def test_no_row_is_lost(upgraded, database):
    now = counts(upgraded.dsn("postgres", database))
    assert sum(upgraded.rows[database].values()) > 250
    assert {table: now[table] for table in upgraded.rows[database]} == upgraded.rows[database]


def test_the_history_says_the_same_as_before(mlops):
    ledger = TransitionLog(mlops).ledger(LAUNDRY)
    assert (ledger.champion, ledger.position, len(ledger.entries)) == ("v1.1.3", 37, 37)
    served = ["v1.0.0", "v1.1.0", "v1.0.0", "v1.1.0", "v1.1.1", "v1.1.0", "v1.1.3"]
    assert [reign.version for reign in ledger.reigns] == served
    assert set(ledger.condemned) == {"v1.1.1"} and ledger.freeze is None
    assert (ledger.archived, ledger.trial, ledger.incomplete) == (frozenset(), None, None)
    assert TransitionLog(mlops).project(LAUNDRY) == []
    versions = VersionTable(mlops).all(LAUNDRY)
    assert [version.version for version in versions] == ["v1.1.3", "v1.1.2", "v1.1.1", "v1.1.0", "v1.0.0"]


def test_a_rollback_and_a_confirmation_go_on_where_they_were(mlops):
    log = TransitionLog(mlops)
    before = log.ledger(LAUNDRY)
    back = before.roll_back(RollbackRequest("previous", NOW), By("kim", "after the upgrade", "upgrade-1"), NOW)
    assert back.version == "v1.1.0"
    after = log.append(before, Entry(Phase.REQUESTED, back, NOW), Entry(Phase.SERVED, back, NOW))
    assert (log.ledger(LAUNDRY), after.champion) == (after, "v1.1.0")
    stored = TotalTables(mlops)
    counted = sum(one.stored for one in stored.confirmed())
    assert ConfirmationTable(mlops).store([an_event("new", task_id="AFTER-THE-UPGRADE")]).new == 1
    assert sum(one.stored for one in stored.confirmed()) == counted + 1


# Tables that Airflow and MLflow make for themselves

MIGRATIONS = {"airflow": "airflow/migrations/versions", "mlflow": "mlflow/store/db_migrations/versions"}
REVISION = re.compile(r"^(revision|down_revision)\b.*?= *[\"'](\w+)[\"']", re.MULTILINE)


def newest(name):
    """The revision that no other one follows, in the release that is installed."""
    folder = Path(importlib.util.find_spec(name).origin).parents[1] / MIGRATIONS[name]
    said = [found for path in folder.glob("*.py") for found in REVISION.findall(path.read_text())]
    (found,) = {one for what, one in said if what == "revision"} - {one for what, one in said if what != "revision"}
    return found


@pytest.fixture(scope="module")
def own_tables(running_services):
    """Both as an earlier release of theirs made them, brought up to date as a start does it; where they were."""
    stack, before, dsns = running_services.stack, {}, {}
    for name in MIGRATIONS:
        of_before = Upgraded.name(name)
        admin(stack, f'CREATE DATABASE "{of_before}" OWNER {name}')
        dsns[name] = stack.dsn(name, of_before)
        psql(stack.dsn("postgres", of_before), gzip.decompress((FOLDER / f"{name}.sql.gz").read_bytes()))
        before[name] = revision(dsns[name])
    migrate_airflow(of_airflow(dsns["airflow"]))
    migrate_mlflow(dsns["mlflow"])
    yield dsns, before
    for name in MIGRATIONS:
        admin(stack, f'DROP DATABASE "{Upgraded.name(name)}" WITH (FORCE)')


def of_airflow(dsn):
    return {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": dsn.replace("postgresql:", "postgresql+psycopg2:", 1)}


def revision(dsn):
    ((found,),) = query(dsn, "SELECT version_num FROM alembic_version")
    return found


@pytest.mark.parametrize("name", MIGRATIONS)
def test_tables_of_an_earlier_release_of_theirs_become_those_of_the_one_that_is_installed(own_tables, name):
    dsns, before = own_tables
    assert before[name] == json.loads((FOLDER / "revisions.json").read_text())[f"{name}_dump"]
    assert before[name] != newest(name) == revision(dsns[name])


def test_airflow_has_its_connections_variables_pools_and_runs_afterwards(own_tables):
    dsn = own_tables[0]["airflow"]
    assert query(dsn, "SELECT conn_id, conn_type, host FROM connection") == [
        ("webhook_default", "http", "https://chat.example.com")
    ]
    assert query(dsn, "SELECT key, val FROM variable") == [("retraining_thresholds", '{"corrections": 500}')]
    assert query(dsn, "SELECT pool, slots FROM slot_pool") == [("default_pool", 128)]
    assert query(dsn, "SELECT dag_id, run_id, state FROM dag_run") == [
        ("task_confirmed_intake", "scheduled__2026-03-01", "success")
    ]
    assert query(dsn, "SELECT dag_id, is_paused FROM dag") == [("task_confirmed_intake", False)]


def test_mlflow_knows_the_same_champion_runs_and_figures_afterwards(own_tables):
    client = MlflowClient(tracking_uri=own_tables[0]["mlflow"], registry_uri=own_tables[0]["mlflow"])
    champion = client.get_model_version_by_alias("laundry", "champion")
    assert (str(champion.version), champion.source, champion.tags) == (
        "2",
        "s3://models/LAUNDRY/run-2/",
        {"version": "v1.1.0"},
    )
    assert str(client.get_model_version_by_alias("laundry", "previous").version) == "1"
    (run,) = client.search_runs([client.get_experiment_by_name("LAUNDRY").experiment_id])
    figures = client.get_metric_history(run.info.run_id, "accuracy")
    assert (run.info.run_name, [one.value for one in figures]) == ("run-1", [0.93])


@pytest.mark.parametrize("name", MIGRATIONS)
def test_airflow_and_mlflow_have_a_way_up_from_where_they_were(name):
    """Their own migrations do it; a revision that a release does not know stops it."""
    before = json.loads((FOLDER / "revisions.json").read_text())[name]
    folder = Path(importlib.util.find_spec(name).origin).parents[1] / MIGRATIONS[name]
    assert [path for path in folder.glob("*.py") if ("revision", before) in REVISION.findall(path.read_text())]
