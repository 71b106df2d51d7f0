"""Copies of one photo are one piece of evidence about the champion, whatever their addresses."""

from datetime import timedelta

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
    assert recognise(world.bundle, ALWAYS) == Recognised(16)
    assert world.tally() == (7, 6)
    world.confirm(20, b"the same photo")
    assert recognise(world.bundle, ALWAYS) == Recognised(1)
    assert world.tally() == (7, 7)
    assert recognise(world.bundle, ALWAYS) == Recognised(0)


def test_photos_that_nobody_can_look_at_count_for_themselves_and_are_asked_for_once():
    world = World()
    world.confirm(1, None)
    world.confirm(2, b"bad: not a photo")
    world.confirm(3, b"bad: not a photo")
    assert recognise(world.bundle, ALWAYS) == Recognised(3)
    assert world.tally() == (3, 3)
    assert recognise(world.bundle, ALWAYS) == Recognised(0)


def test_an_outage_of_storage_leaves_the_rest_for_later_and_stops_nobody():
    world = World()
    for number in range(20):
        world.confirm(number, b"the same photo")
    read = world.photos.read

    class Going:
        def read(self, url):
            if url.endswith("e5.jpg"):
                raise ServiceUnavailable("S3", "gone")
            return read(url)

    bundle = Recognition(world.bundle.evidence, Going(), FakeInspector())
    assert recognise(bundle, ALWAYS) == Recognised(14, "S3 is unavailable: gone")
    assert world.tally() == (7, 7)
    assert recognise(world.bundle, ALWAYS) == Recognised(6)
    assert world.tally() == (1, 1)
