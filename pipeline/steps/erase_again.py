"""Erase again, in buckets that were restored from a copy, everything that was ever erased."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pipeline.domain.dataset_folder import first_photos
from pipeline.domain.errors import DatasetRefused
from pipeline.domain.lineage import Erasure, Gone
from pipeline.ports.bundles import Forgetting
from pipeline.steps.erase_choices import erase_choices
from pipeline.steps.erase_from_dataset import Place, erase_from_dataset, places
from pipeline.steps.faces.erase_faces_again import erase_from_gallery, erase_from_lists


@dataclass(frozen=True)
class ErasedAgain:
    """How many people were removed from the gallery; `uris` were rewritten or deleted."""

    people: int
    uris: tuple[str, ...]


def erase_again(forgetting: Forgetting, gallery: str) -> ErasedAgain:
    """Call this once the database knows all erasures. Killed anywhere and run again, it goes on.

    Raises `DatasetRefused` at the end for datasets that are not what was recorded in any other way.
    """
    f, found = forgetting, Erasure("")
    people = erase_from_gallery(f.objects, gallery, f.erasures.all(), f.clock.now())
    erase_from_lists(f, found)
    refused = list(_erase_photos(f, found))
    erase_choices(f, found)
    _erase_copies(f, found)
    if refused:
        raise DatasetRefused(f"everything else is done; {'; '.join(refused)}")
    return ErasedAgain(people, tuple(dict.fromkeys([*found.rewritten, *found.deleted])))


def _erase_photos(forgetting: Forgetting, found: Erasure) -> Iterator[str]:
    """Reasons why datasets are refused. The sheets of a dataset that lacks the photo already are drawn anew all the
    same: those beside it, beside models and in the tracker may be older than the erasure.
    """
    erased = Gone.of(forgetting.erasures.all()).task_ids
    for place in places(forgetting):
        left = place
        for task_id in _once(forgetting, place, sorted(erased)):
            try:
                erase_from_dataset(forgetting, left, task_id, found)
                left = replace(left, manifest=left.manifest.without(task_id))
            except DatasetRefused as why:
                yield str(why)


def _once(forgetting: Forgetting, place: Place, erased: Sequence[str]) -> Sequence[str]:
    if named := [task_id for task_id in erased if place.manifest.names(task_id)]:
        return named
    rows = forgetting.datasets.appearances(dataset_id=place.manifest.dataset_id)
    return sorted({row.task_id for row in rows}.intersection(erased))[:1]


def _erase_copies(forgetting: Forgetting, found: Erasure) -> None:
    for sha256 in sorted(Gone.of(forgetting.erasures.all()).sha256s):
        for copy in forgetting.objects.list(f"{first_photos(forgetting.dataset_prefix)}{sha256}"):
            forgetting.objects.delete(copy)
            found.deleted.append(copy)
