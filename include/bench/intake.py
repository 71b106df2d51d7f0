"""Confirmations stored per second, through a real RabbitMQ and a real PostgreSQL of our own."""

import json
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pika
import psycopg2

from include.bench.measurement import Measurement, Say, seconds
from include.stack import runner
from include.stack.layout import Stack
from pipeline.adapters.clock import SystemClock
from pipeline.adapters.confirmation_table import ConfirmationTable
from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.adapters.rabbitmq import RabbitEventQueue, declare_task_topology
from pipeline.domain.events import parse_task_confirmed
from pipeline.ports.bundles import Intake
from pipeline.steps.accumulate import accumulate

_EVENTS, _PLAIN_EVENTS = 50_000, 10_000
_EXCHANGE, _QUEUE = "task.events", "mlops.task-confirmed"
_BUCKETS = frozenset({"tasks"})
_PREFETCH = 200
_INSERT = """
    INSERT INTO task_confirmations
        (key, task_id, helper_id, ai_result, final_result, corrected, photo_url, confirmed_at, extra)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, '{}') ON CONFLICT (key) DO NOTHING"""


def intake(say: Say) -> Iterator[Measurement]:
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        root = Path(name)
        try:
            stack = runner.up(root, say, ["postgres", "rabbitmq"], preferred_ports=False)
            _publish(stack, "plain", _PLAIN_EVENTS, say)
            plain_seconds = seconds(lambda: _one_by_one(stack, _PLAIN_EVENTS))
            _publish(stack, "ours", _EVENTS, say)
            ours_seconds = seconds(lambda: _accumulate(stack, _EVENTS))
            _demand_all_stored(stack)
        finally:
            runner.clean(root)
    yield Measurement(
        "intake",
        "events/s",
        _EVENTS / ours_seconds,
        _PLAIN_EVENTS / plain_seconds,
        "one commit and acknowledgement per event, connections kept open",
        f"{_EVENTS} events ours, {_PLAIN_EVENTS} plain; validated, stored, acknowledged",
    )


def _accumulate(stack: Stack, count: int) -> None:
    queue = RabbitEventQueue(stack.amqp_url, exchange=_EXCHANGE, queue=_QUEUE)
    confirmations = ConfirmationTable(MlopsDatabase(stack.dsn("mlops", "mlops")))
    accumulate(Intake(queue, confirmations, SystemClock(), _BUCKETS), limit=count)


def _one_by_one(stack: Stack, count: int) -> None:
    broker = pika.BlockingConnection(pika.URLParameters(stack.amqp_url))
    database = psycopg2.connect(stack.dsn("mlops", "mlops"))
    channel = broker.channel()
    channel.basic_qos(prefetch_count=_PREFETCH)
    cursor = database.cursor()
    for done, (method, properties, body) in enumerate(channel.consume(_QUEUE), start=1):
        e = parse_task_confirmed(body, message_id=properties.message_id, now=datetime.now(UTC), photo_buckets=_BUCKETS)
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
        body = json.dumps(_event(task, at, corrected=number % 8 == 0), ensure_ascii=False).encode()
        channel.basic_publish(
            _EXCHANGE, "TaskConfirmedEvent", body, pika.BasicProperties(message_id=task, delivery_mode=2)
        )
    while channel.queue_declare(_QUEUE, passive=True).method.message_count < count:
        broker.sleep(0.1)
    broker.close()
    say(f"{count} events are in the queue")


def _event(task: str, at: str, *, corrected: bool) -> dict[str, object]:
    return {
        "eventType": "TaskConfirmedEvent",
        "taskId": task,
        "helperId": "helper-1",
        "aiResult": "양호",
        "finalResult": "불량" if corrected else "양호",
        "corrected": corrected,
        "photoUrl": f"s3://tasks/{task}.jpg",
        "timestamp": at,
    }


def _demand_all_stored(stack: Stack) -> None:
    database = psycopg2.connect(stack.dsn("mlops", "mlops"))
    with database.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM task_confirmations")
        row = cursor.fetchone()
    database.close()
    if row != (_EVENTS + _PLAIN_EVENTS,):
        raise RuntimeError(f"{row} of {_EVENTS + _PLAIN_EVENTS} events were stored: the figures would say nothing")
