"""Say how a retraining ended, tell the world, and release its claim."""

import logging
from collections.abc import Callable

from pipeline.domain.errors import RunEnded, TryAgain
from pipeline.domain.retraining import RunOutcome
from pipeline.ports.bundles import Scheduling
from pipeline.steps.publish import publish

log = logging.getLogger(__name__)

_BY_THE_LOG = frozenset({RunOutcome.DEPLOYED, RunOutcome.UNCONFIRMED})


def finish_run(scheduling: Scheduling, run_id: str, *, conclude_deployment: Callable[[str], RunOutcome]) -> RunOutcome:
    """Returns `DEPLOYED`. With any other end the claim is released as well, and then `RunEnded` is raised.

    `conclude_deployment` says what the log knows of it.
    """
    outcome = conclude_deployment(run_id)
    blessing = scheduling.blessings.of_run(run_id)
    # What was refused may serve by a person's word.
    if outcome not in _BY_THE_LOG and blessing is not None and not blessing.approved:
        outcome = RunOutcome.HELD if blessing.waits else RunOutcome.REFUSED
    scheduling.runs.end(run_id, at=scheduling.clock.now(), outcome=outcome)
    try:
        publish(outbox=scheduling.outbox, publisher=scheduling.publisher)
    except TryAgain as error:
        # Tried again for hours, the end of a run would meet what others began since.
        log.warning("events stay in the outbox for now: %s", error)
    if outcome is not RunOutcome.DEPLOYED:
        raise RunEnded(f"run {run_id} ended without a deployment: {outcome}")
    return outcome
