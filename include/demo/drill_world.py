"""Tasks for the drill, and what the transition log says about its versions."""

import time
from collections.abc import Callable
from typing import Any

from include.demo import seeding
from include.demo.branch_managers import Garment, confirm_all
from include.demo.photos import live_specs
from include.demo.stage import Stage
from include.stack.postgres import query

# A photo counts once for each version: a trial needs others all the time.
_PHOTOS, _PHOTOS_SENT = 240, 32
_REQUESTS_PER_SECOND = 5.0
_SEED = 99
_TAKE_IN_SECONDS = 60.0
_NEWEST_CHANGE = """
    SELECT to_version, kind, actor, reason FROM transitions WHERE phase = 'served' AND model_type = 'LAUNDRY'
    ORDER BY position DESC LIMIT 1"""
_NOTES = "SELECT reason FROM transitions WHERE kind = %s AND to_version = %s AND phase IN ('noted', 'served')"


class Tasks:
    """Tasks that come in and are confirmed; `stamp` sets the names of one drill apart from those of others."""

    def __init__(self, stage: Stage, accumulate: Callable[[], object]) -> None:
        self._stage, self._accumulate = stage, accumulate
        self.stamp = str(int(time.time()))
        self._confirmed = 0
        self._garments: list[Garment] = []

    def begin(self) -> None:
        """Upload the photos, and send them to the replicas until the drill ends."""
        specs = live_specs(_PHOTOS, _SEED)
        endpoint = self._stage.stack.s3_endpoint
        photos = seeding.upload(specs, "DRILL", endpoint=endpoint, on_done=lambda: None, processes=1)
        self._garments = seeding.garments(specs, "DRILL")
        self._stage.send(photos[:_PHOTOS_SENT], _REQUESTS_PER_SECOND)

    def confirm(self, count: int) -> None:
        """Let `count` tasks come in and people confirm or correct each; wait until the confirmations are stored."""
        helper_url = f"http://127.0.0.1:{self._stage.stack.port('helper')}"
        numbers = range(self._confirmed, self._confirmed + count)
        self._confirmed += count
        confirmed = confirm_all(helper_url, [self._garment(number) for number in numbers], lambda: None)
        self._stage.wait(self._all_stored, "the confirmations to be taken in", _TAKE_IN_SECONDS)
        self._stage.say(f"{count} verdicts confirmed, {sum(c.corrected for c in confirmed)} corrected")

    def leave_nothing(self) -> None:
        """Deletes what drills confirmed: it must not enter a dataset, nor count for models of real photos."""
        forget = "DELETE FROM {} WHERE task_id LIKE 'DRILL-%'"
        query(self._stage.stack.dsn("helper", "helper"), forget.format("tasks"))
        query(self._stage.stack.dsn("mlops", "mlops"), forget.format("task_confirmations"))

    def _garment(self, number: int) -> Garment:
        shown = self._garments[number % len(self._garments)]
        return Garment(f"DRILL-{self.stamp}-{number:05d}", shown.photo_url, shown.label)

    def _all_stored(self) -> bool:
        self._accumulate()
        mine = f"DRILL-{self.stamp}-_____"
        ((stored,),) = self._stage.query("SELECT count(*) FROM task_confirmations WHERE task_id LIKE %s", mine)
        return int(stored) >= self._confirmed


class History:
    """Questions to the transition log."""

    def __init__(self, stage: Stage) -> None:
        self._query = stage.query

    def newest_change(self) -> tuple[str, str, str, str]:
        """Champion, how it became that (`kind`), by whom and why; `RuntimeError` when no model ever served."""
        rows = self._query(_NEWEST_CHANGE)
        if not rows:
            raise RuntimeError("no model serves yet: run `make demo` first")
        version, kind, actor, reason = rows[0]
        return version, kind, actor, reason

    def champion(self) -> str:
        return self.newest_change()[0]

    def run_of(self, version: str) -> str:
        """The retraining that made the version."""
        sql = "SELECT run_id FROM model_versions WHERE model_type = 'LAUNDRY' AND version = %s"
        ((run_id,),) = self._query(sql, version)
        return str(run_id)

    def noted(self, kind: str, version: str) -> list[tuple[Any, ...]]:
        """Reasons of the version's changes of this kind."""
        return self._query(_NOTES, kind, version)

    def end_of_canary(self, version: str) -> str:
        """Why the canary ended as it did."""
        ended = self.noted("canary_abort", version) or self.noted("canary_promote", version)
        return str(ended[0][0]) if ended else f"{version} is still on trial"
