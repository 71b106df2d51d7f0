"""A client that never stops asking both replicas, and remembers every answer."""

import itertools
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from include.contract.client import FaceserveClient


@dataclass(frozen=True)
class Answer:
    """One request: `at` is when it was sent, in seconds of the monotonic clock; `error` is empty if it was answered."""

    at: float
    milliseconds: float
    replica: str
    version: str
    error: str = ""


Ask = Callable[[FaceserveClient, bytes], str]
"""Asks about a photo; the version that answered."""


def about_laundry(client: FaceserveClient, photo: bytes) -> str:
    return client.classify("laundry", photo).model_version


def about_faces(client: FaceserveClient, photo: bytes) -> str:
    return client.compared("face", photo).model_version


class Traffic:
    """One thread for each replica, which sends `requests_per_second`, or as many as it can, one after the other."""

    def __init__(
        self, replicas: Sequence[str], photos: Sequence[bytes], requests_per_second: float, ask: Ask = about_laundry
    ) -> None:
        self._photos, self._ask_one = photos, ask
        self._interval = 1.0 / requests_per_second
        self._stop = threading.Event()
        self._answers: list[Answer] = []
        self._threads = [threading.Thread(target=self._ask, args=(replica,), daemon=True) for replica in replicas]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def answers(self) -> list[Answer]:
        return list(self._answers)

    def _ask(self, replica: str) -> None:
        with FaceserveClient([replica]) as client:
            due = time.monotonic()
            photos = itertools.cycle(self._photos)
            while not self._stop.wait(max(0.0, due - time.monotonic())):
                self._answers.append(_one(client, replica, next(photos), self._ask_one))
                due = max(due + self._interval, time.monotonic() - self._interval)


def _one(client: FaceserveClient, replica: str, photo: bytes, ask: Ask) -> Answer:
    started = time.monotonic()
    version, error = "", ""
    try:
        version = ask(client, photo)
        if not version:
            error = "the answer named no model version"
    except Exception as failure:  # noqa: BLE001 - whatever a user would see as a failed request is one
        error = f"{type(failure).__name__}: {failure}"
    return Answer(started, (time.monotonic() - started) * 1000, replica, version, error)


def p99_ms(answers: Sequence[Answer], start: float, end: float) -> float | None:
    """99th percentile of latency of requests sent in `[start, end]`; None for fewer than two."""
    inside = [a.milliseconds for a in answers if start <= a.at <= end]
    return round(statistics.quantiles(inside, n=100, method="inclusive")[98], 1) if len(inside) > 1 else None


def versions(answers: Sequence[Answer]) -> Counter[str]:
    return Counter(a.version for a in answers if not a.error)
