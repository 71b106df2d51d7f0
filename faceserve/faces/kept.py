"""What is known of everybody who is enrolled: in memory, and as an object beside the photos.

By the object a replica that starts embeds only who came since. It holds what the base network says, so that the heads
of all its versions turn it. Whoever withdraws deletes it, and it is written anew without them.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from faceserve.errors import ObjectRefused, TooLarge
from faceserve.faces.changes import Change
from faceserve.faces.comparison import VectorComparisonEngine
from faceserve.models.projection import Projection
from faceserve.storage import Stores

log = logging.getLogger(__name__)

# Whoever came since is embedded at the next start: so many are no reason to write all of them again.
_FEW, _FEW_SHARE = 64, 0.02
_OF_NO_REVISION = "as it was kept"


@dataclass(frozen=True)
class Known:
    """Everybody enrolled, embedded by one extractor, as it was at one `revision`, after these `changes` by their key.

    `marks` are those of all objects that were read, so that only what changed is embedded anew.
    """

    revision: str = ""
    marks: Mapping[str, str] = field(default_factory=dict)
    faces: VectorComparisonEngine = field(default_factory=VectorComparisonEngine)
    changes: Mapping[str, Change] = field(default_factory=dict)


class KeptFaces:
    """One object for each base network, under `<model>.known/`. `uri` as of a `Gallery`."""

    def __init__(self, stores: Stores, uri: str, model: str) -> None:
        self._source = stores.patient
        self._photos = f"{uri.rstrip('/')}/{model}/"
        self._prefix = f"{uri.rstrip('/')}/{model}.known/" if uri else ""
        # By URI: what the object that was seen last is marked by, and the marks that it holds.
        self._seen: dict[str, tuple[str, Mapping[str, str]]] = {}

    def read(self, projection: Projection | None) -> Known | None:
        """In the embeddings of a version; None where nothing is kept of its network. Raises `StorageUnavailable`."""
        if projection is None or not self._prefix:
            return None
        found = self._read(self._uri(projection))
        if found is None or found.faces.vectors.shape[1] != len(projection.matrix):
            return None
        return Known(_OF_NO_REVISION, found.marks, found.faces.turned(projection.matrix))

    def keep(self, projection: Projection | None, known: Known, revision: Callable[[], str]) -> None:
        """Write it where it is missing, or is no more what is known; of a gallery that changes just now the next time.

        Raises `StorageUnavailable`.
        """
        if projection is None or not self._prefix or revision() != known.revision:
            return
        uri = self._uri(projection)
        if not len(known.faces) or not self._is_due(uri, known):
            return
        base = known.faces.turned(np.asarray(np.linalg.inv(projection.matrix), np.float64))
        body = self._to_bytes(Known(marks=known.marks, faces=base))
        self._source.write(uri, body)
        self._seen[uri] = _mark(body), known.marks
        if revision() != known.revision:
            # Whoever withdrew meanwhile may have deleted it before it was there.
            self.forget()

    def forget(self) -> None:
        """Nothing is kept of anybody. Raises `StorageUnavailable`."""
        for uri in self._source.names(self._prefix, self._prefix) if self._prefix else ():
            self._source.delete(uri)

    def _is_due(self, uri: str, known: Known) -> bool:
        mark = self._source.marks(uri).get(uri)
        if mark is None:
            return True
        if self._seen.get(uri, ("",))[0] != mark and self._read(uri) is None:
            return True
        held = self._seen[uri][1]
        gone = held.keys() - known.marks.keys()
        changed = sum(held.get(photo) != now for photo, now in known.marks.items())
        return bool(gone) or changed > max(_FEW, _FEW_SHARE * len(known.marks))

    def _read(self, uri: str) -> Known | None:
        try:
            body = self._source.read(uri)
            found = self._from_bytes(body)
        except FileNotFoundError:
            return None
        except (ObjectRefused, TooLarge, ValueError, LookupError, TypeError, AttributeError) as error:
            log.warning("what is kept in %s tells nothing of anybody: %s", self._prefix, error)
            return None
        self._seen[uri] = _mark(body), found.marks
        return found

    def _to_bytes(self, base: Known) -> bytes:
        marks = {uri.removeprefix(self._photos): mark for uri, mark in base.marks.items()}
        said = {"people": base.faces.identities, "marks": marks, "width": base.faces.vectors.shape[1]}
        body = json.dumps(said).encode() + b"\n" + base.faces.vectors.astype("<f4").tobytes()
        return _sum(body) + b"\n" + body

    def _from_bytes(self, body: bytes) -> Known:
        """Raises `ValueError` for what is damaged, and what bytes of another release lead to."""
        said_sum, _, body = body.partition(b"\n")
        if said_sum != _sum(body):
            raise ValueError("it is damaged")
        head, _, numbers = body.partition(b"\n")
        said = json.loads(head)
        vectors = np.frombuffer(numbers, "<f4").astype(np.float32).reshape(len(said["people"]), said["width"])
        marks = {f"{self._photos}{name}": str(mark) for name, mark in said["marks"].items()}
        return Known(marks=marks, faces=VectorComparisonEngine([str(one) for one in said["people"]], vectors))

    def _uri(self, projection: Projection) -> str:
        """What a base is called is up to whoever made it."""
        return f"{self._prefix}{hashlib.sha256(projection.base.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _sum(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()


def _mark(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()
