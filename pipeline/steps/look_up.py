"""What steps look up from earlier ones: the champion, a run's model, its dataset."""

from pipeline.domain.dataset import Dataset, Manifest
from pipeline.domain.dataset_folder import DatasetFolder
from pipeline.domain.errors import GiveUp
from pipeline.domain.models import ModelType, ModelVersion
from pipeline.domain.training import TrainingResult
from pipeline.ports.bundles import Records
from pipeline.ports.deployment import ModelVersions, Transitions
from pipeline.steps.stored_dataset import manifest_in


def champion(model_type: ModelType, transitions: Transitions, versions: ModelVersions) -> ModelVersion | None:
    """The version that serves, None before the first."""
    serving = transitions.ledger(model_type).champion
    return versions.get(model_type, serving) if serving else None


def served_before(model_type: ModelType, transitions: Transitions, versions: ModelVersions) -> tuple[ModelVersion, ...]:
    """Versions that served before the champion, each once, the one that served last first."""
    ledger = transitions.ledger(model_type)
    names = dict.fromkeys(reign.version for reign in reversed(ledger.reigns) if reign.version != ledger.champion)
    known = {version.version: version for version in versions.all(model_type)}
    return tuple(known[name] for name in names if name in known)


def trained(records: Records, run_id: str) -> tuple[TrainingResult, Dataset]:
    """What the run trained, and on what. Raises `GiveUp` when it has not."""
    result = records.runs.result(run_id)
    if result is None:
        raise GiveUp(f"run {run_id} has no trained model: run train first")
    return result, records.datasets.get(result.dataset_id)


def manifest_of(records: Records, dataset_id: str) -> Manifest:
    return manifest_in(DatasetFolder.of(records.dataset_prefix, dataset_id), records.objects)
