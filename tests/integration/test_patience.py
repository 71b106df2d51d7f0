"""Storage that is gone for a while does not end a training."""

import threading
import time

import pytest

from pipeline.adapters.patient_objects import PatientObjectStore
from pipeline.adapters.s3 import S3ObjectStore
from pipeline.domain.errors import ServiceUnavailable

pytestmark = pytest.mark.integration


def test_a_checkpoint_waits_until_storage_is_back(services):
    objects = PatientObjectStore(S3ObjectStore(endpoint=services.stack.s3_endpoint), patience_seconds=60)
    writing = threading.Thread(target=lambda: objects.write("s3://datasets/checkpoint.npz", b"epoch 5"))
    with services.without("s3"):
        writing.start()
        time.sleep(1)
        assert writing.is_alive()
    writing.join(60)
    assert objects.read("s3://datasets/checkpoint.npz") == b"epoch 5"


def test_patience_ends_with_the_outage_named(services):
    objects = PatientObjectStore(S3ObjectStore(endpoint=services.stack.s3_endpoint), patience_seconds=0.1)
    with services.without("s3"), pytest.raises(ServiceUnavailable, match="S3 is unavailable"):
        objects.read("s3://datasets/checkpoint.npz")


def test_what_is_missing_is_missing_at_once(services):
    objects = PatientObjectStore(S3ObjectStore(endpoint=services.stack.s3_endpoint), patience_seconds=3600)
    with pytest.raises(KeyError):
        objects.read("s3://datasets/nothing")
    assert not objects.exists("s3://datasets/nothing")
