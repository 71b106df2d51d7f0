"""Learns a head of a dataset's vectors, and measures heads on the people that judge."""

import io
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pipeline.domain.errors import TrainingFailed
from pipeline.domain.faces.dataset import FaceDataset
from pipeline.domain.faces.gate import FaceGatePolicy
from pipeline.domain.faces.identities import FacePhoto, Side, slices_of
from pipeline.domain.faces.measured import FaceMeasurement
from pipeline.learning.faces.head import Array, Head, Impostors
from pipeline.learning.faces.measuring import Faces, Served, measure, tar_score, threshold_of, thresholds_of
from pipeline.ports.faces import FaceHead, NamedHead, Vectors


class MarginFaceLearner:
    def learn(
        self, dataset: FaceDataset, vectors: Vectors, policy: FaceGatePolicy, serving: FaceHead | None
    ) -> FaceHead:
        # TensorFlow is only where something learns; heads are judged everywhere.
        from pipeline.learning.faces.margin import retrained

        train, calibrate = (faces_of(dataset.photos[side], vectors) for side in (Side.TRAIN, Side.CALIBRATE))
        far = policy.target(dataset.people(Side.TEST))
        people, person = np.unique(train.identities, return_inverse=True)
        score = tar_score(calibrate, far)
        learned = retrained(train.base, person, score, _impostors(dataset, vectors, people.tolist()))
        before = head_of(serving.matrix) if serving else None
        kept = score(before) if before else -math.inf
        head = before if before and kept >= learned.score else learned.head
        threshold = threshold_of(head, calibrate, far)
        if not (math.isfinite(threshold) and threshold <= 1):
            raise TrainingFailed(
                "too_little_data",
                f"{dataset.people(Side.CALIBRATE)} people are too few to find a threshold for FAR {far:g}",
            )
        among = thresholds_of(head, calibrate, policy, threshold, far)
        if serving and head is before:
            return FaceHead(serving.matrix, threshold, serving.way, kept, identification=among)
        return FaceHead(bytes_of(head), threshold, learned.way, learned.score, identification=among)

    def measure(
        self,
        candidate: FaceHead,
        champion: NamedHead | None,
        dataset: FaceDataset,
        vectors: Vectors,
        policy: FaceGatePolicy,
    ) -> FaceMeasurement:
        everybody = [photo for of_side in dataset.photos.values() for photo in of_side]
        newest = {photo.identity: photo for photo in reversed(everybody)}
        test, gallery = faces_of(dataset.photos[Side.TEST], vectors), faces_of(list(newest.values()), vectors)
        if champion is None or champion.own is None:
            beside = _served(champion.version, champion.head) if champion else None
            return measure(_served("", candidate), test, gallery, beside, policy)
        seen = _seen_by_both(dataset.photos[Side.TEST], vectors, champion.own, policy.min_people)
        beside = replace(_served(champion.version, champion.head), seen=seen) if seen else None
        found = measure(_served("", candidate), test, gallery, beside, policy)
        return found if seen else replace(found, incomparable=champion.version)


def bytes_of(head: Head) -> bytes:
    """NumPy's `.npz`, with the `matrix` in it."""
    written = io.BytesIO()
    np.savez(written, matrix=head.matrix)
    return written.getvalue()


def head_of(body: bytes) -> Head:
    """Raises `ValueError` for anything but a matrix."""
    with np.load(io.BytesIO(body), allow_pickle=False) as found:
        matrix = found["matrix"]
    if matrix.ndim != 2 or matrix.dtype != np.float32 or not np.isfinite(matrix).all():
        raise ValueError(f"a head is a matrix of finite float32, not {matrix.dtype} {list(matrix.shape)}")
    return Head(matrix)


def _impostors(dataset: FaceDataset, vectors: Vectors, people: Sequence[str]) -> Impostors | None:
    """None where nobody was taken for anyone who is learned from."""
    number = {name: at for at, name in enumerate(people)}
    known = [photo for photo in dataset.impostors if photo.identity in number]
    if not known:
        return None
    return Impostors(faces_of(known, vectors).base, np.array([number[photo.identity] for photo in known]))


def _seen_by_both(
    photos: Sequence[FacePhoto], vectors: Vectors, own: Vectors, least: int
) -> tuple[Faces, Faces] | None:
    """Photos of people of whom each network saw the same two or more; None of fewer people than `least`."""
    both = [photo for photo in photos if photo.photo_id in own]
    count = Counter(photo.identity for photo in both)
    both = [photo for photo in both if count[photo.identity] > 1]
    if len({photo.identity for photo in both}) < max(2, least):
        return None
    ours = faces_of(both, vectors)
    return ours, replace(faces_of(both, own), order=ours.base)


def _served(version: str, head: FaceHead) -> Served:
    return Served(version, head_of(head.matrix), head.threshold, head.identification)


def faces_of(photos: Sequence[FacePhoto], vectors: Vectors) -> Faces:
    base: Array = np.stack([np.frombuffer(vectors[photo.photo_id], "<f4") for photo in photos])
    return Faces(base, [photo.identity for photo in photos], slices_of(photos))
