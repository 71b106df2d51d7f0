"""Each role of PostgreSQL tries what it must not, and does what it is for."""

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg2
import pytest
from click.testing import CliRunner
from psycopg2 import errors

from include.stack import airflow_history, airflow_program
from include.stack.knowing import tasks_by
from include.stack.postgres import query
from include.stack.roles import hand_over, make_roles
from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.adapters.safeguard_table import SafeguardTable
from pipeline.domain.backups import Safeguard

pytestmark = pytest.mark.integration

DENIED = (errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction)
# Of the stand-ins' databases, what collecting reads.
READ_BY_US = {"helper": "tasks", "access": "checks"}
CHANGES = ("CREATE TABLE theirs (id int)", "DROP TABLE {table}", "ALTER TABLE {table} ADD COLUMN theirs int")


@pytest.fixture
def stack(services):
    return services.stack


def tables(stack, database):
    found = query(
        stack.dsn(f"{database}_owner", database),
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE '%%yoyo%%' ORDER BY 1",
    )
    return [table for (table,) in found]


@pytest.mark.parametrize("database", ["access", "helper", "mlops"])
def test_who_works_with_tables_neither_changes_nor_empties_nor_owns_any(stack, database):
    dsn = stack.dsn(database, database)
    for table in tables(stack, database):
        query(dsn, f"SELECT * FROM {table} LIMIT 1")
        for statement in (
            *CHANGES,
            "TRUNCATE {table} CASCADE",
            "CREATE TRIGGER t BEFORE DELETE ON {table} EXECUTE FUNCTION f()",
        ):
            with pytest.raises(DENIED):
                query(dsn, statement.format(table=table))
    owned = "SELECT relname FROM pg_class WHERE relowner = current_user::regrole"
    assert query(dsn, owned) == []


def test_who_works_with_tables_may_write_to_every_one_and_to_no_note_of_a_migration(stack):
    dsn = stack.dsn("mlops", "mlops")
    may = "SELECT has_table_privilege(%s, 'SELECT, INSERT, UPDATE, DELETE') AND has_table_privilege(%s, 'INSERT')"
    for table in tables(stack, "mlops"):
        assert query(dsn, may, (table, table)) == [(True,)]
    with pytest.raises(DENIED):
        query(dsn, "DELETE FROM _yoyo_migration")


@pytest.mark.parametrize(
    ("role", "database"), [("mlops_viewer", "mlops"), ("mlops_reader", "helper"), ("mlops_reader", "access")]
)
def test_who_looks_changes_nothing_also_where_it_asks_to(stack, role, database):
    dsn = stack.dsn(role, database)
    seen = tables(stack, database) if role == "mlops_viewer" else [READ_BY_US[database]]
    for table in seen:
        query(dsn, f"SELECT * FROM {table} LIMIT 1")
        for statement in ("DELETE FROM {table}", "TRUNCATE {table} CASCADE", *CHANGES):
            with pytest.raises(DENIED):
                query(dsn, f"SET default_transaction_read_only = off; {statement.format(table=table)}")


def test_who_receives_the_log_notes_how_far_it_has_come_and_sees_nothing_else(stack):
    dsn = stack.dsn("log_receiver", "mlops")
    noting = SafeguardTable(MlopsDatabase(dsn))
    at = datetime(2026, 3, 1, tzinfo=UTC)
    noting.note(Safeguard.LOG, at, "as far as this")
    noting.note(Safeguard.LOG, at + timedelta(minutes=1), "and further")
    assert query(dsn, "SELECT kind, detail FROM safeguards WHERE kind = 'log'") == [("log", "and further")]
    for statement in ("DELETE FROM {table}", "TRUNCATE {table} CASCADE", *CHANGES):
        with pytest.raises(DENIED):
            query(dsn, statement.format(table="safeguards"))
    for table in set(tables(stack, "mlops")) - {"safeguards"}:
        with pytest.raises(DENIED):
            query(dsn, f"SELECT * FROM {table} LIMIT 1")


@pytest.mark.parametrize("database", READ_BY_US)
def test_the_pipeline_reads_one_table_of_another_service_and_nothing_else_of_it(stack, database):
    others = [table for table in tables(stack, database) if table != READ_BY_US[database]]
    assert "outbox" in others
    for table in others:
        with pytest.raises(DENIED):
            query(stack.dsn("mlops_reader", database), f"SELECT * FROM {table}")


@pytest.mark.parametrize(
    ("role", "database"),
    [
        ("mlops", "helper"),
        ("helper", "mlops"),
        ("mlops_reader", "mlops"),
        ("mlflow", "mlops"),
        ("access", "helper"),
        ("helper", "access"),
        ("mlops", "access"),
        ("log_receiver", "helper"),
        ("log_receiver", "airflow"),
    ],
)
def test_a_database_of_somebody_else_stays_shut(stack, role, database):
    with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
        psycopg2.connect(stack.dsn(role, database))


def test_a_role_has_another_password_from_the_next_start_on_and_who_is_inside_stays(stack):
    admin, old = stack.dsn("postgres", "postgres"), stack.dsn("mlops_viewer", "mlops")
    with closing(psycopg2.connect(old)) as inside, inside.cursor() as cursor:
        try:
            make_roles(admin, {**stack.secrets, "mlops_viewer": "another"})
            with pytest.raises(psycopg2.OperationalError, match="authentication failed"):
                psycopg2.connect(old)
            psycopg2.connect(old.replace(stack.secrets["mlops_viewer"], "another")).close()
            cursor.execute("SELECT 1")
        finally:
            make_roles(admin, stack.secrets)
    psycopg2.connect(old).close()


def test_only_the_superuser_makes_roles(stack):
    for role, database in (("mlops_owner", "mlops"), ("mlops", "mlops"), ("airflow", "airflow")):
        with pytest.raises(DENIED):
            query(stack.dsn(role, database), "CREATE ROLE theirs SUPERUSER")


def test_tables_of_an_earlier_release_are_handed_over_from_who_works_with_them(stack):
    """It had one role for everything; its data stays."""
    admin = stack.dsn("postgres", "postgres")
    in_helper = stack.dsn("postgres", "helper")
    query(
        in_helper,
        "REASSIGN OWNED BY helper_owner TO helper; INSERT INTO tasks (task_id, helper_id, photo_url, ai_result)"
        " VALUES ('kept', 'h', 's3://tasks/1.jpg', '양호')",
    )
    query(stack.dsn("helper", "helper"), "ALTER TABLE tasks ADD COLUMN of_before int")
    make_roles(admin, stack.secrets)
    hand_over(admin)
    with pytest.raises(DENIED):
        query(stack.dsn("helper", "helper"), "ALTER TABLE tasks DROP COLUMN of_before")
    assert query(stack.dsn("helper", "helper"), "SELECT task_id FROM tasks") == [("kept",)]
    assert query(stack.dsn("mlops_reader", "helper"), "SELECT count(*) FROM tasks") == [(1,)]
    query(stack.dsn("helper_owner", "helper"), "ALTER TABLE tasks DROP COLUMN of_before")


@pytest.mark.parametrize("made", [True, False])
def test_what_workers_told_of_tasks_goes_with_airflows_history(stack, monkeypatch, tmp_path, made):
    """Celery keeps it for ever; before the first task there is no table."""
    dsn = stack.dsn("celery", "celery")
    query(dsn, "DROP TABLE IF EXISTS celery_taskmeta")
    if made:
        query(dsn, "CREATE TABLE celery_taskmeta (task_id text, date_done timestamp)")
        for days in (91, 89):
            query(dsn, "INSERT INTO celery_taskmeta VALUES (%s, now() - %s * interval '1 day')", (str(days), days))
    monkeypatch.setattr(airflow_program.os, "execv", lambda *_: None)
    sends = replace(stack, choice={"RETRAIN_EXECUTOR": "celery"})
    variables = {**tasks_by(sends, "airflow"), "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(tmp_path)}
    done = CliRunner().invoke(airflow_history.main, [], env=variables, catch_exceptions=False)
    assert done.exit_code == 0
    if made:
        assert query(dsn, "SELECT task_id FROM celery_taskmeta") == [("89",)]
        query(dsn, "DROP TABLE celery_taskmeta")
