"""What a face model is made of: people, each on one side for ever, and the name under which each photo is known."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from pipeline.domain.checksums import sha256
from pipeline.domain.dataset import Dataset
from pipeline.domain.errors import DatasetRefused
from pipeline.domain.faces.copies import Near, nearly_one_picture
from pipeline.domain.faces.identities import (
    FacePhoto,
    FaceSelectionPolicy,
    Side,
    identity_of,
    in_two_splits,
    share_of,
    side_of,
)

_SHOWN = 3
_REPEATED = "a newer photo of the same person shows the same, and stands for both"
# Fewer people than this make no pair of two.
_PAIR = 2


@dataclass(frozen=True)
class SetAside:
    """A photo, by its path below the folder or by its person and check, and why nothing is learned from it.

    `photo_id` is empty where its bytes could not be read; `shows` is as of a `FacePhoto`.
    """

    name: str
    reason: str
    photo_id: str = ""
    shows: str = ""


@dataclass(frozen=True)
class FaceDataset:
    """Frozen for one training. `base_sha256` names the network whose vectors of these photos are stored.

    `through` is the time (ISO 8601) of the last confirmation that could be in it; empty where none was asked for.
    `impostors` do not show the person that they are filed under, but were let in as that person, who is learned from.
    """

    dataset_id: str
    base_sha256: str
    photos: Mapping[Side, Sequence[FacePhoto]]
    set_aside: Sequence[SetAside]
    through: str = ""
    impostors: Sequence[FacePhoto] = ()

    @classmethod
    def chosen(
        cls,
        dataset_id: str,
        base_sha256: str,
        found: Iterable[FacePhoto],
        set_aside: Sequence[SetAside],
        policy: FaceSelectionPolicy,
    ) -> "FaceDataset":
        """Photos that show what another one shows are set aside, too.

        Raises `DatasetRefused` when a side has nobody, or somebody stands on two.
        """
        found = list(found)
        photos = policy.choose(found)
        if leaks := in_two_splits(photos):
            raise DatasetRefused(f"what sets or judges a model must not be learned from: {'; '.join(leaks[:_SHOWN])}")
        if empty := [side for side, of_side in photos.items() if not of_side]:
            raise DatasetRefused(
                f"nobody stands on the side {empty[0]}: a face model needs more people, each with {policy.min_photos} "
                "or more distinct photos"
            )
        repeated = [SetAside(photo.place, _REPEATED, photo.photo_id) for photo in policy.repeated(found)]
        return cls(dataset_id, base_sha256, photos, (*set_aside, *repeated))

    def of_person(self, identity: str) -> Sequence[FacePhoto]:
        return [photo for of_side in self.photos.values() for photo in of_side if photo.identity == identity]

    def every_photo(self) -> Sequence[FacePhoto]:
        """All photos that have a vector."""
        return [*self._of_people, *self.impostors]

    def without(self, forgotten: "Forgotten") -> "FaceDataset":
        """The dataset without the people who were erased, and without their photos under another name."""
        kept = {side: tuple(p for p in of_side if not forgotten.takes(p)) for side, of_side in self.photos.items()}
        aside = tuple(one for one in self.set_aside if not forgotten.takes_aside(one))
        impostors = tuple(photo for photo in self.impostors if not forgotten.takes(photo))
        return replace(self, photos=kept, set_aside=aside, impostors=impostors)

    def taken_by(self, forgotten: "Forgotten") -> Sequence[FacePhoto]:
        """The photos that `without` leaves out."""
        return [photo for photo in self.every_photo() if forgotten.takes(photo)]

    def hashes_of(self, forgotten: "Forgotten") -> set[str]:
        """Hashes of what `without` leaves out, used or set aside, as far as they are known."""
        aside = {one.photo_id for one in self.set_aside if one.photo_id and forgotten.takes_aside(one)}
        return aside | {photo.photo_id for photo in self.taken_by(forgotten)}

    def nearly_one_picture(self, looked_at: Iterable[FacePhoto]) -> Near:
        """Photos that nearly show what one of another person shows; whether they are copies, their vectors say.

        Of all that were `looked_at`, chosen or not: a copy is one, too, of a photo that a newer one stands for, and of
        one that was set aside.
        """
        chosen = dict.fromkeys(self._of_people)
        return nearly_one_picture(list(chosen), [photo for photo in looked_at if photo not in chosen])

    def beside(self, photos: Iterable[FacePhoto]) -> "FaceDataset":
        """A list of those photos that are not among its own, each where its person stands."""
        others = sorted(set(photos).difference(self._of_people), key=lambda photo: (photo.place, photo.photo_id))
        of_sides = {side: tuple(one for one in others if side_of(one.identity) is side) for side in Side}
        return FaceDataset(self.dataset_id, self.base_sha256, of_sides, ())

    @property
    def _of_people(self) -> Sequence[FacePhoto]:
        """Impostors are filed under somebody else on purpose."""
        return [photo for of_side in self.photos.values() for photo in of_side]

    def demand_pairs(self) -> None:
        """Raises `DatasetRefused` unless each side has enough people for pairs of two."""
        for side in Side:
            if self.people(side) < _PAIR:
                raise DatasetRefused(
                    f"{self.people(side)} of the people of {self.dataset_id} stand on the side {side}, {_PAIR} or more "
                    f"are needed: about {share_of(side):.0%} of all do, so bring more people, and begin another run"
                )

    def people(self, side: Side) -> int:
        return len({photo.identity for photo in self.photos[side]})

    @property
    def sha256(self) -> str:
        return sha256(self.to_json())

    def to_json(self) -> bytes:
        said = asdict(self)
        for some in (*said["photos"].values(), said["impostors"], said["set_aside"]):
            for one in some:
                _as_before(one)
        return json.dumps(said, ensure_ascii=False, sort_keys=True).encode()

    @classmethod
    def from_json(cls, body: bytes) -> "FaceDataset":
        found = json.loads(body)
        return cls(
            found["dataset_id"],
            found["base_sha256"],
            {side: tuple(map(_photo, found["photos"][side])) for side in Side},
            tuple(SetAside(**one) for one in found["set_aside"]),
            found.get("through", ""),
            tuple(map(_photo, found.get("impostors", ()))),
        )

    def counted(self, run_id: str, model_type: str, uri: str) -> Dataset:
        """Its row in `datasets`: the people who judge are its holdout, those who set the threshold its validation;
        images are photos.
        """
        train, calibrate, test = (len(self.photos[side]) for side in Side)
        return Dataset(
            id=self.dataset_id,
            run_id=run_id,
            model_type=model_type,
            uri=uri,
            sha256=self.sha256,
            photo_count=train + calibrate + test,
            image_count=train + calibrate,
            train_count=train,
            validation_count=calibrate,
            holdout_count=test,
            corrections=sum(photo.corrects for of_side in self.photos.values() for photo in of_side),
            corrections_through=datetime.fromisoformat(self.through) if self.through else None,
        )


@dataclass(frozen=True)
class Forgotten:
    """Who was erased, by `person_key`, photos by the checks that they were taken for, and the hashes of both."""

    keys: frozenset[str]
    photo_ids: frozenset[str]

    def takes(self, photo: FacePhoto) -> bool:
        by_word = photo.photo_id in self.photo_ids or photo.shows in self.keys
        return by_word or self.takes_check(photo.check_id, photo.identity)

    def takes_aside(self, one: SetAside) -> bool:
        return one.photo_id in self.photo_ids or one.shows in self.keys or self.names(one.name)

    def takes_check(self, check_id: str, *names: str) -> bool:
        """Whether everything about this check has to go; `names` are all who are said to be on its photo, or not
        to be.
        """
        return check_id in self.keys or any(map(self.takes_name, names))

    def takes_name(self, name: str) -> bool:
        """Whether the name is that of a person among them; an empty name is nobody's."""
        try:
            return person_key(name) in self.keys
        except ValueError:
            return False

    def names(self, path: str) -> bool:
        """Whether the path names a person or a check among them; names and numbers may have slashes."""
        parts = path.split("/")
        cuts = [("/".join(parts[:at]), "/".join(parts[at:])) for at in range(1, len(parts))]
        return any(name in self.keys or self.takes_name(who) for who, name in cuts)


def person_key(name: str) -> str:
    """The key under which an erasure is remembered, so that the erased person's name is kept nowhere."""
    return f"person:{sha256(identity_of(name).encode())}"


def _as_before(said: dict[str, Any]) -> None:
    """Lists of earlier releases keep their hash: there a perceptual hash was a cluster, and nobody was left out."""
    if not said["shows"]:
        del said["shows"]
    if "phash" in said:
        said["cluster_id"] = said.pop("phash")


def _photo(said: dict[str, Any]) -> FacePhoto:
    return FacePhoto(phash=said["cluster_id"], **{name: value for name, value in said.items() if name != "cluster_id"})


def person_and_name(path: str) -> tuple[str, str] | None:
    """A photo shows the person after whom its folder is named; None for a photo in no folder, and for hidden files."""
    if any(part.startswith(".") for part in path.split("/")) or "/" not in path:
        return None
    folder, _, name = path.partition("/")
    return folder, name
