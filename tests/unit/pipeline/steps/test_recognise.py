"""Copies of one photo are one piece of evidence about the champion, whatever their addresses."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.errors import ServiceUnavailable
from pipeline.domain.ledger import Ledger
from pipeline.domain.live_accuracy import Period
from pipeline.domain.models import ModelType
from pipeline.ports.bundles import Recognition
from pipeline.steps.recognise import Recognised, recognise
from tests.builders import NOW, an_event
from tests.fakes.data import FakeInspector, FakePhotos
from tests.fakes.events import FakeConfirmations
from tests.fakes.live import FakeEvidence, FakeLiveMetrics

ALWAYS = Period(NOW - timedelta(days=1), NOW + timedelta(days=1))


def for_ever():
    return True


class World:
    def __init__(self):
        self.confirmations, self.photos = FakeConfirmations(), FakePhotos()
        self.bundle = Recognition(FakeEvidence(self.confirmations), self.photos, FakeInspector())

    def confirm(self, number, photo, corrected=False):
        at = NOW + timedelta(seconds=number)
        event = an_event(f"e{number}", corrected=corrected, model_version="v1.0.0", confirmed_at=at)
        self.confirmations.store([event])
        if photo is not None:
            self.photos.bodies[event.photo_url] = photo
        return event.photo_url

    def tally(self):
        found = FakeLiveMetrics(self.confirmations).tally(Ledger(ModelType.LAUNDRY), "v1.0.0", ALWAYS)
        return found.confirmed, found.agreed


def test_one_photo_under_ten_tasks_makes_one_disagreement_and_not_ten():
    world = World()
    for number in range(10):
        world.confirm(number, b"the same photo", corrected=True)
    for number in range(10, 16):
        world.confirm(number, f"photo {number}".encode())
    assert world.tally() == (16, 6)
    assert recognise(world.bundle, ALWAYS, for_ever) == Recognised(16)
    assert world.tally() == (7, 6)
    world.confirm(20, b"the same photo")
    assert recognise(world.bundle, ALWAYS, for_ever) == Recognised(1)
    assert world.tally() == (7, 7)
    assert recognise(world.bundle, ALWAYS, for_ever) == Recognised(0)


def test_photos_that_nobody_can_look_at_count_for_themselves_and_are_asked_for_once():
    world = World()
    world.confirm(1, None)
    world.confirm(2, b"bad: not a photo")
    world.confirm(3, b"bad: not a photo")
    assert recognise(world.bundle, ALWAYS, for_ever) == Recognised(3)
    assert world.tally() == (3, 3)
    assert recognise(world.bundle, ALWAYS, for_ever) == Recognised(0)


class Failing:
    """Storage that fails on some for good, and on all once it was `asked` so many times."""

    def __init__(self, photos, urls=(), goes_after=None):
        self.photos, self.urls, self.left = photos, frozenset(urls), goes_after

    def read(self, url):
        if self.left is not None:
            self.left -= 1
        if url in self.urls or (self.left is not None and self.left < 0):
            raise ServiceUnavailable("S3", "gone")
        return self.photos.read(url)


def failing(world, **how):
    return replace(world.bundle, photos=Failing(world.photos, **how))


def test_an_outage_of_storage_leaves_the_rest_for_later_and_stops_nobody():
    world = World()
    for number in range(20):
        world.confirm(number, b"the same photo")
    away = recognise(failing(world, goes_after=0), ALWAYS, for_ever)
    assert away == Recognised(0, 20, "S3 is unavailable: gone")
    assert world.tally() == (20, 20)
    going = recognise(failing(world, goes_after=14), ALWAYS, for_ever)
    assert going.problem == "S3 is unavailable: gone" and 0 < going.photos == 20 - going.waiting
    assert recognise(world.bundle, ALWAYS, for_ever) == Recognised(going.waiting)
    assert world.tally() == (1, 1)


@given(st.sets(st.integers(0, 19), max_size=3))
def test_whichever_few_storage_fails_on_all_others_are_recognised_at_the_first_look(numbers):
    world = World()
    urls = {number: world.confirm(number, b"the same photo") for number in range(20)}
    storage = failing(world, urls=(urls[number] for number in numbers))
    assert recognise(storage, ALWAYS, for_ever) == Recognised(20)
    assert world.tally() == (1 + len(numbers), 1 + len(numbers))


def test_many_that_storage_fails_on_hold_the_others_up_for_some_looks_only():
    world = World()
    urls = [world.confirm(number, b"the same photo") for number in range(20)]
    looks = [recognise(failing(world, urls=urls[10:]), ALWAYS, for_ever) for _ in range(4)]
    assert [look.waiting for look in looks] == [17, 14, 11, 0]


@pytest.mark.parametrize("looks", [1, 2, 5])
def test_a_look_goes_on_for_as_long_as_it_has_time_and_says_what_waits(looks):
    """Of what is found in several steps copies are recognised as at once."""
    world, left = World(), looks
    for number in range(900):
        world.confirm(number, f"photo {number % 7}".encode())

    def has_time():
        nonlocal left
        left -= 1
        return left >= 0

    done = min(900, looks * 200)
    assert recognise(world.bundle, ALWAYS, has_time) == Recognised(done, 900 - done)
    assert world.tally()[0] == 900 - done + 7
