"""Take out of buckets what was ever erased: for those that came back from a copy, as databases do."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pipeline.domain.dataset_folder import first_photos
from pipeline.domain.errors import DatasetRefused
from pipeline.domain.faces.dataset import Forgotten
from pipeline.domain.lineage import Erased, Erasure, Gone
from pipeline.domain.models import ModelType
from pipeline.domain.transitions import By
from pipeline.ports.bundles import Forgetting
from pipeline.ports.data import ObjectFolders
from pipeline.steps.erase_choices import erase_choices
from pipeline.steps.erase_from_dataset import Place, erase_from_dataset, places
from pipeline.steps.faces.forget_faces import forget_faces
from pipeline.steps.faces.stored_faces import stored_faces


@dataclass(frozen=True)
class ErasedAgain:
    """So many people went out of the gallery; `uris` were rewritten or deleted."""

    people: int
    uris: tuple[str, ...]


def erase_again(forgetting: Forgetting, gallery: str) -> ErasedAgain:
    """Call it when the database knows all erasures. Killed anywhere and run again, it goes on.

    Raises `DatasetRefused` at the end for datasets that are not what was recorded in any other way.
    """
    f, found = forgetting, Erasure("")
    people = erase_from_gallery(f.objects, gallery, f.erasures.all(), f.clock.now())
    _erase_faces(f, found)
    refused = list(_erase_photos(f, found))
    erase_choices(f, found)
    _erase_copies(f, found)
    if refused:
        raise DatasetRefused(f"everything else is done; {'; '.join(refused)}")
    return ErasedAgain(people, tuple(dict.fromkeys([*found.rewritten, *found.deleted])))


def erase_from_gallery(objects: ObjectFolders, gallery: str, erased: Sequence[Erased], now: datetime) -> int:
    """How many objects of erased people went; their names are told by what is remembered of them alone.

    Afterwards the gallery has another revision, by which replicas that run see that it changed.
    """
    at = f"{gallery.rstrip('/')}/{ModelType.FACE}"
    gone = Forgotten(frozenset(one.task_id for one in erased), frozenset())
    theirs = [uri for uri in objects.list(f"{at}/") if gone.takes_name(uri.removeprefix(f"{at}/"))]
    for uri in theirs:
        objects.delete(uri)
    if theirs:
        objects.write(f"{at}.revision", f"erased again {now.isoformat()}".encode())
    return len(theirs)


def _erase_faces(forgetting: Forgetting, found: Erasure) -> None:
    """One after the other: the hashes of each one's photos are remembered with it."""
    f = forgetting
    stored = [one.dataset for one in stored_faces(f)]
    for one in f.erasures.all():
        forgotten = Forgotten(frozenset([one.task_id]), frozenset(one.sha256s))
        if any(dataset.without(forgotten) != dataset for dataset in stored) or one.sha256s:
            gone = forget_faces(f, [one.task_id], By(one.actor, one.reason, "erase-again"))
            found.rewritten += [listed.uri for listed in gone.lists]
            found.deleted += sorted(gone.vectors)


def _erase_photos(forgetting: Forgetting, found: Erasure) -> Iterator[str]:
    """Why a dataset is refused. One that lacks a photo already is drawn anew all the same: sheets beside it, beside
    models and in the tracker may be of before.
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
