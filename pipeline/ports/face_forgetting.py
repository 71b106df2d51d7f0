"""What it takes to forget a person's face."""

from dataclasses import dataclass

from pipeline.ports.clock import Clock
from pipeline.ports.data import Datasets, Erasures, ObjectFolders
from pipeline.ports.deployment import ModelVersions, ServingFleet
from pipeline.ports.events import FaceConfirmations


@dataclass(frozen=True)
class FaceForgetting:
    """Everywhere that a person's face may be kept."""

    datasets: Datasets
    erasures: Erasures
    confirmations: FaceConfirmations
    objects: ObjectFolders
    versions: ModelVersions
    fleet: ServingFleet
    clock: Clock
    dataset_prefix: str
