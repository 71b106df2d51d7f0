"""Requests at a fixed rate, whatever the answers take: latency counts from when a request was due."""

import itertools
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from include.contract.client import FaceserveClient, FaceserveError

_IN_FLIGHT = 64


@dataclass(frozen=True)
class Request:
    """`due` in seconds of the monotonic clock; waiting for a free sender counts as latency."""

    due: float
    milliseconds: float
    error: str = ""


class Load:
    def __init__(self, replicas: Sequence[str], photos: Sequence[bytes], requests_per_second: float) -> None:
        self._clients = [FaceserveClient([address]) for address in replicas]
        self._photos = photos
        self._interval = 1 / requests_per_second
        self._stop = threading.Event()
        self._requests: list[Request] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> list[Request]:
        """Wait for what is in flight; everything that was sent."""
        self._stop.set()
        self._thread.join()
        for client in self._clients:
            client.close()
        return self._requests

    def _run(self) -> None:
        turns = zip(itertools.cycle(self._clients), itertools.cycle(self._photos), strict=True)
        due = time.monotonic()
        with ThreadPoolExecutor(_IN_FLIGHT) as pool:
            for client, photo in turns:
                due += self._interval
                if self._stop.wait(max(0.0, due - time.monotonic())):
                    return
                pool.submit(self._ask, client, photo, due)

    def _ask(self, client: FaceserveClient, photo: bytes, due: float) -> None:
        error = ""
        try:
            client.classify("laundry", photo)
        except FaceserveError as failure:
            error = str(failure)
        self._requests.append(Request(due, (time.monotonic() - due) * 1000, error))
