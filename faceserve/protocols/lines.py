"""Work that waits for its turn without a thread, in a line for each connection."""

import logging
import sys
import threading
from collections import deque
from collections.abc import Callable

from faceserve.protocols.refusing import Shares

log = logging.getLogger(__name__)


class Lines:
    """Of each connection as much is done at once as its share in `Shares` is, and the rest in the order of its arrival.

    Behind a proxy a connection is many clients: those that take long keep only as many places of it as they are.
    """

    def __init__(self, each: int, common: int) -> None:
        self._shares = Shares(sys.maxsize, each, common)
        # Under this lock nobody calls anything that may call back.
        self._lock = threading.Lock()
        self._waiting: dict[str, deque[Callable[[], None]]] = {}

    def join(self, connection: str, work: Callable[[], None]) -> bool:
        """Whether somebody has to `work_off` this line; else there are enough who do."""
        with self._lock:
            self._waiting.setdefault(connection, deque()).append(work)
            return not self._shares.taken(connection)

    def work_off(self, connection: str) -> None:
        """Until nobody waits in it."""
        while work := self._next(connection):
            try:
                work()
            except Exception:
                # The others have their turn all the same.
                log.exception("what had waited for its turn failed")

    def _next(self, connection: str) -> Callable[[], None] | None:
        with self._lock:
            if line := self._waiting.get(connection):
                return line.popleft()
            self._waiting.pop(connection, None)
            self._shares.given_back(connection)
            return None
