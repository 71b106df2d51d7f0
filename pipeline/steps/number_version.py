"""The number of a run's model, when it is the next to be registered (specification §11)."""

from pipeline.domain.models import ModelType, VersionNumber
from pipeline.domain.numbering import next_number
from pipeline.domain.training import TrainingResult
from pipeline.ports.bundles import Registration
from pipeline.steps.look_up import champion


def number_for(registration: Registration, model_type: ModelType, result: TrainingResult) -> VersionNumber:
    """The number goes on from the current champion and from everything that was tried on the same dataset before."""
    r, tried = registration, registration.runs.on(result.dataset_id)
    serving = champion(model_type, r.transitions, r.versions)
    retried = bool(tried) and tried[0] != result.run_id
    return next_number(result, r.versions.all(model_type), serving, retried=retried)
