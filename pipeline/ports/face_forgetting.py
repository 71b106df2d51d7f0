"""What it takes to forget a person's face."""

from dataclasses import dataclass
from typing import Protocol

from pipeline.ports.clock import Clock
from pipeline.ports.data import Datasets, Erasures, ObjectFolders
from pipeline.ports.deployment import ModelVersions, ServingFleet
from pipeline.ports.events import FaceConfirmations


class FaceLists(Protocol):
    """Where lists of people's photos lie, under `dataset_prefix` (`s3://…/`), and who must not be in them."""

    @property
    def datasets(self) -> Datasets: ...

    @property
    def erasures(self) -> Erasures: ...

    @property
    def objects(self) -> ObjectFolders: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def dataset_prefix(self) -> str: ...


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
