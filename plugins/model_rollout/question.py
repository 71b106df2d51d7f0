"""People hear of a question that waits for them, and of one that nobody answered.

The next task that tells people sends it, at the latest the monitor's, so that a hanging mail server delays no question.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowFailException

from plugins.steps import step

log = logging.getLogger(__name__)


def announce_question(context: Context, text: str, until: datetime) -> None:
    """`text` waits for an answer until then."""
    asked = _question(context, text)
    _tell(lambda p: p.announce_question(asked, until))


def announce_lapse(context: Context, text: str, outcome: str) -> None:
    """Nobody answered; `outcome` is a sentence."""
    asked = _question(context, text)
    _tell(lambda p: p.announce_lapse(asked, outcome))


def _question(context: Context, text: str) -> Any:
    from pipeline.bootstrap import Place, Question

    ti = context["ti"]
    return Question(Place(ti.dag_id, ti.task_id), context["run_id"], text, ti.log_url)


def _tell(call: Callable[[Any], None]) -> None:
    from pipeline.bootstrap import TryAgain

    try:
        step(call)
    except (AirflowFailException, TryAgain) as error:
        log.warning("nobody is told of the question: %s", error)
