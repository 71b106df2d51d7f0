"""Take a canary out of the requests; the champion serves alone again (specification §11)."""

from pipeline.domain.errors import GiveUp
from pipeline.domain.ledger import Ledger
from pipeline.domain.models import ModelType
from pipeline.domain.transitions import By, CanaryAbort, Entry, Phase, TrialOf
from pipeline.ports.bundles import Deployment
from pipeline.steps.settle import end_trial, take_back, warm


def abort_canary(d: Deployment, model_type: ModelType, meant: TrialOf, by: By) -> bool:
    """End the trial that is `meant`, begun or only asked for; False when there was none. Raises `ServiceUnavailable`
    while a replica may still try it, and `GiveUp` when a person, who names no request that began it, asks for what is
    on no trial.
    """
    with d.transitions.exclusive(model_type):
        ledger = d.transitions.ledger(model_type)
        abort = ledger.abort_canary(meant, by, d.clock.now())
        if abort is None:
            stopped = _stop_strays(d, ledger, meant.version, by)
            if not stopped and meant.begun_by is None:
                raise _nothing_to_end(ledger, meant)
            return stopped or ledger.came_true(CanaryAbort, by, meant.version) is not None
        if ledger.done(abort.id):
            return True
        if not ledger.is_open(abort):
            d.transitions.append(ledger, Entry(Phase.REQUESTED, abort, abort.at))
    # From here on nobody promotes it. Outside the lock, so that no rollback waits while replicas load the champion.
    loaded = warm(d, model_type)
    with d.transitions.exclusive(model_type):
        ledger = d.transitions.ledger(model_type)
        if ledger.is_open(abort):
            end_trial(d, take_back(d, ledger, meant.version, loaded), abort)
    return True


def _nothing_to_end(ledger: Ledger, meant: TrialOf) -> GiveUp:
    return GiveUp(f"{meant.version[:40]!r} is on no trial, nothing was aborted: {ledger.champion} serves everybody")


def _stop_strays(d: Deployment, ledger: Ledger, version: str, by: By) -> bool:
    """Replicas that try a version of which the log knows no trial are stopped all the same."""
    if ledger.begun is not None and ledger.begun.version == version:
        return False
    strays = [seen for seen in d.fleet.canaries(ledger.model_type) if seen.running and seen.version == version]
    if strays:
        d.fleet.abort_canary(ledger.model_type, version, by.reason)
    return bool(strays)
