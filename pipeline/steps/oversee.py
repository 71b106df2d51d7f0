"""What people see of one model type, at one moment."""

from pipeline.domain.models import ModelType
from pipeline.domain.overview import Overview
from pipeline.ports.bundles import Overseeing
from pipeline.ports.events import Backlogs

_ANSWERS = 5


def oversee(o: Overseeing, model_type: ModelType, said: Backlogs) -> Overview:
    """Writes nothing and decides nothing. `said` is what people confirmed of this type's answers."""
    ledger = o.transitions.ledger(model_type)
    return Overview(
        o.clock.now(),
        ledger,
        o.sightings.last(model_type),
        said.backlog(model_type, ledger.champion),
        o.runs.claim(model_type),
        o.sightings.answers(model_type, most=_ANSWERS),
        o.sightings.unpublished(),
        o.troubles.open(),
        o.sightings.withheld(),
    )
