"""Which number a version gets (specification §11): architecture changed, new data, or the same data once more."""

from collections.abc import Sequence
from typing import Protocol

from pipeline.domain.models import ModelVersion, VersionNumber

_FIRST_MAJOR = 1


class Made(Protocol):
    """A trained model, reduced to what decides its number."""

    @property
    def backbone(self) -> str: ...

    @property
    def dataset_id(self) -> str: ...


def next_number(
    result: Made, registered: Sequence[ModelVersion], champion: ModelVersion | None, *, retried: bool
) -> VersionNumber:
    """The number that the trained model gets when it is the next to be accepted.

    A network other than the champion's opens the next major line; the same network goes on in the champion's line,
    which need not be the highest after a rollback. Without a champion the highest line goes on, whatever the network. A
    minor number stands for a dataset: a second model of the same dataset is the next patch of the first, whatever was
    made from other data since (`newest_first` tells which is newest, not the number). `retried`: another run was tried
    on the same dataset before. That run would have been the next minor of this line, so this one is its first patch.
    """
    versions = {VersionNumber.parse(version.version): version for version in registered}
    if not versions:
        return VersionNumber(_FIRST_MAJOR, 0, int(retried))
    if champion is not None and champion.backbone != result.backbone:
        return next_major(registered)
    major = VersionNumber.parse(champion.version).major if champion else max(versions).major
    line = {number: version for number, version in versions.items() if number.major == major}
    if of_this_data := [number for number, version in line.items() if version.dataset_id == result.dataset_id]:
        return next_patch(line[max(of_this_data)], registered)
    return VersionNumber(major, max(line).minor + 1, int(retried))


def next_major(registered: Sequence[ModelVersion]) -> VersionNumber:
    """The number of a model that shares no weight with the champion; at least one version was registered before."""
    highest = max(VersionNumber.parse(version.version) for version in registered)
    return VersionNumber(highest.major + 1, 0, 0)


def next_patch(of: ModelVersion, registered: Sequence[ModelVersion]) -> VersionNumber:
    """The number of a model whose weights are those of version `of`."""
    line = VersionNumber.parse(of.version)
    numbers = (VersionNumber.parse(version.version) for version in registered)
    patch = max(number.patch for number in numbers if (number.major, number.minor) == (line.major, line.minor))
    return VersionNumber(line.major, line.minor, patch + 1)
