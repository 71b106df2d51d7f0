"""Airflow's listener that writes how a run ended where people look first: a task may not write the note itself.

What a person wrote stays above it. A run that is cleared says so, and what it had ended with before.
"""

import logging
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from airflow.listeners import hookimpl

from plugins.refusals import NOTE, NOTE_CHARACTERS

log = logging.getLogger(__name__)
_BY_HAND = "manually set"


class Ended(StrEnum):
    """What our paragraph begins with. Of a run that goes on, or went well, the reason is of the last time it failed."""

    FAILED = "✗ failed: "
    GOES_ON = "↻ runs again; it had failed: "
    WELL = "✓ succeeded in the end; it had failed: "
    MARKED = "✓ a person marked it as success; it had failed: "


@hookimpl
def on_dag_run_failed(dag_run: Any, msg: str) -> None:
    """Called by the scheduler, in the middle of its work, as the others are: nothing here may stop that."""
    _write(dag_run, Ended.FAILED, lambda session, _: _why(dag_run, msg, session))


@hookimpl
def on_dag_run_running(dag_run: Any, msg: str) -> None:
    if dag_run.clear_number:
        _write(dag_run, Ended.GOES_ON, lambda _, before: before)


@hookimpl
def on_dag_run_success(dag_run: Any, msg: str) -> None:
    _write(dag_run, Ended.MARKED if _BY_HAND in msg else Ended.WELL, lambda _, before: before)


def parted(note: str | None) -> tuple[str, str]:
    """What people wrote, and the reason in our paragraph."""
    paragraphs = (note or "").split("\n\n")
    ours = [one for one in paragraphs if one.startswith(tuple(Ended))]
    why = [one.removeprefix(mark) for one in ours for mark in Ended if one.startswith(mark)]
    return "\n\n".join(one for one in paragraphs if one not in ours), why[-1] if why else ""


def joined(written: str, ended: Ended, why: str) -> str:
    """All that may be in a note; of both, what people wrote is shortened."""
    ours = (ended + " ".join(why.split()))[:NOTE_CHARACTERS] if why else ""
    room = max(NOTE_CHARACTERS - len(ours) - 2, 0) if ours else NOTE_CHARACTERS
    return "\n\n".join(part for part in (written[:room], ours) if part)


def _write(dag_run: Any, ended: Ended, why: Callable[[Any, str], str]) -> None:
    from sqlalchemy.orm import object_session

    session = object_session(dag_run)
    if session is None:
        return
    try:
        written, before = parted(dag_run.note)
        if not before and ended is not Ended.FAILED:
            return
        # What fails in it is undone by itself.
        with session.begin_nested():
            said = joined(written, ended, why(session, before))
            if said != (dag_run.note or ""):
                dag_run.note = said
    except Exception as error:  # noqa: BLE001 - a run with an old note is better than a scheduler that stops
        log.warning("the run %s keeps its note: %s", dag_run.run_id, type(error).__name__)


def _why(dag_run: Any, msg: str, session: Any) -> str:
    """The first task that said no says why; those that end with it know less. What a task said whose end is another by
    now counts no more.
    """
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from sqlalchemy import select

    def of_run(kept: Any, *columns: Any) -> Any:
        return select(kept.task_id, kept.map_index, *columns).filter_by(dag_id=dag_run.dag_id, run_id=dag_run.run_id)

    failed = {(one.task_id, one.map_index) for one in session.execute(of_run(TaskInstance).filter_by(state="failed"))}
    said = of_run(XComModel, XComModel.value).where(XComModel.key == NOTE).order_by(XComModel.timestamp)
    for note in session.execute(said):
        if (note.task_id, note.map_index) in failed:
            return str(XComModel.deserialize_value(note))
    if _BY_HAND in msg:
        return "a person marked it so"
    if failed:
        return f"{', '.join(sorted({task_id for task_id, _ in failed}))}; the end of that log says why"
    return "it took longer than it may" if msg == "timed_out" else "a task that it needs did not run"
