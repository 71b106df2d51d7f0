"""From photos, sent along or named by their place, to the model's input."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from faceserve.engines.base import Images
from faceserve.errors import BadPhoto
from faceserve.storage import Source
from include.contract.preprocessing import UnreadablePhoto, to_input


@dataclass(frozen=True)
class PhotoReader:
    """Photos of requests; those named by a URI must lie in one of `buckets`."""

    source: Source
    buckets: tuple[str, ...]

    def fetch(self, uri: str) -> Images:
        """A photo from an allowed bucket as a batch of one; anything else is never fetched. Raises `BadPhoto`."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        if not uri.startswith("s3://") or bucket not in self.buckets or not key or ".." in key.split("/"):
            raise BadPhoto(f"{uri[:200]!r} is not in an allowed bucket ({', '.join(self.buckets)})")
        try:
            return decoded([self.source.read(uri)])
        except FileNotFoundError:
            raise BadPhoto(f"no photo at {uri}") from None


def decoded(photos: Sequence[bytes]) -> Images:
    """Model input of encoded photos (JPEG, PNG or WebP): uint8 RGB [N, 224, 224, 3]. Raises `BadPhoto`."""
    try:
        return np.stack([to_input(photo) for photo in photos])
    except UnreadablePhoto as error:
        raise BadPhoto(str(error)) from None
