"""People as the unit of everything: a split, an interval, a limit and an erasure are by identity, never by photo."""

import hashlib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pipeline.domain.bounds import AtLeastOne

_TRAIN_OF_TWENTY, _CALIBRATE_OF_TWENTY = 14, 17


class Side(StrEnum):
    """Where an identity stands for ever: it is learned from, a threshold is set by it, or it judges."""

    TRAIN = "train"
    CALIBRATE = "calibrate"
    TEST = "test"


@dataclass(frozen=True)
class FacePhoto:
    """`identity` is canonical; the greatest `taken_at` is the newest, ISO 8601 or the name that a camera gave; photos
    with one `cluster_id` are near-duplicates, one burst.
    """

    photo_id: str
    identity: str
    cluster_id: str
    taken_at: str
    branch: str = ""


def identity_of(name: str) -> str:
    """One name for one person, in whatever Unicode form it was typed.

    NFKC: letters of several characters and their single form, and wide and narrow forms, are the same. Raises
    `ValueError` for a name that is empty then.
    """
    canonical = " ".join(unicodedata.normalize("NFKC", name).split())
    if not canonical:
        raise ValueError("a person has a name")
    return canonical


def side_of(identity: str) -> Side:
    """70 % learn, 15 % calibrate, 15 % test: by a hash of the name, so that no list has to be kept."""
    twentieth = int.from_bytes(hashlib.sha256(identity_of(identity).encode()).digest()[:8]) % 20
    if twentieth < _TRAIN_OF_TWENTY:
        return Side.TRAIN
    return Side.CALIBRATE if twentieth < _CALIBRATE_OF_TWENTY else Side.TEST


def side_of_merged(identities: Iterable[str]) -> Side:
    """Two names turned out to be one person: the judging side wins, so that nobody judges what was learned later."""
    sides = {side_of(identity) for identity in identities}
    return next(side for side in (Side.TEST, Side.CALIBRATE, Side.TRAIN) if side in sides)


@dataclass(frozen=True)
class FaceSelectionPolicy:
    """Which photos of whom a dataset takes."""

    min_photos: AtLeastOne = 2
    """Distinct photos a person needs: one photo has no mate to be compared with."""
    max_photos: AtLeastOne = 5
    """Photos of one person that count: a frequent visitor must not own the loss."""

    def choose(self, photos: Iterable[FacePhoto]) -> Mapping[Side, tuple[FacePhoto, ...]]:
        """By side, ordered by identity, the newest photos of each first; whatever order they come in.

        Of near-duplicates of one person the newest stands for all. People with too few photos are left out.
        """
        chosen: dict[Side, list[FacePhoto]] = {side: [] for side in Side}
        for identity, of_one in sorted(_by_identity(photos).items()):
            distinct = _distinct(of_one)
            if len(distinct) >= self.min_photos:
                chosen[side_of(identity)] += distinct[: self.max_photos]
        return {side: tuple(of_side) for side, of_side in chosen.items()}


def in_two_splits(splits: Mapping[Side, Sequence[FacePhoto]]) -> list[str]:
    """Identities, and bursts of photos, that stand on more than one side; none may."""
    sides: dict[str, set[Side]] = {}
    for side, photos in splits.items():
        for photo in photos:
            sides.setdefault(f"identity {identity_of(photo.identity)}", set()).add(side)
            sides.setdefault(f"photos {photo.cluster_id}", set()).add(side)
    return sorted(name for name, found in sides.items() if len(found) > 1)


def _by_identity(photos: Iterable[FacePhoto]) -> dict[str, list[FacePhoto]]:
    found: dict[str, list[FacePhoto]] = {}
    for photo in photos:
        found.setdefault(identity_of(photo.identity), []).append(photo)
    return found


def _distinct(photos: Iterable[FacePhoto]) -> list[FacePhoto]:
    newest_first = sorted(photos, key=lambda photo: (photo.taken_at, photo.photo_id), reverse=True)
    first: dict[str, FacePhoto] = {}
    for photo in newest_first:
        first.setdefault(photo.cluster_id, photo)
    return list(first.values())
