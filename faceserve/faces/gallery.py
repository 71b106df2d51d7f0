"""Reference photos of enrolled identities, which all replicas share (specification, messages 35-39)."""

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np
import numpy.typing as npt

from faceserve.engines.base import Images
from faceserve.errors import BadPhoto, BadRequest, ObjectRefused, Refused, Withdrew
from faceserve.faces.changes import Change, ChangeLog, person_of, shown, withdrawn_of
from faceserve.faces.features import FeatureExtractor, embedded_each
from faceserve.faces.kept import KeptFaces, Known
from faceserve.faces.names import name_in, named
from faceserve.inference.darkroom import Darkroom
from faceserve.storage import Stores
from include.contract.identity import can_be_enrolled

log = logging.getLogger(__name__)

_AT_ONCE = 16
_MAX_PHOTO_BYTES = 32 << 20
# How far cosines may differ where vectors were transformed and not computed: as far as golden embeddings of faces may.
_ROUNDING = 1e-4


@dataclass(frozen=True)
class Listing:
    """All photos by their marks, after these `changes`, of which so many are `left` to remember; `new` is embedded, but
    for `refused` objects that the store does not give out.
    """

    found: Mapping[str, str]
    changes: Mapping[str, Change]
    left: Mapping[str, Change]
    new: Known = field(default_factory=Known)
    refused: int = 0


# Marks by object; an object that could not be read has none, so that the next look tries it again.
_Unread = dict[str, FileNotFoundError | ObjectRefused]
# At a photo, and at what a model sees of it.
_Look = Callable[[bytes, Images], None]


class Gallery:
    """Photos are stored, not embeddings: every version embeds them itself, so that versions cannot mix (design D7).

    Every change is told in a `ChangeLog` beside them. A replica that reads the revision it has seen has seen all there
    is; else it looks at those whom changes name, and lists everybody now and then for what is done by hand. Withdrawals
    are told before anything is deleted: whatever lies there, who withdrew is nobody until enrolled again. A name is one
    person in whatever Unicode form it comes, also where objects of an earlier time have it in another one.
    """

    def __init__(
        self,
        stores: Stores,
        uri: str,
        model: str,
        darkroom: Darkroom,
        set_aside: Callable[[int], None] = lambda count: None,
    ) -> None:
        """`uri` is an `s3://…/` prefix; if it is empty, nobody is enrolled and nobody can be. `set_aside` is told how
        many objects there are no usable photos of anybody.
        """
        self._source, self._hurried = stores.patient, stores.hurried
        self._darkroom = darkroom
        self._set_aside = set_aside
        self._prefix = f"{uri.rstrip('/')}/{model}/" if uri else ""
        self._log, self.kept = ChangeLog(stores, uri, model), KeptFaces(stores, uri, model)
        # Of who has any: objects that are not under the canonical name. None before the first listing.
        self._other_forms: Mapping[str, Sequence[str]] | None = None

    @property
    def there(self) -> bool:
        """Whether anybody can be enrolled."""
        return bool(self._prefix)

    def enroll(self, identity: str, photo: bytes, demand: _Look = lambda photo, images: None) -> None:
        """Keep a photo. Raises `BadRequest`, `BadPhoto`, `Withdrew`, `StorageUnavailable` or what `demand` does."""
        uri = self._uri(identity)
        demand(photo, self._darkroom.decoded_next(photo))
        try:
            with self._log.enrolling(named(identity)):
                self._source.write(uri, photo)
        except Withdrew:
            self.withdraw(identity)
            raise

    def withdraw(self, identity: str) -> None:
        """Removes every form of the name, even one that only earlier releases accepted."""
        self._demand_a_place()
        if not (name := named(identity)):
            raise BadRequest("nobody has no name")
        # First, so that a person whose deletion breaks off is not named any more.
        self._log.tell_withdrawn(name)
        if can_be_enrolled(name):
            self._source.delete(f"{self._prefix}{name}")
        if self._other_forms is None:
            self._note_forms(self._source.marks(self._prefix))
        for other in (self._other_forms or {}).get(name, ()):
            self._source.delete(other)
        # A second time, in case the person was enrolled meanwhile: that photo was deleted as well.
        self._log.forget(name, before=self._log.tell_withdrawn(name))
        self.kept.forget(person_of(name))

    def revision(self) -> str:
        """Another one after every change, by whichever replica; empty before the first. Raises `StorageUnavailable`."""
        return self._log.revision()

    def left_since(self, known: Known) -> frozenset[str] | None:
        """The people, by `person_of`, who withdrew after this was known; None where the log does not reach back so far.

        Raises `StorageUnavailable`.
        """
        if (revision := self._log.revision()) == known.revision:
            return frozenset()
        changes = self._log.since(known.changes)
        new = (change for key, change in changes.items() if key not in known.changes)
        return frozenset(one.person for one in new if one.withdrawn) if revision in changes else None

    def updated(self, extractor: FeatureExtractor, revision: str, before: Known) -> Known | None:
        """What is known after the changes since; None where the log does not say what led to this revision."""
        changes = self._log.since(before.changes)
        if revision not in changes:
            return None
        new, withdrawn = [changes[key] for key in changes.keys() - before.changes.keys()], withdrawn_of(changes)
        touched = {change.name for change in new if change.name} | self._known_as(new, before)
        here = sorted(
            f"{self._prefix}{change.name}"
            for change in {change.name: change for change in new}.values()
            if change.person not in withdrawn and can_be_enrolled(change.name)
        )
        unread: _Unread = {}
        identities, vectors, read = self._embedded(extractor, here, unread)
        forms = ((f"{self._prefix}{name}", *(self._other_forms or {}).get(name, ())) for name in touched)
        gone = {uri for of_one in forms for uri in of_one}
        marks = {**{uri: mark for uri, mark in before.marks.items() if uri not in gone}, **read}
        faces = before.faces.without(touched).joined(identities, vectors)
        refused = sum(isinstance(error, ObjectRefused) for error in unread.values())
        self._set_aside(len(marks) + refused - len(faces))
        return Known(revision, marks, faces, changes)

    def listing(self, changes: Mapping[str, Change]) -> Listing:
        """Everybody who lies there, which takes seconds of many; `changes` are those that were known before."""
        found = self._source.marks(self._prefix)
        self._note_forms(found)
        withdrawn = withdrawn_of(changes)
        there = {name for name in map(self._name, found) if person_of(name) in withdrawn} if withdrawn else set()
        for name in sorted(there):
            log.warning("%s withdrew, and a photo lies there all the same: withdraw or enroll again", shown(name))
        left = self._log.tidy(changes, frozenset(map(person_of, there)))
        return Listing({u: m for u, m in self._one_each(found).items() if self._name(u) not in there}, changes, left)

    def looked_at(self, extractor: FeatureExtractor, listing: Listing, known: Known) -> Listing:
        """The listing with its new photos embedded, which may take even longer."""
        new = sorted(uri for uri, mark in listing.found.items() if known.marks.get(uri) != mark)
        unread: _Unread = {}
        identities, vectors, _ = self._embedded(extractor, new, unread)
        marks = {uri: listing.found[uri] for uri in new if uri not in unread}
        refused = sum(isinstance(error, ObjectRefused) for error in unread.values())
        return replace(listing, new=Known("", marks, Known().faces.joined(identities, vectors)), refused=refused)

    def corrected(self, listing: Listing, known: Known) -> Known:
        """What is known, by what lay there; who changed since the listing began is as is known, not as was listed."""
        since = {known.changes[key].person for key in known.changes.keys() - listing.changes.keys()}
        new = {uri: mark for uri, mark in listing.new.marks.items() if person_of(self._name(uri)) not in since}
        kept = {u: m for u, m in known.marks.items() if listing.found.get(u) == m or person_of(self._name(u)) in since}
        gone = {self._name(uri) for uri in (known.marks.keys() - kept.keys()) | new.keys()}
        names = {self._name(uri) for uri in new}
        faces = known.faces.without(gone).taken_over(listing.new.faces, names)
        changes = {k: c for k, c in known.changes.items() if k not in listing.changes or k in listing.left}
        self._set_aside(len(kept | new) + listing.refused - len(faces))
        return replace(known, marks={**kept, **new}, faces=faces, changes=changes)

    def known(self, extractor: FeatureExtractor, revision: str, before: Known | None = None) -> Known:
        """Everybody enrolled, in this extractor's space; an object that is no photo of anybody is set aside.

        `revision` was read before: what changed since is looked at again, since it has another one. `before` is what
        the same extractor made of an earlier one. Raises `StorageUnavailable`, not for objects that the store refuses
        while it gives out another one.
        """
        before = before or Known()
        changes = self._log.since(before.changes) if self._prefix else {}
        listing = self.listing(changes) if self._prefix else Listing({}, {}, {})
        found = listing.found
        new = sorted(uri for uri, mark in found.items() if before.marks.get(uri) != mark)
        unread: _Unread = {}
        identities, vectors, _ = self._embedded(extractor, new, unread)
        marks = {uri: mark for uri, mark in found.items() if uri not in unread}
        refused = [error for error in unread.values() if isinstance(error, ObjectRefused)]
        if refused and not self._gives_out_one_of(marks):
            raise refused[0]
        gone = {self._name(uri) for uri, mark in before.marks.items() if marks.get(uri) != mark}
        faces = before.faces.without(gone).joined(identities, vectors)
        self._set_aside(len(marks) + len(refused) - len(faces))
        return Known(revision, marks, faces, listing.left)

    def agrees(self, extractor: FeatureExtractor, known: Known) -> bool:
        """Whether the extractor computes for some photos the vectors that are known; False where none can be read.

        Of those that are still what they were: who was enrolled anew meanwhile says nothing of the extractor.
        """
        uris = list(known.marks)
        some = uris[:: max(1, len(uris) // _AT_ONCE)][:_AT_ONCE]
        # By what was read, as listing 100 000 takes seconds; a store whose marks are no MD5 is listed.
        identities, vectors, read = self._embedded(extractor, some, {})
        now = read if any(known.marks[uri] == mark for uri, mark in read.items()) else self._source.marks(self._prefix)
        same = {self._name(uri) for uri in some if now.get(uri) == known.marks[uri]}
        all_ = zip(identities, np.concatenate(vectors), strict=True) if vectors else ()
        asked = [(who, vector) for who, vector in all_ if who in same]
        found = [match.similarity for who, vector in asked for match in known.faces.with_one(who, vector)]
        return len(found) == len(asked) > 0 and min(found) > 1 - _ROUNDING

    def _known_as(self, changes: Iterable[Change], known: Known) -> set[str]:
        """The names of those who withdrew, of whom changes say none."""
        withdrawn = {change.person for change in changes if change.withdrawn}
        if not withdrawn:
            return set()
        names = {uri.removeprefix(self._prefix) for uri in known.marks} | (self._other_forms or {}).keys()
        return {name for name in names if person_of(name) in withdrawn}

    def _one_each(self, found: Mapping[str, str]) -> Mapping[str, str]:
        """One object for each person: the one under the canonical name, which was written last."""
        forms: dict[str, list[str]] = {}
        for uri in found:
            forms.setdefault(self._name(uri), []).append(uri)
        chosen = (max(uris, key=lambda uri: (uri == f"{self._prefix}{who}", uri)) for who, uris in forms.items())
        return {uri: found[uri] for uri in chosen}

    def _embedded(
        self, extractor: FeatureExtractor, uris: list[str], unread: _Unread
    ) -> tuple[list[str], list[npt.NDArray[np.float32]], dict[str, str]]:
        """The embedded identities, their vectors, and the marks of all objects that were read."""
        identities: list[str] = []
        vectors: list[npt.NDArray[np.float32]] = []
        marks: dict[str, str] = {}
        for at in range(0, len(uris), _AT_ONCE):
            photos = [found for uri in uris[at : at + _AT_ONCE] if (found := self._photo(uri, unread, marks))]
            for who, embedded in embedded_each(extractor, photos):
                identities += who
                vectors.append(embedded)
        return identities, vectors, marks

    def _photo(self, uri: str, unread: _Unread, marks: dict[str, str]) -> tuple[str, Images] | None:
        """Who it shows and the model's input; None for a folder's marker and whatever else people leave there."""
        identity = self._name(uri)
        try:
            if not can_be_enrolled(identity):
                raise BadPhoto("its name is nobody's")
            body = self._source.read(uri, _MAX_PHOTO_BYTES)
            marks[uri] = hashlib.md5(body, usedforsecurity=False).hexdigest()
            return identity, self._darkroom.decoded_next(body)
        except (Refused, FileNotFoundError, ObjectRefused) as error:
            why = error if isinstance(error, BadPhoto) else type(error).__name__  # Others say which object it is.
            log.warning("%s in %s is set aside, nobody is compared with it: %s", shown(identity), self._prefix, why)
            if not isinstance(error, Refused):
                unread[uri] = error
            return None

    def _gives_out_one_of(self, uris: Iterable[str]) -> bool:
        """Otherwise the store refuses us altogether, and not single objects."""
        for uri in islice(uris, _AT_ONCE):
            try:
                with suppress(Refused):
                    self._source.read(uri, _MAX_PHOTO_BYTES)
            except (ObjectRefused, FileNotFoundError):
                continue
            return True
        return False

    def _note_forms(self, found: Iterable[str]) -> None:
        forms: dict[str, list[str]] = {}
        for uri in found:
            if uri != f"{self._prefix}{(name := self._name(uri))}" or not can_be_enrolled(name):
                forms.setdefault(name, []).append(uri)
        self._other_forms = forms

    def _name(self, uri: str) -> str:
        return name_in(uri.removeprefix(self._prefix))

    def _uri(self, identity: str) -> str:
        self._demand_a_place()
        if not can_be_enrolled(name := named(identity)):
            raise BadRequest(f"identity {identity[:40]!r}: use letters, digits and . _ @ -, not too long (100 at most)")
        return f"{self._prefix}{name}"

    def _demand_a_place(self) -> None:
        if not self._prefix:
            raise BadRequest("this server has no gallery: set FACESERVE_GALLERY_URI")
