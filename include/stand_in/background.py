"""Work beside the requests, which goes on whatever happens to it."""

import logging
import threading
import time
from abc import ABC, abstractmethod

import psycopg2
from pika.exceptions import AMQPError
from psycopg2.pool import PoolError

log = logging.getLogger(__name__)
# Its own lengthy log is replaced by one line here.
logging.getLogger("pika").setLevel(logging.CRITICAL)

IDLE_SECONDS = 0.2
_MAX_PAUSE_SECONDS = 10.0
# Faults of broker or database, not of the request: they pass by themselves, and one line is enough.
AWAY = (AMQPError, OSError, psycopg2.OperationalError, psycopg2.InterfaceError, PoolError)


class Background(ABC):
    """One thread that repeats its work until it is stopped. What fails is tried again, later each time."""

    name: str

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def goes_on(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=10)

    @abstractmethod
    def _work(self) -> None:
        """Works until nothing is left to do, or `_stop` is set."""

    def _run(self) -> None:
        pause = IDLE_SECONDS
        while not self._stop.wait(pause):
            began = time.monotonic()
            try:
                self._work()
            except Exception as error:
                if time.monotonic() - began > _MAX_PAUSE_SECONDS:
                    # It has worked for a while, so this is a new outage.
                    pause = IDLE_SECONDS
                pause = min(pause * 2, _MAX_PAUSE_SECONDS)
                unexpected = None if isinstance(error, AWAY) else error
                log.warning(
                    "%s waits %.1f s: %s %s", self.name, pause, type(error).__name__, error, exc_info=unexpected
                )
            else:
                pause = IDLE_SECONDS
