"""List the photos of a dataset of faces as those of tasks are listed, without naming anybody."""

from collections.abc import Iterator

from pipeline.domain.dataset import Source, Split
from pipeline.domain.dataset_folder import DatasetFolder
from pipeline.domain.faces.dataset import FaceDataset
from pipeline.domain.faces.identities import Side
from pipeline.domain.lineage import Appearance
from pipeline.domain.models import ModelVersion
from pipeline.ports.data import ObjectStore

_SPLITS = {Side.TRAIN: Split.TRAIN, Side.CALIBRATE: Split.VALIDATION, Side.TEST: Split.HOLDOUT}


def listed_photos(objects: ObjectStore, prefix: str, version: ModelVersion) -> Iterator[Appearance]:
    """What the version was learned from and judged by, by checks; out of a folder a photo has its hash alone. Raises
    `KeyError` when there is no list.
    """
    dataset = FaceDataset.from_json(objects.read(DatasetFolder.of(prefix, version.dataset_id).manifest))
    run = version.dataset_id, version.run_id, str(version.model_type)
    for side, photos in dataset.photos.items():
        for one in photos:
            source = Source.CORRECTION if one.corrects else Source.EVALUATION
            yield Appearance(*run, one.check_id, "", one.photo_id, "", source, _SPLITS[side])
    for one in dataset.impostors:
        yield Appearance(*run, one.check_id, "", one.photo_id, "", Source.CORRECTION, Split.TRAIN)
