"""Forget a photo (privacy): in manifests, shards, caches and every future selection; lists what it touched."""

from collections import Counter
from collections.abc import Collection, Sequence

from pipeline.domain.dataset_folder import first_photos
from pipeline.domain.errors import DatasetRefused
from pipeline.domain.lineage import Erased, Erasure, Kept
from pipeline.domain.transitions import By
from pipeline.ports.bundles import Forgetting
from pipeline.steps.erase_choices import erase_choices
from pipeline.steps.erase_from_dataset import erase_from_dataset, places
from pipeline.steps.faces.forget_faces import forget_faces, strike_addresses
from pipeline.steps.list_models import list_models


def erase_photo(forgetting: Forgetting, task_id: str, by: By) -> Erasure:
    """Killed anywhere and run again, it goes on. Models that learned from the photo are listed, not deleted.

    Other tasks with the same photo are forgotten as well. A task that no dataset has yet is remembered, so that none
    will. Raises `GiveUp` when nobody answers for it, and `DatasetRefused` at the end for datasets that still have it.
    """
    by.demand_a_name("an erasure")
    f, kept = forgetting, _remember(forgetting, task_id, by)
    found = Erasure(task_id, twins=[twin for twin in kept if twin != task_id])
    refused: list[str] = []
    used = [_forget_in_datasets(one, f, found, refused) for one in kept]
    erase_choices(f, found)
    faces = _forget_faces(kept, f, by, found)
    if not any(used) and not faces:
        found.left.append(f"no dataset has task {task_id[:40]!r}: it is remembered, and none will; is the id right?")
    # Two tasks may share one copy: it is deleted when no dataset needs it any more.
    for url in sorted({one.photo_url for task, rows in kept.items() for one in rows if one.task_id == task}):
        _forget_original(url, f, found)
    _forget_copies(kept, f)
    found.addresses = sorted({url for one in kept for url in f.erasures.addresses(one)})
    rows = Counter[str](strike_addresses(f.erasures, found.addresses, found.left))
    # Last, because afterwards nobody knows where the original was, and its twins can only be found through it.
    for one in reversed(kept):
        rows.update(f.erasures.anonymise(one))
    found.rows = dict(rows)
    if refused:
        raise DatasetRefused(f"everything else is done; {'; '.join(refused)}")
    return found.each_once()


def _forget_in_datasets(task_id: str, forgetting: Forgetting, found: Erasure, refused: list[str]) -> bool:
    """Whether any dataset has or had it. A dataset that is refused does not keep the photo in the others."""
    named = [place for place in places(forgetting) if place.manifest.names(task_id)]
    for place in named:
        try:
            erase_from_dataset(forgetting, place, task_id, found)
        except DatasetRefused as why:
            refused.append(f"{why}; afterwards erase {task_id[:40]!r} once more")
    known = forgetting.datasets.appearances(task_id=task_id)
    for row in known:
        list_models(row, forgetting, found)
    return bool(known or named)


def _forget_faces(kept: Collection[str], forgetting: Forgetting, by: By, found: Erasure) -> bool:
    """The task may be a check at a door. Whether any dataset of faces has or had its photo."""
    f, gone = forgetting, forget_faces(forgetting, kept, by)
    found.rewritten += [one.uri for one in gone.lists]
    found.deleted += sorted(gone.vectors)
    for version in filter(None, map(f.versions.of_run, gone.run_ids)):
        found.models.append(f"{version.model_type} {version.version} was made with it, and holds nobody's face")
    if gone.lists:
        found.left.append("the original of a check at a door belongs to the access service: delete it there")
    return bool(gone.lists or gone.photo_ids)


def _forget_original(url: str, forgetting: Forgetting, found: Erasure) -> None:
    """We have copies of the first model's photos: these are deleted; whoever labelled them has the originals."""
    if url.startswith(first_photos(forgetting.dataset_prefix)):
        forgetting.objects.delete(url)
        found.left.append("the original is in the folder that the first model was made of: delete it there")
    else:
        found.left.append(f"the original {url} belongs to the Helper service: delete it there")


def _forget_copies(kept: Collection[str], forgetting: Forgetting) -> None:
    """Copies are found by hash: when the photo was erased before, no dataset says any more where they were."""
    hashes = {sha256 for one in forgetting.erasures.all() if one.task_id in kept for sha256 in one.sha256s}
    for sha256 in sorted(hashes):
        for copy in forgetting.objects.list(f"{first_photos(forgetting.dataset_prefix)}{sha256}"):
            forgetting.objects.delete(copy)


def _remember(forgetting: Forgetting, task_id: str, by: By) -> dict[str, Sequence[Kept]]:
    """What is kept of the photo by the tasks that show it, the one that was asked for at the head.

    Called before all else, so that nothing takes the photo again: a dataset that is being collected is frozen before,
    and found, or refused. By the hash its bytes are known when they come as another task.
    """
    f, remembered = forgetting, None
    # A second time, for a dataset that was frozen just before the tasks were remembered.
    while (kept := _kept(f, task_id)) != remembered:
        for one, rows in kept.items():
            hashes = tuple(sorted({row.sha256 for row in rows if row.sha256}))
            f.erasures.record(Erased(one, hashes, by.actor, by.reason, f.clock.now()))
        remembered = kept
    return kept


def _kept(forgetting: Forgetting, task_id: str) -> dict[str, Sequence[Kept]]:
    """A twin may have had another photo before, with twins of its own."""
    found, tasks = dict[str, Sequence[Kept]](), [task_id]
    for one in tasks:
        found[one] = forgetting.datasets.kept(one)
        tasks += sorted({row.task_id for row in found[one]}.difference(tasks))
    return found
