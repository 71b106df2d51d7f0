"""What a training reads of its dataset, and what it keeps of single photos: nothing of a photo that is erased
meanwhile.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from pipeline.domain.dataset import Dataset, Manifest
from pipeline.domain.dataset_folder import CONTACT_SHEET, DatasetFolder
from pipeline.domain.errors import DatasetRefused
from pipeline.ports.bundles import Training
from pipeline.ports.training import Experiment
from pipeline.steps.informing import Informing
from pipeline.steps.stored_dataset import frozen_manifest, unseen_demand
from pipeline.steps.unerased import deletion, keep_unerased, take_back_erased


@dataclass(frozen=True)
class TrainingData:
    """A dataset and its selection, as both were when the training began."""

    dataset: Dataset
    manifest: Manifest
    training: Training

    @classmethod
    def of(cls, dataset: Dataset, training: Training) -> "TrainingData":
        """Raises `DatasetRefused` for a selection that is not what was frozen."""
        return cls(dataset, frozen_manifest(dataset, training.datasets, training.objects), training)

    def demand_unseen(self, task_ids: Iterable[str]) -> None:
        """Raises `DatasetRefused` if one of the photos that were read was ever held out."""
        unseen_demand(self.manifest, self.training.datasets)(task_ids)

    def show(self, experiment: Experiment) -> Informing:
        """Attach what people look at beside an attempt's figures, which the answer takes without raising.

        Raises `DatasetRefused` when it is gone, and `PhotosErased` when it may show a photo that is erased by now.
        """
        t, uri = self.training, DatasetFolder(self.dataset.uri).contact_sheet
        try:
            sheet = t.objects.read(uri)
        except KeyError:
            raise DatasetRefused(f"{uri} is missing: augment and assemble the dataset again") from None
        experiment.log_file(CONTACT_SHEET, sheet)
        # The tracker deletes no file.
        take_back_erased(t.erasures, self.manifest, partial(experiment.log_file, CONTACT_SHEET, b""))
        return Informing(experiment, t.clock)

    def forget_erased(self, uri: str) -> None:
        """Delete what was just kept of single photos, to save time, if one of them is erased by now."""
        keep_unerased(self.training.erasures, self.manifest, deletion(self.training.objects, uri))
