"""S3 as the pipeline sees it: photos from allowed places only, objects written and read back."""

import boto3
import pytest

from pipeline.adapters.s3 import S3ObjectStore, S3PhotoStore
from pipeline.domain.errors import PhotoMissing, PhotoRefused, ServiceUnavailable

pytestmark = pytest.mark.integration


@pytest.fixture
def photos(services):
    put(services, "tasks", "a.jpg", b"photo")
    put(services, "models", "secret", b"not yours")
    return S3PhotoStore(endpoint=services.stack.s3_endpoint, buckets=frozenset({"tasks"}))


def put(services, bucket, key, body):
    boto3.client("s3", endpoint_url=services.stack.s3_endpoint).put_object(Bucket=bucket, Key=key, Body=body)


def test_a_photo_is_read_from_an_allowed_bucket(photos):
    assert photos.read("s3://tasks/a.jpg") == b"photo"


@pytest.mark.parametrize("url", ["s3://tasks/missing.jpg", "s3://tasks/a.jpg/b"])
def test_a_missing_photo_is_missing_not_an_outage(photos, url):
    with pytest.raises(PhotoMissing, match="no photo at s3://tasks/"):
        photos.read(url)


@pytest.mark.parametrize(
    "url",
    [
        "s3://models/secret",
        "file:///etc/passwd",
        "http://127.0.0.1/a.jpg",
        "s3://tasks/../models/secret",
        "s3://tasks",
        "s3:///a.jpg",
        "",
    ],
)
def test_anywhere_else_is_refused_without_a_request(services, photos, url):
    # S3 is down: whoever asked it anything would say so.
    with services.without("s3"), pytest.raises(PhotoRefused, match="is not in an allowed bucket"):
        photos.read(url)


def test_a_photo_over_the_limit_is_refused_by_its_size(services, photos):
    put(services, "tasks", "huge.jpg", bytes(33 * 1024 * 1024))
    with pytest.raises(PhotoRefused, match="has 34603008 bytes, 33554432 are allowed"):
        photos.read("s3://tasks/huge.jpg")


def test_an_outage_of_s3_is_worth_another_try(services, photos):
    objects = S3ObjectStore(endpoint=services.stack.s3_endpoint)
    objects.write("s3://datasets/DS-1/manifest.json", b"{}")
    with services.without("s3"):
        with pytest.raises(ServiceUnavailable, match="S3 is unavailable"):
            photos.read("s3://tasks/a.jpg")
        with pytest.raises(ServiceUnavailable, match="S3 is unavailable"):
            objects.write("s3://datasets/x", b"")
    assert objects.read("s3://datasets/DS-1/manifest.json") == b"{}"
