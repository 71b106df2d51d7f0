"""Reference photos of enrolled identities, and their embeddings by one engine (specification, messages 35-39)."""

import re

import numpy as np

from faceserve.errors import BadRequest
from faceserve.faces.comparison import VectorComparisonEngine
from faceserve.faces.features import FeatureExtractor
from faceserve.inference.photos import decoded
from faceserve.storage import Source

_IDENTITY = re.compile(r"[\w][\w.@-]{0,99}")
_AT_ONCE = 16


class Gallery:
    """Photos are stored, not embeddings: every version embeds them itself, so that versions cannot mix (design D7)."""

    def __init__(self, source: Source, uri: str, model: str) -> None:
        """`uri` is an `s3://…/` prefix; if it is empty, nobody is enrolled and nobody can be."""
        self._source = source
        self._prefix = f"{uri.rstrip('/')}/{model}/" if uri else ""

    def enroll(self, identity: str, photo: bytes) -> None:
        """Keep a photo. Raises `BadRequest`, `BadPhoto` or `StorageUnavailable`."""
        uri = self._uri(identity)
        decoded([photo])
        self._source.write(uri, photo)

    def withdraw(self, identity: str) -> None:
        self._source.delete(self._uri(identity))

    def embedded(self, extractor: FeatureExtractor) -> VectorComparisonEngine:
        """Everybody enrolled, in this extractor's space. Raises `BadPhoto` or `StorageUnavailable`."""
        uris = sorted(self._source.list(self._prefix)) if self._prefix else []
        identities = tuple(uri.removeprefix(self._prefix) for uri in uris)
        vectors = [
            extractor.extract(decoded([self._source.read(uri) for uri in uris[at : at + _AT_ONCE]]))
            for at in range(0, len(uris), _AT_ONCE)
        ]
        return VectorComparisonEngine(identities, np.concatenate(vectors) if vectors else None)

    def _uri(self, identity: str) -> str:
        if not self._prefix:
            raise BadRequest("this server has no gallery: set FACESERVE_GALLERY_URI")
        if not _IDENTITY.fullmatch(identity):
            raise BadRequest(f"identity {identity[:40]!r}: use letters, digits and . _ @ -, not too long (100 at most)")
        return f"{self._prefix}{identity}"
