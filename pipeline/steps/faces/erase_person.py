"""Forget a person's face: galleries, stored vectors, datasets and every future selection; what it touched is listed."""

from dataclasses import dataclass, field

from pipeline.domain.errors import GiveUp, TryAgain
from pipeline.domain.faces.dataset import person_key
from pipeline.domain.faces.identities import identity_of
from pipeline.domain.lineage import Erased
from pipeline.domain.models import ModelType
from pipeline.domain.transitions import By
from pipeline.ports.face_forgetting import FaceForgetting
from pipeline.steps.faces.forget_faces import forget_faces, strike_addresses


@dataclass
class FaceErasure:
    """`datasets` were rewritten, so many `vectors` and `confirmations` are gone, `models` learned from the person or
    were judged by them and are kept, `left` is for people, who find the photos of checks at `addresses`.
    """

    datasets: list[str] = field(default_factory=list)
    vectors: int = 0
    confirmations: int = 0
    models: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)


def erase_person(forgetting: FaceForgetting, name: str, by: By) -> FaceErasure:
    """Killed anywhere and run again, it goes on. The name is kept nowhere: an erasure is remembered by its hash.

    Nobody is named by a model server any more when this returns; who cannot be reached is asked again: then it raises
    `ServiceUnavailable` when all else is done but to forget what people said of checks, which say where photos lie.
    Raises `GiveUp` for an empty name, and when nobody answers for it.
    """
    by.demand_a_name("an erasure")
    try:
        identity = identity_of(name)
    except ValueError as error:
        raise GiveUp(str(error)) from None
    found = FaceErasure()
    away = _withdraw(forgetting, identity, found)
    _forget(forgetting, person_key(identity), by, found)
    if away is not None:
        # The rows that say where photos of checks lie stay until people have been told.
        raise away
    found.left += [f"the photo of a check at {one}: delete it there, it is not ours" for one in found.addresses]
    found.left.append("photos in the folder that a dataset was made of: delete them there")
    found.left.append(
        "what the access service knows of the person, and photos it enrolled them by: withdraw them there"
    )
    # Last, because afterwards nobody knows where the photos were.
    strike_addresses(forgetting.erasures, found.addresses, found.left)
    found.confirmations = forgetting.confirmations.forget(person_key(identity))
    return found


def _withdraw(forgetting: FaceForgetting, identity: str, found: FaceErasure) -> TryAgain | None:
    """First of all: no door may open for a face that is to be forgotten."""
    try:
        forgetting.fleet.withdraw(ModelType.FACE, identity)
    except GiveUp as error:
        found.left.append(f"nobody was withdrawn at the model servers: {error}")
    except TryAgain as error:
        return error
    return None


def _forget(forgetting: FaceForgetting, key: str, by: By, found: FaceErasure) -> None:
    f = forgetting
    # First of all: a dataset that is frozen from now on looks here afterwards.
    f.erasures.record(Erased(key, (), by.actor, by.reason, f.clock.now()))
    gone = forget_faces(f, [key], by)
    found.datasets += dict.fromkeys(one.dataset.dataset_id for one in gone.lists)
    found.vectors = len(gone.vectors)
    for version in filter(None, map(f.versions.of_run, dict.fromkeys(gone.run_ids))):
        found.models.append(f"{version.model_type} {version.version} was made with them, and holds nobody's face")
    # No more come later, because the intake checks who was erased.
    found.addresses += f.erasures.addresses(key)
