"""What a photo may be and where it lies: the same for all who take it in, learn from it or answer about it."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from include.contract.portable import Portable

MAX_PHOTO_BYTES = 32 * 1024 * 1024
MAX_PHOTO_PIXELS = 100_000_000
MIN_PHOTO_SIDE = 64
"""Shorter side in pixels below which a photo shows too little: too small to learn from is too small to judge."""
_SCHEME, _MAX_BUCKET_CHARACTERS = "s3://", 63
_NO_KEY = "is no key that S3 could have"
# What S3 takes, in bytes of UTF-8.
_MAX_KEY_BYTES = 1024
MAX_ADDRESS_CHARACTERS = len(_SCHEME) + _MAX_BUCKET_CHARACTERS + len("/") + _MAX_KEY_BYTES
ADDRESS_PATTERN = rf"^{_SCHEME}[a-z0-9][a-z0-9._-]{{1,61}}[a-z0-9]/[^\x00]{{1,{_MAX_KEY_BYTES}}}$"
"""Tells addresses from other texts as far as a pattern can; `PhotoAddress.read` checks the rest."""
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]")


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
        found = cls._read(url, place, buckets)
        if found.bucket not in buckets:
            raise BadPhotoAddress(url, f"is not {place}")
        return found

    @classmethod
    def read(cls, url: str) -> "PhotoAddress":
        """`s3://bucket/key` in any bucket. Raises `BadPhotoAddress`."""
        return cls._read(url, f"{_SCHEME}bucket/key", ())

    @classmethod
    def _read(cls, url: str, place: str, buckets: Collection[str]) -> "PhotoAddress":
        bucket, _, key = url.removeprefix(_SCHEME).partition("/")
        # Buckets of before 2018 have names that none may get today: who has one may use it.
        is_bucket = bucket in buckets or _BUCKET.fullmatch(bucket)
        is_address = url.startswith(_SCHEME) and is_bucket and key
        # S3 has no folders, but some stores do: no address may climb out of its bucket.
        if not is_address or ".." in key.split("/"):
            raise BadPhotoAddress(url, f"is not {place}")
        if "\0" in key or len(key.encode(errors="replace")) > _MAX_KEY_BYTES or not _is_utf8(key):
            raise BadPhotoAddress(url, _NO_KEY)
        return cls(bucket, key)

    def __str__(self) -> str:
        return f"{_SCHEME}{self.bucket}/{self.key}"


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
