"""Who may do what in PostgreSQL, and for the databases of Airflow and MLflow one role each, which makes its own tables.

Of our own databases the owner changes tables, the role that works with them may neither change nor empty them, and who
looks at them only reads.
"""

from collections.abc import Mapping
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


OWN = (Database("helper", "helper_owner", "helper"), Database("mlops", "mlops_owner", "mlops", "mlops_viewer"))
DATABASES = (*OWN, Database("airflow", "airflow"), Database("mlflow", "mlflow"))
# It reads one table of the Helper service's, which a migration grants.
READER = "mlops_reader"
ROLES = (*(role for one in DATABASES for role in (one.owner, one.works, one.reads) if role), READER)
_TABLES = "ON ALL TABLES IN SCHEMA public TO {}"
_READ_ONLY = (READER, "mlops_viewer")


def make_roles(superuser_dsn: str, passwords: Mapping[str, str]) -> None:
    """Roles and databases; what exists is left alone, but for what an earlier release gave to who works with it.

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
        for database in OWN:
            _hand_over(superuser_dsn, database)
            for role in filter(None, (database.works, database.reads)):
                _run(connection, "GRANT CONNECT ON DATABASE {} TO {}", database.name, role)
        _run(connection, "GRANT CONNECT ON DATABASE helper TO {}", READER)
    finally:
        connection.close()


def grant(owner_dsn: str, database: Database) -> None:
    """What the others may do with the tables that are there; after every migration. A role's rights are only these."""
    connection = psycopg2.connect(owner_dsn)
    try:
        with connection:
            _run(connection, f"GRANT SELECT, INSERT, UPDATE, DELETE {_TABLES}", database.works)
            _run(connection, "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {}", database.works)
            if database.reads:
                _run(connection, f"GRANT SELECT {_TABLES}", database.reads)
            for table in _notes_of_migrations(connection):
                _run(connection, "REVOKE INSERT, UPDATE, DELETE ON {} FROM {}", table, database.works)
    finally:
        connection.close()


def _notes_of_migrations(connection: Connection) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename LIKE '%yoyo%'")
        return [str(table) for (table,) in cursor.fetchall()]


def _make_role(connection: Connection, role: str, password: str) -> None:
    if not _there(connection, "SELECT 1 FROM pg_roles WHERE rolname = %s", role):
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD %s").format(sql.Identifier(role)), (password,))


def _make_database(connection: Connection, database: Database) -> None:
    if not _there(connection, "SELECT 1 FROM pg_database WHERE datname = %s", database.name):
        _run(connection, "CREATE DATABASE {} OWNER {}", database.name, database.owner)
        _run(connection, "REVOKE ALL ON DATABASE {} FROM PUBLIC", database.name)


def _hand_over(superuser_dsn: str, database: Database) -> None:
    """An earlier release had one role for everything."""
    connection = psycopg2.connect(superuser_dsn, dbname=database.name)
    try:
        with connection:
            owns = "SELECT 1 FROM pg_shdepend WHERE refobjid = %s::regrole AND deptype = 'o' LIMIT 1"
            if _there(connection, owns, database.works):
                _run(connection, "REASSIGN OWNED BY {} TO {}", database.works, database.owner)
    finally:
        connection.close()


def _there(connection: Connection, query: str, value: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(query, (value,))
        return cursor.fetchone() is not None


def _run(connection: Connection, statement: str, *names: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
