"""A photo that was saved again and filed under somebody else: an error of whoever filed it, and nothing to learn from.

By a hash that is nearly the same it is not known: of drawn people 24 in 123 750 pairs of photos are that near by
chance. What the network says of both has to be nearly the same, too.
"""

import math
import operator
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence

from pipeline.domain.clusters import NearDuplicates
from pipeline.domain.faces.identities import FacePhoto

COPY_COSINE = 0.99
"""Of two base vectors from which on they are one picture's. Of what was saved again, smaller or as a poorer JPEG, it is
more, and of the drawn people whose hashes are near by chance less."""


def nearly_one_picture(photos: Sequence[FacePhoto]) -> Iterator[tuple[FacePhoto, FacePhoto]]:
    """Pairs of photos of two people, by their hashes."""
    index = NearDuplicates()
    for photo in photos:
        value = int(photo.phash, 16)
        for earlier in index.of(value):
            if photos[earlier].identity != photo.identity:
                yield photos[earlier], photo
        index.add(value)


def copies(pairs: Iterable[tuple[FacePhoto, FacePhoto]], vectors: Mapping[str, bytes]) -> frozenset[str]:
    """By photo id; `vectors` are float32 little-endian, without those of who is erased just now."""
    found = (pair for pair in pairs if _cosine(*(vectors.get(one.photo_id, b"") for one in pair)) >= COPY_COSINE)
    return frozenset(photo.photo_id for pair in found for photo in pair)


def _cosine(one: bytes, other: bytes) -> float:
    if not one or len(one) != len(other):
        return -1.0
    first, second = (struct.unpack(f"<{len(body) // 4}f", body) for body in (one, other))
    lengths = math.hypot(*first) * math.hypot(*second)
    return math.fsum(map(operator.mul, first, second)) / lengths if lengths > 0 else -1.0
