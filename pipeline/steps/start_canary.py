"""Give an accepted version a share of the requests on every replica (specification §11)."""

from pipeline.domain.errors import CanaryEnded, GiveUp, TryAgain
from pipeline.domain.models import ModelType
from pipeline.domain.outgoing_events import CanaryStartedEvent
from pipeline.domain.transitions import By, CanaryStart, Entry, Phase
from pipeline.ports.bundles import Deployment
from pipeline.steps.settle import abandon, demand_settled, settle, warm


def start_canary(d: Deployment, model_type: ModelType, version: str, percent: float, by: By) -> CanaryStart:
    """The trial; the same request again goes on with the same one. `percent` of the requests, above 0 to 100.

    Raises what `Ledger.start_canary` refuses, or what the fleet raised; the champion then serves alone.
    """
    target = d.versions.get(model_type, version)
    blessing = d.blessings.of_run(target.run_id)
    with d.transitions.preparing(model_type):
        loaded = warm(d, model_type)
        with d.transitions.exclusive(model_type):
            ledger = demand_settled(d, model_type, loaded)
            trial = ledger.start_canary(target, blessing, by, d.clock.now())
            if ledger.trial == trial:
                # Replicas that lost it get it back when the canary is judged; one that threw it out must not forget
                # why.
                return trial
            d.transitions.append(ledger, Entry(Phase.REQUESTED, trial, trial.at))
        try:
            d.fleet.prepare(model_type, version, target.artifact)
        except (GiveUp, TryAgain) as error:
            abandon(d, trial, str(error))
            raise
        with d.transitions.exclusive(model_type):
            _give(d, trial, percent)
    return trial


def _give(d: Deployment, trial: CanaryStart, percent: float) -> None:
    ledger = d.transitions.ledger(trial.model_type)
    if not ledger.is_open(trial):
        d.fleet.discard(trial.model_type, trial.version)
        raise CanaryEnded(f"the trial of {trial.version} was ended while it was prepared: nothing was tried")
    try:
        d.fleet.give_canary(trial.model_type, trial.version, percent)
    except (GiveUp, TryAgain):
        # Some replicas may try it: an intent that did not come true is undone.
        settle(d, ledger, {})
        raise
    at = d.clock.now()
    event = CanaryStartedEvent(
        id=f"started:{trial.id}",
        model_type=trial.model_type,
        model_version=trial.version,
        traffic_percent=percent,
        at=at,
    )
    d.transitions.append(ledger, Entry(Phase.NOTED, trial, at), events=[event.outgoing()])
