"""Object storage: where artifacts, photos and galleries lie."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from faceserve.errors import ObjectRefused, StorageUnavailable

_CHUNK_BYTES = 1 << 20


class Source(Protocol):
    """Where bytes come from."""

    def read(self, uri: str) -> bytes:
        """Raises `FileNotFoundError` or `StorageUnavailable`, of which `ObjectRefused` is about this object alone."""

    def chunks(self, uri: str) -> Iterator[bytes]:
        """The same piece by piece."""

    def write(self, uri: str, body: bytes) -> None: ...

    def list(self, prefix: str) -> list[str]:
        """URIs of all objects under a prefix."""

    def delete(self, uri: str) -> None:
        """Without an object there, nothing happens."""


class S3Source:
    def __init__(self, endpoint: str | None) -> None:
        import boto3
        from botocore.config import Config

        config = Config(connect_timeout=3, read_timeout=20, retries={"mode": "standard", "max_attempts": 3})
        self._client = boto3.client("s3", endpoint_url=endpoint, config=config)

    def read(self, uri: str) -> bytes:
        with _translated(uri):
            return bytes(self._client.get_object(**_place(uri))["Body"].read())

    def chunks(self, uri: str) -> Iterator[bytes]:
        with _translated(uri):
            yield from self._client.get_object(**_place(uri))["Body"].iter_chunks(_CHUNK_BYTES)

    def write(self, uri: str, body: bytes) -> None:
        with _translated(uri):
            self._client.put_object(**_place(uri), Body=body)

    def list(self, prefix: str) -> list[str]:
        place = _place(prefix)
        with _translated(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=place["Bucket"], Prefix=place["Key"])
            return [f"s3://{place['Bucket']}/{one['Key']}" for page in pages for one in page.get("Contents", [])]

    def delete(self, uri: str) -> None:
        with _translated(uri):
            self._client.delete_object(**_place(uri))


def _place(uri: str) -> dict[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return {"Bucket": bucket, "Key": key}


@contextmanager
def _translated(uri: str) -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code")
        if code in {"NoSuchKey", "NoSuchBucket", "404"}:
            raise FileNotFoundError(uri) from None
        if code in {"AccessDenied", "InvalidObjectState"}:
            # Without the right to list, S3 says of a missing object that access is denied.
            raise ObjectRefused(f"S3: {error}") from error
        raise StorageUnavailable(f"S3: {error}") from error
    except BotoCoreError as error:
        raise StorageUnavailable(f"S3: {error}") from error
