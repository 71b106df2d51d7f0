"""S3 objects: photos (read-only, allowed buckets), and everything the application writes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import boto3
import stamina
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    IncompleteReadError,
    ParamValidationError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from include.contract.photo import MAX_PHOTO_BYTES, BadPhotoAddress, PhotoAddress
from include.contract.s3_errors import read_as_errors
from pipeline.domain.errors import ObjectArchived, PhotoMissing, PhotoRefused, ServiceUnavailable

MISSING = {"NoSuchKey", "404", "NotFound", "NoSuchBucket"}
ARCHIVED = "InvalidObjectState"
_DENIED = "AccessDenied"
# Among 4xx answers these are about the caller or the moment; the others are about the one object.
_ABOUT_THE_CALLER = {
    "AccountProblem",
    "AllAccessDisabled",
    "AuthorizationHeaderMalformed",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidSecurity",
    "InvalidToken",
    "NotSignedUp",
    "OperationAborted",
    "RequestExpired",
    "RequestTimeout",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TokenRefreshRequired",
    "TooManyRequests",
    "UserSuspended",
}
_BAD_REQUEST, _SERVER_ERROR, _WAIT = 400, 500, {408, 425, 429}
_CONNECTIONS = 16
_READ_TIMEOUT_SECONDS = 30.0
_BROKEN_STREAMS = (IncompleteReadError, ReadTimeoutError, ResponseStreamingError)
_PATHS = re.compile(r"(https?://[^/\s\"]+)/[^\s\"]*")
_LINK_SECONDS = 7 * 24 * 3600  # the longest that S3 signs for


@dataclass(frozen=True)
class Keys:
    """Credentials for S3; empty ones come from the usual AWS_* variables, files or roles."""

    access_key_id: str = ""
    secret_access_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    region: str = ""

    def for_boto(self) -> dict[str, Any]:
        """Arguments of a client."""
        named = {"aws_access_key_id": self.access_key_id, "aws_secret_access_key": self.secret_access_key}
        named |= {"aws_session_token": self.session_token, "region_name": self.region}
        return {name: value for name, value in named.items() if value}

    def as_variables(self) -> dict[str, str]:
        """For a program that is started."""
        renamed = {"region_name": "AWS_DEFAULT_REGION"}
        return {renamed.get(name, name.upper()): value for name, value in self.for_boto().items()}


OF_THE_MACHINE = Keys()


def client(endpoint: str | None, keys: Keys = OF_THE_MACHINE) -> Any:
    """One thread-safe client; botocore repeats requests, with backoff."""
    config = Config(
        connect_timeout=5,
        read_timeout=_READ_TIMEOUT_SECONDS,
        retries={"mode": "standard", "max_attempts": 4},
        max_pool_connections=_CONNECTIONS,
        signature_version="s3v4",
    )
    return read_as_errors(boto3.client("s3", endpoint_url=endpoint, config=config, **keys.for_boto()))


class S3ObjectStore:
    def __init__(self, *, endpoint: str | None, keys: Keys = OF_THE_MACHINE) -> None:
        self._endpoint = endpoint
        self._keys = keys
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
            self._made = client(self._endpoint, self._keys)
        return self._made


class S3PhotoStore:
    """Photos, from `buckets` only, of at most 32 MiB. No error names the address: what is said of a photo goes into
    tables, events and logs that outlive its erasure, beside the task that has it.
    """

    def __init__(self, *, endpoint: str | None, buckets: frozenset[str], keys: Keys = OF_THE_MACHINE) -> None:
        self._endpoint = endpoint
        self._keys = keys
        self._buckets = buckets
        self._made: Any = None

    def read(self, url: str) -> bytes:
        try:
            place = PhotoAddress.parse(url, self._buckets)
        except BadPhotoAddress as error:
            raise PhotoRefused(f"its address {error.why}") from None
        if self._made is None:
            self._made = client(self._endpoint, self._keys)
        try:
            return _body(self._made, place.bucket, place.key, max_bytes=MAX_PHOTO_BYTES)
        except ClientError as error:
            raise _of_one_photo(error) or unavailable(error) from error
        except ParamValidationError as error:
            raise PhotoRefused("its address is no key that S3 could have") from error
        except BotoCoreError as error:
            raise unavailable(error) from error


def _of_one_photo(error: ClientError) -> PhotoMissing | PhotoRefused | None:
    """What is wrong with this photo, from S3's answer; None when the answer concerns all photos."""
    if code(error) in MISSING:
        return PhotoMissing("no photo at its address")
    if code(error) == ARCHIVED:
        return PhotoMissing("the photo lies in S3's archive (Glacier): restore it there to have it used")
    if code(error) == _DENIED:
        # Without the right to list, S3 says of a missing object that access is denied.
        return PhotoRefused("S3 denies access to the photo: it is not there, or this role may not read it")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", _SERVER_ERROR)
    if _BAD_REQUEST <= status < _SERVER_ERROR and status not in _WAIT and code(error) not in _ABOUT_THE_CALLER:
        return PhotoRefused(f"S3 does not give out the photo: {code(error)}")
    return None


def _body(client: Any, bucket: str, key: str, max_bytes: int | None = None) -> bytes:
    """The object's bytes. A stream that breaks off is read anew; botocore repeats requests, not reading the body."""
    for attempt in stamina.retry_context(on=_BROKEN_STREAMS, attempts=3, timeout=None):
        with attempt:
            answer = client.get_object(Bucket=bucket, Key=key)
            # The length comes with the headers: a photo that is too large is never downloaded.
            if max_bytes is not None and answer["ContentLength"] > max_bytes:
                answer["Body"].close()
                raise PhotoRefused(f"the photo has {answer['ContentLength']} bytes, {max_bytes} are allowed")
            return bytes(answer["Body"].read())
    raise AssertionError("the retry context returns or raises")


def split(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def unavailable(error: Exception) -> ServiceUnavailable:
    # No answer: the server could not be reached, whatever was asked.
    return ServiceUnavailable("S3", _PATHS.sub(r"\1", " ".join(str(error).split())))
