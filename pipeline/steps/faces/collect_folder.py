"""A dataset of faces out of a folder with a folder for each person."""

from functools import partial

from pipeline.domain.errors import DatasetRefused
from pipeline.domain.faces.dataset import FaceDataset, Forgotten, person_and_name
from pipeline.ports.data import PhotoFolder
from pipeline.ports.faces import FaceMaking
from pipeline.steps.faces.collect import Offer, Offered, OnPhoto, collect


def collect_folder(making: FaceMaking, folder: PhotoFolder, run_id: str, on_photo: OnPhoto) -> FaceDataset:
    """As `collect`."""

    def offer(_forgotten: Forgotten) -> Offer:
        split = [(path, named) for path in folder.names() if (named := person_and_name(path))]
        if not split:
            raise DatasetRefused(
                f"{folder} has no folder for any person: put each one's photos into a folder of that name"
            )
        # A folder knows no times; names of cameras count up, so that the last one is the newest.
        return Offer([Offered(path, person, name, partial(folder.read, path)) for path, (person, name) in split])

    return collect(making, run_id, offer, on_photo)
