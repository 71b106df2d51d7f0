"""What bringing the first model's photos works with."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.ports.data import Erasures, ObjectFolders, PhotoFolder
from pipeline.ports.deployment import ModelVersions


@dataclass(frozen=True)
class FirstPhotos:
    """What a person labelled for the first model; copies go under `prefix`. `english` has labels in Latin letters."""

    folder: PhotoFolder
    objects: ObjectFolders
    versions: ModelVersions
    erasures: Erasures
    english: Mapping[str, str]
    prefix: str
