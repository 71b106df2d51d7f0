"""What a photo may be and where it lies: the same for all who take it in, learn from it or answer about it."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from include.contract.portable import Portable

MAX_PHOTO_BYTES = 32 * 1024 * 1024
MAX_PHOTO_PIXELS = 100_000_000
MIN_PHOTO_SIDE = 64
"""Shorter side in pixels below which a photo shows too little: too small to learn from is too small to judge."""
_SCHEME = "s3://"
# Some buckets are older than the names that S3 gives today: with capitals, underscores, or more than 63 characters.
_BUCKET = r"[A-Za-z0-9._-]{1,255}"
_NO_KEY = "is no key that S3 could have"
# What S3 takes, in bytes of UTF-8.
_MAX_KEY_BYTES = 1024
MAX_ADDRESS_CHARACTERS = len(_SCHEME) + 63 + len("/") + _MAX_KEY_BYTES
"""Any key in a bucket with a name of today; tables have no room for more."""
ADDRESS_PATTERN = rf"^{_SCHEME}{_BUCKET}/[^\x00]{{1,{_MAX_KEY_BYTES}}}$"
"""Tells addresses from other texts as far as a pattern can; `PhotoAddress.read` checks the rest."""


class BadPhotoAddress(Portable, ValueError):
    """No address of a photo that may be fetched; the text says why, and `why` alone does not name it."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(f"{url[:200]!r} {why}")
        self.why = why


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
        place = f"in an allowed bucket ({', '.join(sorted(buckets))})"
        found = cls._read(url, place)
        if found.bucket not in buckets:
            raise BadPhotoAddress(url, f"is not {place}")
        return found

    @classmethod
    def read(cls, url: str) -> "PhotoAddress":
        """`s3://bucket/key` in any bucket. Raises `BadPhotoAddress`."""
        return cls._read(url, f"{_SCHEME}bucket/key")

    @classmethod
    def _read(cls, url: str, place: str) -> "PhotoAddress":
        bucket, _, key = url.removeprefix(_SCHEME).partition("/")
        is_address = url.startswith(_SCHEME) and re.fullmatch(_BUCKET, bucket) and key
        # S3 has no folders, but some stores do: no address may climb out of its bucket.
        if not is_address or ".." in key.split("/"):
            raise BadPhotoAddress(url, f"is not {place}")
        if "\0" in key or len(key.encode(errors="replace")) > _MAX_KEY_BYTES or not _is_utf8(key):
            raise BadPhotoAddress(url, _NO_KEY)
        if len(url) > MAX_ADDRESS_CHARACTERS:
            raise BadPhotoAddress(url, f"is longer than {MAX_ADDRESS_CHARACTERS} characters")
        return cls(bucket, key)

    def __str__(self) -> str:
        return f"{_SCHEME}{self.bucket}/{self.key}"


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
