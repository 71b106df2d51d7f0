"""People as the unit of everything: a split, an interval, a limit and an erasure are by identity, never by photo."""

import hashlib
import math
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pipeline.domain.bounds import AtLeastOne, Range
from pipeline.domain.clusters import NearDuplicates

_TRAIN_OF_TWENTY, _CALIBRATE_OF_TWENTY = 14, 17
# Bounds of a `Fingerprint`; nothing is learned from a photo that is worse.
_BLURRED_BELOW, _DARK_BELOW, _BRIGHT_ABOVE = 60.0, 0.25, 0.8

# As the model servers take names. Normalising a long text of combining marks without a letter takes minutes.
_LONGEST_TYPED = 500


class Side(StrEnum):
    """Where a person stands for ever: models learn from them, the threshold is set on them, or models are judged on
    them.
    """

    TRAIN = "train"
    CALIBRATE = "calibrate"
    TEST = "test"


@dataclass(frozen=True)
class FacePhoto:
    """`identity` is canonical; the greatest `taken_at` is the newest, ISO 8601 or the name that a camera gave; photos
    of one person whose `phash`, 16 hexadecimal digits, is nearly the same are near-duplicates, one burst.

    `check_id` names the check at a door that the photo was taken for, empty for one out of a folder; it `corrects` the
    model when the door stayed shut before the person. `branch`, `camera` and `quality` are empty where nobody knows.
    `shows` is whom it really shows where somebody said so, by `person_key`: an impostor is filed under somebody else.
    """

    photo_id: str
    identity: str
    phash: str
    taken_at: str
    branch: str = ""
    check_id: str = ""
    corrects: bool = False
    camera: str = ""
    quality: str = ""
    shows: str = ""

    @property
    def place(self) -> str:
        """The person and the check, or the person and the file's name."""
        return f"{self.identity}/{self.check_id or self.taken_at}"


def quality_of(brightness: float, sharpness: float) -> str:
    """What is wrong with a photo's light or focus, the worst first; figures as in `Fingerprint`."""
    if sharpness < _BLURRED_BELOW:
        return "blurred"
    return "dark" if brightness < _DARK_BELOW else "bright" if brightness > _BRIGHT_ABOVE else "clear"


def slices_of(photos: Iterable[FacePhoto]) -> Mapping[str, frozenset[str]]:
    """People by where, by what camera, and how well they were photographed; one person may be in several."""
    found: dict[str, set[str]] = {}
    for photo in photos:
        for sort in ("branch", "camera", "quality"):
            if value := getattr(photo, sort):
                found.setdefault(f"{sort} {value}", set()).add(photo.identity)
    return {name: frozenset(people) for name, people in sorted(found.items())}


@dataclass(frozen=True)
class ConfirmedCheck:
    """A check at a door of which `confirmed_by` said whether its photo shows `identity`, as the door has the name.

    It `corrects` the model when that had said otherwise. Who said it may be unknown, which counts as one person. It may
    show another one than the answer was about: one check then gives two entries, and the one that is not `same` names
    who was `shown`, whether or not the other one is among what is asked for.
    """

    check_id: str
    identity: str
    photo_url: str
    branch: str
    taken_at: datetime
    confirmed_at: datetime
    confirmed_by: str
    same: bool
    corrects: bool
    camera: str = ""
    shown: str = ""


def identity_of(name: str) -> str:
    """One name for one person, in whatever Unicode form it was typed.

    NFKC: letters of several characters and their single form, and wide and narrow forms, are the same. Raises
    `ValueError` for a name that is empty then, and for what is too long to be one.
    """
    canonical = name if len(name) > _LONGEST_TYPED else " ".join(unicodedata.normalize("NFKC", name).split())
    if len(canonical) > _LONGEST_TYPED:
        raise ValueError(f"a name has {_LONGEST_TYPED} characters at most")
    if not canonical:
        raise ValueError("a person has a name")
    return canonical


def side_of(identity: str) -> Side:
    """70 % learn, 15 % calibrate, 15 % test: by a hash of the name, so that no list has to be kept."""
    twentieth = int.from_bytes(hashlib.sha256(identity_of(identity).encode()).digest()[:8]) % 20
    if twentieth < _TRAIN_OF_TWENTY:
        return Side.TRAIN
    return Side.CALIBRATE if twentieth < _CALIBRATE_OF_TWENTY else Side.TEST


def share_of(side: Side) -> float:
    """Of all people, who stand there."""
    ends = {Side.TRAIN: (0, _TRAIN_OF_TWENTY), Side.CALIBRATE: (_TRAIN_OF_TWENTY, _CALIBRATE_OF_TWENTY)}
    first, end = ends.get(side, (_CALIBRATE_OF_TWENTY, 20))
    return (end - first) / 20


@dataclass(frozen=True)
class FaceSelectionPolicy:
    """Which photos of whom a dataset takes."""

    min_photos: Annotated[int, Range(at_least=2, at_most=1000)] = 2
    """Distinct photos a person needs: one photo has no mate to be compared with."""
    max_photos: Annotated[int, Range(at_least=2, at_most=1000)] = 5
    """Photos of one person that count: a frequent visitor must not own the loss."""
    max_checks: AtLeastOne = 50_000
    """Confirmed checks at doors that a dataset looks at, the newest."""
    max_confirmer_share: Annotated[float, Range(above=0, at_most=1)] = 0.25
    """Share of the confirmed checks that is taken on the word of one and the same person."""

    def __post_init__(self) -> None:
        if self.min_photos > self.max_photos:
            raise ValueError("min_photos must not be above max_photos: nobody would have enough of them")

    def trusted(self, checks: Sequence[ConfirmedCheck]) -> tuple[ConfirmedCheck, ...]:
        """What is taken of them, the newest first; of whoever said too much, about as many people as can be.

        Only what shows the person: of a stranger before the door nobody says who it was.
        """
        return self._by_whom([check for check in checks if check.same])

    def impostors(self, checks: Sequence[ConfirmedCheck]) -> tuple[ConfirmedCheck, ...]:
        """Checks at which somebody was let in as a person who is learned from, and was another one; as `trusted`, and
        of one person no more than photos of them.

        Who that was may be known: whoever judges is not learned from as an impostor either.
        """
        let_in = [check for check in checks if not check.same and check.corrects]
        wrong = [one for one in let_in if all(map(_is_learned_from, (one.identity, one.shown or None)))]
        said: Counter[str] = Counter()
        taken = []
        for check in self._by_whom(wrong):
            said[_about(check)] += 1
            if said[_about(check)] <= self.max_photos:
                taken.append(check)
        return tuple(taken)

    def _by_whom(self, checks: Sequence[ConfirmedCheck]) -> tuple[ConfirmedCheck, ...]:
        most = math.ceil(self.max_confirmer_share * len(checks))
        said: Counter[str] = Counter()
        taken = []
        for check in _in_turn(checks):
            said[check.confirmed_by] += 1
            if said[check.confirmed_by] <= most:
                taken.append(check)
        return tuple(sorted(taken, key=_when, reverse=True))

    def repeated(self, photos: Iterable[FacePhoto]) -> list[FacePhoto]:
        """Near-duplicates that a newer photo of the same person stands for, ordered by identity."""
        return [
            photo
            for _, of_one in sorted(_by_identity(photos).items())
            for photo in _newest_first(set(of_one).difference(_distinct(of_one)))
        ]

    def choose(self, photos: Iterable[FacePhoto]) -> Mapping[Side, tuple[FacePhoto, ...]]:
        """By side, ordered by identity, the newest photos of each first; whatever order they come in.

        Of near-duplicates of one person the newest stands for all. People with too few photos are left out. Learned
        from are corrections before others; who judges is seen as they come, else the champion would look worse than it
        is.
        """
        chosen: dict[Side, list[FacePhoto]] = {side: [] for side in Side}
        for identity, of_one in sorted(_by_identity(photos).items()):
            distinct = _distinct(of_one)
            if len(distinct) >= self.min_photos:
                side = side_of(identity)
                first = sorted(distinct, key=lambda photo: not photo.corrects) if side is Side.TRAIN else distinct
                kept = set(first[: self.max_photos])
                chosen[side] += [photo for photo in distinct if photo in kept]
        return {side: tuple(of_side) for side, of_side in chosen.items()}


class Pictures:
    """What photos show of whom."""

    def __init__(self, photos: Iterable[FacePhoto]) -> None:
        self._people: dict[str, set[str]] = {}
        self._of_one: dict[str, NearDuplicates] = {}
        for photo in photos:
            self._people.setdefault(photo.phash, set()).add(photo.identity)
            self._of_one.setdefault(photo.identity, NearDuplicates()).add(int(photo.phash, 16))

    def of_several(self, photo: FacePhoto) -> bool:
        return len(self._people.get(photo.phash, ())) > 1

    def of_person(self, photo: FacePhoto) -> bool:
        """Whether one of the person that it is filed under nearly shows the same."""
        own = self._of_one.get(photo.identity)
        return own is not None and bool(own.of(int(photo.phash, 16)))


def in_two_splits(splits: Mapping[Side, Sequence[FacePhoto]]) -> list[str]:
    """Identities, and pictures, that stand on more than one side; none may.

    A picture by its whole hash: of two people photos are alike by chance far more often than one is saved again.
    """
    sides: dict[str, set[Side]] = {}
    for side, photos in splits.items():
        for photo in photos:
            sides.setdefault(f"identity {identity_of(photo.identity)}", set()).add(side)
            sides.setdefault(f"photos {photo.phash}", set()).add(side)
    return sorted(name for name, found in sides.items() if len(found) > 1)


def _by_identity(photos: Iterable[FacePhoto]) -> dict[str, list[FacePhoto]]:
    found: dict[str, list[FacePhoto]] = {}
    for photo in photos:
        found.setdefault(identity_of(photo.identity), []).append(photo)
    return found


def _distinct(photos: Iterable[FacePhoto]) -> list[FacePhoto]:
    """A subset without near-duplicates; every photo left out is a near-duplicate of a newer one in it."""
    index, distinct = NearDuplicates(), list[FacePhoto]()
    for photo in _newest_first(photos):
        if not index.of(int(photo.phash, 16)):
            index.add(int(photo.phash, 16))
            distinct.append(photo)
    return distinct


def _newest_first(photos: Iterable[FacePhoto]) -> list[FacePhoto]:
    return sorted(photos, key=_age, reverse=True)


def _age(photo: FacePhoto) -> tuple[bool, str, str]:
    """A photo taken at a door counts as newer than one from a folder, whose time nobody knows."""
    return bool(photo.check_id), photo.taken_at, photo.photo_id


def _when(check: ConfirmedCheck) -> tuple[datetime, str]:
    return check.confirmed_at, check.check_id


def _is_learned_from(name: str | None) -> bool:
    """Whether a model may learn from the person; of a stranger (None) it may. An invalid name is never learned from."""
    try:
        return name is None or side_of(name) is Side.TRAIN
    except ValueError:
        return False


def _about(check: ConfirmedCheck) -> str:
    """An invalid name is set aside later, with that as the reason."""
    try:
        return identity_of(check.identity)
    except ValueError:
        return check.identity


def _in_turn(checks: Iterable[ConfirmedCheck]) -> list[ConfirmedCheck]:
    """The newest check by each confirmer about each person, then the second newest of each, and so on."""
    turns: Counter[tuple[str, str]] = Counter()
    turn: dict[str, int] = {}
    newest_first = sorted(checks, key=_when, reverse=True)
    for check in newest_first:
        about = check.confirmed_by, _about(check)
        turn[check.check_id] = turns[about]
        turns[about] += 1
    return sorted(newest_first, key=lambda check: turn[check.check_id])
