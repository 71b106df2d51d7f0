"""Who may do what in PostgreSQL; for the databases of Airflow, Celery and MLflow one role each, which makes its tables.

Of our own databases the owner changes tables, the role that works with them may neither change nor empty them, and who
looks at them only reads.
"""

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection


@dataclass(frozen=True)
class Database:
    """`works` and `reads` are empty where the owner does everything."""

    name: str
    owner: str
    works: str = ""
    reads: str = ""


OWN = (
    Database("helper", "helper_owner", "helper"),
    Database("mlops", "mlops_owner", "mlops", "mlops_viewer"),
    Database("access", "access_owner", "access"),
)
DATABASES = (*OWN, Database("airflow", "airflow"), Database("celery", "celery"), Database("mlflow", "mlflow"))
# Of the Helper service's and of the access service's tables it reads one each, which a migration grants.
READER = "mlops_reader"
_READ_BY_US = ("helper", "access")
# It copies the whole cluster and its log, and reads no table.
COPIES = "backup"
# It brings the cluster's log to the archive, and notes in one table of ours how far it has come.
RECEIVER = "log_receiver"
ROLES = (*(role for one in DATABASES for role in (one.owner, one.works, one.reads) if role), READER, COPIES, RECEIVER)
_TABLES = "ON ALL TABLES IN SCHEMA public TO {}"
_OWNS = """
    SELECT 1 FROM pg_shdepend WHERE refobjid = %s::regrole AND deptype = 'o'
    AND dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())) LIMIT 1
"""
# Of the same two databases it sees how long events wait, and nothing of what is in them.
_WATCHES = "mlops_viewer"
_TIMES_OF_EVENTS = "GRANT SELECT (position, created_at, published_at) ON outbox TO {}"
_NOTED_BY_RECEIVER = ("mlops", "safeguards")
_HAS_TABLE = "SELECT 1 FROM pg_tables WHERE schemaname = 'public' AND tablename = %s"
_HAS_ROLE = "SELECT 1 FROM pg_roles WHERE rolname = %s"
_READ_ONLY = (READER, _WATCHES)


def make_roles(superuser_dsn: str, passwords: Mapping[str, str]) -> None:
    """Roles and databases, and who may enter which. What exists stays as it is but for its password.

    `superuser_dsn` names any database; `passwords` has every one of `ROLES`.
    """
    connection = psycopg2.connect(superuser_dsn)
    connection.autocommit = True
    try:
        for role in ROLES:
            _make_role(connection, role, passwords[role])
        for role in _READ_ONLY:
            _run(connection, "ALTER ROLE {} SET default_transaction_read_only = on", role)
        for database in DATABASES:
            _make_database(connection, database)
            for role in filter(None, (database.owner, database.works, database.reads)):
                _run(connection, "GRANT CONNECT ON DATABASE {} TO {}", database.name, role)
        for name in _READ_BY_US:
            for role in (READER, _WATCHES):
                _run(connection, "GRANT CONNECT ON DATABASE {} TO {}", name, role)
        _run(connection, "GRANT CONNECT ON DATABASE {} TO {}", _NOTED_BY_RECEIVER[0], RECEIVER)
        _run(connection, "ALTER ROLE {} REPLICATION", COPIES)
        _run(connection, "GRANT EXECUTE ON FUNCTION pg_switch_wal() TO {}", COPIES)
    finally:
        connection.close()


def hand_over(superuser_dsn: str, *, before: Callable[[], None] = lambda: None) -> None:
    """An earlier release had one role for everything: its tables go to their owner. `before` may refuse that.

    Who works with the tables keeps that right at every moment: it may be in the middle of something.
    """
    for database in OWN:
        with closing(psycopg2.connect(superuser_dsn, dbname=database.name)) as connection, connection:
            if _there(connection, _OWNS, database.works):
                before()
                _run(connection, "REASSIGN OWNED BY {} TO {}", database.works, database.owner)
                _run(connection, "GRANT CONNECT ON DATABASE {} TO {}", database.name, database.works)
                _grant(connection, database)


def grant(owner_dsn: str, database: Database) -> None:
    """What the others may do with the tables that are there; after every migration. A role's rights are only these."""
    connection = psycopg2.connect(owner_dsn)
    try:
        with connection:
            _grant(connection, database)
    finally:
        connection.close()


def _grant(connection: Connection, database: Database) -> None:
    _run(connection, f"GRANT SELECT, INSERT, UPDATE, DELETE {_TABLES}", database.works)
    _run(connection, "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {}", database.works)
    if database.reads:
        _run(connection, f"GRANT SELECT {_TABLES}", database.reads)
    if database.name in _READ_BY_US and _there(connection, _HAS_TABLE, "outbox"):
        _run(connection, _TIMES_OF_EVENTS, _WATCHES)
    of, table = _NOTED_BY_RECEIVER
    # Where roles are made by hand, an upgrade may come before this one.
    if database.name == of and _there(connection, _HAS_TABLE, table) and _there(connection, _HAS_ROLE, RECEIVER):
        _run(connection, "GRANT SELECT, INSERT, UPDATE ON {} TO {}", table, RECEIVER)
    for table in _notes_of_migrations(connection):
        _run(connection, "REVOKE INSERT, UPDATE, DELETE ON {} FROM {}", table, database.works)


def _notes_of_migrations(connection: Connection) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename LIKE '%yoyo%'")
        return [str(table) for (table,) in cursor.fetchall()]


def _make_role(connection: Connection, role: str, password: str) -> None:
    if not _there(connection, _HAS_ROLE, role):
        _run(connection, "CREATE ROLE {} LOGIN", role)
    # Whoever is connected already stays.
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("ALTER ROLE {} PASSWORD %s").format(sql.Identifier(role)), (password,))


def _make_database(connection: Connection, database: Database) -> None:
    if not _there(connection, "SELECT 1 FROM pg_database WHERE datname = %s", database.name):
        _run(connection, "CREATE DATABASE {} OWNER {}", database.name, database.owner)
        _run(connection, "REVOKE ALL ON DATABASE {} FROM PUBLIC", database.name)


def _there(connection: Connection, query: str, value: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(query, (value,))
        return cursor.fetchone() is not None


def _run(connection: Connection, statement: str, *names: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
