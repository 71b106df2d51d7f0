"""What a photo may be and where it lies, the same for whoever takes it in, learns from it or answers about it."""

from collections.abc import Collection
from dataclasses import dataclass

MAX_PHOTO_BYTES = 32 * 1024 * 1024
MAX_PHOTO_PIXELS = 100_000_000
MIN_PHOTO_SIDE = 64
"""Shorter side in pixels below which a photo shows too little: too small to learn from is too small to judge."""
_SCHEME = "s3://"
# What S3 takes, in bytes of UTF-8.
_MAX_KEY_BYTES = 1024


class BadPhotoAddress(ValueError):
    """No address of a photo that may be fetched; the text says why."""


@dataclass(frozen=True)
class PhotoAddress:
    """`key` is everything after the bucket's `/`, whatever characters it has.

    One reader for all: of two that differ, one takes another task's photo for this one.
    """

    bucket: str
    key: str

    @classmethod
    def parse(cls, url: str, buckets: Collection[str]) -> "PhotoAddress":
        """`s3://bucket/key` in one of `buckets`. Raises `BadPhotoAddress`."""
        bucket, slash, key = url.removeprefix(_SCHEME).partition("/")
        # S3 itself knows no folders, but some stores are made of them: nobody climbs out of a bucket.
        if not url.startswith(_SCHEME) or bucket not in buckets or not slash or not key or ".." in key.split("/"):
            raise BadPhotoAddress(f"{url[:200]!r} is not in an allowed bucket ({', '.join(sorted(buckets))})")
        if "\0" in key or len(key.encode(errors="replace")) > _MAX_KEY_BYTES or not _is_utf8(key):
            raise BadPhotoAddress(f"{url[:200]!r} is no key that S3 could have")
        return cls(bucket, key)

    def __str__(self) -> str:
        return f"{_SCHEME}{self.bucket}/{self.key}"


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
