"""A deliberate no: a rule, a safeguard or a person said it, and nothing is broken.

Wherever a task ends so, people find the same: a note on the run, a short block at the end of the log, no traceback.
"""

import logging
import sys
from collections.abc import MutableMapping, Sequence
from typing import Any

import structlog
from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowFailException

from plugins.ending import ending

log = logging.getLogger(__name__)

NOTE = "note"
NOTE_CHARACTERS = 1000
"""Airflow's own form takes no more."""


class Refusal(AirflowFailException):
    """What ends such a task; `ended` says what, why, what to do and where to look. Made where it is raised."""

    def __init__(self, ended: Any) -> None:
        super().__init__(str(ended))
        self.ended = ended
        _leave_out_tracebacks()
        _leave_note(note_of(ended))


class Declined(Refusal):
    """Somebody said no, nobody answered in time, or the question became pointless: nobody is paged."""

    def __init__(self, sentence: str, advice: str = "") -> None:
        from pipeline.bootstrap import RunEnded

        super().__init__(RunEnded(sentence, advice=advice))


def refused(what: str, reasons: Sequence[str], advice: str) -> Refusal:
    """A no that a plugin says by itself."""
    from pipeline.bootstrap import RunEnded

    return Refusal(RunEnded(what, reasons, advice))


def note_of(ended: Any) -> str:
    """All in one line, with as many reasons as fit beside what to do."""
    why = ended.what + (f": {'; '.join(ended.reasons)}" if ended.reasons else "")
    then = (f". Next: {ended.advice}" if ended.advice else "") + (f" (report: {ended.link})" if ended.link else "")
    room = max(NOTE_CHARACTERS - len(then), 0)
    return ((why if len(why) <= room else why[: max(room - 1, 0)] + "…") + then)[:NOTE_CHARACTERS]


def print_ending(error: Any) -> None:
    """Printed last, because people read the end of the log."""
    if isinstance(error, Refusal):
        print(ending(error.ended.what, error.ended.reasons, error.ended.advice, error.ended.link))


def _leave_note(note: str) -> None:
    """A task may not write the note of its run itself: a listener makes it of this when the run fails."""
    try:
        get_current_context()["ti"].xcom_push(NOTE, note)
    except Exception as error:  # noqa: BLE001 - outside a task there is no run; and without a note it ends all the same
        log.debug("no note is left: %s", type(error).__name__)


def _leave_out_tracebacks() -> None:
    """Airflow logs every exception that ends a task together with where in the code it was raised."""
    processors = structlog.get_config()["processors"]
    if isinstance(processors, list) and _without_traceback not in processors:
        processors.insert(0, _without_traceback)


def _without_traceback(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    error = sys.exc_info()[1]
    if event.get("exc_info") and isinstance(error, Refusal):
        del event["exc_info"]
        event["event"] = str(error)
    return event
