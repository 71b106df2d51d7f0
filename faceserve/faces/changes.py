"""The latest changes of a gallery, so that a replica learns of one person without listing everybody."""

import hashlib
import json
import logging
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from faceserve.errors import ObjectRefused, TooLarge, Withdrew
from faceserve.storage import Stores

log = logging.getLogger(__name__)

KEPT_SECONDS = 600.0
# So long a change is surely there: clocks may be five minutes apart.
SURE_SECONDS = KEPT_SECONDS / 2
# How late a change may be written whose key is older, because it was begun earlier or by a slow clock.
_LATE_MILLISECONDS = 120_000
_MAX_BYTES = 1 << 12
# Milliseconds since 1970 in the keys of changes, so that the order of keys is theirs.
_DIGITS = 15
_SHOWN_DIGITS = 12


@dataclass(frozen=True)
class Change:
    """Of one `person`: `withdrawn`, who has no `name` any more, or somebody whose photo is to be looked at again.

    `after` are the milliseconds of the newest change that an enrolment could know of when it began, or those up to
    which the log may have forgotten some that a replica remembers. It enrolls nobody again who withdrew since, however
    late or early its key is: a store is slow, and clocks differ.
    """

    key: str
    person: str
    name: str
    withdrawn: bool
    after: int = 0


class ChangeLog:
    """One small object a change, which is kept for ten minutes, and `revision`, which names the last one.

    Keys are in the order of what caused what: each begins with the time, and is after all that were there, so that a
    clock that is behind puts no withdrawal before the enrolment that it followed. Then each says of whom it is by
    `person_of`, as `pipeline backups erase-again` does, which knows no name of whom it takes out.
    """

    def __init__(self, stores: Stores, uri: str, model: str) -> None:
        self._source, self._hurried = stores.patient, stores.hurried
        # Not under the photos' prefix: they are no photos of anybody.
        self._prefix = f"{uri.rstrip('/')}/{model}.changes/"
        self._revision = f"{uri.rstrip('/')}/{model}.revision"

    def revision(self) -> str:
        """A value that differs after every change, by whichever replica; empty before the first. Raises
        `StorageUnavailable`.
        """
        try:
            return self._hurried.read(self._revision, _MAX_BYTES).decode("ascii", "replace")
        except FileNotFoundError:
            return ""

    @contextmanager
    def enrolling(self, name: str) -> Iterator[None]:
        """Around the writing of a photo, which is told afterwards: who reads of it must find it.

        A store may take its time with it, and its caller be gone long since: raises `Withdrew` if the person withdrew
        meanwhile. That look is for the caller alone: a withdrawal that came after `after` counts, seen or not.
        """
        # All that are there: a clock that is ahead would see none of the last minutes. A millisecond before what may be
        # forgotten, which is no more than five minutes ago by any clock.
        person, forgotten = person_of(name), int((_now() - SURE_SECONDS) * 1000) - 1
        after = max(forgotten, *map(_milliseconds, self._keys(0)), 0)
        yield
        self._tell(person, {"name": name, "withdrawn": False, "after": after})
        since = {key: change for key in self._keys(after) if person in key and (change := self._read(key))}
        if person in withdrawn_of(since):
            raise Withdrew("this person withdrew while the photo was on its way: enroll again")

    def tell_withdrawn(self, name: str) -> str:
        """Returns the change's key. The name is left out: nothing may name a person who is gone."""
        return self._tell(person_of(name), {"withdrawn": True})

    def forget(self, name: str, before: str) -> None:
        """Take out what names this person, and came before a change: who was enrolled after it is there again."""
        person = person_of(name)
        for key in self._keys(0):
            # An earlier build did not say in the key of whom it is.
            mine = key < before and (person in key or key.count("-") == 1)
            if mine and (change := self._read(key)) is not None and change.name and change.person == person:
                self._source.delete(f"{self._prefix}{key}")

    def _tell(self, person: str, said: Mapping[str, object]) -> str:
        """The change is written first, so that whoever reads the new revision finds it."""
        newest = max(map(_milliseconds, self._keys(int(_now() * 1000) - _LATE_MILLISECONDS)), default=0)
        key = f"{max(newest + 1, int(_now() * 1000)):0{_DIGITS}d}-{person}-{uuid.uuid4().hex}"
        self._source.write(f"{self._prefix}{key}", json.dumps(said).encode())
        self._source.write(self._revision, key.encode())
        return key

    def since(self, known: Mapping[str, Change]) -> Mapping[str, Change]:
        """By key, `known` ones and those that came after them, or a little before."""
        newest = max(map(_milliseconds, known), default=0)
        found = dict(known)
        for key in self._keys(newest - _LATE_MILLISECONDS):
            if key not in found and (change := self._read(key)) is not None:
                found[key] = change
        return found

    def tidy(self, known: Mapping[str, Change], keep: frozenset[str]) -> Mapping[str, Change]:
        """Forget what is older than ten minutes, but for withdrawals of the people in `keep`, of whom photos lie there
        all the same, that no other replica took out before those lay there. What is left.
        """
        old = (_now() - KEPT_SECONDS) * 1000
        left = {key: change for key, change in known.items() if _milliseconds(key) >= old}
        if stay := {key for key in known.keys() - left.keys() if known[key].withdrawn and known[key].person in keep}:
            left |= {key: known[key] for key in stay.intersection(self._keys(0))}
        for key in known.keys() - left.keys():
            self._source.delete(f"{self._prefix}{key}")
        return left

    def _keys(self, since: int) -> list[str]:
        """From these milliseconds on."""
        first = f"{self._prefix}{max(0, since):0{_DIGITS}d}"
        found = (uri.removeprefix(self._prefix) for uri in self._source.names(self._prefix, first))
        return [key for key in found if key[:_DIGITS].isdecimal()]

    def _read(self, key: str) -> Change | None:
        """None for an object that is gone again, or is no change."""
        try:
            said = json.loads(self._source.read(f"{self._prefix}{key}", _MAX_BYTES))
            withdrawn = said["withdrawn"] is True
            name = str(said.get("name", "") if withdrawn else said["name"])
            # An enrolment by an earlier build says nothing of it: what was told before it, it knew of.
            after = int(said.get("after", _milliseconds(key)))
            return Change(key, person_of(name) if name else key.split("-")[1], name, withdrawn, after)
        except (FileNotFoundError, ObjectRefused, TooLarge, ValueError, LookupError, TypeError) as error:
            # By an earlier build, or by hand: neither says what a key is.
            log.warning("a change in %s says nothing of anybody: %s", self._prefix, type(error).__name__)
            return None


def withdrawn_of(changes: Mapping[str, Change]) -> frozenset[str]:
    """The people who withdrew, and whom nobody enrolled again who could know of that."""
    enrolled: dict[str, int] = {}
    for one in changes.values():
        if not one.withdrawn:
            enrolled[one.person] = max(one.after, enrolled.get(one.person, 0))
    gone = (one for one in changes.values() if one.withdrawn)
    return frozenset(one.person for one in gone if _milliseconds(one.key) > enrolled.get(one.person, -1))


def person_of(name: str) -> str:
    """The hash that stands for a canonical name where the name must not appear."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()


def shown(name: str) -> str:
    """What it is called in a line of the log: `printf '%s' NAME | sha256sum` begins with it."""
    return f"sha256 {person_of(name)[:_SHOWN_DIGITS]}"


def _milliseconds(key: str) -> int:
    return int(key[:_DIGITS]) if key[:_DIGITS].isdecimal() else 0


def _now() -> float:
    return time.time()
