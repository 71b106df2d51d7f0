"""Take a person, or the photo of a check, out of every list of faces, and remember the photos by their hashes."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.domain.dataset_folder import face_in, face_vectors
from pipeline.domain.errors import ServiceTooSlow
from pipeline.domain.faces.dataset import Forgotten
from pipeline.domain.lineage import Erased
from pipeline.domain.transitions import By
from pipeline.ports.data import Erasures
from pipeline.ports.face_forgetting import FaceLists
from pipeline.steps.faces.stored_faces import StoredFaces, stored_faces, take_out, vectors_in


@dataclass
class FacesGone:
    """The lists that were rewritten, as they were before; deleted vectors; and runs whose datasets had the photos.
    `photo_ids` are all that are remembered, also from an earlier try.
    """

    photo_ids: frozenset[str]
    lists: list[StoredFaces] = field(default_factory=list)
    vectors: set[str] = field(default_factory=set)
    run_ids: list[str] = field(default_factory=list)


def forget_faces(lists: FaceLists, keys: Collection[str], by: By) -> FacesGone:
    """`keys` as of `Forgotten`, remembered by now. Looks until no list names them: one that is written meanwhile was
    begun before, and later ones know. Nor does a vector stay that no list names any more: whoever wrote it behind an
    earlier erasure, and was killed, may never come again.
    """
    known = frozenset(sha for one in lists.erasures.all() if one.task_id in keys for sha in one.sha256s)
    forgotten, gone = Forgotten(frozenset(keys), known), FacesGone(known)
    while named := [one for one in stored_faces(lists) if one.dataset.without(forgotten) != one.dataset]:
        shown = {sha256 for one in named for sha256 in one.dataset.hashes_of(forgotten)}
        # Before anything is deleted: after a kill, copies of the photo are found by its hash.
        for key in keys:
            lists.erasures.record(Erased(key, tuple(sorted(shown)), by.actor, by.reason, lists.clock.now()))
        gone.photo_ids |= shown
        forgotten = Forgotten(forgotten.keys, gone.photo_ids)
        for one in named:
            _take_out(lists, one, forgotten, gone)
    left = erased_vectors(lists, gone.photo_ids)
    for vector in left:
        lists.objects.delete(vector)
    gone.vectors.update(left)
    return gone


def erased_vectors(lists: FaceLists, photo_ids: Collection[str]) -> list[str]:
    """Vectors of these photos, from any network, whether a list names them or not."""
    if not photo_ids:
        return []
    return [uri for uri in lists.objects.list(face_vectors(lists.dataset_prefix)) if face_in(uri) in photo_ids]


def _take_out(lists: FaceLists, stored: StoredFaces, forgotten: Forgotten, gone: FacesGone) -> None:
    photos = stored.dataset.taken_by(forgotten)
    take_out(lists, stored, forgotten)
    gone.lists.append(stored)
    gone.vectors.update(vectors_in(lists, stored.dataset, photos))
    if photos and not stored.is_draft:
        gone.run_ids.append(stored.run_id)


def strike_addresses(erasures: Erasures, addresses: Sequence[str], left: list[str]) -> Mapping[str, int]:
    """By table, how many rows no longer name the photos. A database that never reads all texts in time keeps no row of
    their own from being emptied: then `left` says so, to people.
    """
    try:
        return erasures.strike(addresses)
    except ServiceTooSlow as error:
        left.append(
            f"texts of database `mlops` may still name {', '.join(addresses)} ({error}): let its administrator look for"
            " it in every table"
        )
        return {}
