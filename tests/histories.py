"""Ledgers in the words of their acts: `a_history("promote v1.0.0", "promote v1.1.0", "roll back v1.0.0")`."""

from datetime import timedelta

from pipeline.domain.ledger import Ledger
from pipeline.domain.models import ModelType
from pipeline.domain.transitions import (
    Archive,
    By,
    CanaryAbort,
    CanaryStart,
    ChampionChange,
    Entry,
    FreezeCleared,
    Kind,
    Phase,
    Restore,
)
from tests.builders import NOW

_CHANGES = {
    "promote": Kind.PROMOTE,
    "force": Kind.FORCED,
    "promote canary": Kind.CANARY_PROMOTE,
    "roll back": Kind.ROLLBACK_MANUAL,
    "take down to": Kind.ROLLBACK_AUTO,
}


def a_history(*acts: str) -> Ledger:
    """One act an hour from `NOW` on, each seen to come true, each in a request of its own (`request-1`, …)."""
    ledger = Ledger(ModelType.LAUNDRY)
    for number, told in enumerate(acts, start=1):
        ledger = ledger.followed_by(_entry(ledger, told, number))
    return ledger


def _entry(ledger: Ledger, told: str, number: int) -> Entry:
    verb, _, version = told.rpartition(" ")
    at = NOW + timedelta(hours=number)
    actor = "monitor" if verb == "take down to" else "kim"
    of = (f"act-{number}", ledger.model_type, version, By(actor, f"because of {number}", f"request-{number}"), at)
    if verb in _CHANGES:
        return Entry(Phase.SERVED, ChampionChange(*of, _CHANGES[verb], ledger.champion, "blessing"), at)
    if verb == "try":
        return Entry(Phase.NOTED, CanaryStart(*of, ledger.champion or "", "blessing"), at)
    if verb == "abort":
        assert ledger.trial is not None
        return Entry(Phase.NOTED, CanaryAbort(*of, ledger.trial.beside, ledger.trial.id), at)
    plain = {"clear freeze": FreezeCleared, "archive": Archive, "restore": Restore}[verb]
    return Entry(Phase.NOTED, plain(*of), at)
