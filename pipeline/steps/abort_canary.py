"""Take a canary out of the requests; the champion serves alone again (specification §11)."""

from pipeline.domain.models import ModelType
from pipeline.domain.transitions import By, Entry, Phase
from pipeline.ports.bundles import Deployment
from pipeline.steps.settle import end_trial, take_back


def abort_canary(d: Deployment, model_type: ModelType, version: str, by: By) -> bool:
    """Whether there was a trial to end, begun or only asked for. Raises `ServiceUnavailable` while a replica may still
    try it.
    """
    with d.transitions.exclusive(model_type):
        ledger = d.transitions.ledger(model_type)
        abort = ledger.abort_canary(version, by, d.clock.now())
        if abort is None:
            return _stop_strays(d, model_type, version, by)
        if not ledger.is_open(abort):
            ledger = d.transitions.append(ledger, Entry(Phase.REQUESTED, abort, abort.at))
        end_trial(d, take_back(d, ledger, version), abort)
    return True


def _stop_strays(d: Deployment, model_type: ModelType, version: str, by: By) -> bool:
    """Replicas that try a version of which the log knows no trial are stopped all the same."""
    strays = [seen for seen in d.fleet.canaries(model_type) if seen.running and seen.version == version]
    if strays:
        d.fleet.abort_canary(model_type, version, by.reason)
    return bool(strays)
