"""Take out of galleries and lists of faces that were restored whoever was erased."""

from collections.abc import Sequence
from datetime import datetime

from pipeline.domain.faces.dataset import Forgotten
from pipeline.domain.lineage import Erased, Erasure
from pipeline.domain.models import ModelType
from pipeline.domain.transitions import By
from pipeline.ports.data import ObjectFolders
from pipeline.ports.face_forgetting import FaceLists
from pipeline.steps.faces.forget_faces import forget_faces
from pipeline.steps.faces.stored_faces import stored_faces


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


def erase_from_lists(lists: FaceLists, found: Erasure) -> None:
    """One after the other: the hashes of each one's photos are remembered with it."""
    stored = [one.dataset for one in stored_faces(lists)]
    for one in lists.erasures.all():
        forgotten = Forgotten(frozenset([one.task_id]), frozenset(one.sha256s))
        if any(dataset.without(forgotten) != dataset for dataset in stored) or one.sha256s:
            gone = forget_faces(lists, [one.task_id], By(one.actor, one.reason, "erase-again"))
            found.rewritten += [listed.uri for listed in gone.lists]
            found.deleted += sorted(gone.vectors)
