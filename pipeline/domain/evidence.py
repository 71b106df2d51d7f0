"""A photo is one piece of evidence, however often it was confirmed: near-duplicates tell nothing new about a model."""

from collections.abc import Collection, Sequence

from pipeline.domain.clusters import NearDuplicates
from pipeline.domain.dataset import Photo, Quarantined, Split, set_aside


def counted_once(photos: Sequence[Photo], members: Collection[str]) -> tuple[list[Photo], list[Quarantined]]:
    """The photos that models are judged by, each picture once; further copies are set aside as `repeated`.

    `members` are the task ids of the earlier holdout: they stay, so that models of different times are judged by the
    same photos. After them come photos of the natural sample, then the ones confirmed first.
    """
    judging = [p for p in photos if p.split is not Split.TRAIN]
    judging.sort(key=lambda p: (p.task_id not in members, p.split is Split.HELD_OUT_CORRECTIONS, p.confirmed_at))
    index, kept, by_cluster, aside = NearDuplicates(), list[Photo](), dict[str, Photo](), list[Quarantined]()
    for photo in judging:
        near = index.of(int(photo.phash, 16))
        same = kept[near[0]] if near else by_cluster.get(photo.cluster_id)
        if same is not None:
            reason = f"shows what the photo of task {same.task_id} shows, which counts for both"
            aside.append(set_aside(photo, reason, "repeated"))
            continue
        index.add(int(photo.phash, 16))
        kept.append(photo)
        by_cluster[photo.cluster_id] = photo
    left_out = {row.task_id for row in aside}
    return [p for p in photos if p.task_id not in left_out], aside
