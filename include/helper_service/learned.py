"""What became of people's corrections: model events say which version serves, and up to when it has learned."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pika
from pika.adapters.blocking_connection import BlockingChannel

from include.contract.task_queue import declare_exchange
from include.helper_service.settings import MODEL
from include.stand_in.background import AWAY, IDLE_SECONDS, Background
from include.stand_in.database import Database

log = logging.getLogger(__name__)

_ROUTING_KEYS = ("ModelDeployedEvent", "ModelRolledBackEvent")


@dataclass(frozen=True)
class Learned:
    """`corrections` of the reviewer's that `model_version` is the first to know; it serves `since` then."""

    model_version: str
    since: datetime
    corrections: int


class ModelChanges:
    def __init__(self, database: Database) -> None:
        self._database = database

    def note(self, event_id: str, event: Mapping[str, Any]) -> None:
        """The same event again changes nothing. Raises `KeyError`, `ValueError` for what is no event of a change."""
        if event["modelType"].lower() != MODEL:
            return
        since = event["deployedAt"] if event["eventType"] == _ROUTING_KEYS[0] else event["rolledBackAt"]
        values = (event_id, event["modelVersion"], datetime.fromisoformat(since), event.get("correctionsThrough"))
        with self._database.transaction() as cursor:
            cursor.execute(
                "INSERT INTO model_changes (event_id, version, since, corrections_through) VALUES (%s, %s, %s, %s)"
                " ON CONFLICT (event_id) DO NOTHING",
                values,
            )

    def learned(self, reviewer_id: str) -> Learned | None:
        """None while no model is known to serve, or while it is not known up to when it has learned."""
        with self._database.transaction() as cursor:
            cursor.execute("SELECT version, since FROM model_changes ORDER BY since DESC, position DESC LIMIT 1")
            row = cursor.fetchone()
            if row is None:
                return None
            cursor.execute(_COUNT, {"version": row[0], "reviewer_id": reviewer_id})
            found = cursor.fetchone()
        return Learned(row[0], row[1], found[0]) if found and found[0] is not None else None


_COUNT = """
    WITH known AS (SELECT version, max(corrections_through) AS through FROM model_changes GROUP BY version),
         serving AS (SELECT through FROM known WHERE version = %(version)s AND through IS NOT NULL),
         before AS (SELECT max(known.through) AS through FROM known, serving WHERE known.through < serving.through)
    SELECT count(*) FROM serving, before, tasks JOIN reviews r USING (task_id)
    WHERE r.reviewer_id = %(reviewer_id)s AND r.settled_at IS NOT NULL AND r.final_result = tasks.final_result
      AND tasks.corrected AND tasks.confirmed_at <= serving.through
      AND (before.through IS NULL OR tasks.confirmed_at > before.through)
    HAVING EXISTS (SELECT FROM serving)"""


class Listening(Background):
    """The broker keeps what it has not noted yet. An event that cannot be read is logged and let go."""

    name = "listening"

    def __init__(self, changes: ModelChanges, amqp_url: str, exchange: str, queue: str) -> None:
        super().__init__()
        self._changes = changes
        self._parameters = pika.URLParameters(amqp_url)
        self._exchange, self._queue = exchange, queue

    def _work(self) -> None:
        connection = pika.BlockingConnection(self._parameters)
        try:
            channel = connection.channel()
            self._declare(channel)
            for method, properties, body in channel.consume(self._queue, inactivity_timeout=IDLE_SECONDS):
                if method is not None:
                    self._hear(properties.message_id, body)
                    channel.basic_ack(method.delivery_tag)
                if self._stop.is_set():
                    break
        finally:
            if connection.is_open:
                connection.close()

    def _declare(self, channel: BlockingChannel) -> None:
        declare_exchange(channel, self._exchange)
        channel.queue_declare(self._queue, durable=True, arguments={"x-queue-type": "quorum"})
        for key in _ROUTING_KEYS:
            channel.queue_bind(self._queue, self._exchange, key)

    def _hear(self, message_id: str | None, body: bytes) -> None:
        try:
            event = json.loads(body)
            self._changes.note(message_id or f"{event['eventType']} {event['modelVersion']}", event)
        except AWAY:
            raise
        except Exception:
            # Whatever is wrong with this event, another try would fail in the same way.
            log.exception("a model event cannot be read")
