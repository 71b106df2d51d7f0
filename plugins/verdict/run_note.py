"""Airflow's listener that writes why a run failed where people look first: a task may not write the note itself."""

import logging
from typing import Any

from airflow.listeners import hookimpl

from plugins.refusals import NOTE, NOTE_CHARACTERS

log = logging.getLogger(__name__)


@hookimpl
def on_dag_run_failed(dag_run: Any, msg: str) -> None:
    """What a person wrote stays. Called by the scheduler, in the middle of its work: nothing here may stop that."""
    from airflow.models.xcom import XComModel
    from sqlalchemy import select
    from sqlalchemy.orm import object_session

    session = object_session(dag_run)
    if session is None:
        return
    of_run = (XComModel.dag_id == dag_run.dag_id, XComModel.run_id == dag_run.run_id, XComModel.key == NOTE)
    try:
        # What fails in it is undone by itself.
        with session.begin_nested():
            note = session.scalars(select(XComModel.value).where(*of_run).order_by(XComModel.timestamp)).first()
            if note:
                dag_run.note = beside(dag_run.note, XComModel.deserialize_value(_Row(note)))
    except Exception as error:  # noqa: BLE001 - a run without a note is better than a scheduler that stops
        log.warning("the run %s has no note: %s", dag_run.run_id, type(error).__name__)


def beside(written: str | None, why: str) -> str:
    """The first task that said no says why; those that end with it know less."""
    if not written or why in written:
        return written or why
    return f"{written[: max(NOTE_CHARACTERS - len(why) - 2, 0)]}\n\n{why}"


class _Row:
    def __init__(self, value: Any) -> None:
        self.value = value
