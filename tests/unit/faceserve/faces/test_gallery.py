"""What a look makes of the stored photos: who is known, and what is tried again."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceserve.errors import BadRequest, ObjectRefused
from faceserve.faces import changes
from faceserve.faces.features import FeatureExtractor
from faceserve.faces.gallery import Gallery
from faceserve.inference.apart import Answered
from faceserve.inference.darkroom import Darkroom
from faceserve.storage import Stores
from tests.tiny_model import FolderSource, coloured_photo

BLACK = coloured_photo(0, 0, 0)
PHOTOS = {"kim": coloured_photo(250, 20, 20), "lee": coloured_photo(20, 250, 20), "park": coloured_photo(20, 20, 250)}


def by_colour(images):
    """A model that has no number for what is all black."""
    colours = images.mean(axis=(1, 2)).astype(np.float32)
    colours[colours.max(axis=1) < 1] = np.nan
    return Answered(colours, colours, 0.0)


BY_COLOUR = FeatureExtractor(by_colour)


class Store(FolderSource):
    """Some objects are refused; `before_read` happens once, between a listing and the next read."""

    def __init__(self):
        super().__init__()
        self.refused = set()
        self.before_read = None
        self.most_bytes_asked = 0

    def read(self, uri, at_most_bytes=1 << 30):
        self.most_bytes_asked = max(self.most_bytes_asked, at_most_bytes)
        if self.before_read:
            happens, self.before_read = self.before_read, None
            happens()
        if uri in self.refused:
            raise ObjectRefused(f"S3: {uri} lies in the archive")
        return super().read(uri, at_most_bytes)


class World:
    def __init__(self):
        self.store, self.aside, self.seen = Store(), [], None
        self.gallery = Gallery(
            Stores(self.store, self.store), "s3://faces/", "face", Darkroom(10**9, 8), self.aside.append
        )
        for identity, photo in PHOTOS.items():
            self.gallery.enroll(identity, photo)

    def known(self):
        """Who is known to a replica that looks again."""
        self.seen = self.gallery.known(BY_COLOUR, self.gallery.revision(), self.seen)
        return {match.identity for match in self.seen.faces.nearest(np.ones(3, np.float32), count=9)}


@pytest.fixture
def world():
    return World()


def test_who_withdraws_during_a_look_is_known_again_once_the_same_photo_is_enrolled(world):
    revision = world.gallery.revision()
    world.store.before_read = lambda: world.gallery.withdraw("kim")
    world.seen = world.gallery.known(BY_COLOUR, revision)
    assert len(world.seen.faces) == 2
    world.gallery.enroll("kim", PHOTOS["kim"])
    assert world.known() == {"kim", "lee", "park"}
    assert world.aside[-1] == 0


@pytest.mark.parametrize("looked_before", [True, False])
@pytest.mark.parametrize("refused", PHOTOS)
def test_a_photo_that_the_store_refuses_is_one_person_less_until_it_is_given_out(world, refused, looked_before):
    if looked_before:
        world.known()
    world.gallery.enroll(refused, coloured_photo(90, 90, 90))
    world.store.refused = {f"s3://faces/face/{refused}"}
    assert world.known() == set(PHOTOS) - {refused}
    assert world.aside[-1] == 1
    world.store.refused = set()
    assert world.known() == set(PHOTOS)


FORMS = ["김민준", unicodedata.normalize("NFD", "김민준"), unicodedata.normalize("NFKD", "김민준")]
WIDE = ["kim2", "ｋｉｍ２", "kim２"]


def typed(name):
    """The canonical form first."""
    return [unicodedata.normalize(form, name) for form in ("NFKC", "NFC", "NFKD")]


THAI, LAO, HINDI, CATALAN = (typed(name) for name in ("สำราญ", "ຄຳ", "हिन्दी", "paŀlas"))


@pytest.mark.parametrize("forms", [FORMS, WIDE, THAI, LAO, HINDI, CATALAN])
@given(lie=st.sets(st.integers(0, 2), min_size=1), said=st.integers(0, 2))
@settings(max_examples=20, deadline=None)
def test_a_name_is_one_person_in_whatever_form_it_was_enrolled_and_is_withdrawn(forms, lie, said):
    world = World()
    for number in lie:
        world.store.objects[f"s3://faces/face/{forms[number]}"] = PHOTOS["lee"]
    everybody = {*PHOTOS, forms[0]}
    assert world.known() == everybody and len(world.seen.faces) == 4
    world.gallery.enroll(forms[said], PHOTOS["park"])
    assert world.known() == everybody and len(world.seen.faces) == 4
    (match,) = world.seen.faces.with_one(forms[0], np.array([0, 0, 1], np.float32))
    assert match.similarity > 0.9, "the photo that was enrolled last counts"
    world.gallery.withdraw(forms[said])
    assert world.known() == set(PHOTOS) and len(world.store.marks("s3://faces/face/")) == 3


@pytest.mark.parametrize("name", ["½", "Lee Ann", "a" * 300])
def test_who_could_only_be_enrolled_earlier_can_be_withdrawn(world, name):
    world.store.objects[f"s3://faces/face/{name}"] = PHOTOS["lee"]
    world.gallery.withdraw(unicodedata.normalize("NFKC", name))
    assert set(world.store.marks("s3://faces/face/")) == {f"s3://faces/face/{who}" for who in PHOTOS}


@pytest.mark.parametrize("name", ["", " ", "a" * 501])
def test_nobody_is_withdrawn_under_what_is_no_name(world, name):
    world.store.objects["s3://faces/face/"] = b"a folder"
    with pytest.raises(BadRequest):
        world.gallery.withdraw(name)
    assert len(world.store.marks("s3://faces/face/")) == 4


def test_an_object_whose_name_is_too_long_is_nobody(world):
    world.store.objects[f"s3://faces/face/{'a' * 900}"] = PHOTOS["lee"]
    assert world.known() == set(PHOTOS) and world.aside[-1] == 1


def test_who_was_enrolled_anew_says_nothing_of_whether_an_extractor_agrees(world):
    world.known()
    world.gallery.enroll("kim", PHOTOS["park"])
    assert world.gallery.agrees(BY_COLOUR, world.seen)
    for who in PHOTOS:
        world.gallery.enroll(who, coloured_photo(90, 90, 90))
    assert not world.gallery.agrees(BY_COLOUR, world.seen), "nobody is left to ask"


def test_a_film_that_lies_there_too_is_never_read_whole(world):
    world.store.objects["s3://faces/face/a-film"] = bytes((32 << 20) + 1)
    world.store.refused = {"s3://faces/face/kim"}
    assert world.known() == {"lee", "park"}
    assert world.aside[-1] == 2
    assert world.store.most_bytes_asked <= 32 << 20


@settings(max_examples=10)
@given(black=st.sets(st.integers(0, 19)))
def test_who_the_model_has_no_numbers_for_is_set_aside_and_keeps_nobody_from_being_known(black):
    world = World()
    for number in range(20):
        world.store.objects[f"s3://faces/face/p{number}"] = BLACK if number in black else PHOTOS["kim"]
    assert world.known() <= {*PHOTOS, *(f"p{number}" for number in set(range(20)) - black)}
    assert (len(world.seen.faces), world.aside[-1]) == (3 + 20 - len(black), len(black))


def test_a_store_that_refuses_everything_is_no_gallery_of_nobody(world):
    world.store.refused = {f"s3://faces/face/{identity}" for identity in PHOTOS}
    with pytest.raises(ObjectRefused, match="archive"):
        world.known()


class Replica:
    """Another one that looks at the same gallery."""

    def __init__(self, world):
        self.gallery = Gallery(Stores(world.store, world.store), "s3://faces/", "face", Darkroom(10**9, 8))
        self.seen = self.gallery.known(BY_COLOUR, self.gallery.revision())

    def look(self):
        if (revision := self.gallery.revision()) != self.seen.revision:
            self.seen = self.gallery.updated(BY_COLOUR, revision, self.seen)
        return {match.identity for match in self.seen.faces.nearest(np.ones(3, np.float32), count=9)}


def test_who_comes_and_goes_is_known_without_a_listing_of_everybody(world, monkeypatch):
    other = Replica(world)
    world.known()
    monkeypatch.setattr(world.store, "marks", None)
    world.gallery.enroll("new", PHOTOS["lee"])
    world.gallery.enroll("kim", PHOTOS["park"])
    assert other.look() == {*PHOTOS, "new"}
    (kim,) = other.seen.faces.with_one("kim", np.array([0, 0, 1], np.float32))
    assert kim.similarity > 0.9
    world.gallery.withdraw("lee")
    assert other.look() == {"kim", "park", "new"}
    assert other.gallery.agrees(BY_COLOUR, other.seen)


@pytest.mark.parametrize("cut_after", range(1, 4))
def test_a_withdrawal_that_was_cut_off_names_nobody_any_more_until_enrolled_again(world, monkeypatch, cut_after):
    other, calls = Replica(world), []
    world.known()

    def cut(plain):
        def act(*said):
            calls.append(said)
            if len(calls) > cut_after:
                raise OSError("killed")
            plain(*said)

        return act

    with monkeypatch.context() as cutting, pytest.raises(OSError, match="killed"):
        cutting.setattr(world.store, "write", cut(world.store.write))
        cutting.setattr(world.store, "delete", cut(world.store.delete))
        world.gallery.withdraw("kim")
    if cut_after > 1:
        assert other.look() == {"lee", "park"}
    assert Replica(world).look() == {"lee", "park"}, "nor by who starts anew and finds the photo"
    world.gallery.enroll("kim", PHOTOS["kim"])
    assert Replica(world).look() == set(PHOTOS)


def test_a_slow_listing_takes_back_nothing_that_changed_meanwhile(world):
    other = Replica(world)
    listing = other.gallery.listing(other.seen.changes)
    world.gallery.enroll("kim", PHOTOS["park"])
    world.gallery.withdraw("lee")
    world.gallery.enroll("new", PHOTOS["lee"])
    world.store.delete("s3://faces/face/park")
    world.store.objects["s3://faces/face/by-hand"] = PHOTOS["lee"]
    assert other.look() == {"kim", "park", "new"}
    before = other.gallery.looked_at(BY_COLOUR, listing, other.seen)
    other.seen = other.gallery.corrected(before, other.seen)
    assert other.look() == {"kim", "park", "new"}
    now = other.gallery.looked_at(BY_COLOUR, other.gallery.listing(other.seen.changes), other.seen)
    other.seen = other.gallery.corrected(now, other.seen)
    assert other.look() == {"kim", "new", "by-hand"}, "what was done by hand is found by the next one"


def test_what_a_listing_sets_aside_is_counted_until_it_is_gone(world):
    def listed():
        listing = world.gallery.looked_at(BY_COLOUR, world.gallery.listing(world.seen.changes), world.seen)
        world.seen = world.gallery.corrected(listing, world.seen)
        return world.aside[-1]

    world.known()
    world.store.objects |= {"s3://faces/face/notes": b"no photo", "s3://faces/face/archived": PHOTOS["kim"]}
    world.store.refused = {"s3://faces/face/archived"}
    assert listed() == 2
    world.store.delete("s3://faces/face/notes")
    assert listed() == 1
    world.store.refused = set()
    assert listed() == 0


def test_a_revision_that_no_change_led_to_is_no_news_that_can_be_followed(world):
    other = Replica(world)
    world.store.write("s3://faces/face.revision", b"an earlier release wrote this")
    assert other.gallery.updated(BY_COLOUR, other.gallery.revision(), other.seen) is None


def test_changes_are_forgotten_after_their_time_but_for_who_withdrew_and_lies_there(world, monkeypatch):
    other = Replica(world)
    world.gallery.withdraw("kim")
    world.gallery.withdraw("lee")
    world.store.objects["s3://faces/face/kim"] = PHOTOS["kim"]
    assert other.look() == {"park"}
    later = changes.time.time() + 2 * changes.KEPT_SECONDS
    monkeypatch.setattr(changes, "_now", lambda: later)
    listing = other.gallery.listing(other.seen.changes)
    left = {change.person for change in listing.left.values()}
    assert left == {changes.person_of("kim")} and len(listing.left) == 2 < len(listing.changes)
    kept = world.store.names("s3://faces/face.changes/", "")
    assert {uri.rpartition("/")[2] for uri in kept} == set(listing.left)
    other.seen = other.gallery.corrected(other.gallery.looked_at(BY_COLOUR, listing, other.seen), other.seen)
    assert other.seen.changes == listing.left and other.look() == {"park"}
