"""What was saved again and filed under somebody else is found by what the network says of both photos."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.faces.copies import COPY_COSINE, copies, nearly_one_picture, photos_of
from pipeline.domain.faces.identities import FacePhoto

NUMBERS = st.lists(st.floats(-1e3, 1e3, width=32), min_size=4, max_size=4)


def a_photo(number, identity, phash=0):
    return FacePhoto(f"photo-{number}", identity, f"{phash:016x}", "2026-05-01")


def stored(numbers):
    return np.asarray(numbers, "<f4").tobytes()


def cosine(one, other):
    first, second = (np.asarray(numbers, "<f4").astype(float) for numbers in (one, other))
    lengths = np.linalg.norm(first) * np.linalg.norm(second)
    return float(first @ second / lengths) if lengths else -1.0


@given(st.lists(NUMBERS, min_size=2, max_size=6))
def test_a_photo_is_a_copy_where_its_vector_has_nearly_the_direction_of_one_of_somebody_else(vectors):
    photos = [a_photo(n, f"person-{n}") for n in range(len(vectors))]
    pairs = [(a, b, cosine(vectors[a], vectors[b])) for a in range(len(vectors)) for b in range(a)]
    if any(abs(alike - COPY_COSINE) < 1e-9 for *_, alike in pairs):
        return
    named = {photo.photo_id: stored(numbers) for photo, numbers in zip(photos, vectors, strict=True)}
    found = copies(nearly_one_picture(photos, ()), named)
    assert found == {f"photo-{n}" for a, b, alike in pairs if alike > COPY_COSINE for n in (a, b)}


@pytest.mark.parametrize("vector", [b"", stored([1, 0]), stored([0, 0, 0, 0])], ids=["erased", "other", "nothing"])
def test_of_a_vector_that_says_nothing_nothing_is_a_copy(vector):
    near = nearly_one_picture([a_photo(1, "kim"), a_photo(2, "lee")], ())
    assert copies(near, {"photo-1": vector, "photo-2": stored([1, 0, 0, 0])}) == frozenset()


def test_only_what_is_near_a_chosen_photo_of_somebody_else_is_compared():
    chosen = [a_photo(1, "kim"), a_photo(2, "lee", phash=(1 << 40) - 1)]
    others = [a_photo(3, "park", phash=1), a_photo(4, "park", phash=2), a_photo(5, "kim", phash=1)]
    near = nearly_one_picture(chosen, others)
    assert [photo.photo_id for photo in photos_of(near)] == ["photo-3", "photo-1", "photo-4"]


class Read(dict):
    def __init__(self, *of):
        super().__init__(*of)
        self.times = Counter()

    def get(self, name, *otherwise):
        self.times[name] += 1
        return super().get(name, *otherwise)


def test_what_the_network_says_of_a_photo_is_read_once_however_many_look_like_it():
    photos = [a_photo(n, f"person-{n}") for n in range(20)]
    vectors = Read({photo.photo_id: stored(np.eye(20)[n]) for n, photo in enumerate(photos)})
    assert copies(nearly_one_picture(photos, ()), vectors) == frozenset()
    assert set(vectors.times.values()) == {1}
