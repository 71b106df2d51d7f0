"""Reference photos of enrolled identities, which all replicas share (specification, messages 35-39)."""

import logging
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import numpy.typing as npt

from faceserve.engines.base import Images
from faceserve.errors import BadPhoto, BadRequest, NotFinite, ObjectRefused, Refused
from faceserve.faces.comparison import VectorComparisonEngine
from faceserve.faces.features import FeatureExtractor
from faceserve.inference.darkroom import Darkroom
from faceserve.storage import Stores
from include.contract.identity import can_be_enrolled, canonical

log = logging.getLogger(__name__)

_AT_ONCE = 16
_MAX_PHOTO_BYTES = 32 << 20
_MAX_REVISION_BYTES = 1 << 10
# What a cosine may differ by where vectors were turned, not computed: as golden embeddings of faces may.
_ROUNDING = 1e-4


@dataclass(frozen=True)
class Known:
    """Everybody enrolled, embedded by one extractor, as it was at one `revision`.

    `marks` are those of all objects that were read, so that only what changed is embedded anew.
    """

    revision: str = ""
    marks: Mapping[str, str] = field(default_factory=dict)
    faces: VectorComparisonEngine = field(default_factory=VectorComparisonEngine)


# By object; what could not be read has no mark, so that the next look tries it again.
_Unread = dict[str, FileNotFoundError | ObjectRefused]


class Gallery:
    """Photos are stored, not embeddings: every version embeds them itself, so that versions cannot mix (design D7).

    Every change writes a new `revision` beside them. A replica that reads the one it has seen has seen all there is. A
    name is one person in whatever Unicode form it comes, also where objects of an earlier time have it in another one.
    """

    def __init__(
        self,
        stores: Stores,
        uri: str,
        model: str,
        darkroom: Darkroom,
        set_aside: Callable[[int], None] = lambda count: None,
    ) -> None:
        """`uri` is an `s3://…/` prefix; if it is empty, nobody is enrolled and nobody can be.

        `set_aside` is told how many objects there are no usable photos of anybody.
        """
        self._source, self._hurried = stores.patient, stores.hurried
        self._darkroom = darkroom
        self._set_aside = set_aside
        self._prefix = f"{uri.rstrip('/')}/{model}/" if uri else ""
        # Not under the prefix: it is no photo of anybody.
        self._revision = f"{uri.rstrip('/')}/{model}.revision"

    @property
    def there(self) -> bool:
        """Whether anybody can be enrolled."""
        return bool(self._prefix)

    def enroll(self, identity: str, photo: bytes) -> None:
        """Keep a photo. Raises `BadRequest`, `BadPhoto` or `StorageUnavailable`."""
        uri = self._uri(identity)
        self._darkroom.decoded_next(photo)
        self._source.write(uri, photo)
        self._changed()

    def withdraw(self, identity: str) -> None:
        """In every form of the name, also one that could only be enrolled earlier."""
        self._demand_a_place()
        if not (name := named(identity)):
            raise BadRequest("nobody has no name")
        for other in self._source.marks(self._prefix):
            if self._name(other) == name:
                self._source.delete(other)
        if can_be_enrolled(name):
            # The one that nobody listed may have been written meanwhile.
            self._source.delete(f"{self._prefix}{name}")
        self._changed()

    def revision(self) -> str:
        """Another one after every change, by whichever replica; empty before the first. Raises `StorageUnavailable`."""
        try:
            return self._hurried.read(self._revision, _MAX_REVISION_BYTES).decode("ascii", "replace")
        except FileNotFoundError:
            return ""

    def known(self, extractor: FeatureExtractor, revision: str, before: Known | None = None) -> Known:
        """Everybody enrolled, in this extractor's space; an object that is no photo of anybody is set aside.

        `revision` was read before: what changed since is looked at again, since it has another one. `before` is what
        the same extractor made of an earlier one. Raises `StorageUnavailable`, not for objects that the store refuses
        while it gives out another one.
        """
        before = before or Known()
        found = self._one_each(self._source.marks(self._prefix)) if self._prefix else {}
        new = sorted(uri for uri, mark in found.items() if before.marks.get(uri) != mark)
        identities, vectors, unread = self._embedded(extractor, new)
        marks = {uri: mark for uri, mark in found.items() if uri not in unread}
        refused = [error for error in unread.values() if isinstance(error, ObjectRefused)]
        if refused and not self._gives_out_one_of(marks):
            raise refused[0]
        gone = {self._name(uri) for uri, mark in before.marks.items() if marks.get(uri) != mark}
        faces = before.faces.without(gone).joined(identities, vectors)
        self._set_aside(len(marks) + len(refused) - len(faces))
        return Known(revision, marks, faces)

    def agrees(self, extractor: FeatureExtractor, known: Known) -> bool:
        """Whether the extractor says of some photos what is known of them; where none can be read nobody knows.

        Of those that are still what they were: who was enrolled anew meanwhile says nothing of the extractor.
        """
        now = self._source.marks(self._prefix)
        same = [uri for uri, mark in known.marks.items() if now.get(uri) == mark]
        step = max(1, len(same) // _AT_ONCE)
        identities, vectors, _ = self._embedded(extractor, same[::step][:_AT_ONCE])
        asked = zip(identities, np.concatenate(vectors), strict=True) if vectors else ()
        found = [match.similarity for who, vector in asked for match in known.faces.with_one(who, vector)]
        return len(found) == len(identities) > 0 and min(found) > 1 - _ROUNDING

    def _one_each(self, found: Mapping[str, str]) -> Mapping[str, str]:
        """Of objects that are one person's, the one under the canonical name, which was written last."""
        forms: dict[str, list[str]] = {}
        for uri in found:
            forms.setdefault(self._name(uri), []).append(uri)
        chosen = (max(uris, key=lambda uri: (uri == f"{self._prefix}{who}", uri)) for who, uris in forms.items())
        return {uri: found[uri] for uri in chosen}

    def _embedded(
        self, extractor: FeatureExtractor, uris: list[str]
    ) -> tuple[list[str], list[npt.NDArray[np.float32]], _Unread]:
        identities: list[str] = []
        vectors: list[npt.NDArray[np.float32]] = []
        unread: _Unread = {}
        for at in range(0, len(uris), _AT_ONCE):
            photos = [found for uri in uris[at : at + _AT_ONCE] if (found := self._photo(uri, unread))]
            for who, embedded in _vectors(extractor, photos):
                identities += who
                vectors.append(embedded)
        return identities, vectors, unread

    def _photo(self, uri: str, unread: _Unread) -> tuple[str, Images] | None:
        """Who it shows and the model's input; None for a folder's marker and whatever else people leave there."""
        identity = self._name(uri)
        try:
            if not can_be_enrolled(identity):
                raise BadPhoto("its name is nobody's")
            return identity, self._darkroom.decoded_next(self._source.read(uri, _MAX_PHOTO_BYTES))
        except (Refused, FileNotFoundError, ObjectRefused) as error:
            log.warning("%s is set aside, nobody is compared with it: %s", uri, error)
            if not isinstance(error, Refused):
                unread[uri] = error
            return None

    def _gives_out_one_of(self, uris: Iterable[str]) -> bool:
        """Else the store refuses us, and not some objects."""
        for uri in islice(uris, _AT_ONCE):
            try:
                self._source.read(uri, _MAX_PHOTO_BYTES)
            except (ObjectRefused, FileNotFoundError):
                continue
            except Refused:
                log.debug("%s was given out, though it is no photo", uri)
            return True
        return False

    def _changed(self) -> None:
        """After the photo, never before: who reads this revision must find what it stands for."""
        self._source.write(self._revision, uuid.uuid4().hex.encode())

    def _name(self, uri: str) -> str:
        """What is too long for a name is left as it is, which is nobody's."""
        key = uri.removeprefix(self._prefix)
        try:
            return canonical(key)
        except ValueError:
            return key

    def _uri(self, identity: str) -> str:
        self._demand_a_place()
        if not can_be_enrolled(name := named(identity)):
            raise BadRequest(f"identity {identity[:40]!r}: use letters, digits and . _ @ -, not too long (100 at most)")
        return f"{self._prefix}{name}"

    def _demand_a_place(self) -> None:
        if not self._prefix:
            raise BadRequest("this server has no gallery: set FACESERVE_GALLERY_URI")


def named(identity: str) -> str:
    """The canonical name. Raises `BadRequest` for what is too long to be one."""
    try:
        return canonical(identity)
    except ValueError as error:
        raise BadRequest(f"identity {identity[:40]!r}: {error}") from None


def _vectors(
    extractor: FeatureExtractor, photos: list[tuple[str, Images]]
) -> list[tuple[list[str], npt.NDArray[np.float32]]]:
    """Who is embedded, and as what; a photo that the model has no finite numbers for costs no other its place."""
    if not photos:
        return []
    try:
        return [([who for who, _ in photos], extractor.extract(np.concatenate([image for _, image in photos])))]
    except NotFinite as error:
        if len(photos) == 1:
            log.warning("%s is set aside, nobody is compared with it: %s", photos[0][0], error)
            return []
        half = len(photos) // 2
        return [*_vectors(extractor, photos[:half]), *_vectors(extractor, photos[half:])]
