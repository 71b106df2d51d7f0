"""What is odd about one confirmed task of the Helper database, before anything is done with it (design D20)."""

from collections.abc import Collection
from datetime import datetime

from pipeline.domain.dataset import ConfirmedTask
from pipeline.domain.events import EARLIEST, MAX_CLOCK_SKEW

# Longer ones do not fit the indexes of our tables.
_MAX_ID_CHARACTERS = 512


def oddity(task: ConfirmedTask, labels: Collection[str], now: datetime) -> str:
    """Why no dataset can use this row; empty for one that is as it should be.

    An odd row is set aside alone: it must not stop the others, and a date in the future must not become the time up to
    which corrections count as learned.
    """
    if task.fault:
        return task.fault
    if not 0 < len(task.task_id) <= _MAX_ID_CHARACTERS:
        return f"a task id of {len(task.task_id)} characters, 1 to {_MAX_ID_CHARACTERS} are possible"
    if task.final_result not in labels:
        return f"final_result {task.final_result[:40]!r} is not one of {', '.join(labels)}"
    if task.confirmed_at > now + MAX_CLOCK_SKEW:
        return f"confirmed_at {task.confirmed_at.isoformat()} is in the future"
    if task.confirmed_at < EARLIEST:
        return f"confirmed_at {task.confirmed_at.isoformat()} is before {EARLIEST.date()}"
    return ""
