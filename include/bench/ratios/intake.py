"""Confirmations stored per second, through a real RabbitMQ and a real PostgreSQL of our own."""

from datetime import UTC, datetime

import pika
import psycopg2

from include.bench.measurement import Found, Say, compared, seconds
from include.bench.services import private_stack
from include.contract.task_queue import declare_task_topology
from include.demo.branch_managers import confirmation
from include.stack.layout import Stack
from include.stack.postgres import query
from pipeline.bootstrap import Pipeline
from pipeline.domain.events import parse_task_confirmed

_EVENTS, _PLAIN_EVENTS = 50_000, 10_000
_EXCHANGE, _QUEUE = "task.events", "mlops.task-confirmed"
_BUCKETS = frozenset({"tasks"})
_PREFETCH = 200
_INSERT = """
    INSERT INTO task_confirmations
        (key, task_id, helper_id, ai_result, final_result, corrected, photo_url, confirmed_at, extra)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, '{}') ON CONFLICT (key) DO NOTHING"""


def intake(say: Say) -> Found:
    with private_stack(say, "postgres", "rabbitmq") as stack:
        _publish(stack, "plain", _PLAIN_EVENTS, say)
        plain = _PLAIN_EVENTS / seconds(lambda: _one_by_one(stack, _PLAIN_EVENTS))
        _publish(stack, "ours", _EVENTS, say)
        ours = _EVENTS / seconds(lambda: Pipeline.from_env().accumulate(_EVENTS))
        _demand_all_stored(stack)
    return Found(
        compared("intake", "events_per_second", ours=ours, plain=plain),
        f"{_EVENTS} events ours, {_PLAIN_EVENTS} plain; validated, stored, acknowledged. "
        "Plain: one commit and one acknowledgement for each event, connections kept open.",
    )


def _one_by_one(stack: Stack, count: int) -> None:
    broker = pika.BlockingConnection(pika.URLParameters(stack.amqp_url))
    database = psycopg2.connect(stack.dsn("mlops", "mlops"))
    channel = broker.channel()
    channel.basic_qos(prefetch_count=_PREFETCH)
    cursor = database.cursor()
    for done, (method, _, body) in enumerate(channel.consume(_QUEUE), start=1):
        e = parse_task_confirmed(body, now=datetime.now(UTC), photo_buckets=_BUCKETS)
        labels = (e.ai_result, e.final_result, e.corrected)
        cursor.execute(_INSERT, (e.key, e.task_id, e.helper_id, *labels, e.photo_url, e.confirmed_at))
        database.commit()
        channel.basic_ack(method.delivery_tag)
        if done == count:
            break
    channel.cancel()
    broker.close()
    database.close()


def _publish(stack: Stack, prefix: str, count: int, say: Say) -> None:
    """Leave `count` valid events in the queue."""
    broker = pika.BlockingConnection(pika.URLParameters(stack.amqp_url))
    channel = broker.channel()
    declare_task_topology(channel, _EXCHANGE, _QUEUE)
    at = datetime.now(UTC).isoformat()
    for number in range(count):
        task = f"{prefix}-{number}"
        corrected = {"finalResult": "불량", "corrected": True} if number % 8 == 0 else {}
        properties = pika.BasicProperties(message_id=task, delivery_mode=2)
        channel.basic_publish(_EXCHANGE, "TaskConfirmedEvent", confirmation(task, at, **corrected), properties)
    while channel.queue_declare(_QUEUE, passive=True).method.message_count < count:
        broker.sleep(0.1)
    broker.close()
    say(f"{count} events are in the queue")


def _demand_all_stored(stack: Stack) -> None:
    ((stored,),) = query(stack.dsn("mlops", "mlops"), "SELECT count(*) FROM task_confirmations")
    if stored != _EVENTS + _PLAIN_EVENTS:
        raise RuntimeError(f"{stored} of {_EVENTS + _PLAIN_EVENTS} events were stored: the figures would say nothing")
