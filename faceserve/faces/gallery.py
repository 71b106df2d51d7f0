"""Reference photos of enrolled identities, and their embeddings by one engine (specification, messages 35-39)."""

import logging
import re
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from faceserve.engines.base import Images
from faceserve.errors import BadPhoto, BadRequest, Refused
from faceserve.faces.comparison import VectorComparisonEngine
from faceserve.faces.features import FeatureExtractor
from faceserve.inference.photos import decoded
from faceserve.storage import Source

log = logging.getLogger(__name__)

_IDENTITY = re.compile(r"[\w][\w.@-]{0,99}")
_AT_ONCE = 16
_MAX_PHOTO_BYTES = 32 << 20


class Gallery:
    """Photos are stored, not embeddings: every version embeds them itself, so that versions cannot mix (design D7)."""

    def __init__(
        self, source: Source, uri: str, model: str, set_aside: Callable[[int], None] = lambda count: None
    ) -> None:
        """`uri` is an `s3://…/` prefix; if it is empty, nobody is enrolled and nobody can be.

        `set_aside` is told how many objects there are no usable photos of anybody.
        """
        self._source = source
        self._set_aside = set_aside
        self._prefix = f"{uri.rstrip('/')}/{model}/" if uri else ""

    def enroll(self, identity: str, photo: bytes) -> None:
        """Keep a photo. Raises `BadRequest`, `BadPhoto` or `StorageUnavailable`."""
        uri = self._uri(identity)
        decoded([photo])
        self._source.write(uri, photo)

    def withdraw(self, identity: str) -> None:
        self._source.delete(self._uri(identity))

    def embedded(self, extractor: FeatureExtractor) -> VectorComparisonEngine:
        """Everybody enrolled, in this extractor's space; an object that is no photo of anybody is set aside.

        Raises `StorageUnavailable`.
        """
        uris = sorted(self._source.list(self._prefix)) if self._prefix else []
        identities: list[str] = []
        vectors: list[npt.NDArray[np.float32]] = []
        for at in range(0, len(uris), _AT_ONCE):
            photos = [found for uri in uris[at : at + _AT_ONCE] if (found := self._photo(uri))]
            if photos:
                identities += [identity for identity, _ in photos]
                vectors.append(extractor.extract(np.concatenate([image for _, image in photos])))
        self._set_aside(len(uris) - len(identities))
        return VectorComparisonEngine(tuple(identities), np.concatenate(vectors) if vectors else None)

    def _photo(self, uri: str) -> tuple[str, Images] | None:
        """Who it shows and the model's input; None for a folder's marker and whatever else people leave there."""
        identity = uri.removeprefix(self._prefix)
        try:
            if not _IDENTITY.fullmatch(identity):
                raise BadPhoto("its name is nobody's")
            return identity, decoded([self._source.read(uri, _MAX_PHOTO_BYTES)])
        except (Refused, FileNotFoundError) as error:
            log.warning("%s is set aside, nobody is compared with it: %s", uri, error)
            return None

    def _uri(self, identity: str) -> str:
        if not self._prefix:
            raise BadRequest("this server has no gallery: set FACESERVE_GALLERY_URI")
        if not _IDENTITY.fullmatch(identity):
            raise BadRequest(f"identity {identity[:40]!r}: use letters, digits and . _ @ -, not too long (100 at most)")
        return f"{self._prefix}{identity}"
