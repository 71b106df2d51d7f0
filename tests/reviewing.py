"""A Helper service of the tests' own for the review page: its verdicts are given, undo is as short as a test needs."""

import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import boto3
import numpy as np
import pika
import psycopg2
import uvicorn
from fastapi import FastAPI
from PIL import Image

from include.helper_service.app import Judge, create_app
from include.helper_service.settings import Settings
from include.helper_service.tasks import Verdict
from include.stack.ports import free_ports
from tests.services import Services
from tests.waiting import until

EXCHANGE, QUEUE, MODEL_EXCHANGE = "task.events", "mlops.task-confirmed", "model.events"
GOOD, BAD = "양호", "불량"


def _sure(photo_url: str, task_id: str) -> Verdict:
    return Verdict(GOOD, "v1.0.0", 0.97)


def helper_app(services: Services, judge: Judge | None = _sure, **settings: object) -> FastAPI:
    """Nothing is blind and no second opinion wanted, unless a test says so; without `judge` the replicas are asked."""
    given = {"undo_seconds": 0, "blind_audit_share": 0, "second_opinion_share": 0, **settings}
    return create_app(
        Settings(
            dsn=services.stack.dsn("helper", "helper"),
            amqp_url=services.stack.amqp_url,
            s3_endpoint=services.stack.s3_endpoint,
            **given,
        ),
        judge=judge,
    )


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """Its base URL, while it is served."""
    (port,) = free_ports(1)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", timeout_keep_alive=600))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started, "the Helper service")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def a_photo(seed: int = 0, *, exif: bytes = b"") -> bytes:
    """JPEG of 320×240 pixels, a pattern of its own for every seed."""
    rng = np.random.default_rng(seed)
    blocks = np.kron(rng.integers(40, 216, (6, 8, 3), np.uint8), np.ones((40, 40, 1), np.uint8))
    encoded = io.BytesIO()
    Image.fromarray(blocks).save(encoded, "JPEG", exif=exif)
    return encoded.getvalue()


def upload(services: Services, task_id: str, photo: bytes) -> None:
    s3 = boto3.client("s3", endpoint_url=services.stack.s3_endpoint)
    s3.put_object(Bucket="tasks", Key=f"{task_id}.jpg", Body=photo)


def a_review(reviewer_id: str = "kim", final_result: str = GOOD, **fields: object) -> dict[str, object]:
    """The body that the page sends."""
    shown_at = datetime(2026, 5, 4, 12, tzinfo=UTC).isoformat()
    return {
        "reviewerId": reviewer_id,
        "finalResult": final_result,
        "reviewSeconds": 3.21,
        "shownAt": shown_at,
        **fields,
    }


def outbox(services: Services) -> list[dict[str, object]]:
    """Payloads of the events that left or will leave, oldest first."""
    return [payload for (payload,) in rows(services, "SELECT payload FROM outbox ORDER BY position")]


def rows(services: Services, sql: str, *values: object) -> list[tuple[object, ...]]:
    connection = psycopg2.connect(services.stack.dsn("helper", "helper"))
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(sql, values or None)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


@contextmanager
def model_events(services: Services) -> Iterator[object]:
    """A function that publishes a model event as the retraining application does."""
    connection = pika.BlockingConnection(pika.URLParameters(services.stack.amqp_url))
    channel = connection.channel()
    channel.exchange_declare(MODEL_EXCHANGE, exchange_type="topic", durable=True)

    def publish(event_id: str, body: dict[str, object] | bytes, key: str = "ModelDeployedEvent") -> None:
        content = body if isinstance(body, bytes) else json.dumps({"eventType": key, **body}).encode()
        channel.basic_publish(MODEL_EXCHANGE, key, content, pika.BasicProperties(message_id=event_id))

    yield publish
    connection.close()
