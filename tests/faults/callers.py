"""Applications that never stop asking, by the client that applications use."""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from include.contract.client import FaceserveClient, FaceserveError
from tests.tiny_model import grey_photo

_PAUSE_SECONDS = 0.05


class Callers:
    """What each request came to: `answers` counts versions, `replicas` who gave them, `refusals` are sentences."""

    def __init__(self, addresses: Sequence[str], *, pause_seconds: float = _PAUSE_SECONDS) -> None:
        self.answers: Counter[str] = Counter()
        self.replicas: Counter[str] = Counter()
        self.refusals: list[str] = []
        self._addresses, self._pause_seconds = addresses, pause_seconds
        self._end, self._nobody_to_ask = threading.Event(), threading.Lock()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._end.set()
        self._thread.join()

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Nobody asks: while no replica runs at all there is no promise to keep."""
        with self._nobody_to_ask:
            yield

    def _ask(self) -> None:
        photo = grey_photo(20)
        with FaceserveClient(self._addresses, timeout_seconds=60) as client:
            while not self._end.is_set():
                with self._nobody_to_ask:
                    self._one(client, photo)
                time.sleep(self._pause_seconds)

    def _one(self, client: FaceserveClient, photo: bytes) -> None:
        try:
            found = client.classify("laundry", photo)
            self.answers[found.model_version] += 1
            self.replicas[found.replica] += 1
        except FaceserveError as error:
            self.refusals.append(str(error))
