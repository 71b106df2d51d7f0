"""What is known of everybody who is enrolled: in memory, and as objects beside the photos.

By the objects a replica that starts embeds only who came since. They hold what the base network says, so that the heads
of all its versions turn it. Each holds a few people: whoever withdraws takes the objects along that they are in, and
little of what took long. What nobody used for two weeks goes.
"""

import hashlib
import json
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import numpy as np

from faceserve.errors import ObjectRefused, TooLarge
from faceserve.faces.changes import Change, person_of
from faceserve.faces.comparison import VectorComparisonEngine
from faceserve.faces.names import name_in
from faceserve.models.projection import Projection
from faceserve.storage import Stores

log = logging.getLogger(__name__)

# Whoever came since is embedded at the next start: so many are no reason to write all of them again.
_FEW, _FEW_SHARE = 64, 0.02
# 256 shards: with 100 000 people a withdrawal takes 400 of them along, who are embedded again in seconds.
_SHARD_DIGITS = 2
_READ_AT_ONCE = 8
# In a network's folder: the name of an object that says on which day a replica last knew faces by it.
_USED = "used-"
_UNUSED_DAYS = 14
_OF_NO_REVISION = "as it was kept"

Left = Callable[[], Collection[str] | None]
"""The people, as `person_of`, who withdrew since something was known; None where that cannot be said."""


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
    """`<model>.known/` has a folder for each base network, and that an object a shard. `uri` as of a `Gallery`."""

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
        folder = self._folder(projection)
        marks = self._objects_for(folder)
        # A start waits for them, and a store takes its time for each.
        with ThreadPoolExecutor(_READ_AT_ONCE, thread_name_prefix="kept") as reading:
            objects = list(reading.map(self._read, marks.keys(), marks.values()))
        fitting = [one for one in objects if one and one.faces.vectors.shape[1] == len(projection.matrix)]
        if not fitting:
            return None
        self._note_use(folder)
        people = [who for one in fitting for who in one.faces.identities]
        faces = VectorComparisonEngine(people, np.concatenate([one.faces.vectors for one in fitting]))
        photos = {uri: mark for one in fitting for uri, mark in one.marks.items()}
        return Known(_OF_NO_REVISION, photos, faces.turned(projection.matrix))

    def keep(self, projection: Projection | None, known: Known, left: Left) -> None:
        """Write what is missing, and what is no more what is known where that is much.

        `known` may have become old meanwhile: who `left` since is in nothing that stays. Raises `StorageUnavailable`.
        """
        if projection is None or not self._prefix:
            return
        folder, marks = self._folder(projection), self._by_shard(known.marks)
        self._note_use(folder)
        if (gone := left()) is None:
            return
        rows: dict[str, list[int]] = defaultdict(list)
        for row, who in enumerate(known.faces.identities):
            rows[_shard(person_of(who))].append(row)
        leaving = {_shard(person) for person in gone}
        due = sorted(self._due(folder, {shard: marks[shard] for shard in rows if shard not in leaving}))
        if not due:
            return
        to_base = np.asarray(np.linalg.inv(projection.matrix), np.float64)
        for shard in due:
            people = [known.faces.identities[row] for row in rows[shard]]
            faces = VectorComparisonEngine(people, known.faces.vectors[rows[shard]]).turned(to_base)
            self._write(f"{folder}{shard}", Known(marks=marks[shard], faces=faces))
        # Whoever withdrew meanwhile may have deleted what they are in before it was there.
        since = left()
        for shard in due if since is None else map(_shard, since):
            self._delete(f"{folder}{shard}")

    def forget(self, person: str) -> None:
        """Nothing is kept of this one, by `person_of`, of whatever network. Raises `StorageUnavailable`."""
        for uri in self._source.names(self._prefix, self._prefix) if self._prefix else ():
            # What an earlier build kept of everybody in one object is no shard.
            if not _says_use(uri) and (_name(uri) == _shard(person) or not _is_shard(_name(uri))):
                self._delete(uri)

    def forget_gone(self, known: Known) -> None:
        """Of whatever network, nothing stays that holds somebody whose photo is there no more, who or whatever took it,
        and nothing of one that no replica used for two weeks.

        Raises `StorageUnavailable`.
        """
        there = self._source.marks(self._prefix) if self._prefix else {}
        for uri in list(self._seen):
            if uri not in there:
                self._seen.pop(uri, None)
        unused = self._unused(there)
        for uri, mark in there.items():
            if self._network(uri) in unused:
                self._delete(uri)
            elif not _says_use(uri):
                held = self._held(uri, mark)
                if held is None or _says_more(held, known.marks):
                    self._delete(uri)

    def _note_use(self, folder: str) -> None:
        """Once a day."""
        today = f"{folder}{_USED}{_today().isoformat()}"
        days = self._source.names(f"{folder}{_USED}", f"{folder}{_USED}")
        if today not in days:
            self._source.write(today, b"used")
        for day in days:
            if day < today:
                self._source.delete(day)

    def _unused(self, there: Iterable[str]) -> set[str]:
        """The networks that nobody used for long; of which nothing says so, as of an earlier build's, counts from now
        on.
        """
        last: dict[str, str] = {}
        for uri in there:
            network = self._network(uri)
            last[network] = max(last.get(network, ""), _name(uri) if _says_use(uri) else "")
        for network in (network for network, day in last.items() if not day):
            self._note_use(f"{self._prefix}{network}/")
        oldest = f"{_USED}{(_today() - timedelta(_UNUSED_DAYS)).isoformat()}"
        return {network for network, day in last.items() if day and day < oldest}

    def _network(self, uri: str) -> str:
        return uri.removeprefix(self._prefix).partition("/")[0]

    def _objects_for(self, folder: str) -> Mapping[str, str]:
        """The shards; before there are any, what an earlier build kept in one object."""
        there = self._source.marks(folder.removesuffix("/"))
        shards = {uri: mark for uri, mark in there.items() if uri.startswith(folder) and not _says_use(uri)}
        return shards or {uri: mark for uri, mark in there.items() if f"{uri}/" == folder}

    def _due(self, folder: str, marks: Mapping[str, Mapping[str, str]]) -> set[str]:
        there = self._source.marks(folder)
        held = {_name(uri): self._held(uri, mark) for uri, mark in there.items() if _is_shard(_name(uri))}
        due: set[str] = set()
        changed: dict[str, int] = {}
        for shard, mine in marks.items():
            theirs = held.get(shard)
            if theirs is None or _says_more(theirs, mine):
                due.add(shard)
            elif many := sum(theirs.get(uri) != mark for uri, mark in mine.items()):
                changed[shard] = many
        enough = max(_FEW, _FEW_SHARE * sum(map(len, marks.values())))
        return due | (changed.keys() if sum(changed.values()) > enough else set())

    def _held(self, uri: str, mark: str) -> Mapping[str, str] | None:
        """The marks in an object that the store marks so; None for one that says nothing."""
        of_mark, marks = self._seen.get(uri, ("", {}))
        if of_mark == mark:
            return marks
        found = self._read(uri, mark)
        return found.marks if found else None

    def _read(self, uri: str, mark: str) -> Known | None:
        try:
            found = self._from_bytes(self._source.read(uri))
            shards = {_shard(person_of(who)) for who in found.faces.identities}
            if shards - {_name(uri)} and "/" in uri.removeprefix(self._prefix):
                raise ValueError("it is no shard")
        except FileNotFoundError:
            return None
        except (ObjectRefused, TooLarge, ValueError, LookupError, TypeError, AttributeError) as error:
            log.warning("what is kept in %s tells nothing of anybody: %s", self._prefix, error)
            return None
        self._seen[uri] = mark, found.marks
        return found

    def _delete(self, uri: str) -> None:
        self._source.delete(uri)
        self._seen.pop(uri, None)

    def _write(self, uri: str, base: Known) -> None:
        body = self._to_bytes(base)
        self._source.write(uri, body)
        # Many stores mark an object so; what another one marks otherwise is read once.
        self._seen[uri] = hashlib.md5(body, usedforsecurity=False).hexdigest(), base.marks

    def _by_shard(self, marks: Mapping[str, str]) -> Mapping[str, Mapping[str, str]]:
        found: dict[str, dict[str, str]] = defaultdict(dict)
        for uri, mark in marks.items():
            found[_shard(person_of(name_in(uri.removeprefix(self._photos))))][uri] = mark
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

    def _folder(self, projection: Projection) -> str:
        """What a base is called is up to whoever made it."""
        return f"{self._prefix}{hashlib.sha256(projection.base.encode('utf-8', 'surrogatepass')).hexdigest()}/"


def _shard(person: str) -> str:
    return person[:_SHARD_DIGITS]


def _name(uri: str) -> str:
    return uri.rpartition("/")[2]


def _is_shard(name: str) -> bool:
    return len(name) == _SHARD_DIGITS


def _says_use(uri: str) -> bool:
    return _name(uri).startswith(_USED)


def _says_more(theirs: Mapping[str, str], ours: Mapping[str, str]) -> bool:
    """Not by a difference of keys, which goes through all of ours."""
    return any(uri not in ours for uri in theirs)


def _today() -> date:
    return datetime.now(UTC).date()


def _sum(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()
