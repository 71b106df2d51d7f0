"""A photo that was saved again and filed under somebody else: an error of whoever filed it, and nothing to learn from.

By a hash that is nearly the same it is not known: of drawn people 24 in 123 750 pairs of photos are that near by
chance. What the network says of both has to be nearly the same, too.
"""

import math
import struct
from collections.abc import Iterable, Mapping, Sequence

from pipeline.domain.clusters import NearDuplicates
from pipeline.domain.faces.identities import FacePhoto

COPY_COSINE = 0.99
"""Of two base vectors from which on they are one picture's. Of what was saved again, smaller or as a poorer JPEG, it is
more, and of the drawn people whose hashes are near by chance less."""
# Of two vectors of length 1 with that cosine.
_COPY_DISTANCE = math.sqrt(2 - 2 * COPY_COSINE)

Near = Sequence[tuple[FacePhoto, Sequence[FacePhoto]]]
"""Photos, each with those of other people that nearly show the same by their hashes."""


def nearly_one_picture(chosen: Sequence[FacePhoto], others: Iterable[FacePhoto]) -> Near:
    """Each two of the chosen photos once, and of `others` those that one of the chosen is near."""
    index = NearDuplicates()
    found = []
    for of_dataset, photos in ((True, chosen), (False, others)):
        for photo in photos:
            value = int(photo.phash, 16)
            if near := [chosen[at] for at in index.of(value) if chosen[at].identity != photo.identity]:
                found.append((photo, near))
            if of_dataset:
                index.add(value)
    return found


def photos_of(near: Near) -> Sequence[FacePhoto]:
    """Each of them once."""
    return list(dict.fromkeys(photo for one, of_others in near for photo in (one, *of_others)))


def copies(near: Near, vectors: Mapping[str, bytes]) -> frozenset[str]:
    """By photo id; `vectors` are float32 little-endian, without those of who is erased just now."""
    units = {photo.photo_id: _unit(vectors.get(photo.photo_id, b"")) for photo in photos_of(near)}
    found: set[str] = set()
    for photo, of_others in near:
        for other in of_others:
            both = photo.photo_id, other.photo_id
            # Of many photos that look alike, most are known to be copies by then.
            if not found.issuperset(both) and _are_one(units[both[0]], units[both[1]]):
                found.update(both)
    return frozenset(found)


def _are_one(one: Sequence[float], other: Sequence[float]) -> bool:
    return len(one) == len(other) > 0 and math.dist(one, other) <= _COPY_DISTANCE


def _unit(vector: bytes) -> tuple[float, ...]:
    """Of length 1; of what has no direction nothing."""
    numbers = struct.unpack(f"<{len(vector) // 4}f", vector)
    length = math.hypot(*numbers)
    return tuple(number / length for number in numbers) if length > 0 else ()
