"""Set aside what people said, so that no later dataset uses it; and give it back."""

from pipeline.domain.errors import GiveUp
from pipeline.domain.models import ModelType
from pipeline.domain.transitions import By
from pipeline.domain.withholding import GivenBack, Withheld
from pipeline.ports.clock import Clock
from pipeline.ports.data import Withholdings
from pipeline.ports.deployment import Transitions


def withhold(
    withholdings: Withholdings, transitions: Transitions, clock: Clock, about: tuple[ModelType, str], by: By
) -> Withheld:
    """`about` is the model type, and `version:…` of it, `branch:…` or `reviewer:…`. Nothing is deleted.

    Raises `GiveUp` for what is set aside already, what cannot be, and when nobody says why."""
    model_type, what = about
    return withholdings.withhold(Withheld.of(what, by, transitions.ledger(model_type), clock.now()))


def give_back(withholdings: Withholdings, clock: Clock, withheld_id: str, by: By) -> Withheld:
    """Later datasets take it again; asked with the same words once more, nothing changes.

    Raises `GiveUp` for what is not set aside (any more), and when nobody says why."""
    by.demand_a_name("giving confirmations back")
    if all(one.id != withheld_id for one in withholdings.all()):
        raise GiveUp(f"nothing is set aside as {withheld_id[:40]!r}: `python -m pipeline withheld` lists it")
    kept = withholdings.give_back(withheld_id, GivenBack(by.actor, by.reason, clock.now()))
    if kept.given_back and (kept.given_back.actor, kept.given_back.reason) != (by.actor, by.reason):
        raise GiveUp(kept.gave_back)
    return kept
