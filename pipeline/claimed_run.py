"""A retraining by hand, in one process: whether it is due, its claim, and how it ended."""

from collections.abc import Callable
from typing import Any

from include.contract.log_lines import tell
from pipeline.bootstrap import GiveUp, end_on_sigterm
from pipeline.bootstrap.runs import RunSteps
from pipeline.domain.errors import ClaimLost
from pipeline.domain.retraining import Asker, RunOutcome
from pipeline.people_commands import show
from pipeline.ports.events import Attendance

_ENDED = frozenset({RunOutcome.DEPLOYED, RunOutcome.REFUSED})

Result = dict[str, Any]
Work = Callable[[], tuple[RunOutcome, Result]]


def under_claim(
    pipeline: RunSteps, run_id: str, model_type: str, asker: Asker, work: Work
) -> tuple[RunOutcome, Result] | None:
    """What came of `work`, shown; None while nothing is due. The claim goes back however it ends, at SIGTERM, too.

    Raises `GiveUp` where the run has ended for good, and `RunBusy` while another process works at it.
    """
    end_on_sigterm()
    with pipeline.attended(run_id) as attendance:
        if not _claimed(pipeline, run_id, model_type, asker):
            return None
        return _done(pipeline, run_id, attendance, work)


def _claimed(pipeline: RunSteps, run_id: str, model_type: str, asker: Asker) -> bool:
    if (ended := pipeline.outcome_of_run(run_id)) in _ENDED:
        raise GiveUp(f"run {run_id} was {ended} already, nothing would be trained: choose another --run-id")
    answer = pipeline.begin_run(run_id, model_type, asker)
    tell(f"due: {answer['due']} ({answer['reason']})")
    if not answer["due"]:
        show(answer)
    return bool(answer["due"])


def _done(pipeline: RunSteps, run_id: str, attendance: Attendance, work: Work) -> tuple[RunOutcome, Result]:
    outcome, mine = RunOutcome.FAILED, True
    try:
        with pipeline.said_to_live(run_id, attendance):
            outcome, result = work()
    except ClaimLost:
        # It may be another process's by now.
        mine = False
        raise
    finally:
        if mine:
            pipeline.end_run(run_id, outcome, attendance)
        pipeline.publish_soon()
    show(result)
    return outcome, result
