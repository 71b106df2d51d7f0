"""Tell people when the model that had to go may still serve, because no further try is made without them."""

from pipeline.domain.errors import GiveUp, StaleTransition
from pipeline.domain.ledger import RollbackRequest
from pipeline.domain.models import ModelType
from pipeline.domain.outgoing_events import RollbackFailedEvent
from pipeline.domain.transitions import By
from pipeline.ports.bundles import Deployment


def announce_failed_rollback(d: Deployment, model_type: ModelType, asked: RollbackRequest, by: By) -> None:
    """Tell that the request `by` ended without a rollback, so that the model that had to go may still serve.

    `by.reason` is what went wrong. Nothing is told of a rollback that did serve, whatever failed after it; of one that
    another change of champion made pointless; nor of a refusal, which the person who asked has read.
    """
    ledger, at = d.transitions.ledger(model_type), d.clock.now()
    try:
        change = ledger.roll_back(asked, by, at)
    except StaleTransition:
        return
    except GiveUp:
        if asked.judged is None:
            return
        version = asked.target
    else:
        if ledger.done(change.id) is not None:
            return
        version = change.version
    event = RollbackFailedEvent(
        # A task that is cleared and fails again tells it again.
        id=f"rollback-failed:{model_type}:{by.request_id}:{ledger.position}",
        model_type=model_type,
        model_version=version,
        reason=by.reason,
        at=at,
    )
    d.outbox.add(event.outgoing())
