"""From photos, sent along or named by their place, to the model's input."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np

from faceserve.engines.base import Images
from faceserve.errors import BadPhoto, ObjectRefused
from faceserve.inference.fetching import Fetching
from include.contract.photo import BadPhotoAddress, PhotoAddress
from include.contract.preprocessing import UnreadablePhoto, to_input


@dataclass(frozen=True)
class PhotoReader:
    """Photos of requests; those named by a URI must lie in one of `buckets`."""

    source: Fetching
    buckets: tuple[str, ...]

    @contextmanager
    def fetched(self, uri: str) -> Iterator[bytes]:
        """A photo from an allowed bucket; anything else is never fetched. Raises `BadPhoto`."""
        with ExitStack() as held:
            try:
                photo = held.enter_context(self.source.photo(str(PhotoAddress.parse(uri, self.buckets))))
            except BadPhotoAddress as error:
                raise BadPhoto(str(error)) from None
            except FileNotFoundError:
                raise BadPhoto(f"no photo at {uri}") from None
            except ObjectRefused as error:
                raise BadPhoto(f"no photo to be had at {uri}: {error}") from None
            yield photo


def decoded(photos: Sequence[bytes]) -> Images:
    """Model input of encoded photos (JPEG, PNG or WebP): uint8 RGB [N, 224, 224, 3]. Raises `BadPhoto`."""
    try:
        return np.stack([to_input(photo) for photo in photos])
    except UnreadablePhoto as error:
        raise BadPhoto(str(error)) from None
