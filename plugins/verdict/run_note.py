"""Airflow's listener that writes why a run failed where people look first: a task may not write the note itself."""

import logging
from typing import Any

from airflow.listeners import hookimpl

from plugins.verdict.refusal import NOTE

log = logging.getLogger(__name__)


@hookimpl
def on_dag_run_failed(dag_run: Any, msg: str) -> None:
    """A person's own note stays. Called by the scheduler, in the middle of its work: nothing here may stop that."""
    from airflow.models.xcom import XComModel
    from sqlalchemy import select
    from sqlalchemy.orm import object_session

    session = object_session(dag_run)
    if session is None or dag_run.note:
        return
    of_run = (XComModel.dag_id == dag_run.dag_id, XComModel.run_id == dag_run.run_id, XComModel.key == NOTE)
    try:
        # What fails in it is undone by itself.
        with session.begin_nested():
            note = session.scalars(select(XComModel.value).where(*of_run)).first()
            if note:
                dag_run.note = XComModel.deserialize_value(_Row(note))
    except Exception as error:  # noqa: BLE001 - a run without a note is better than a scheduler that stops
        log.warning("the run %s has no note: %s", dag_run.run_id, type(error).__name__)


class _Row:
    def __init__(self, value: Any) -> None:
        self.value = value
