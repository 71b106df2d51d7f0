"""S3 objects: photos (read-only, allowed buckets), and everything the application writes."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import boto3
import stamina
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from pipeline.domain.errors import ObjectArchived, PhotoMissing, PhotoRefused, ServiceUnavailable

MISSING = {"NoSuchKey", "404", "NotFound", "NoSuchBucket"}
ARCHIVED = "InvalidObjectState"
_MAX_PHOTO_BYTES = 32 * 1024 * 1024
_CONNECTIONS = 16
_READ_TIMEOUT_SECONDS = 30.0
_BROKEN_STREAMS = (IncompleteReadError, ReadTimeoutError, ResponseStreamingError)
_LINK_SECONDS = 7 * 24 * 3600  # the longest that S3 signs for


def client(endpoint: str | None) -> Any:
    """One thread-safe client; credentials from the usual AWS_* variables; botocore repeats requests, with backoff."""
    config = Config(
        connect_timeout=5,
        read_timeout=_READ_TIMEOUT_SECONDS,
        retries={"mode": "standard", "max_attempts": 4},
        max_pool_connections=_CONNECTIONS,
        signature_version="s3v4",
    )
    return boto3.client("s3", endpoint_url=endpoint, config=config)


class S3ObjectStore:
    def __init__(self, *, endpoint: str | None) -> None:
        self._endpoint = endpoint
        self._made: Any = None

    def read(self, uri: str) -> bytes:
        bucket, key = split(uri)
        try:
            return _body(self._client, bucket, key)
        except ClientError as error:
            if code(error) in MISSING:
                raise KeyError(uri) from None
            if code(error) == ARCHIVED:
                raise ObjectArchived(f"{uri} lies in S3's archive (Glacier): restore it there first") from None
            raise unavailable(error) from error
        except BotoCoreError as error:
            raise unavailable(error) from error

    def write(self, uri: str, body: bytes, content_type: str = "application/octet-stream") -> None:
        bucket, key = split(uri)
        try:
            self._client.put_object(Bucket=bucket, Key=key, Body=body, ContentType=content_type)
        except (ClientError, BotoCoreError) as error:
            raise unavailable(error) from error

    def exists(self, uri: str) -> bool:
        bucket, key = split(uri)
        try:
            self._client.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if code(error) in MISSING:
                return False
            raise unavailable(error) from error
        except BotoCoreError as error:
            raise unavailable(error) from error
        return True

    def list(self, prefix: str) -> Sequence[str]:
        bucket, key = split(prefix)
        try:
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
            return sorted(f"s3://{bucket}/{found['Key']}" for page in pages for found in page.get("Contents", ()))
        except (ClientError, BotoCoreError) as error:
            raise unavailable(error) from error

    def delete(self, uri: str) -> None:
        bucket, key = split(uri)
        try:
            self._client.delete_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if code(error) not in MISSING:
                raise unavailable(error) from error
        except BotoCoreError as error:
            raise unavailable(error) from error

    def link(self, uri: str) -> str:
        """Signed here, without a request; good for a week."""
        bucket, key = split(uri)
        values = {"Bucket": bucket, "Key": key}
        return str(self._client.generate_presigned_url("get_object", Params=values, ExpiresIn=_LINK_SECONDS))

    @property
    def _client(self) -> Any:
        if self._made is None:
            self._made = client(self._endpoint)
        return self._made


class S3PhotoStore:
    """Photos, from `buckets` only, of at most 32 MiB."""

    def __init__(self, *, endpoint: str | None, buckets: frozenset[str]) -> None:
        self._endpoint = endpoint
        self._buckets = buckets
        self._made: Any = None

    def read(self, url: str) -> bytes:
        bucket, key = _address(url, self._buckets)
        if self._made is None:
            self._made = client(self._endpoint)
        try:
            return _body(self._made, bucket, key, max_bytes=_MAX_PHOTO_BYTES)
        except ClientError as error:
            if code(error) in MISSING:
                raise PhotoMissing(f"no photo at {url}") from None
            if code(error) == ARCHIVED:
                raise PhotoMissing(f"the photo at {url} lies in S3's archive (Glacier)") from None
            raise unavailable(error) from error
        except BotoCoreError as error:
            raise unavailable(error) from error


def _body(client: Any, bucket: str, key: str, max_bytes: int | None = None) -> bytes:
    """The object's bytes. A stream that breaks off is read anew; botocore repeats requests, not reading the body."""
    for attempt in stamina.retry_context(on=_BROKEN_STREAMS, attempts=3, timeout=None):
        with attempt:
            answer = client.get_object(Bucket=bucket, Key=key)
            # The length comes with the headers: a photo that is too large is never downloaded.
            if max_bytes is not None and answer["ContentLength"] > max_bytes:
                answer["Body"].close()
                url = f"s3://{bucket}/{key}"
                raise PhotoRefused(f"{url} has {answer['ContentLength']} bytes, {max_bytes} are allowed")
            return bytes(answer["Body"].read())
    raise AssertionError("the retry context returns or raises")


def _address(url: str, buckets: frozenset[str]) -> tuple[str, str]:
    parts = urlsplit(url)
    key = parts.path.lstrip("/")
    if parts.scheme != "s3" or parts.netloc not in buckets or not key or ".." in key.split("/"):
        raise PhotoRefused(f"{url[:200]!r} is not in an allowed bucket ({', '.join(sorted(buckets))})")
    return parts.netloc, key


def split(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def unavailable(error: Exception) -> ServiceUnavailable:
    return ServiceUnavailable("S3", " ".join(str(error).split()))
