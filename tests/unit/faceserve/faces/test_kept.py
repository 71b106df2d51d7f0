"""What is kept of everybody who is enrolled is what is known of them, and of nobody who withdrew."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceserve.errors import ObjectRefused
from faceserve.faces.comparison import VectorComparisonEngine
from faceserve.faces.features import unit_length
from faceserve.faces.gallery import Gallery
from faceserve.faces.kept import KeptFaces, Known
from faceserve.inference.darkroom import Darkroom
from faceserve.storage import Stores
from pipeline.domain.faces.dataset import person_key
from pipeline.domain.lineage import Erased
from pipeline.steps.faces.erase_faces_again import erase_from_gallery
from tests.builders import NOW
from tests.fakes.data import FakeObjects
from tests.tiny_model import FolderSource
from tests.unit.faceserve.faces.test_gallery import BY_COLOUR, PHOTOS
from tests.unit.faceserve.models.test_projection import WIDTH, projection

KEPT = "s3://faces/face.known/"
HEAD = projection(1)


class Store(FolderSource):
    """`on_write` happens once, right before something is kept."""

    def __init__(self):
        super().__init__()
        self.on_write, self.written = None, 0

    def write(self, uri, body):
        if uri.startswith(KEPT):
            self.written += 1
            happens, self.on_write = self.on_write, None
            if happens:
                happens()
        super().write(uri, body)


class World:
    def __init__(self):
        self.store = Store()
        self.kept = self.another()

    def another(self):
        return KeptFaces(Stores(self.store, self.store), "s3://faces/", "face")

    def keep(self, known, by=HEAD, revision=""):
        self.kept.keep(by, known, lambda: revision)

    def there(self):
        return self.store.names(KEPT, "")


@pytest.fixture
def world():
    return World()


def known(people, head=HEAD, seed=3, **marks):
    """Everybody as the version with that head says it, and what the base says of them."""
    names = [f"p{number}" for number in range(people)]
    base = np.random.default_rng(seed).normal(size=(people, WIDTH)).astype(np.float32)
    faces = VectorComparisonEngine(names, unit_length((base @ head.matrix).astype(np.float32)))
    return Known("", {f"s3://faces/face/{name}": marks.get(name, f"mark of {name}") for name in names}, faces), base


def stretched(seed):
    """A head that all but loses some directions, as those do that leave out what photos of one person differ in."""
    near = projection(seed)
    return replace(near, matrix=near.matrix * np.geomspace(1, 0.01, WIDTH))


@settings(max_examples=20, deadline=None)
@given(people=st.integers(1, 40), one=st.integers(0, 99), other=st.integers(0, 99), names=st.text(min_size=1))
def test_what_one_version_kept_another_one_of_its_network_reads_as_it_would_have_said_it(people, one, other, names):
    one, other = stretched(one), stretched(other)
    world, (there, base) = World(), known(people, one)
    there = Known("", {**there.marks, f"s3://faces/face/{names}": "no photo"}, there.faces)
    world.keep(there, one)
    found = world.another().read(other)
    assert found.marks == there.marks and list(found.faces.identities) == list(there.faces.identities)
    expected = unit_length((base @ other.matrix).astype(np.float32))
    assert ((found.faces.vectors * expected).sum(1) > 1 - 1e-4).all()
    assert world.another().read(projection(7, base="another")) is None


def test_nothing_is_kept_of_a_model_without_a_head_and_by_a_server_without_a_gallery(world):
    there, _ = known(3)
    world.keep(there, None)
    KeptFaces(Stores(world.store, world.store), "", "face").keep(HEAD, there, lambda: "")
    assert world.store.objects == {} and world.kept.read(None) is None


def test_a_few_who_came_are_no_reason_to_write_all_again_and_one_who_went_is(world):
    world.keep(known(100)[0])
    world.keep(known(140)[0])
    assert world.store.written == 1
    world.keep(known(165)[0])
    assert world.store.written == 2, "many came"
    # Another replica may have written what is there.
    world.kept = world.another()
    world.keep(known(164)[0])
    assert world.store.written == 3 and b'"p164"' not in world.store.read(world.there()[0])
    world.keep(known(164, **{f"p{number}": "another photo" for number in range(100)})[0])
    assert world.store.written == 4


def test_of_a_gallery_that_changes_just_now_nothing_is_kept(world):
    world.keep(known(9)[0], revision="another one")
    assert world.there() == []


@pytest.fixture
def gallery(world):
    made = Gallery(Stores(world.store, world.store), "s3://faces/", "face", Darkroom(10**9, 8))
    for identity, photo in PHOTOS.items():
        made.enroll(identity, photo)
    return made


def of_three(gallery):
    return projection(2, width=3), gallery.known(BY_COLOUR, gallery.revision())


def test_who_withdraws_is_in_nothing_that_is_kept(world, gallery):
    head, found = of_three(gallery)
    gallery.kept.keep(head, found, gallery.revision)
    assert len(world.there()) == 1
    gallery.withdraw("kim")
    assert world.there() == []


def test_nor_who_withdraws_while_it_is_written(world, gallery):
    head, found = of_three(gallery)
    world.store.on_write = lambda: gallery.withdraw("kim")
    gallery.kept.keep(head, found, gallery.revision)
    assert world.store.written == 1 and world.there() == []
    gallery.kept.keep(head, gallery.known(BY_COLOUR, gallery.revision(), found), gallery.revision)
    assert world.another().read(head).faces.identities == ("lee", "park") and len(world.there()) == 1


def test_a_gallery_that_was_restored_is_without_what_was_kept_of_who_was_erased(world, gallery):
    head, found = of_three(gallery)
    gallery.kept.keep(head, found, gallery.revision)
    world.store.delete("s3://faces/face/kim")
    objects = FakeObjects(world.store.objects)
    assert erase_from_gallery(objects, "s3://faces/", [], NOW) == 0 and len(world.there()) == 1
    erase_from_gallery(objects, "s3://faces/", [Erased(person_key("kim"), (), "kim", "withdrew", NOW)], NOW)
    assert world.there() == []


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_became_of_the_object_it_keeps_no_replica_from_starting(data):
    world = World()
    world.keep(known(5)[0])
    (uri,) = world.there()
    body = bytearray(world.store.objects[uri])
    for _ in range(data.draw(st.integers(0, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    world.store.objects[uri] = bytes(body[: data.draw(st.integers(0, len(body)))])
    found = world.another().read(HEAD)
    assert found is None or (len(found.faces.identities) == len(found.faces) and np.isfinite(found.faces.vectors).all())


def test_an_object_that_the_store_refuses_is_as_none(world, monkeypatch):
    world.keep(known(5)[0])

    def refused(uri, *_):
        raise ObjectRefused(f"S3: no right to {uri}")

    monkeypatch.setattr(world.store, "read", refused)
    assert world.another().read(HEAD) is None
