"""How a retraining run's deployment ended, and nothing of it left half done."""

from pipeline.domain.history import History
from pipeline.domain.model_events import HotSwapFailedEvent, HotSwapUnconfirmedEvent
from pipeline.domain.models import ModelType
from pipeline.domain.transitions import By, Phase
from pipeline.ports.bundles import Deployment
from pipeline.steps.abort_canary import abort_canary
from pipeline.steps.settle import settle


def conclude_deployment(d: Deployment, run_id: str) -> str:
    """`deployed`, `canary aborted`, `failed` or `unconfirmed`; nothing stays on trial of a run that is over.

    Raises `ServiceUnavailable` while a replica may still try the run's version.
    """
    found = d.versions.of_run(run_id)
    if found is None:
        return "failed"
    ledger = d.transitions.ledger(found.model_type)
    if any(act.version == found.version for act in ledger.unsettled):
        with d.transitions.preparing(found.model_type), d.transitions.exclusive(found.model_type):
            ledger = settle(d, d.transitions.ledger(found.model_type))
    if _ended(ledger, found.version) != "deployed" and ledger.trial and ledger.trial.version == found.version:
        over = By(f"run {run_id}", "the run ended without a promotion", run_id)
        abort_canary(d, found.model_type, found.version, over)
        # Somebody may have promoted it just before.
        ledger = d.transitions.ledger(found.model_type)
    return _ended(ledger, found.version)


def _ended(history: History, version: str) -> str:
    if any(change.version == version for change in history.changes):
        return "deployed"
    if any(act.version == version for act in history.unsettled):
        return "unconfirmed"
    return "canary aborted" if history.aborted(version) else "failed"


def announce_failed_swap(d: Deployment, model_type: ModelType, version: str, by: By) -> None:
    """Tell that an accepted version did not go live, and what serves instead, as far as anybody knows.

    `by.reason` is what went wrong. A canary that was aborted has said so itself, and a version that serves needs no
    news of a failure, whatever failed after it.
    """
    history = d.transitions.ledger(model_type)
    asked = history.asked_in(by.request_id, version)
    if history.aborted(version) or (asked is not None and asked.phase is Phase.SERVED):
        return
    unknown = asked is not None and history.is_open(asked.act)
    event = (HotSwapUnconfirmedEvent if unknown else HotSwapFailedEvent)(
        id=f"hot-swap-failed:{model_type}:{version}:{by.request_id}",
        model_type=model_type,
        model_version=version,
        champion=history.champion,
        reason=by.reason,
        at=d.clock.now(),
    )
    d.outbox.add(event.outgoing())
