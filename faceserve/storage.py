"""Object storage: where artifacts, photos and galleries lie."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from faceserve.errors import ObjectRefused, ServingError, StorageUnavailable, TooLarge
from include.contract.s3_errors import read_as_errors, without_key

if TYPE_CHECKING:
    from botocore.response import StreamingBody

_CHUNK_BYTES = 1 << 20


# A gigabyte is more than anything that is read in one piece.
NO_LIMIT = 1 << 30


class Source(Protocol):
    """Where bytes come from."""

    def read(self, uri: str, at_most_bytes: int = NO_LIMIT) -> bytes:
        """Raises `FileNotFoundError`, `StorageUnavailable`, of which `ObjectRefused` is about this object alone, or
        `TooLarge` before anything of the object is read.
        """

    def chunks(self, uri: str, at_most_bytes: float = float("inf")) -> Iterator[bytes]:
        """The same piece by piece."""

    def write(self, uri: str, body: bytes) -> None: ...

    def marks(self, prefix: str) -> Mapping[str, str]:
        """URIs of all objects under a prefix, each with something that changes with its bytes."""

    def names(self, prefix: str, after: str) -> Sequence[str]:
        """URIs of the objects under a prefix that come after this one, in order."""

    def delete(self, uri: str) -> None:
        """Without an object there, nothing happens."""


@dataclass(frozen=True)
class Stores:
    """The same objects twice: `patient` for what may take its time, `hurried` for requests that wait."""

    patient: Source
    hurried: Source


class S3Source:
    """`hurried`: for a request that waits, which had better be told soon than answered late."""

    def __init__(self, endpoint: str | None, *, hurried: bool = False) -> None:
        import boto3
        from botocore.config import Config

        seconds, attempts = (3, 1) if hurried else (20, 3)
        config = Config(
            connect_timeout=min(3, seconds),
            read_timeout=seconds,
            retries={"mode": "standard", "max_attempts": attempts},
            max_pool_connections=32,
        )
        self._client = read_as_errors(boto3.client("s3", endpoint_url=endpoint, config=config))

    def read(self, uri: str, at_most_bytes: int = NO_LIMIT) -> bytes:
        with self._body(uri, at_most_bytes) as body:
            return bytes(body.read())

    def chunks(self, uri: str, at_most_bytes: float = float("inf")) -> Iterator[bytes]:
        with self._body(uri, at_most_bytes) as body:
            yield from body.iter_chunks(_CHUNK_BYTES)

    @contextmanager
    def _body(self, uri: str, at_most_bytes: float) -> Iterator["StreamingBody"]:
        with _translated(uri):
            found = self._client.get_object(**_place(uri))
            with closing(found["Body"]) as body:
                if found["ContentLength"] > at_most_bytes:
                    size = found["ContentLength"]
                    raise TooLarge(f"{uri} has {size} bytes, over the limit of {at_most_bytes}")
                yield body

    def write(self, uri: str, body: bytes) -> None:
        with _translated(uri):
            self._client.put_object(**_place(uri), Body=body)

    def marks(self, prefix: str) -> Mapping[str, str]:
        place = _place(prefix)
        with _translated(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=place["Bucket"], Prefix=place["Key"])
            found = (one for page in pages for one in page.get("Contents", []))
            # The MD5 of the bytes, when the object was written in one piece.
            return {f"s3://{place['Bucket']}/{one['Key']}": one["ETag"].strip('"') for one in found}

    def names(self, prefix: str, after: str) -> Sequence[str]:
        place, first = _place(prefix), _place(after)["Key"]
        with _translated(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=place["Bucket"], Prefix=place["Key"], StartAfter=first
            )
            return [f"s3://{place['Bucket']}/{one['Key']}" for page in pages for one in page.get("Contents", [])]

    def delete(self, uri: str) -> None:
        with _translated(uri):
            self._client.delete_object(**_place(uri))


def _place(uri: str) -> dict[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return {"Bucket": bucket, "Key": key}


@contextmanager
def _translated(uri: str) -> Iterator[None]:
    from botocore.exceptions import ClientError

    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code")
        if code in {"NoSuchKey", "NoSuchBucket", "404"}:
            raise FileNotFoundError(uri) from None
        said = f"S3: {without_key(error, _place(uri)['Key'])}"
        if code in {"AccessDenied", "InvalidObjectState"}:
            # Without the right to list, S3 says of a missing object that access is denied.
            raise ObjectRefused(said) from None
        raise StorageUnavailable(said) from None
    except (ServingError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - not all are of botocore's own classes; any may pass
        said = without_key(error, _place(uri)["Key"])
        raise StorageUnavailable(f"S3: {type(error).__name__} {said}") from None
