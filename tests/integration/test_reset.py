"""A demo begins as if nothing had been there before."""

import psycopg2
import pytest

from include.stack.postgres import query
from include.stack.reset import truncate

pytestmark = pytest.mark.integration

_TABLES = """
CREATE TABLE towns (id serial PRIMARY KEY, name text);
CREATE TABLE "Odd name" (town int REFERENCES towns);
CREATE TABLE kept (id serial, said text);
CREATE TABLE _yoyo_migration (id text);
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'only added to'; END $$;
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON kept EXECUTE FUNCTION refuse();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON "Odd name" EXECUTE FUNCTION refuse()
"""
_ROWS = {
    "towns": "INSERT INTO towns (name) VALUES ('Seoul')",
    "who points to them": "INSERT INTO towns (name) VALUES ('Seoul'); INSERT INTO \"Odd name\" VALUES (1)",
    "what is only added to": "INSERT INTO kept (said) VALUES ('hello')",
    "a row that is gone again": "INSERT INTO towns (name) VALUES ('Seoul'); DELETE FROM towns",
    "nothing": "SELECT 1",
}


@pytest.fixture(scope="module")
def database(running_services):
    connection = psycopg2.connect(running_services.stack.dsn("postgres", "postgres"))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("DROP DATABASE IF EXISTS of_reset")
        cursor.execute("CREATE DATABASE of_reset")
    connection.close()
    dsn = running_services.stack.dsn("postgres", "of_reset")
    query(dsn, _TABLES)
    query(dsn, "INSERT INTO _yoyo_migration VALUES ('0001')")
    return dsn


@pytest.mark.parametrize("rows", _ROWS.values(), ids=_ROWS)
def test_whatever_was_written_is_gone_numbers_begin_anew_and_the_guards_stay(database, rows):
    query(database, rows)
    truncate(database)
    left = 'SELECT (SELECT count(*) FROM towns), (SELECT count(*) FROM "Odd name"), (SELECT count(*) FROM kept)'
    assert query(database, left) == [(0, 0, 0)]
    assert query(database, "SELECT id FROM _yoyo_migration") == [("0001",)]
    assert query(database, "INSERT INTO towns (name) VALUES ('Busan') RETURNING id") == [(1,)]
    for guarded in ("kept", '"Odd name"'):
        with pytest.raises(psycopg2.errors.RaiseException, match="only added to"):
            query(database, f"TRUNCATE {guarded}")
