"""What a step needs to know of earlier ones: the champion, a run's model, its dataset, the photos it must not see."""

from collections.abc import Callable, Iterable
from datetime import datetime

from pipeline.domain.dataset import Dataset, Manifest
from pipeline.domain.dataset_folder import DatasetFolder
from pipeline.domain.errors import GiveUp
from pipeline.domain.leakage import demand_unseen
from pipeline.domain.models import ModelType, ModelVersion
from pipeline.domain.training import TrainingResult
from pipeline.ports.bundles import Records
from pipeline.ports.data import Datasets, ObjectStore
from pipeline.ports.deployment import ModelVersions, Transitions
from pipeline.steps.stored_dataset import manifest_in, read_recorded


def champion(model_type: ModelType, transitions: Transitions, versions: ModelVersions) -> ModelVersion | None:
    """The version that serves, None before the first."""
    serving = transitions.ledger(model_type).champion
    return versions.get(model_type, serving) if serving else None


def corrections_since(records: Records, model_type: ModelType) -> datetime | None:
    """Until when the champion has learned; corrections from then on are new."""
    serving = champion(model_type, records.transitions, records.versions)
    return records.datasets.get(serving.dataset_id).corrections_through if serving else None


def trained(records: Records, run_id: str) -> tuple[TrainingResult, Dataset]:
    """What the run trained, and on what. Raises `GiveUp` when it has not."""
    result = records.runs.result(run_id)
    if result is None:
        raise GiveUp(f"run {run_id} has no trained model: run train first")
    return result, records.datasets.get(result.dataset_id)


def manifest_of(records: Records, dataset_id: str) -> Manifest:
    return manifest_in(DatasetFolder.of(records.dataset_prefix, dataset_id), records.objects)


def unseen_demand(dataset: Dataset, datasets: Datasets, objects: ObjectStore) -> Callable[[Iterable[str]], None]:
    """What training asks about the photos it read: raises `DatasetRefused` if one of them was ever held out."""
    body = read_recorded(DatasetFolder(dataset.uri).manifest, datasets.frozen_sha256(dataset.id), objects)
    manifest, holdout = Manifest.from_json(body), datasets.holdout(ModelType(dataset.model_type))
    return lambda task_ids: demand_unseen(manifest, holdout, task_ids)
