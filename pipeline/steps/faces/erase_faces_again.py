"""Erase people again in galleries and lists of faces that were restored from a copy."""

from collections.abc import Sequence
from datetime import datetime

from pipeline.domain.faces.dataset import Forgotten, person_key
from pipeline.domain.faces.gallery_log import WITHDRAWAL, named_in, place_of, withdrawals
from pipeline.domain.lineage import Erased, Erasure
from pipeline.domain.transitions import By
from pipeline.ports.data import ObjectFolders
from pipeline.ports.face_forgetting import FaceLists
from pipeline.steps.faces.forget_faces import forget_faces
from pipeline.steps.faces.stored_faces import stored_faces


def erase_from_gallery(objects: ObjectFolders, gallery: str, erased: Sequence[Erased], now: datetime) -> int:
    """How many photos of erased people were deleted; people are recognised only by the hashes that are remembered.

    Model servers that run are told before anything is deleted, as of a withdrawal.
    """
    at = place_of(gallery)
    gone = Forgotten(frozenset(one.task_id for one in erased), frozenset())
    theirs = {uri: name for uri in objects.list(f"{at}/") if gone.takes_name(name := uri.removeprefix(f"{at}/"))}
    changes = objects.list(f"{at}.changes/")
    named = [uri for uri in changes if gone.takes_name(_named_in(objects, uri))]
    keys = [uri.removeprefix(f"{at}.changes/") for uri in changes]
    for key in withdrawals({person_key(name) for name in theirs.values()}, keys, now):
        objects.write(f"{at}.changes/{key}", WITHDRAWAL)
        objects.write(f"{at}.revision", key.encode())
    # What model servers say of everybody they make anew without them.
    known = objects.list(f"{at}.known/") if erased else ()
    for uri in (*theirs, *named, *known):
        objects.delete(uri)
    return len(theirs)


def _named_in(objects: ObjectFolders, uri: str) -> str:
    try:
        return named_in(objects.read(uri))
    except KeyError:
        # A model server deleted it meanwhile.
        return ""


def erase_from_lists(lists: FaceLists, found: Erasure) -> None:
    """One person after the other, because the hashes of each person's photos are remembered with them."""
    stored = [one.dataset for one in stored_faces(lists)]
    for one in lists.erasures.all():
        forgotten = Forgotten(frozenset([one.task_id]), frozenset(one.sha256s))
        if any(dataset.without(forgotten) != dataset for dataset in stored) or one.sha256s:
            gone = forget_faces(lists, [one.task_id], By(one.actor, one.reason, "erase-again"))
            found.rewritten += [listed.uri for listed in gone.lists]
            found.deleted += sorted(gone.vectors)
