"""What is kept of single photos to save time goes when one of them is erased, though a deletion failed before."""

import numpy as np
import pytest

from pipeline.domain.errors import ServiceUnavailable
from pipeline.learning.features import cached
from tests.fakes.data import FakeObjects

URI = "s3://models/LAUNDRY/run-1/features/k.npz"


def computed():
    return [np.ones((2, 3), np.float32), np.zeros((1, 3), np.float32)]


def test_a_deletion_that_failed_is_made_up_for_by_the_next_try():
    objects = FakeObjects()

    def denied(uri):
        raise ServiceUnavailable("S3", "AccessDenied")

    with pytest.raises(ServiceUnavailable):
        cached(objects, URI, computed, denied)
    train, validation = cached(objects, URI, computed, objects.delete)
    assert (train.shape, validation.shape) == ((2, 3), (1, 3))
    assert not objects.exists(URI)


def test_what_an_earlier_try_kept_is_not_computed_again():
    objects = FakeObjects()
    cached(objects, URI, computed)
    train, _ = cached(objects, URI, lambda: pytest.fail("it is there"))
    assert train.tolist() == np.ones((2, 3)).tolist()
