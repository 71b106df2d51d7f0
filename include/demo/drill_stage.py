"""What the drill's acts stand on: traffic, photos, confirmations, questions to the database."""

import time
from collections.abc import Callable
from typing import Any

import psycopg2
from rich.console import Console

from include.demo import seeding
from include.demo.branch_managers import Garment, confirm_all
from include.demo.photos import live_specs
from include.demo.report import Report
from include.demo.traffic import Answer, Traffic
from include.stack.layout import Stack
from pipeline.bootstrap import Pipeline

console = Console(highlight=False)
_PHOTOS = 60


class Stage:
    """`stamp` makes the names of one drill its own."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._started = time.monotonic()
        self._stamp = str(int(time.time()))
        self._tasks = 0
        self._pipeline = Pipeline.from_env()
        self._garments: list[Garment] = []
        self._traffic: Traffic | None = None
        self.report = Report("After a model is live")

    def _set(self) -> None:
        specs = live_specs(_PHOTOS, 99)
        photos = seeding.upload(specs, "DRILL", endpoint=self._stack.s3_endpoint, on_done=lambda: None, processes=1)
        self._garments = seeding.garments(specs, "DRILL")
        self._traffic = Traffic(self._stack.replicas, photos[:32], requests_per_second=5)
        self._traffic.start()

    def _confirm(self, count: int) -> None:
        """New tasks with photos of the drill; every one confirmed, and taken in."""
        numbers = range(self._tasks, self._tasks + count)
        self._tasks += count
        shown = [self._garments[n % len(self._garments)] for n in numbers]
        named = [
            Garment(f"DRILL-{self._stamp}-{n:05d}", g.photo_url, g.label) for n, g in zip(numbers, shown, strict=True)
        ]
        confirmed = confirm_all(f"http://127.0.0.1:{self._stack.port('helper')}", named, lambda: None)
        self._wait(self._taken_in, "the confirmations to be taken in", 60)
        self._say(f"{count} verdicts confirmed, {sum(c.corrected for c in confirmed)} corrected")

    def _taken_in(self) -> bool:
        self._pipeline.accumulate()
        mine = f"DRILL-{self._stamp}-_____"
        ((stored,),) = self._query("SELECT count(*) FROM task_confirmations WHERE task_id LIKE %s", mine)
        return int(stored) >= self._tasks

    def _champion(self) -> str:
        rows = self._query(
            "SELECT to_version FROM transitions WHERE phase = 'served' AND model_type = 'LAUNDRY'"
            " ORDER BY position DESC LIMIT 1"
        )
        if not rows:
            raise RuntimeError("no model serves yet: run `make demo` first")
        return str(rows[0][0])

    def _noted(self, kind: str, version: str) -> list[Any]:
        return self._query(
            "SELECT reason FROM transitions WHERE kind = %s AND to_version = %s AND phase IN ('noted', 'served')",
            kind,
            version,
        )

    def _ended_canary(self, version: str) -> str:
        ended = self._noted("canary_abort", version) or self._noted("canary_promote", version)
        return str(ended[0][0]) if ended else f"{version} is still on trial"

    def _answered_by(self, expected: set[str]) -> bool:
        assert self._traffic is not None
        newest: dict[str, Answer] = {a.replica: a for a in self._traffic.answers()}
        return {a.version for a in newest.values()} == expected

    def _requests(self) -> None:
        answers = self._traffic.answers() if self._traffic else []
        failed = [a for a in answers if a.error]
        for answer in failed[:5]:
            self._say(f"failed request at {answer.replica}: {answer.error}")
        self.report.record(requests_sent=len(answers), requests_failed=len(failed))
        self.report.demand(bool(answers) and not failed, "not one request failed")

    def _query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        connection = psycopg2.connect(self._stack.dsn("mlops", "mlops"))
        with connection, connection.cursor() as cursor:
            cursor.execute(sql, values or None)
            rows = cursor.fetchall()
        connection.close()
        return rows

    def _wait(self, ready: Callable[[], Any], what: str, seconds: float) -> Any:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := ready():
                return found
            time.sleep(0.5)
        raise TimeoutError(f"waited {seconds:.0f} s for {what}")

    def _act(self, title: str) -> None:
        console.print(f"[dim]{time.monotonic() - self._started:6.1f} s[/]  [bold]{title}[/]")

    def _say(self, text: str) -> None:
        console.print(f"          {text}", markup=False)
