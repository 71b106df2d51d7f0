"""S3 objects: photos (read-only, allowed buckets), and everything the application writes."""

from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from pipeline.domain.errors import PhotoMissing, PhotoRefused, ServiceUnavailable

MISSING = {"NoSuchKey", "404", "NotFound", "NoSuchBucket"}
_MAX_PHOTO_BYTES = 32 * 1024 * 1024
_CONNECTIONS = 16


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
        bucket, key = split(uri)
        try:
            return bytes(self._client.get_object(Bucket=bucket, Key=key)["Body"].read())
        except ClientError as error:
            if code(error) in MISSING:
                raise KeyError(uri) from None
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

    def remove(self, uri: str) -> None:
        bucket, key = split(uri)
        try:
            self._client.delete_object(Bucket=bucket, Key=key)
        except (ClientError, BotoCoreError) as error:
            raise unavailable(error) from error

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
            if code(error) in MISSING:
                raise PhotoMissing(f"no photo at {url}") from None
            raise unavailable(error) from error
        except BotoCoreError as error:
            raise unavailable(error) from error


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
