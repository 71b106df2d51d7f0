"""What the pipeline may see of the Helper database, and that PostgreSQL refuses the rest (DD-03)."""

from collections import Counter
from datetime import timedelta

import psycopg2
import pytest
from psycopg2.errors import InsufficientPrivilege, ReadOnlySqlTransaction

from pipeline.adapters import helper_db
from pipeline.adapters.helper_db import HelperDatabase
from pipeline.domain.errors import ServiceRefused, ServiceUnavailable
from pipeline.domain.turns import TIMES
from tests.builders import NOW

pytestmark = pytest.mark.integration

_INSERT = "INSERT INTO tasks VALUES (%s, 'H-1', %s, '양호', 'v1.0.0', %s, %s, 'r', now(), %s)"


@pytest.fixture
def helper(services):
    """Tasks 0-9, confirmed a minute apart, the even ones corrected; task 10 is not confirmed."""
    owner = psycopg2.connect(services.stack.dsn("helper", "helper"))
    with owner, owner.cursor() as cursor:
        for n in range(10):
            corrected = n % 2 == 0
            result = "불량" if corrected else "양호"
            values = (f"TASK-{n}", f"s3://tasks/{n}.jpg", result, corrected, NOW + timedelta(minutes=n))
            cursor.execute(_INSERT, values)
        cursor.execute(_INSERT, ("TASK-10", "s3://tasks/10.jpg", None, None, None))
    owner.close()
    return HelperDatabase(services.stack.dsn("mlops_reader", "helper"))


def test_corrections_since_a_time_come_newest_first(helper):
    found = helper.corrections(since=NOW + timedelta(minutes=4), limit=500)
    assert [t.task_id for t in found] == ["TASK-8", "TASK-6"]
    assert all(t.corrected and t.final_result == "불량" for t in found)


def test_where_more_wait_than_are_asked_for_the_longest_waiting_one_is_among_them(helper):
    found = [t.task_id for t in helper.corrections(since=None, limit=3)]
    assert len(found) == 3 and found == sorted(found, reverse=True) and found[-1] == "TASK-0"
    assert found == [t.task_id for t in helper.corrections(since=None, limit=3)]


@pytest.mark.parametrize("limit", [3, 11, 40, 203])
def test_where_more_wait_no_branch_starves_and_of_each_there_are_old_and_new_ones(services, helper, limit):
    """200 newest of one branch, each with words of its own; of two others one and ten, before all of them."""
    owner = psycopg2.connect(services.stack.dsn("helper", "helper"))
    with owner, owner.cursor() as cursor:
        cursor.execute("UPDATE tasks SET corrected = false")
        for branch, count, first in (("H-busy", 200, 100), ("H-rare", 1, 50), ("H-few", 10, 60)):
            cursor.execute(
                "INSERT INTO tasks (task_id, helper_id, photo_url, ai_result, final_result, corrected,"
                " correction_reason, confirmed_at) SELECT %(branch)s || n, %(branch)s, 's3://tasks/x.jpg', '양호',"
                " '불량', true, '얼룩 ' || n, %(now)s + (%(first)s + n) * interval '1 minute'"
                " FROM generate_series(1, %(count)s) n",
                {"branch": branch, "count": count, "first": first, "now": NOW},
            )
    owner.close()
    found = helper.corrections(since=NOW, limit=limit)
    assert len(found) == limit
    there, of = {"H-busy": 200, "H-rare": 1, "H-few": 10}, Counter(t.helper_id for t in found)
    assert all(of[branch] == there[branch] or of[branch] >= max(of.values()) - 1 for branch in there)
    minutes = [(t.confirmed_at - NOW) / timedelta(minutes=1) for t in found if t.helper_id == "H-busy"]
    assert min(minutes) == 101
    if of["H-busy"] >= TIMES:
        assert {int((minute - 101) // 20) for minute in minutes} == set(range(10))


def test_the_sample_has_every_confirmed_task_and_no_open_one(helper):
    assert [t.task_id for t in helper.confirmed(limit=100)] == [f"TASK-{n}" for n in reversed(range(10))]


def test_pages_of_the_sample_lose_and_repeat_nothing(services, helper, monkeypatch):
    monkeypatch.setattr("pipeline.adapters.helper_db._PAGE_ROWS", 3)
    assert len({t.task_id for t in helper.confirmed(limit=100)}) == 10
    assert len(helper.confirmed(limit=7)) == 7


def test_earlier_corrections_are_spread_over_the_time_before(helper):
    until = NOW + timedelta(minutes=4)
    assert {t.task_id for t in helper.earlier_corrections(until=until, limit=10)} == {"TASK-0", "TASK-2", "TASK-4"}
    few = helper.earlier_corrections(until=until, limit=2)
    assert few == helper.earlier_corrections(until=until, limit=3)[:2]


def test_the_sample_of_history_is_the_same_each_time_and_open_tasks_are_not_in_it(helper):
    everything = helper.history(limit=100)
    assert {t.task_id for t in everything} == {f"TASK-{n}" for n in range(10)}
    assert helper.history(limit=4) == everything[:4]
    assert [t.task_id for t in everything] != sorted(t.task_id for t in everything)


def test_named_tasks_come_when_they_are_confirmed(helper):
    found = helper.tasks(["TASK-3", "TASK-10", "TASK-404", "TASK-1"])
    assert [(t.task_id, t.helper_id) for t in found] == [("TASK-1", "H-1"), ("TASK-3", "H-1")]
    assert helper.tasks([]) == []


ODD_VALUES = {
    "infinity": ("confirmed_at = 'infinity'", "no time that can be read"),
    "the year 20000": ("confirmed_at = '20000-01-01Z'", "no time that can be read"),
    "before Christ": ("confirmed_at = '0044-03-15 BC'", "no time that can be read"),
    "no label": ("final_result = NULL", ""),
    "corrected or not": ("corrected = NULL", ""),
    "minutes and seconds of a zone": ("confirmed_at = '1890-01-01 Asia/Seoul'", ""),
    "any characters": ("correction_reason = E'\\u001b[31m\\n🧺', photo_url = ''", ""),
}


@pytest.mark.parametrize("name", ODD_VALUES)
def test_a_value_that_cannot_be_read_is_its_rows_fault_and_the_others_come(services, helper, name, monkeypatch):
    monkeypatch.setattr("pipeline.adapters.helper_db._PAGE_ROWS", 2)
    change, fault = ODD_VALUES[name]
    owner = psycopg2.connect(services.stack.dsn("helper", "helper"))
    with owner, owner.cursor() as cursor:
        cursor.execute(f"UPDATE tasks SET {change} WHERE task_id = 'TASK-6'")
    owner.close()
    for found in (
        helper.confirmed(limit=100),
        helper.history(limit=100),
        helper.tasks([f"TASK-{n}" for n in range(10)]),
    ):
        faults = {t.task_id: t.fault for t in found}
        assert faults.keys() == {f"TASK-{n}" for n in range(10)}
        assert fault in faults.pop("TASK-6") and not any(faults.values())


def test_samples_are_read_from_indexes_and_not_by_scanning_every_task(services, helper):
    owner = psycopg2.connect(services.stack.dsn("helper_owner", "helper"))
    with owner, owner.cursor() as cursor:
        cursor.execute(
            "INSERT INTO tasks (task_id, helper_id, photo_url, ai_result, final_result, corrected, confirmed_at)"
            " SELECT 'MANY-' || n, 'H-1', 's3://tasks/x.jpg', '양호', '양호', n % 50 = 0, now() - n * interval '1 s'"
            " FROM generate_series(1, 20000) n"
        )
        cursor.execute("ANALYZE tasks")
        values = {"since": "-infinity", "until": NOW, "limit": 100}
        for query in (
            helper_db._CORRECTIONS,
            helper_db._EARLIER_CORRECTIONS,
            helper_db._HISTORY,
            helper_db._FIRST_PAGE,
        ):
            cursor.execute(f"EXPLAIN {query}", values)
            plan = "\n".join(row[0] for row in cursor.fetchall())
            assert "Index Scan" in plan and "Seq Scan" not in plan
    owner.close()


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO tasks (task_id, helper_id, photo_url, ai_result) VALUES ('x', 'x', 'x', '양호')",
        "UPDATE tasks SET final_result = '양호'",
        "DELETE FROM tasks",
        "TRUNCATE tasks",
        "DROP TABLE tasks",
        "CREATE TABLE mine (id int)",
        "SELECT * FROM outbox",
    ],
)
def test_postgres_itself_refuses_everything_but_reading_tasks(services, helper, statement):
    connection = psycopg2.connect(services.stack.dsn("mlops_reader", "helper"))
    with connection.cursor() as cursor:
        # The role's default is only a default: the missing right must hold without it.
        cursor.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE")
        connection.commit()
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute(statement)
    connection.close()


def test_the_role_is_read_only_by_default_too(services):
    connection = psycopg2.connect(services.stack.dsn("mlops_reader", "helper"))
    with connection.cursor() as cursor, pytest.raises((ReadOnlySqlTransaction, InsufficientPrivilege)):
        cursor.execute("UPDATE tasks SET final_result = '양호'")
    connection.close()


def test_a_wrong_password_is_one_sentence_without_the_password(services):
    dsn = services.stack.dsn("mlops_reader", "helper").replace(services.stack.secrets["mlops_reader"], "wrong-secret")
    with pytest.raises(
        ServiceUnavailable, match="the Helper database is unavailable: .*authentication failed"
    ) as error:
        HelperDatabase(dsn).confirmed(limit=1)
    assert "wrong-secret" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "back", "told"),
    [
        (
            "ALTER TABLE tasks RENAME COLUMN helper_id TO branch",
            "ALTER TABLE tasks RENAME COLUMN branch TO helper_id",
            'column "helper_id" does not exist; apply the migrations',
        ),
        (
            "ALTER TABLE tasks RENAME TO jobs",
            "ALTER TABLE jobs RENAME TO tasks",
            '"tasks" does not exist; apply the mig',
        ),
        (
            "REVOKE SELECT ON tasks FROM mlops_reader",
            "GRANT SELECT ON tasks TO mlops_reader",
            "permission denied for table tasks; give the role that reads it `GRANT SELECT`",
        ),
    ],
)
def test_a_database_without_what_this_release_needs_says_what_to_do(services, helper, change, back, told):
    owner = psycopg2.connect(services.stack.dsn("helper_owner", "helper"))
    owner.autocommit = True
    with owner.cursor() as cursor:
        cursor.execute(change)
        try:
            with pytest.raises(ServiceRefused, match="^the Helper database refuses the request: ") as refused:
                helper.confirmed(limit=1)
        finally:
            cursor.execute(back)
    owner.close()
    assert told in str(refused.value) and "LINE" not in str(refused.value)
