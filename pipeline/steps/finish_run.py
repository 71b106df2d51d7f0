"""Say how a retraining ended, tell the world, and release its claim."""

from collections.abc import Callable

from pipeline.domain.errors import RunEnded
from pipeline.domain.retraining import RunOutcome
from pipeline.ports.bundles import Scheduling
from pipeline.steps.publish import publish_soon

_BY_THE_LOG = frozenset({RunOutcome.DEPLOYED, RunOutcome.UNCONFIRMED})


def finish_run(scheduling: Scheduling, run_id: str, *, conclude_deployment: Callable[[str], RunOutcome]) -> RunOutcome:
    """Returns `DEPLOYED`. With any other end the claim is released as well, and then `RunEnded` is raised.

    `conclude_deployment` says what the log knows of it.
    """
    outcome = conclude_deployment(run_id)
    blessing = scheduling.blessings.of_run(run_id)
    # A refused model may serve because a person forced it.
    if outcome not in _BY_THE_LOG and blessing is not None and not blessing.approved:
        outcome = RunOutcome.HELD if blessing.waits else RunOutcome.REFUSED
    scheduling.runs.end(run_id, at=scheduling.clock.now(), outcome=outcome)
    # Not tried again: hours later, the end of this run would meet what others have begun since.
    publish_soon(outbox=scheduling.outbox, publisher=scheduling.publisher)
    if outcome is not RunOutcome.DEPLOYED:
        raise RunEnded(f"run {run_id} ended without a deployment: {outcome}")
    return outcome
