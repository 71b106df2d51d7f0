"""Learn once more from the photos of an earlier run: a refused model's retry changes how it is trained, not on what."""

from pipeline.domain.errors import DatasetRefused
from pipeline.domain.models import ModelType
from pipeline.ports.bundles import DataSources
from pipeline.steps.stored_dataset import demand_whole, frozen_manifest
from pipeline.steps.trusted import INSTEAD, demand_trusted


def reuse_dataset(sources: DataSources, dataset_id: str, model_type: ModelType) -> str:
    """The dataset's id. Raises `GiveUp` for one that is unknown or not complete, and `DatasetRefused` for one of
    another model type, one that lost a photo since or has what a person set aside, and one whose objects are gone,
    archived or changed.
    """
    dataset = sources.datasets.get(dataset_id)
    if dataset.model_type != model_type:
        raise DatasetRefused(f"{dataset_id} is a dataset of {dataset.model_type}: no {model_type} model learns from it")
    erased = {e.task_id for e in sources.erasures.all()}
    lost = sorted(erased & {row.task_id for row in sources.datasets.appearances(dataset_id=dataset_id)})
    if lost:
        raise DatasetRefused(f"the photo of {lost[0]} was erased from {dataset_id} since it was made: {INSTEAD}")
    try:
        manifest = frozen_manifest(dataset, sources.datasets, sources.objects)
        demand_whole(dataset, sources.objects)
    except DatasetRefused as error:
        raise DatasetRefused(f"{dataset_id} cannot be used again: {error}; or {INSTEAD}") from None
    demand_trusted(sources, manifest)
    return dataset_id
