"""Confirmations through a real RabbitMQ into a real PostgreSQL."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from random import Random

import psycopg2
import pytest
from pika.exceptions import NackError

from pipeline.adapters.clock import SystemClock
from pipeline.adapters.confirmation_table import ConfirmationTable
from pipeline.adapters.dead_letters import RabbitDeadLetters
from pipeline.adapters.face_confirmation_table import FaceConfirmationTable
from pipeline.adapters.rabbitmq import RabbitEventQueue
from pipeline.domain.errors import ServiceUnavailable
from pipeline.domain.intake import AT_ONCE, Stay
from pipeline.domain.models import ModelType
from pipeline.ports.intake import Intake
from pipeline.steps.accumulate import accumulate
from tests.broker import DEAD, EXCHANGE, QUEUE, Broker
from tests.builders import BUCKETS, event_body, face_body
from tests.fakes.faults import Fault, Killed
from tests.waiting import until

pytestmark = pytest.mark.integration

LAUNDRY = ModelType.LAUNDRY


@pytest.fixture
def broker(services):
    return Broker(services)


@pytest.fixture
def letters(broker):
    return RabbitDeadLetters(broker.url, exchange=EXCHANGE, queue=QUEUE)


@pytest.fixture
def drain(services):
    queue = RabbitEventQueue(services.stack.amqp_url, exchange=EXCHANGE, queue=QUEUE)

    def drain(fault=None, limit=10_000, stay=AT_ONCE):
        fault = fault or Fault()
        tables = ConfirmationTable(services.mlops), FaceConfirmationTable(services.mlops)
        intake = Intake(queue, *tables, SystemClock(), BUCKETS)
        return accumulate(fault.on_ports(intake, but=("clock",)), limit=limit, stay=stay)

    return drain


def rows(services, sql):
    connection = psycopg2.connect(services.stack.dsn("mlops_owner", "mlops"))
    with connection, connection.cursor() as cursor:
        cursor.execute(sql)
        found = cursor.fetchall() if cursor.description else []
    connection.close()
    return found


def stored(services):
    return [task for (task,) in rows(services, "SELECT task_id FROM task_confirmations ORDER BY task_id")]


def test_a_thousand_events_with_duplicates_are_stored_exactly_once(services, broker, drain):
    events = [(event_body(taskId=f"TASK-{n:04d}"), f"event-{n}") for n in range(1000)]
    broker.publish(*events, *events[:50])
    intake = drain()
    assert (intake.received, intake.new, intake.duplicates) == (1050, 1000, 50)
    assert stored(services) == [f"TASK-{n:04d}" for n in range(1000)]
    assert broker.waiting() == 0


def test_unknown_fields_and_out_of_order_times_are_kept(services, broker, drain):
    broker.publish(
        (event_body(timestamp="2026-05-04T11:00:00Z", branch="강남점"), "later"),
        (event_body(timestamp="2026-05-04T10:00:00Z", score=0.4), "earlier"),
    )
    drain()
    found = rows(services, "SELECT confirmed_at, extra FROM task_confirmations ORDER BY confirmed_at")
    assert found == [
        (datetime(2026, 5, 4, 10, tzinfo=UTC), {"score": 0.4}),
        (datetime(2026, 5, 4, 11, tzinfo=UTC), {"branch": "강남점"}),
    ]


def test_one_confirmation_in_two_messages_counts_once_and_two_under_one_id_are_both_kept(services, broker, drain):
    broker.publish((event_body(taskId="A"), "first try"), (event_body(taskId="A"), "second try"))
    broker.publish((event_body(taskId="A", timestamp="2026-05-04T11:30:00+00:00"), None))
    broker.publish((event_body(taskId="B"), "one id"), (event_body(taskId="C"), "one id"))
    counts = drain()
    assert (stored(services), counts.new, counts.duplicates) == (["A", "B", "C"], 3, 2)


# Calls of one drain: demand_reachable, batches, store, acknowledge.
@pytest.mark.parametrize("at", [3, 4])
@pytest.mark.parametrize("after", [False, True])
def test_killed_around_commit_and_acknowledgement_nothing_is_lost_or_stored_twice(services, broker, drain, at, after):
    broker.publish(*((event_body(taskId=f"TASK-{n}"), f"event-{n}") for n in range(20)))
    with pytest.raises(Killed):
        drain(Fault(at=at, after=after))
    drain()
    assert len(stored(services)) == 20
    assert broker.waiting() == 0


def test_a_redelivered_event_is_recognised_without_a_message_id(services, broker, drain):
    broker.publish((event_body(), None))
    with pytest.raises(Killed):
        drain(Fault(at=4))
    assert drain().duplicates == 1


def test_a_drain_that_stays_stores_what_comes_meanwhile_without_waiting_for_more(services, broker, drain):
    with ThreadPoolExecutor(1) as beside:
        counts = beside.submit(drain, limit=3, stay=Stay(silence_seconds=600))
        for number in range(3):
            broker.publish((event_body(taskId=f"T-{number}"), None))
            until(lambda number=number: len(stored(services)) == number + 1, "it to be stored")
        assert counts.result().new == 3


def test_a_drain_leaves_after_its_time_although_more_comes(broker, drain):
    broker.publish((event_body(taskId="T-1"), None))
    with ThreadPoolExecutor(1) as beside:
        counts = beside.submit(drain, stay=Stay(silence_seconds=3600, longest_seconds=2))
        while not counts.done():
            broker.publish((b"one more", None))
        assert counts.result().new == 1


def test_looking_at_the_queue_takes_nothing(services, broker):
    broker.publish((event_body(), "one"))
    queue = RabbitEventQueue(services.stack.amqp_url, exchange=EXCHANGE, queue=QUEUE)
    assert (queue.depth(), queue.depth(), broker.waiting()) == (1, 1, 1)


def test_while_postgres_is_down_events_wait_in_the_queue(services, broker, drain):
    broker.publish((event_body(), "waits"))
    with services.without("postgres"), pytest.raises(ServiceUnavailable, match="the mlops database is unavailable"):
        drain()
    assert drain().new == 1


def test_while_the_broker_is_down_the_reason_is_said_and_its_messages_survive(services, broker, drain):
    broker.publish((event_body(), "survives"))
    with (
        services.without("rabbitmq"),
        pytest.raises(ServiceUnavailable, match=r"RabbitMQ is unavailable: 127\.0\.0\.1"),
    ):
        drain()
    assert drain().new == 1


# What a broker, a database and an operator do


def test_a_message_that_the_database_alone_refuses_is_dead_lettered_with_its_words(services, broker, drain, letters):
    bad = {7, 8, 31}
    broker.publish(*((event_body(taskId=f"T-{n:02d}", helperId="odd" if n in bad else "H"), None) for n in range(40)))
    with a_rule_that_nobody_knows(services, "helper_id <> 'odd'"):
        counts = drain()
    assert (counts.new, counts.dead_lettered, broker.waiting()) == (37, 3, 0)
    assert stored(services) == [f"T-{n:02d}" for n in range(40) if n not in bad]
    assert all("cannot be stored: CheckViolation" in letter.reason for letter in letters.all())


@contextmanager
def a_rule_that_nobody_knows(services, condition):
    rows(services, f"ALTER TABLE task_confirmations ADD CONSTRAINT unknown CHECK ({condition})")
    try:
        yield
    finally:
        rows(services, "ALTER TABLE task_confirmations DROP CONSTRAINT unknown")


@contextmanager
def a_database_that_answers_and_takes_nothing(services):
    rows(services, "ALTER DATABASE mlops SET default_transaction_read_only = on")
    try:
        yield
    finally:
        rows(services, "SET transaction_read_only = off; ALTER DATABASE mlops RESET default_transaction_read_only")


def test_however_often_an_outage_is_tried_no_good_confirmation_is_given_up(services, broker, drain, letters):
    broker.publish(*((event_body(taskId=f"T-{n}"), None) for n in range(3)))
    with broker.policy(".*", '{"delivery-limit": 1}'):
        with a_database_that_answers_and_takes_nothing(services):
            for _ in range(4):
                with pytest.raises(ServiceUnavailable, match="read-only transaction"):
                    drain()
        assert (drain().new, letters.all()) == (3, [])


def test_looking_at_dead_letters_again_and_again_loses_none_whatever_limit_is_set(broker, drain, letters):
    broker.publish((b"one", None), (b"two", None), (b"three", None))
    drain()
    with broker.policy(".*", '{"delivery-limit": 1}'):
        for _ in range(5):
            until(lambda: [letter.body for letter in letters.all()] == [b"one", b"two", b"three"], "all to be back")
        letters.discard(letters.all()[1].id)
        until(lambda: [letter.body for letter in letters.all()] == [b"one", b"three"], "the others to be back")


@pytest.mark.parametrize("arguments", [{}, {"x-delivery-limit": 7}])
def test_a_queue_that_somebody_declared_otherwise_is_taken_as_it_is(services, broker, drain, arguments):
    with broker.channel() as channel:
        channel.queue_delete(QUEUE)
        channel.queue_declare(QUEUE, durable=True, arguments={"x-queue-type": "quorum", **arguments})
    try:
        Broker(services)
        broker.publish((event_body(), None))
        assert drain().new == 1
    finally:
        with broker.channel() as channel:
            channel.queue_delete(QUEUE)


def test_what_the_dead_letter_queue_does_not_take_stays_and_the_others_go_on(services, broker, drain, letters):
    broker.publish((event_body(taskId="before"), None), (b"no JSON", None), (event_body(taskId="after"), None))
    with broker.policy(r"\.dead$", '{"max-length": 1, "overflow": "reject-publish"}'):
        fill_the_dead_letter_queue(broker)
        counts = drain()
        assert (counts.new, counts.parked, counts.dead_lettered) == (2, 1, 0)
    assert stored(services) == ["after", "before"]
    until(lambda: broker.waiting() == 1, "the message to be back")
    assert drain().dead_lettered == 1
    assert b"no JSON" in {letter.body for letter in letters.all()}


def fill_the_dead_letter_queue(broker):
    with broker.channel() as channel, pytest.raises(NackError):
        channel.confirm_delivery()
        for _ in range(1000):
            channel.basic_publish("", DEAD, b"another")


def test_a_message_too_large_for_the_broker_by_now_stays_and_the_others_go_on(services, broker, drain):
    broker.publish((event_body(taskId="before"), None), (b"large" * 1000, None), (event_body(taskId="after"), None))
    broker.ctl("eval", "application:set_env(rabbit, max_message_size, 1000).")
    try:
        counts = drain()
    finally:
        broker.ctl("eval", "application:set_env(rabbit, max_message_size, 134217728).")
    assert (stored(services), counts.parked) == (["after", "before"], 1)
    until(lambda: broker.waiting() == 1, "the message to be back")
    assert drain().dead_lettered == 1


def test_a_store_so_slow_that_the_broker_hung_up_says_so_and_the_rest_is_a_duplicate(services, broker, drain):
    broker.publish((event_body(), None), (b"no JSON", None))
    gone = Fault(at=4, meanwhile=lambda: broker.ctl("close_all_connections", "a test"))
    with pytest.raises(ServiceUnavailable, match="RabbitMQ is unavailable"):
        drain(gone)
    until(lambda: broker.waiting() == 2, "the messages to be back")
    counts = drain()
    assert (counts.duplicates, counts.dead_lettered, stored(services)) == (1, 1, ["TASK-12345"])


# Confirmations about faces lie apart: what they do to everything that laundry is counted by

OF_FACES = {"face_confirmations"}


def everything_of_laundry(services):
    """Every row of every other table, but for when it arrived."""
    tables = rows(services, "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename !~ 'yoyo'")
    return {
        table: sorted(
            json.dumps({name: value for name, value in row.items() if name != "received_at"}, sort_keys=True)
            for (row,) in rows(services, f"SELECT to_jsonb(t) FROM {table} t")
        )
        for (table,) in tables
        if table not in OF_FACES
    }


def a_stream(dice, length):
    """Words on laundry and on faces, of tasks and checks of the same ids, new and again, right and wrong."""
    for _ in range(length):
        number = dice.randrange(6)
        beside = {"taskId": f"T-{number}", "timestamp": f"2026-05-04T11:{dice.randrange(60):02}:00Z"}
        if dice.random() < 0.5:
            wrong = dice.random() < 0.5
            said = {"finalResult": "양호" if wrong else "불량", "corrected": wrong, "modelVersion": "v1.0.0"}
            yield False, event_body(**beside, **said, photoUrl=f"s3://tasks/{dice.randrange(4)}.jpg")
        else:
            wrong = dice.random() < 0.5
            word = {"finalResult": "different" if wrong else "same", "corrected": wrong}
            yield True, face_body(**beside, **word, identity=f"person-{number % 2}", claimedIdentity=None)


def test_no_figure_of_laundry_knows_whether_people_confirmed_faces_too(services, broker, drain):
    stream = list(a_stream(Random(2), 120))
    broker.publish(*((body, None) for of_face, body in stream if not of_face))
    drain()
    alone, backlog = everything_of_laundry(services), ConfirmationTable(services.mlops).backlog(LAUNDRY, None)
    services.empty()
    broker.publish(*((body, None) for _, body in stream))
    counts = drain()
    assert everything_of_laundry(services) == alone
    assert ConfirmationTable(services.mlops).backlog(LAUNDRY, None) == backlog
    assert (counts.faces, counts.dead_lettered) == (sum(of_face for of_face, _ in stream), 0)
    ((kept,),) = rows(services, "SELECT count(*) FROM face_confirmations")
    assert kept == len({body for of_face, body in stream if of_face})
