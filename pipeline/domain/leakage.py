"""Nothing a model is judged by may have been learned from: near-duplicates and held-out photos (ADR 0001)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.domain.clusters import NearDuplicates
from pipeline.domain.dataset import Manifest, Photo, Quarantined, Split, set_aside
from pipeline.domain.errors import DatasetRefused

_SHOWN = 5


@dataclass(frozen=True)
class HeldOut:
    """One member of the append-only holdout; an erased one keeps its cluster, which stays held out."""

    task_id: str
    cluster_id: str
    sha256: str
    phash: str


def separate(photos: Sequence[Photo], holdout: Sequence[HeldOut]) -> tuple[list[Photo], list[Quarantined]]:
    """Photos that may be used, and photos set aside because they look like one on a stricter side of the split.

    A photo near two clusters inherits the older one's side; its twin in the other cluster may stand on the other side.
    The holdout, of this dataset and of earlier ones, keeps its photos; validation gives way to it, training to both.
    """
    first = [HeldOut(p.task_id, p.cluster_id, p.sha256, p.phash) for p in photos if p.split is Split.HOLDOUT]
    second = [HeldOut(p.task_id, p.cluster_id, p.sha256, p.phash) for p in photos if p.split is Split.VALIDATION]
    above = {Split.HOLDOUT: [], Split.VALIDATION: [*first, *holdout], Split.TRAIN: [*first, *holdout, *second]}
    near = {split: NearDuplicates(int(m.phash, 16) for m in members) for split, members in above.items()}
    kept, aside = [], []
    for photo in photos:
        if found := near[photo.split].of(int(photo.phash, 16)):
            reason = f"near-duplicate of the held-out photo of task {above[photo.split][found[0]].task_id}"
            aside.append(set_aside(photo, reason, "near_duplicate"))
        else:
            kept.append(photo)
    return kept, aside


def without_contradictions(photos: Sequence[Photo]) -> tuple[list[Photo], list[Quarantined]]:
    """A photo that was confirmed with two labels neither teaches nor judges: all its copies are set aside for a person
    to look at.
    """
    labels: dict[str, set[str]] = {}
    for photo in photos:
        labels.setdefault(photo.sha256, set()).add(photo.label)
    kept, aside = [], []
    for photo in photos:
        if len(labels[photo.sha256]) > 1:
            reason = f"the same photo was confirmed as {' and as '.join(sorted(labels[photo.sha256]))}"
            aside.append(set_aside(photo, reason, "contradiction"))
        else:
            kept.append(photo)
    return kept, aside


def leaks(photos: Iterable[Photo]) -> list[str]:
    """Clusters, bytes or tasks that stand on more than one side of the split; empty when there is no leak."""
    sides: dict[str, set[Split]] = {}
    for photo in photos:
        for key in (f"cluster {photo.cluster_id}", f"photo {photo.sha256[:12]}", f"task {photo.task_id}"):
            sides.setdefault(key, set()).add(photo.split)
    for found in sides.values():
        # Held-out corrections belong beside validation and holdout: for them, only training is another side.
        if Split.TRAIN not in found:
            found.discard(Split.HELD_OUT_CORRECTIONS)
    return [f"{key} is in {', '.join(sorted(found))}" for key, found in sorted(sides.items()) if len(found) > 1]


def demand_unseen(manifest: Manifest, holdout: Iterable[HeldOut], trained_task_ids: Iterable[str]) -> None:
    """Raises `DatasetRefused` when what is about to be trained on was ever held out, or is not of this manifest.

    Asked by training about the images it read, whatever splitting promised before.
    """
    allowed = {p.task_id: p for p in manifest.of(Split.TRAIN)}
    trained = set(trained_task_ids)
    if strangers := sorted(trained - allowed.keys()):
        raise DatasetRefused(
            f"{len(strangers)} photos in the training shards are no training photos of {manifest.dataset_id}, "
            f"e.g. {', '.join(strangers[:_SHOWN])}: augment the dataset again"
        )
    members = [*holdout, *(HeldOut(p.task_id, p.cluster_id, p.sha256, p.phash) for p in _judged(manifest))]
    clusters, hashes = {m.cluster_id for m in members}, {m.sha256 for m in members if m.sha256}
    seen = sorted(t for t in trained if allowed[t].cluster_id in clusters or allowed[t].sha256 in hashes)
    if seen:
        raise DatasetRefused(
            f"{len(seen)} training photos of {manifest.dataset_id} were held out, e.g. {', '.join(seen[:_SHOWN])}: "
            "a model that learned them could not be judged; collect the dataset again"
        )


def _judged(manifest: Manifest) -> list[Photo]:
    return [p for p in manifest.photos if p.split is not Split.TRAIN]
