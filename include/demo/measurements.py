"""Figures read out of Airflow's task times and the predictions a retraining left."""

import time
from collections.abc import Sequence
from datetime import datetime

from include.stack.airflow_api import TaskTime


def accuracy(predictions: Sequence[dict[str, str]]) -> float:
    """Share of right predictions, 0-1."""
    return round(sum(p["label"] == p["predicted"] for p in predictions) / len(predictions), 4)


def seconds(tasks: Sequence[TaskTime], stage: str) -> float:
    """From the first start to the last end of a stage's tasks; 0 when none of them ran."""
    times = _of_stage(tasks, stage)
    return round((max(e for _, e in times) - min(s for s, _ in times)).total_seconds(), 2) if times else 0.0


def on_our_clock(tasks: Sequence[TaskTime], stage: str) -> tuple[float, float]:
    """A stage's begin and end in seconds of this process's monotonic clock."""
    ago = time.monotonic() - time.time()
    times = _of_stage(tasks, stage)
    return min(s for s, _ in times).timestamp() + ago, max(e for _, e in times).timestamp() + ago


def _of_stage(tasks: Sequence[TaskTime], stage: str) -> list[tuple[datetime, datetime]]:
    """Times of a stage's tasks: the task itself, its slices, or the tasks of the group with its name."""
    return [
        (t.started, t.ended)
        for t in tasks
        if t.started and t.ended and (t.task_id.split(".")[0] == stage or t.task_id == f"{stage}_slice")
    ]
