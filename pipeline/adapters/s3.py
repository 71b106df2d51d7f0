"""S3 objects: photos (read-only, allowed buckets), and everything the application writes."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from pipeline.domain.errors import PhotoMissing, PhotoRefused, ServiceUnavailable

_MISSING = {"NoSuchKey", "404", "NotFound", "NoSuchBucket"}
_MAX_PHOTO_BYTES = 32 * 1024 * 1024
_CONNECTIONS = 16
_LINK_SECONDS = 7 * 24 * 3600  # the longest that S3 signs for


def client(endpoint: str | None) -> Any:
    """One thread-safe client; credentials from the usual AWS_* variables, retries left to botocore."""
    config = Config(
        connect_timeout=5,
        read_timeout=30,
        retries={"mode": "standard", "max_attempts": 4},
        max_pool_connections=_CONNECTIONS,
    )
    return boto3.client("s3", endpoint_url=endpoint, config=config)


class S3ObjectStore:
    def __init__(self, *, endpoint: str | None) -> None:
        self._endpoint = endpoint
        self._made: Any = None

    def read(self, uri: str) -> bytes:
        bucket, key = _split(uri)
        try:
            return bytes(self._client.get_object(Bucket=bucket, Key=key)["Body"].read())
        except ClientError as error:
            if _code(error) in _MISSING:
                raise KeyError(uri) from None
            raise _unavailable(error) from error
        except BotoCoreError as error:
            raise _unavailable(error) from error

    def write(self, uri: str, body: bytes, content_type: str = "application/octet-stream") -> None:
        bucket, key = _split(uri)
        try:
            self._client.put_object(Bucket=bucket, Key=key, Body=body, ContentType=content_type)
        except (ClientError, BotoCoreError) as error:
            raise _unavailable(error) from error

    def exists(self, uri: str) -> bool:
        bucket, key = _split(uri)
        try:
            self._client.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if _code(error) in _MISSING:
                return False
            raise _unavailable(error) from error
        except BotoCoreError as error:
            raise _unavailable(error) from error
        return True

    def list(self, prefix: str) -> Sequence[str]:
        bucket, key = _split(prefix)
        try:
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
            return sorted(f"s3://{bucket}/{found['Key']}" for page in pages for found in page.get("Contents", ()))
        except (ClientError, BotoCoreError) as error:
            raise _unavailable(error) from error

    def delete(self, uri: str) -> None:
        bucket, key = _split(uri)
        try:
            self._client.delete_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if _code(error) not in _MISSING:
                raise _unavailable(error) from error
        except BotoCoreError as error:
            raise _unavailable(error) from error

    def link(self, uri: str) -> str:
        """Signed here, without a request; good for a week."""
        bucket, key = _split(uri)
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
            answer = self._made.get_object(Bucket=bucket, Key=key)
            # The length comes with the headers: a photo that is too large is never downloaded.
            if answer["ContentLength"] > _MAX_PHOTO_BYTES:
                answer["Body"].close()
                raise PhotoRefused(f"{url} has {answer['ContentLength']} bytes, {_MAX_PHOTO_BYTES} are allowed")
            return bytes(answer["Body"].read())
        except ClientError as error:
            if _code(error) in _MISSING:
                raise PhotoMissing(f"no photo at {url}") from None
            raise _unavailable(error) from error
        except BotoCoreError as error:
            raise _unavailable(error) from error


def _address(url: str, buckets: frozenset[str]) -> tuple[str, str]:
    parts = urlsplit(url)
    key = parts.path.lstrip("/")
    if parts.scheme != "s3" or parts.netloc not in buckets or not key or ".." in key.split("/"):
        raise PhotoRefused(f"{url[:200]!r} is not in an allowed bucket ({', '.join(sorted(buckets))})")
    return parts.netloc, key


def _split(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _unavailable(error: Exception) -> ServiceUnavailable:
    return ServiceUnavailable("S3", " ".join(str(error).split()))
