"""The images that an artifact is checked with."""

import numpy as np

from pipeline.learning import golden


def test_they_are_always_the_same_and_no_two_are_alike():
    first, again = golden.candidates(), golden.candidates()
    assert first.shape == (64, 224, 224, 3) and first.dtype == np.uint8
    assert (first == again).all()
    assert len({image.tobytes() for image in first}) == 64


def test_those_are_kept_of_which_a_model_is_neither_undecided_nor_certain():
    sure = np.linspace(0.5, 1, 64)
    probabilities = np.stack([sure, 1 - sure], axis=1).astype(np.float32)
    kept = probabilities[golden.most_telling(probabilities)].max(axis=1)
    assert len(kept) == 16 and kept.min() > 0.7 and kept.max() < 0.9
