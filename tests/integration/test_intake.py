"""Confirmations through a real RabbitMQ into a real PostgreSQL."""

from datetime import UTC, datetime

import pika
import psycopg2
import pytest

from pipeline.adapters.clock import SystemClock
from pipeline.adapters.confirmation_table import ConfirmationTable
from pipeline.adapters.rabbitmq import RabbitEventQueue, declare_task_topology
from pipeline.domain.errors import ServiceUnavailable
from pipeline.ports.bundles import Intake
from pipeline.steps.accumulate import accumulate
from tests.builders import BUCKETS, event_body
from tests.corpus import POISON_MESSAGES
from tests.fakes.faults import Fault, Killed

pytestmark = pytest.mark.integration

EXCHANGE, QUEUE = "task.events", "mlops.task-confirmed"


class Broker:
    def __init__(self, url):
        self.url = url
        with self.channel() as channel:
            declare_task_topology(channel, EXCHANGE, QUEUE)

    def channel(self):
        return _Channel(self.url)

    def publish(self, *messages):
        with self.channel() as channel:
            channel.confirm_delivery()
            for body, message_id in messages:
                channel.basic_publish(
                    EXCHANGE, "TaskConfirmedEvent", body, pika.BasicProperties(message_id=message_id, delivery_mode=2)
                )

    def dead_letters(self):
        """Body → reason; takes them off the queue."""
        found = {}
        with self.channel() as channel:
            while (got := channel.basic_get(f"{QUEUE}.dead", auto_ack=True))[0] is not None:
                found[got[2]] = got[1].headers["x-reason"]
        return found

    def waiting(self):
        with self.channel() as channel:
            return channel.queue_declare(QUEUE, passive=True).method.message_count


class _Channel:
    def __init__(self, url):
        self._url = url

    def __enter__(self):
        self._connection = pika.BlockingConnection(pika.URLParameters(self._url))
        return self._connection.channel()

    def __exit__(self, *exc):
        self._connection.close()


@pytest.fixture
def broker(services):
    return Broker(services.stack.amqp_url)


@pytest.fixture
def drain(services):
    queue = RabbitEventQueue(services.stack.amqp_url, exchange=EXCHANGE, queue=QUEUE)

    def drain(fault=None, limit=10_000):
        fault = fault or Fault()
        intake = Intake(queue, ConfirmationTable(services.mlops), SystemClock(), BUCKETS)
        return accumulate(fault.on_ports(intake, but=("clock",)), limit=limit)

    return drain


def rows(services, sql):
    connection = psycopg2.connect(services.stack.dsn("mlops", "mlops"))
    with connection, connection.cursor() as cursor:
        cursor.execute(sql)
        found = cursor.fetchall()
    connection.close()
    return found


def stored(services):
    return [key for (key,) in rows(services, "SELECT key FROM task_confirmations ORDER BY key")]


def test_a_thousand_events_with_duplicates_are_stored_exactly_once(services, broker, drain):
    events = [(event_body(taskId=f"TASK-{n}"), f"event-{n:04d}") for n in range(1000)]
    broker.publish(*events, *events[:50])
    intake = drain()
    assert (intake.received, intake.new, intake.duplicates) == (1050, 1000, 50)
    assert stored(services) == [message_id for _, message_id in events]
    assert broker.waiting() == 0


def test_unknown_fields_and_out_of_order_times_are_kept(services, broker, drain):
    broker.publish(
        (event_body(timestamp="2026-05-04T11:00:00Z", branch="강남점"), "later"),
        (event_body(timestamp="2026-05-04T10:00:00Z", score=0.4), "earlier"),
    )
    drain()
    found = rows(services, "SELECT key, confirmed_at, extra FROM task_confirmations ORDER BY confirmed_at")
    assert found == [
        ("earlier", datetime(2026, 5, 4, 10, tzinfo=UTC), {"score": 0.4}),
        ("later", datetime(2026, 5, 4, 11, tzinfo=UTC), {"branch": "강남점"}),
    ]


def test_every_poison_message_is_dead_lettered_with_its_reason_and_the_rest_flows(services, broker, drain):
    poison = [body for body, _ in POISON_MESSAGES]
    broker.publish((event_body(taskId="first"), "first"), *((body, None) for body in poison))
    broker.publish((event_body(taskId="last"), "last"))
    intake = drain()
    assert intake.dead_lettered == len(poison)
    assert stored(services) == ["first", "last"]
    reasons = broker.dead_letters()
    for body, complaint in POISON_MESSAGES:
        assert complaint in reasons[body]


# Calls of one drain: batches, store, acknowledge.
@pytest.mark.parametrize("at", [2, 3])
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
        drain(Fault(at=3))
    assert drain().duplicates == 1


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
