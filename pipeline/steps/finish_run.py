"""Say how a retraining ended, tell the world, and release its claim."""

from collections.abc import Callable

from pipeline.domain.errors import RunEnded
from pipeline.domain.retraining import RunOutcome
from pipeline.ports.bundles import Scheduling
from pipeline.steps.publish import publish


def finish_run(scheduling: Scheduling, run_id: str, *, conclude_deployment: Callable[[str], RunOutcome]) -> RunOutcome:
    """Returns `DEPLOYED`. With any other end the claim is released as well, and then `RunEnded` is raised.

    `conclude_deployment` says whether a run that may go live did.
    """
    blessing = scheduling.blessings.of_run(run_id)
    if blessing is not None and not blessing.approved:
        outcome = RunOutcome.HELD if blessing.held else RunOutcome.REFUSED
    else:
        outcome = conclude_deployment(run_id)
    # Before anything that a broker out of reach could keep from happening.
    scheduling.runs.end(run_id, at=scheduling.clock.now(), outcome=outcome)
    publish(outbox=scheduling.outbox, publisher=scheduling.publisher)
    if outcome is not RunOutcome.DEPLOYED:
        raise RunEnded(f"run {run_id} ended without a deployment: {outcome}")
    return outcome
