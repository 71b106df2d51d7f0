"""Branch managers who confirm or correct verdicts, and what can go wrong with their messages on the way."""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import pika

_CLERKS = 4
_REASON = {"불량": "AI가 놓친 결함", "양호": "AI가 무늬를 결함으로 봄"}


@dataclass(frozen=True)
class Garment:
    """One piece of laundry: the task, where its photo lies, and what a careful person sees on it."""

    task_id: str
    photo_url: str
    label: str


@dataclass(frozen=True)
class Confirmed:
    task_id: str
    corrected: bool
    model_version: str


def confirm_all(base_url: str, garments: Sequence[Garment], on_done: Callable[[], None]) -> list[Confirmed]:
    """Each garment gets the AI's verdict, then a person's, through the Helper service's API."""
    with httpx.Client(base_url=base_url, timeout=30) as http, ThreadPoolExecutor(_CLERKS) as clerks:

        def confirm(garment: Garment) -> Confirmed:
            verdict = http.post("/helper/tasks", json=_task(garment)).raise_for_status().json()
            corrected = verdict["aiResult"] != garment.label
            confirmation = {
                "finalResult": garment.label,
                "aiResult": verdict["aiResult"],
                "corrected": corrected,
                "correctionReason": _REASON[garment.label] if corrected else None,
            }
            http.post(f"/helper/tasks/{garment.task_id}/confirm", json=confirmation).raise_for_status()
            on_done()
            return Confirmed(garment.task_id, corrected, verdict["modelVersion"])

        return list(clerks.map(confirm, garments))


def hand_in(base_url: str, garments: Sequence[Garment]) -> None:
    """Each gets the AI's verdict and waits for somebody to review it."""
    with httpx.Client(base_url=base_url, timeout=30) as http:
        for garment in garments:
            http.post("/helper/tasks", json=_task(garment)).raise_for_status()


def _task(garment: Garment) -> dict[str, str]:
    return {"taskId": garment.task_id, "helperId": "HELPER-001", "photoUrl": garment.photo_url}


def confirmation(task_id: str, at: str, **changes: object) -> bytes:
    """The body of a `TaskConfirmedEvent` as the Helper service writes it."""
    body = {
        "eventType": "TaskConfirmedEvent",
        "taskId": task_id,
        "helperId": "HELPER-001",
        "finalResult": "양호",
        "aiResult": "양호",
        "corrected": False,
        "photoUrl": f"s3://tasks/{task_id}.jpg",
        "timestamp": at,
    }
    return json.dumps({**body, **changes}).encode()


GARBAGE = (
    b"not json at all",
    b'{"eventType": "TaskConfirmedEvent"}',
    confirmation("TASK-FUTURE", "2970-01-01T00:00:00Z"),
    confirmation("TASK-ELSEWHERE", "2026-01-01T00:00:00Z", photoUrl="file:///etc/passwd"),
)


class Mischief:
    """Garbage, duplicates, redeliveries and wrong clocks on the task queue."""

    def __init__(self, amqp_url: str, exchange: str = "task.events", queue: str = "mlops.task-confirmed") -> None:
        self._parameters = pika.URLParameters(amqp_url)
        self._exchange, self._queue = exchange, queue

    def waiting(self) -> int:
        """Messages in the queue."""
        with self._channel() as channel:
            return int(channel.queue_declare(self._queue, passive=True).method.message_count)

    def add(self, *, duplicates: int, redeliveries: int) -> int:
        """Publish the garbage and repeat some real messages; returns how many messages the queue got."""
        # Closing without acknowledging puts all that was taken back: duplicates and redeliveries at once.
        with self._channel() as channel:
            for body in GARBAGE:
                self._publish(channel, body)
            for _ in range(duplicates):
                self._repeat_one(channel)
            for _ in range(redeliveries):
                channel.basic_get(self._queue)
        return len(GARBAGE) + duplicates

    def from_the_future(self, task_id: str, at: datetime) -> str:
        """Publish a confirmation whose clock is ahead; its message id."""
        body = confirmation(task_id, at.isoformat(), photoUrl="s3://tasks/DRILL-00000.jpg")
        with self._channel() as channel:
            self._publish(channel, body, pika.BasicProperties(message_id=task_id, delivery_mode=2))
        return task_id

    def leave_a_dead_letter(self, reason: str) -> None:
        """As the intake leaves one."""
        with self._channel() as channel:
            properties = pika.BasicProperties(headers={"x-reason": reason}, delivery_mode=2)
            channel.basic_publish("", f"{self._queue}.dead", reason.encode(), properties)

    def dead_letter_reasons(self) -> list[str]:
        """Reasons of the dead letters, which stay where they are."""
        reasons = []
        with self._channel() as channel:
            while (found := channel.basic_get(f"{self._queue}.dead"))[0] is not None:
                reasons.append(str((found[1].headers or {}).get("x-reason", "")))
        return reasons

    def _repeat_one(self, channel: Any) -> None:
        method, properties, body = channel.basic_get(self._queue)
        if method is None:
            raise RuntimeError(f"{self._queue} is empty: nothing to repeat")
        self._publish(channel, body, properties)

    def _publish(self, channel: Any, body: bytes, properties: pika.BasicProperties | None = None) -> None:
        channel.basic_publish(self._exchange, "TaskConfirmedEvent", body, properties)

    @contextmanager
    def _channel(self) -> Iterator[Any]:
        """A channel whose messages are confirmed by the broker, on a connection of its own."""
        connection = pika.BlockingConnection(self._parameters)
        try:
            channel = connection.channel()
            channel.confirm_delivery()
            yield channel
        finally:
            connection.close()
