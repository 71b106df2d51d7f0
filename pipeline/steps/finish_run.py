"""Say how a retraining ended, tell the world, and release its claim."""

from collections.abc import Callable

from pipeline.domain.errors import GiveUp
from pipeline.ports.bundles import Scheduling
from pipeline.steps.publish import publish


def finish_run(run_id: str, scheduling: Scheduling, *, conclude_deployment: Callable[[str], str]) -> str:
    """Returns `deployed`. With any other end the claim is released as well, and then `GiveUp` is raised.

    `conclude_deployment` says whether a run that may go live did.
    """
    blessing = scheduling.blessings.of_run(run_id)
    if blessing is not None and not blessing.approved:
        outcome = "held" if blessing.held else "refused"
    else:
        outcome = conclude_deployment(run_id)
    publish(outbox=scheduling.outbox, publisher=scheduling.publisher)
    scheduling.runs.end(run_id, at=scheduling.clock.now(), outcome=outcome)
    if outcome != "deployed":
        raise GiveUp(f"run {run_id} ended without a deployment: {outcome}")
    return outcome
