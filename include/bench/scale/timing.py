"""How long a database takes for each question, by the function of the adapter that asks."""

import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from types import FrameType

from psycopg2.extensions import cursor as Cursor

from include.contract.heard import HeardConnection
from pipeline.adapters.mlops_db import MlopsDatabase

OURS = "the benchmark"
_ADAPTERS, _BELOW = "pipeline/adapters/", "mlops_db.py"


class Times:
    """Seconds by name, as they came."""

    def __init__(self) -> None:
        self._of: defaultdict[str, list[float]] = defaultdict(list)

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self._of[name].append(time.perf_counter() - began)

    def times(self, name: str) -> int:
        return len(self._of[name])

    def total(self, name: str) -> float:
        return sum(self._of[name])

    def half(self, name: str) -> float:
        return median(self._of[name])

    def longest(self, name: str) -> float:
        return max(self._of[name])

    def slowest_first(self) -> list[str]:
        return sorted(self._of, key=self.longest, reverse=True)


class TimedDatabase(MlopsDatabase):
    """Inside `held`, one connection for all: thousands of them would take longer than what they ask."""

    def __init__(self, dsn: str, times: Times) -> None:
        super().__init__(dsn)
        self._times = times

    @contextmanager
    def held(self) -> Iterator[None]:
        with super().connection() as connection:
            connection.cursor_factory = _timed(self._times)
            self._open = connection
            yield

    @contextmanager
    def connection(self) -> Iterator[HeardConnection]:
        yield self._open


def _timed(times: Times) -> type[Cursor]:
    class Timed(Cursor):
        def execute(self, query, vars=None):  # type: ignore[no-untyped-def] # noqa: A002, ANN001, ANN202 - psycopg2's
            with times.of(_asked_by()):
                return super().execute(query, vars)

    return Timed


def _asked_by() -> str:
    """`confirmation_table.store`: of the frames below, the first one of an adapter's public function."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        path, name = frame.f_code.co_filename, frame.f_code.co_name
        if _ADAPTERS in path and not path.endswith(_BELOW) and not name.startswith(("_", "<")):
            return f"{Path(path).stem}.{name}"
        frame = frame.f_back
    return OURS
