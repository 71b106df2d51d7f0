"""Forget a person's face: galleries, stored vectors, datasets and every future selection; what it touched is listed."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from pipeline.domain.dataset_folder import DatasetFolder, face_vector
from pipeline.domain.errors import GiveUp, TryAgain
from pipeline.domain.faces.dataset import FaceDataset, Forgotten, person_key
from pipeline.domain.faces.identities import identity_of
from pipeline.domain.lineage import Erased
from pipeline.domain.models import ModelType
from pipeline.domain.transitions import By
from pipeline.ports.face_forgetting import FaceForgetting


@dataclass
class FaceErasure:
    """`datasets` were rewritten, so many `vectors` and `confirmations` are gone, `models` learned from the person or
    were judged by them and are kept, `left` is for people.
    """

    datasets: list[str] = field(default_factory=list)
    vectors: int = 0
    confirmations: int = 0
    models: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def erase_person(forgetting: FaceForgetting, name: str, by: By) -> FaceErasure:
    """Killed anywhere and run again, it goes on. The name is kept nowhere: an erasure is remembered by its hash.

    Nobody is named by a model server any more when this returns; who cannot be reached is asked again: then it raises
    `ServiceUnavailable` when all else is done. Raises `GiveUp` for an empty name, and when nobody answers for it.
    """
    by.demand_a_name("an erasure")
    try:
        identity = identity_of(name)
    except ValueError as error:
        raise GiveUp(str(error)) from None
    found = FaceErasure()
    away = _withdraw(forgetting, {name, identity}, found)
    _remember(forgetting, identity, by)
    # None comes later: the intake looks who is remembered as erased.
    found.confirmations = forgetting.confirmations.forget(person_key(identity))
    for run_id, dataset in _datasets(forgetting):
        _forget_in(forgetting, run_id, dataset, identity, found)
    found.left.append("photos in the folder that a dataset was made of: delete them there")
    found.left.append("what the access service knows of the person: withdraw them there")
    found.left.append("dead letters may name the person: look with `python -m pipeline dead-letters list`")
    if away is not None:
        raise away
    return found


def _withdraw(forgetting: FaceForgetting, names: set[str], found: FaceErasure) -> TryAgain | None:
    """Before all else: nobody is let in by a face that is to be forgotten."""
    for name in sorted(names):
        try:
            forgetting.fleet.withdraw(ModelType.FACE, name)
        except GiveUp as error:
            found.left.append(f"nobody was withdrawn at the model servers: {error}")
        except TryAgain as error:
            return error
    return None


def _remember(forgetting: FaceForgetting, identity: str, by: By) -> None:
    """A dataset that is frozen from now on looks here afterwards; one that was frozen before is found."""
    f = forgetting
    photos = {p.photo_id for _, dataset in _datasets(f) for p in dataset.of_person(identity)}
    f.erasures.record(Erased(person_key(identity), tuple(sorted(photos)), by.actor, by.reason, f.clock.now()))


def _forget_in(
    forgetting: FaceForgetting, run_id: str, dataset: FaceDataset, identity: str, found: FaceErasure
) -> None:
    """The manifest last: by it all is found again."""
    f, photos = forgetting, dataset.of_person(identity)
    rest = dataset.without(Forgotten(frozenset({person_key(identity)}), frozenset(p.photo_id for p in photos)))
    if rest == dataset:
        return
    for photo in photos:
        f.objects.delete(face_vector(f.dataset_prefix, dataset.base_sha256, photo.photo_id))
    at = DatasetFolder.of(f.dataset_prefix, dataset.dataset_id)
    f.datasets.complete(rest.counted(run_id, ModelType.FACE, at.uri))
    f.objects.write(at.manifest, rest.to_json(), "application/json")
    found.datasets.append(dataset.dataset_id)
    found.vectors += len(photos)
    if photos and (version := f.versions.of_run(run_id)) is not None:
        found.models.append(f"{version.model_type} {version.version} was made with them, and holds nobody's face")


def _datasets(forgetting: FaceForgetting) -> Iterator[tuple[str, FaceDataset]]:
    """Run and dataset of all that are frozen."""
    f = forgetting
    for dataset_id, run_id in f.datasets.of_type(ModelType.FACE):
        at = DatasetFolder.of(f.dataset_prefix, dataset_id)
        if f.objects.exists(at.manifest):
            yield run_id, FaceDataset.from_json(f.objects.read(at.manifest))
