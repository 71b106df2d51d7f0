"""A dataset of what people confirmed at doors, beside what the champion has learned from (UC-23)."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from pipeline.domain.dataset_folder import DatasetFolder
from pipeline.domain.errors import PhotoMissing, PhotoRefused
from pipeline.domain.faces.dataset import FaceDataset, Forgotten, person_key
from pipeline.domain.faces.identities import ConfirmedCheck, FacePhoto
from pipeline.domain.models import ModelType
from pipeline.ports.data import PhotoStore
from pipeline.ports.faces import Doors, FaceMaking
from pipeline.steps.faces.collect import Offer, Offered, OnPhoto, collect
from pipeline.steps.look_up import champion

# How many photos of each person are offered for one that counts: some are near-duplicates or unreadable.
_CHECKS_PER_PHOTO = 4


def collect_confirmed(making: FaceMaking, doors: Doors, run_id: str, on_photo: OnPhoto) -> FaceDataset:
    """As `collect`. A photo that an earlier dataset looked at is not read again."""

    def offer(forgotten: Forgotten) -> Offer:
        policy = making.selection
        said = doors.checks.confirmed(per_person=_CHECKS_PER_PHOTO * policy.max_photos, limit=policy.max_checks)
        wanted = [check for check in said if not forgotten.takes_check(check.check_id, check.identity, check.shown)]
        trusted, impostors = policy.trusted(wanted), policy.impostors(wanted)
        before = _before(making)
        known = {photo.check_id: photo for photo in before if photo.check_id}
        of_doors = [_of_door(check, doors.photos, known.get(check.check_id)) for check in (*trusted, *impostors)]
        of_folders = list(_of_folders(before))
        asked = {check.check_id for check in (*trusted, *impostors)}
        through = max((check.confirmed_at for check in said if check.check_id not in asked), default=None)
        needed = frozenset(check.check_id for check in wanted if check.same)
        return Offer([*of_folders, *of_doors], through, needed)

    return collect(making, run_id, offer, on_photo)


def _before(making: FaceMaking) -> Sequence[FacePhoto]:
    """Photos of the champion's dataset; none when another network made its vectors."""
    r = making.registration
    serving = champion(ModelType.FACE, r.transitions, r.versions)
    at = DatasetFolder.of(making.dataset_prefix, serving.dataset_id) if serving else None
    if at is None or not making.objects.exists(at.manifest):
        return []
    dataset = FaceDataset.from_json(making.objects.read(at.manifest))
    if dataset.base_sha256 != making.network.sha256:
        return []
    return dataset.every_photo()


def _of_folders(before: Sequence[FacePhoto]) -> Iterator[Offered]:
    """Photos of people from the first model's folders: doors see these people only by and by, and some never."""
    for photo in before:
        if not photo.check_id:
            place = f"{photo.identity}/{photo.taken_at}"
            yield Offered(place, photo.identity, photo.taken_at, partial(_gone, place), known=photo)


def _gone(place: str) -> bytes:
    raise PhotoRefused(f"{place} lies in a folder that nobody names any more, and what was kept of it is gone")


def _of_door(check: ConfirmedCheck, photos: PhotoStore, known: FacePhoto | None) -> Offered:
    said: dict[str, Any]
    place, taken_at = f"{check.identity}/{check.check_id}", check.taken_at.isoformat()
    said = {"check_id": check.check_id, "corrects": check.corrects, "branch": check.branch, "camera": check.camera}
    said |= {"is_impostor": not check.same, "confirmed_at": check.confirmed_at}
    said |= {"shows": _key_of(check.shown)}
    return Offered(place, check.identity, taken_at, _read_from(photos, check), known=known, **said)


def _key_of(name: str) -> str:
    """The person's key; empty where nobody is named."""
    return person_key(name) if name.strip() else ""


def _read_from(photos: PhotoStore, check: ConfirmedCheck) -> Callable[[], bytes]:
    def read() -> bytes:
        try:
            return photos.read(check.photo_url)
        except PhotoMissing as error:
            raise PhotoRefused(str(error)) from None

    return read
