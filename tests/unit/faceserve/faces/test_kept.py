"""What is kept of everybody who is enrolled is what is known of them, and of nobody who withdrew."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceserve.errors import ObjectRefused
from faceserve.faces.changes import person_of
from faceserve.faces.comparison import VectorComparisonEngine
from faceserve.faces.features import unit_length
from faceserve.faces.gallery import Gallery
from faceserve.faces.kept import KeptFaces, Known
from faceserve.faces.names import name_in
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
    """`on_write` happens once, right before something is kept; `read_often` was read more than once."""

    def __init__(self):
        super().__init__()
        self.on_write, self.written, self.read_once, self.read_often = None, 0, set(), set()

    def read(self, uri, at_most_bytes=1 << 30):
        (self.read_often if uri in self.read_once else self.read_once).add(uri)
        return super().read(uri, at_most_bytes)

    def write(self, uri, body):
        if uri.startswith(KEPT) and "/used-" not in uri:
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

    def keep(self, known, by=HEAD, left=frozenset()):
        self.kept.keep(by, known, lambda: left)

    def there(self):
        """But for what says when it was used."""
        return [uri for uri in self.store.names(KEPT, "") if "/used-" not in uri]

    def all_that_is_kept(self):
        return b"".join(self.store.objects[uri] for uri in self.there())


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
    kept = {shard(who) for who in there.faces.identities}
    assert found.marks == {uri: mark for uri, mark in there.marks.items() if shard(uri.rpartition("/face/")[2]) in kept}
    expected = dict(zip(there.faces.identities, unit_length((base @ other.matrix).astype(np.float32)), strict=True))
    said = dict(zip(found.faces.identities, found.faces.vectors, strict=True))
    assert said.keys() == expected.keys() and all(said[who] @ expected[who] > 1 - 1e-4 for who in said)
    assert world.another().read(projection(7, base="another")) is None


def test_nothing_is_kept_of_a_model_without_a_head_and_by_a_server_without_a_gallery(world):
    there, _ = known(3)
    world.keep(there, None)
    KeptFaces(Stores(world.store, world.store), "", "face").keep(HEAD, there, frozenset)
    assert world.store.objects == {} and world.kept.read(None) is None


def shard(name):
    return person_of(name_in(name))[:2]


def test_a_few_who_came_are_no_reason_to_write_all_again_and_one_who_went_is_for_those_kept_with_them(world):
    world.keep(known(2000)[0])
    assert world.store.written == len(world.there()) == 256
    world.keep(known(2064)[0])
    assert world.store.written == 256
    world.keep(known(2065)[0])
    assert world.store.written == 256 + len({shard(f"p{number}") for number in range(2000, 2065)}), "many came"
    # Another replica may have written what is there.
    world.kept, world.store.written = world.another(), 0
    world.keep(known(2064)[0])
    assert world.store.written == 1 and b'"p2064"' not in world.all_that_is_kept()


def test_what_agrees_is_read_once_whatever_the_store_marks_objects_by(world, monkeypatch):
    plain = world.store.marks
    monkeypatch.setattr(
        world.store, "marks", lambda prefix: {uri: f"kms {mark}" for uri, mark in plain(prefix).items()}
    )
    world.keep(known(20)[0])
    for _ in range(3):
        world.keep(known(20)[0])
        world.kept.forget_gone(known(20)[0])
    assert world.store.read_often == set() and world.store.written == len(world.there())


def test_of_who_withdrew_meanwhile_nothing_is_kept_and_of_the_others_all(world):
    world.keep(known(40)[0], left={person_of("p7")})
    names = {f"p{number}" for number in range(40)}
    gone = {name for name in names if shard(name) == shard("p7")}
    assert set(world.another().read(HEAD).faces.identities) == names - gone
    world.keep(known(40)[0], left=None)
    assert set(world.another().read(HEAD).faces.identities) == names - gone, "where the log cannot say who, nobody is"


def test_whose_photo_is_deleted_by_hand_is_in_nothing_that_is_kept_of_whatever_network(world):
    """Also where nobody is left, and where no version of a network that has a head is there to write it anew."""
    other = projection(2, base="another network")
    for head in (HEAD, other):
        world.keep(known(40, head)[0], head)
    world.store.objects[f"{KEPT}{'0' * 64}"] = b"of an earlier build"
    world.another().forget_gone(known(39)[0])
    assert b'"p39"' not in world.all_that_is_kept()
    assert len(world.another().read(HEAD).faces) == len(world.another().read(other).faces) >= 35
    assert all(uri.count("/") > KEPT.count("/") for uri in world.there())
    world.another().forget_gone(known(0)[0])
    assert world.there() == []


@pytest.fixture
def gallery(world):
    made = Gallery(Stores(world.store, world.store), "s3://faces/", "face", Darkroom(10**9, 8))
    for identity, photo in PHOTOS.items():
        made.enroll(identity, photo)
    return made


def of_three(gallery):
    return projection(2, width=3), gallery.known(BY_COLOUR, gallery.revision())


def keep(gallery, head, found):
    gallery.kept.keep(head, found, lambda: gallery.left_since(found))


def test_who_withdraws_is_in_nothing_that_is_kept(world, gallery):
    head, found = of_three(gallery)
    keep(gallery, head, found)
    keep(gallery, projection(2, width=3, base="another network"), found)
    assert len(world.there()) == 6
    gallery.withdraw("kim")
    assert len(world.there()) == 4 and b'"kim"' not in world.all_that_is_kept()


def test_nor_who_withdraws_while_it_is_written(world, gallery):
    head, found = of_three(gallery)
    world.store.on_write = lambda: gallery.withdraw("kim")
    keep(gallery, head, found)
    assert world.store.written == 3 and set(world.another().read(head).faces.identities) == {"lee", "park"}
    keep(gallery, head, gallery.known(BY_COLOUR, gallery.revision(), found))
    assert set(world.another().read(head).faces.identities) == {"lee", "park"}


def test_where_nobody_can_say_who_withdrew_while_it_was_written_nothing_of_it_stays(world):
    answers = iter([frozenset(), None])
    world.kept.keep(HEAD, known(40)[0], lambda: next(answers))
    assert world.store.written and world.there() == []


def test_who_withdrew_cannot_be_said_where_the_log_does_not_tell_what_led_to_its_revision(world, gallery):
    head, found = of_three(gallery)
    gallery.withdraw("kim")
    assert gallery.left_since(found) == {person_of("kim")}
    world.store.write("s3://faces/face.revision", b"of a change that was forgotten")
    assert gallery.left_since(found) is None
    keep(gallery, head, found)
    assert world.there() == []


def test_who_is_enrolled_meanwhile_takes_nothing_from_what_is_kept(world, gallery):
    head, found = of_three(gallery)
    gallery.enroll("new", PHOTOS["lee"])
    keep(gallery, head, found)
    assert set(world.another().read(head).faces.identities) == set(PHOTOS)


def test_a_gallery_that_was_restored_is_without_what_was_kept_of_who_was_erased(world, gallery):
    head, found = of_three(gallery)
    keep(gallery, head, found)
    world.store.delete("s3://faces/face/kim")
    objects = FakeObjects(world.store.objects)
    assert erase_from_gallery(objects, "s3://faces/", [], NOW) == 0 and len(world.there()) == 3
    erase_from_gallery(objects, "s3://faces/", [Erased(person_key("kim"), (), "kim", "withdrew", NOW)], NOW)
    assert world.there() == []


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_became_of_the_object_it_keeps_no_replica_from_starting(data):
    world = World()
    world.keep(known(5)[0])
    uri = data.draw(st.sampled_from(world.there()))
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
