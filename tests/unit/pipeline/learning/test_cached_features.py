"""What the frozen network says is kept part by part, so that a try that ends costs the next one little; what is kept of
single photos goes when one of them is erased, though a deletion failed before.
"""

import numpy as np
import pytest

from pipeline.domain.errors import ServiceUnavailable, TrainingInterrupted
from pipeline.learning import features
from pipeline.learning.features import PART_IMAGES, KeptParts
from tests.fakes.data import FakeObjects

URI = "s3://models/LAUNDRY/run-1/features/k/"
SPLITS = {
    "train": np.arange(2 * PART_IMAGES + 10, dtype=np.uint8).reshape(-1, 1, 1, 1),
    "validation": np.arange(5, dtype=np.uint8).reshape(-1, 1, 1, 1),
}


class Network:
    """Answers each image with itself; the process is asked to end after so many images."""

    def __init__(self, monkeypatch, ends_after=10**9):
        self.seen, self.made, self.ends_after = 0, 0, ends_after
        engine = features._Engine(self.forward, 64, np.float32)
        monkeypatch.setattr(features._Engine, "of", lambda *_: engine)

    def build(self):
        self.made += 1

    def forward(self, images):
        if self.seen >= self.ends_after:
            raise TrainingInterrupted("asked to end")
        self.seen += len(images)
        return images.reshape(len(images), 1)

    def extract(self, objects, forget_erased=lambda uri: None, report=lambda *told: None):
        return features.extract(self.build, None, SPLITS, kept=KeptParts(objects, URI, forget_erased), report=report)


def test_a_try_that_was_ended_leaves_the_parts_that_it_came_to(monkeypatch):
    objects, first = FakeObjects(), Network(monkeypatch, ends_after=PART_IMAGES + 64)
    with pytest.raises(TrainingInterrupted):
        first.extract(objects)
    second, told = Network(monkeypatch), []
    train, validation = second.extract(objects, report=lambda *one: told.append(one))
    assert second.seen == PART_IMAGES + 10 + 5
    assert (train == SPLITS["train"].reshape(-1, 1)).all() and validation.ravel().tolist() == [0, 1, 2, 3, 4]
    assert told == [("train", len(train), len(train)), ("validation", 5, 5)]


def test_what_an_earlier_try_kept_is_not_computed_again_and_needs_no_network(monkeypatch):
    objects = FakeObjects()
    first = Network(monkeypatch).extract(objects)
    again = Network(monkeypatch)
    assert all((one == other).all() for one, other in zip(first, again.extract(objects), strict=True))
    assert (again.made, again.seen) == (0, 0)


def test_a_deletion_that_failed_is_made_up_for_by_the_next_try(monkeypatch):
    objects = FakeObjects()

    def denied(uri):
        raise ServiceUnavailable("S3", "AccessDenied")

    with pytest.raises(ServiceUnavailable):
        Network(monkeypatch).extract(objects, denied)
    assert objects.list(URI)
    Network(monkeypatch).extract(objects, objects.delete)
    assert objects.list(URI) == []


def test_other_weights_another_precision_and_another_engine_are_no_continuation(monkeypatch):
    keys = {
        features.computed_by(*asked) for asked in [("float32", None), ("float32", "s3://w"), ("mixed_float16", None)]
    }
    monkeypatch.setattr(features, "version", lambda name: "of tomorrow")
    assert len(keys | {features.computed_by("float32", None)}) == 4
