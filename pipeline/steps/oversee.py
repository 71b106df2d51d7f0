"""What people see of one model type, at one moment."""

from pipeline.domain.models import ModelType
from pipeline.domain.overview import Overview
from pipeline.ports.bundles import Overseeing

_ANSWERS = 5


def oversee(o: Overseeing, model_type: ModelType) -> Overview:
    """Writes nothing and decides nothing."""
    ledger = o.transitions.ledger(model_type)
    return Overview(
        o.clock.now(),
        ledger,
        o.sightings.last(model_type),
        o.confirmations.backlog(model_type, ledger.champion),
        o.runs.claim(model_type),
        o.sightings.answers(model_type, most=_ANSWERS),
        o.sightings.unpublished(),
        o.troubles.open(),
        o.sightings.withheld(),
    )
