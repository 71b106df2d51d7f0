"""Whoever withdrew or was erased is named nowhere beside the gallery, and is compared with by no replica that runs."""

import json
import time
import unicodedata
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from faceserve.errors import StorageUnavailable, Withdrew
from faceserve.faces import changes
from faceserve.faces.changes import person_of
from faceserve.faces.gallery import Gallery
from faceserve.inference.darkroom import Darkroom
from faceserve.storage import Stores
from include.contract.identity import canonical
from pipeline.domain.faces.dataset import person_key
from pipeline.domain.lineage import Erased
from pipeline.steps.faces.erase_faces_again import erase_from_gallery
from tests.builders import NOW
from tests.fakes.data import FakeObjects
from tests.unit.faceserve.faces.test_gallery import BY_COLOUR, PHOTOS, Store

LOG, REVISION = "s3://faces/face.changes/", "s3://faces/face.revision"


class Doors:
    """One gallery, a replica that looks at it, and the pipeline, which knows hashes of names."""

    def __init__(self):
        self.store = Store()
        self.enrolling, self.looking = (self._replica() for _ in range(2))
        for name, photo in PHOTOS.items():
            self.enrolling.enroll(name, photo)
        self.seen = self.looking.known(BY_COLOUR, self.looking.revision())

    def _replica(self):
        return Gallery(Stores(self.store, self.store), "s3://faces/", "face", Darkroom(10**9, 8))

    def look(self):
        """By the log alone."""
        if (revision := self.looking.revision()) != self.seen.revision:
            self.seen = self.looking.updated(BY_COLOUR, revision, self.seen)
        return self._known()

    def look_anew(self):
        """By the log, or at everybody where that does not say what led to its revision."""
        revision = self.looking.revision()
        updated = self.looking.updated(BY_COLOUR, revision, self.seen)
        self.seen = updated or self.looking.known(BY_COLOUR, revision, self.seen)
        return self._known()

    def _known(self):
        return {match.identity for match in self.seen.faces.nearest(np.ones(3, np.float32), count=99)}

    def erase_again(self, *names):
        erased = [Erased(person_key(name), (), "kim", "withdrew", NOW) for name in names]
        return erase_from_gallery(FakeObjects(self.store.objects), "s3://faces/", erased, NOW)

    def told(self):
        return "".join(key + body.decode() for key, body in self.store.objects.items() if key.startswith(LOG))


STORIES = st.lists(st.tuples(st.sampled_from(["enroll", "withdraw", "look"]), st.sampled_from(sorted(PHOTOS))))


@given(story=STORIES)
@settings(max_examples=60, deadline=None)
def test_the_log_names_only_who_is_enrolled_and_replicas_follow_it(story):
    doors, there = Doors(), set(PHOTOS)
    for act, name in story:
        if act == "enroll":
            doors.enrolling.enroll(name, PHOTOS[name])
            there.add(name)
        elif act == "withdraw":
            doors.enrolling.withdraw(name)
            there.discard(name)
        else:
            assert doors.look() == there
    assert doors.look() == there
    assert [name for name in set(PHOTOS) - there if name in doors.told()] == []


def test_who_is_enrolled_while_a_withdrawal_ends_is_there():
    doors = Doors()
    log = doors.looking._log
    last = log.tell_withdrawn

    def told(name):
        key = last(name)
        doors.enrolling.enroll(name, PHOTOS[name])
        return key

    log.tell_withdrawn = told
    doors.looking.withdraw("kim")
    assert doors.look() == set(PHOTOS)


class Slow(Store):
    """While it writes or lists for the `at`th time, `happens` does; it may be `away_once_told`."""

    at, happens, away_once_told, told = -1, None, False, False

    def _pass(self):
        self.at -= 1
        if self.at == 0:
            self.happens()

    def write(self, uri, body):
        self._pass()
        super().write(uri, body)
        self.told |= uri == REVISION
        self._pass()

    def names(self, prefix, after):
        if self.told and self.away_once_told:
            raise StorageUnavailable("S3: timed out")
        found = super().names(prefix, after)
        self._pass()
        return found


@contextmanager
def clock_ahead(seconds):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(changes, "_now", lambda: time.time() + seconds)
        yield


@given(
    at=st.integers(1, 12), again=st.booleans(), away_once_told=st.booleans(), ahead_seconds=st.sampled_from([0, 300])
)
@example(at=2, again=False, away_once_told=True, ahead_seconds=0)
@example(at=2, again=False, away_once_told=False, ahead_seconds=300)
@settings(max_examples=100, deadline=None)
def test_nobody_is_there_again_by_an_enrolment_that_a_slow_store_ends_after_they_withdrew(
    at, again, away_once_told, ahead_seconds
):
    """Unless they were enrolled again since; who was enrolled first and withdrew then is gone as well. It takes no look
    in the end, which may fail, and the clock of who enrolls may be ahead.
    """
    doors, slow = Doors(), Slow()
    slow.objects, slow.away_once_told = doors.store.objects, away_once_told
    begun = Gallery(Stores(slow, slow), "s3://faces/", "face", Darkroom(10**9, 8))

    def meanwhile():
        with clock_ahead(0):
            doors.looking.withdraw("kim")
            if again:
                doors.enrolling.enroll("kim", PHOTOS["kim"])

    slow.at, slow.happens = at, meanwhile
    told = None
    with clock_ahead(ahead_seconds):
        try:
            begun.enroll("kim", PHOTOS["kim"])
        except (Withdrew, StorageUnavailable) as error:
            told = error
    happened = slow.at <= 0
    for _ in range(2):
        assert ("kim" in doors.look_anew()) is (again or not happened)
        doors.seen = doors.looking.known(BY_COLOUR, doors.looking.revision())
    assert not isinstance(told, Withdrew) or "kim" not in doors.look_anew()


def test_who_withdrew_by_a_clock_that_is_ahead_can_be_enrolled_again():
    doors = Doors()
    with clock_ahead(300):
        doors.enrolling.withdraw("kim")
    doors.enrolling.enroll("kim", PHOTOS["kim"])
    assert doors.look() == set(PHOTOS)
    doors.looking.withdraw("kim")
    with clock_ahead(300):
        doors.enrolling.enroll("kim", PHOTOS["kim"])
    assert doors.look_anew() == set(PHOTOS)


@pytest.mark.parametrize("ahead_seconds", [-299, 0, 299])
def test_who_is_enrolled_again_after_the_log_forgot_the_withdrawal_is_known_to_who_remembers_it(ahead_seconds):
    """A replica's minute of listing comes before another one's, and meanwhile nobody else changes anything."""
    doors = Doors()
    doors.enrolling.withdraw("kim")
    assert doors.look() == set(PHOTOS) - {"kim"}
    with clock_ahead(changes.KEPT_SECONDS + 1):
        doors.enrolling.listing(doors.seen.changes)
        assert doors.told() == "" and doors.seen.changes
    with clock_ahead(changes.KEPT_SECONDS + 1 + ahead_seconds):
        doors.enrolling.enroll("kim", PHOTOS["kim"])
    assert doors.look() == set(PHOTOS)


@pytest.mark.parametrize("seconds", [1, 130, 310, 3600])
def test_who_is_enrolled_again_is_known_however_long_nobody_changed_anything(seconds):
    doors = Doors()
    doors.enrolling.withdraw("kim")
    with clock_ahead(seconds):
        doors.enrolling.enroll("kim", PHOTOS["kim"])
    assert doors.look() == set(PHOTOS)


def test_a_withdrawal_that_another_replica_took_out_is_not_remembered_for_a_photo_that_came_later():
    doors = Doors()
    doors.enrolling.withdraw("kim")
    doors.look()
    with clock_ahead(changes.KEPT_SECONDS + 1):
        doors.enrolling.listing(doors.seen.changes)
        doors.store.objects["s3://faces/face/kim"] = PHOTOS["kim"]
        assert doors.looking.listing(doors.seen.changes).left == {}


@pytest.mark.parametrize("name", [None, "kim"])
def test_what_an_earlier_build_told_of_somebody_goes_with_them(name):
    doors = Doors()
    for number, withdrawn in enumerate((False, True, False)):
        said = {"name": "kim", "withdrawn": withdrawn}
        doors.store.write(f"{LOG}{int(changes._now() * 1000) + number:015d}-0a1b", json.dumps(said).encode())
    if name:
        assert "kim" in doors.told()
        doors.enrolling.withdraw(name)
    assert ("kim" in doors.told()) is (name is None) and "lee" in doors.told()
    assert doors.look() == set(PHOTOS) - {name}


def test_the_last_change_is_forgotten_like_any_other(monkeypatch):
    doors, later = Doors(), changes._now() + 2 * changes.KEPT_SECONDS
    monkeypatch.setattr(changes, "_now", lambda: later)
    doors.looking.listing(doors.seen.changes)
    assert doors.told() == ""


@given(gone=st.sets(st.sampled_from(sorted(PHOTOS)), min_size=1), enrolled_meanwhile=st.booleans())
@settings(max_examples=20, deadline=None)
def test_who_was_erased_and_came_back_is_out_of_running_replicas_whoever_else_changes_something(
    gone, enrolled_meanwhile
):
    doors, there = Doors(), set(PHOTOS) - gone
    assert doors.erase_again(*gone) == len(gone)
    if enrolled_meanwhile:
        doors.enrolling.enroll("new", PHOTOS["lee"])
        there.add("new")
    assert doors.look() == there
    assert [name for name in gone if name in doors.told()] == []
    before = dict(doors.store.objects)
    assert doors.erase_again(*gone) == 0 and doors.store.objects == before, "a second time changes nothing"


def test_erasing_again_leaves_what_is_told_of_others_and_what_nobody_understands():
    doors = Doors()
    doors.store.objects |= {f"{LOG}strange": b"{", f"{LOG}stranger": b"[]", f"{LOG}nobodys": b'{"name": null}'}
    others = {key: body for key, body in doors.store.objects.items() if b"kim" not in body and not key.endswith("/kim")}
    doors.erase_again("kim")
    assert others.keys() <= doors.store.objects.keys()
    assert doors.look() == {"lee", "park"}


@given(name=st.text(min_size=1, max_size=30), form=st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
def test_both_programs_call_a_person_the_same_where_no_name_may_stand(name, form):
    if canonical(name):
        assert person_key(unicodedata.normalize(form, name)) == f"person:{person_of(canonical(name))}"
