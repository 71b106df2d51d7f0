"""A database that is asked and never answers: the caller gets its thread back, and is told who was silent."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg2
import pytest
from psycopg2.extras import execute_values

from include.contract.heard import HeardConnection, heard, take_time
from include.stand_in.database import Database
from pipeline.adapters.mlops_db import MlopsDatabase, OneMoment, read_only
from pipeline.adapters.snapshot import snapshot
from pipeline.adapters.transition_log import TransitionLog
from pipeline.domain.errors import ServiceUnavailable
from pipeline.domain.models import ModelType
from tests.faults.proxy import Proxy

pytestmark = pytest.mark.integration

HASTY_SECONDS = 0.5


class Wire:
    """Between a caller and PostgreSQL: nothing comes back from the moment that a certain word was asked."""

    def __init__(self, services, proxy):
        self._word, self._speaks = b"", threading.Event()
        self._speaks.set()
        proxy.asked, proxy.answers = self._ask, self._answer
        port = f":{services.stack.port('postgres')}/"
        self.dsn = services.stack.dsn("mlops", "mlops").replace(port, f":{proxy.port}/")

    def falls_silent_at(self, word):
        self._word = word

    def end(self):
        self._speaks.set()

    def _ask(self, body):
        if self._word and self._word in body:
            self._speaks.clear()

    def _answer(self, body):
        self._speaks.wait()
        return body


@pytest.fixture
def wire(services):
    with Proxy(services.stack.port("postgres")) as proxy:
        made = Wire(services, proxy)
        yield made
        made.end()


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    def allow(self, statement_seconds):
        self._silence_seconds = self._usual_silence_seconds = HASTY_SECONDS

    monkeypatch.setattr(HeardConnection, "allow", allow)


ASKED = {
    "a question": (b"SELECT 1", lambda c: c.cursor().execute("SELECT 1")),
    "many questions": (b"SELECT 2", lambda c: c.cursor().executemany("SELECT %s", [(1,), (2,)])),
    "values": (b"VALUES", lambda c: execute_values(c.cursor(), "VALUES %s", [(1,), (2,)])),
    "more time": (b"SET LOCAL", lambda c: take_time(c.cursor(), 900)),
    "commit": (b"COMMIT", lambda c: c.commit()),
    "rollback": (b"ROLLBACK", lambda c: c.rollback()),
    "the end of a block": (b"COMMIT", lambda c: c.__exit__(None, None, None)),
}


@pytest.mark.parametrize("asked", ASKED)
def test_whatever_is_asked_of_a_silent_database_ends(wire, asked):
    word, ask = ASKED[asked]
    connection = heard(wire.dsn, connect_seconds=60)
    connection.cursor().execute("SELECT 0")
    wire.falls_silent_at(word)
    with pytest.raises((psycopg2.OperationalError, psycopg2.InterfaceError)):
        ask(connection)
    assert connection.closed


@pytest.mark.parametrize("ended", ["commit", "rollback", "the end of a block"])
def test_more_time_is_over_with_its_transaction(wire, monkeypatch, ended):
    monkeypatch.setattr(HeardConnection, "allow_until_the_end", lambda c, _: setattr(c, "_silence_seconds", 240))
    connection = heard(wire.dsn, connect_seconds=60)
    take_time(connection.cursor(), 900)
    assert connection._silence_seconds == 240
    ASKED[ended][1](connection)
    wire.falls_silent_at(b"SELECT 1")
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(connection.cursor().execute, "SELECT 1")
        assert isinstance(asked.exception(60), psycopg2.OperationalError | psycopg2.InterfaceError)
    assert connection.closed


def test_a_connection_that_was_waited_for_in_time_is_left_alone(wire):
    connection = heard(wire.dsn, connect_seconds=60)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        time.sleep(2 * HASTY_SECONDS)
        cursor.execute("SELECT 1")


def transaction(dsn):
    with MlopsDatabase(dsn).transaction() as cursor:
        cursor.execute("SELECT 1")


def lock(dsn):
    with TransitionLog(MlopsDatabase(dsn)).exclusive(ModelType.LAUNDRY):
        raise AssertionError("nobody said that it is ours")


def moment(dsn):
    held = OneMoment(dsn, statement_timeout_ms=1000)
    with held.held(), held.transaction() as cursor:
        cursor.execute("SELECT 1")


def glance(dsn):
    with snapshot(dsn) as seen, seen.transaction() as cursor:
        cursor.execute("SELECT 1")


def somebody_elses(dsn):
    with read_only(dsn, "the Helper database") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")


@pytest.mark.parametrize(
    ("read", "word"),
    [
        (transaction, b"SELECT 1"),
        (transaction, b"COMMIT"),
        (lock, b"pg_advisory_lock"),
        (moment, b"SELECT 1"),
        (glance, b"SELECT 1"),
        (somebody_elses, b"SELECT 1"),
    ],
)
def test_a_step_is_told_which_database_is_silent(wire, read, word):
    wire.falls_silent_at(word)
    with pytest.raises(ServiceUnavailable, match="database is unavailable"):
        read(wire.dsn)


def test_the_stand_ins_hand_out_no_connection_that_fell_silent(wire):
    database = Database(wire.dsn)
    wire.falls_silent_at(b"SELECT 1")
    with pytest.raises((psycopg2.OperationalError, psycopg2.InterfaceError)), database.transaction() as cursor:
        cursor.execute("SELECT 1")
    wire.falls_silent_at(b"")
    wire.end()
    with database.transaction() as cursor:
        cursor.execute("SELECT 1")
    database.close()
