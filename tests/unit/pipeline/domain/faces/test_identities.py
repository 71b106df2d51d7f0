"""People stand on one side for ever, under one name, with photos that can be compared."""

import hashlib
import itertools
import math
import unicodedata
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from include.access_service.wire import Identity
from include.contract.identity import can_be_enrolled, canonical
from pipeline.domain.clusters import NEAR_DUPLICATE_BITS
from pipeline.domain.faces.identities import (
    FacePhoto,
    FaceSelectionPolicy,
    Side,
    identity_of,
    in_two_splits,
    side_of,
)
from tests.builders import a_check

CHECKS = st.lists(
    st.tuples(st.sampled_from(["kim", "lee", "park", ""]), st.integers(0, 4), st.booleans(), st.booleans()), max_size=40
).map(
    lambda said: [
        a_check(n, f"guest-{guest}", confirmed_by=by, same=same, corrects=corrects)
        for n, (by, guest, same, corrects) in enumerate(said)
    ]
)


def called(by, name):
    try:
        return by(name)
    except ValueError:
        return ""


# Some are too long only when their letters are taken apart.
@given(st.text() | st.builds(str.__mul__, st.text(min_size=1, max_size=3) | st.just("\ufdfa"), st.integers(1, 600)))
def test_the_model_servers_call_a_person_as_the_pipeline_does(name):
    said = called(canonical, name)
    assert called(identity_of, name) == said
    assert len(said) <= 500 and called(canonical, said) == said


@given(st.sampled_from(["\u0301\u0316", "\ufdfa", "a\u0327", " ", "가"]), st.integers(501, 1 << 20))
def test_what_is_too_long_for_a_name_is_refused_before_anything_is_made_of_it(unit, length):
    """A megabyte of marks in disorder would take minutes, in which nothing else of the process runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unicodedata, "normalize", lambda form, text: pytest.fail(f"{len(text)} characters"))
        name = (unit * length)[:length]
        for by in (canonical, identity_of):
            with pytest.raises(ValueError, match="500 characters at most"):
                by(name)


@given(st.text(max_size=100))
def test_a_name_that_can_be_enrolled_is_known_in_every_form(name):
    if can_be_enrolled(called(canonical, name)):
        forms = {called(canonical, unicodedata.normalize(form, canonical(name))) for form in FORMS[:3]}
        assert forms == {canonical(name)}


@pytest.mark.parametrize("name", ["สำราญ", "คำ", "ຄຳ", "हिन्दी", "paŀlas", "김민준", "kim_2@a.b-c", "José", "_a"])
def test_names_of_any_writing_can_be_enrolled(name):
    forms = [unicodedata.normalize(form, name) for form in FORMS]
    assert all(can_be_enrolled(canonical(form)) for form in forms)
    assert {ACCESS.validate_python(form) for form in forms} == {canonical(name)}


@pytest.mark.parametrize("name", ["", "\u0301a", ".a", "a/b", "a b", "½", "a\0", "a\u202eb", "a\ud800", "a" * 101])
def test_what_is_nobodys_name_cannot(name):
    assert not can_be_enrolled(canonical(name))
    for refused in (name, "a" * 501, 7):
        with pytest.raises(ValidationError):
            ACCESS.validate_python(refused)


ACCESS = TypeAdapter(Identity)
FORMS = ("NFC", "NFD", "NFKC", "NFKD")
NAMES = st.text(min_size=1, max_size=20).filter(lambda name: unicodedata.normalize("NFKC", name).strip())
POLICY = FaceSelectionPolicy()
# Of Hangul syllables and of the letters they are made of; of a wide letter and a narrow one.
PEOPLE = [f"person-{number}" for number in range(2000)]


def a_photo(number, identity="kim", burst=None, taken="2026-05-01", flipped=0, **more):
    """Of one burst up to bits that are `flipped`; bursts are far from each other."""
    phash = int.from_bytes(hashlib.sha256(str(burst or f"of {number}").encode()).digest()[:8]) ^ flipped
    return FacePhoto(f"photo-{number}", identity, f"{phash:016x}", f"{taken}T10:00:00+00:00", **more)


def bits_apart(one, other):
    return (int(one.phash, 16) ^ int(other.phash, 16)).bit_count()


# Two photos of one burst may be near, or twice as far.
FLIPPED = st.sets(st.integers(0, 63), max_size=NEAR_DUPLICATE_BITS).map(lambda bits: sum(1 << bit for bit in bits))
SEEN = st.lists(st.tuples(st.sampled_from(["kim", "lee", "park"]), st.integers(0, 2), FLIPPED), max_size=12).map(
    lambda seen: [
        a_photo(n, person, f"burst {burst}", f"2026-05-{1 + n:02d}", flipped)
        for n, (person, burst, flipped) in enumerate(seen)
    ]
)


def photos_of(people, each=3):
    return [a_photo(f"{person}-{n}", person, f"{person}-{n}") for person in people for n in range(each)]


@given(NAMES, st.sampled_from(FORMS), st.sampled_from(FORMS))
def test_a_name_in_any_unicode_form_is_one_person(name, one, other):
    first, second = (unicodedata.normalize(form, name) for form in (one, other))
    assert identity_of(first) == identity_of(second) == identity_of(identity_of(name))
    assert side_of(first) is side_of(second)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("김민준", unicodedata.normalize("NFD", "김민준")),
        ("c¸a", unicodedata.normalize("NFKD", "c¸a")),
        ("Kim", "Ｋｉｍ"),
        (" Lee  Ann", "Lee Ann"),
    ],
)
def test_these_are_one_person(one, other):
    assert identity_of(one) == identity_of(other)


def test_nobody_has_no_name():
    with pytest.raises(ValueError, match="a person has a name"):
        identity_of(" \u3000")


def test_seven_of_ten_people_are_learned_from_and_the_rest_is_shared_evenly():
    sides = [side_of(person) for person in PEOPLE]
    assert [round(sides.count(side) / len(PEOPLE), 1) for side in Side] == pytest.approx([0.7, 0.15, 0.15], abs=0.051)


@given(st.permutations(photos_of(PEOPLE[:12])))
def test_the_order_in_which_photos_come_changes_nothing(photos):
    assert POLICY.choose(photos) == POLICY.choose(photos_of(PEOPLE[:12]))


@given(st.lists(st.tuples(st.sampled_from(PEOPLE[:30]), st.integers(0, 4), st.integers(0, 20)), max_size=80))
def test_whoever_is_chosen_has_two_distinct_photos_and_not_too_many_and_stands_on_one_side(seen):
    photos = [
        a_photo(n, person, f"{person}-{burst}", f"2026-05-{1 + day:02d}") for n, (person, burst, day) in enumerate(seen)
    ]
    chosen = POLICY.choose(photos)
    assert in_two_splits(chosen) == []
    for side, of_side in chosen.items():
        for person in {photo.identity for photo in of_side}:
            own = [photo for photo in of_side if photo.identity == person]
            assert side_of(person) is side
            assert len({photo.phash for photo in own}) == len(own)
            assert POLICY.min_photos <= len(own) <= POLICY.max_photos


@given(SEEN, st.randoms())
def test_no_two_distinct_photos_are_near_and_each_repeated_one_is_near_a_newer_one(photos, chance):
    policy = FaceSelectionPolicy(max_photos=1000)
    repeated = policy.repeated(chance.sample(photos, len(photos)))
    for person in {photo.identity for photo in photos}:
        own = [photo for photo in photos if photo.identity == person]
        distinct = [photo for photo in own if photo not in repeated]
        assert all(bits_apart(one, other) > NEAR_DUPLICATE_BITS for one, other in itertools.combinations(distinct, 2))
        for photo in repeated:
            newer = [one for one in distinct if one.taken_at > photo.taken_at]
            assert photo not in own or min(bits_apart(photo, one) for one in newer) <= NEAR_DUPLICATE_BITS
        assert {*policy.choose(photos)[side_of(person)]} >= {*(distinct if len(distinct) > 1 else ())}


@pytest.mark.parametrize("flipped", range(2 * NEAR_DUPLICATE_BITS))
def test_two_photos_that_are_nearly_one_picture_are_one(flipped):
    photos = [a_photo(1, burst="one"), a_photo(2, burst="one", flipped=(1 << flipped) - 1)]
    assert bits_apart(*photos) == flipped
    assert any(POLICY.choose(photos).values()) is (flipped > NEAR_DUPLICATE_BITS)


def test_a_burst_is_one_photo_the_newest():
    burst = [a_photo(n, burst="burst", taken=f"2026-05-0{n}") for n in (1, 3, 2)]
    (chosen,) = (photos for photos in POLICY.choose([*burst, a_photo(9)]).values() if photos)
    assert [photo.photo_id for photo in chosen] == ["photo-3", "photo-9"]
    assert not any(POLICY.choose(burst).values())


def test_an_identity_in_two_splits_is_caught():
    names = ("김민준", unicodedata.normalize("NFD", "김민준"))
    leaking = {Side.TRAIN: (a_photo(1, names[0]),), Side.TEST: (a_photo(2, names[1]),), Side.CALIBRATE: ()}
    assert in_two_splits(leaking) == ["identity 김민준"]


def test_a_burst_in_two_splits_is_caught():
    leaking = {Side.TRAIN: (a_photo(1, "kim", "burst"),), Side.TEST: (a_photo(2, "lee", "burst"),)}
    assert in_two_splits(leaking) == [f"photos {a_photo(1, burst='burst').phash}"]
    alike = {Side.TRAIN: (a_photo(1, "kim", "burst"),), Side.TEST: (a_photo(2, "lee", "burst", flipped=1),)}
    assert in_two_splits(alike) == [], "photos of two people are alike by chance"


@given(CHECKS, st.floats(0, 1), st.randoms())
def test_of_nobodys_word_more_is_taken_than_their_share_whatever_order_they_come_in(checks, share, chance):
    policy = FaceSelectionPolicy(max_confirmer_share=share)
    taken = policy.trusted(checks)
    shown = [check for check in checks if check.same]
    most = math.ceil(share * len(shown))
    said, kept = (Counter(check.confirmed_by for check in some) for some in (shown, taken))
    assert kept == Counter({by: min(n, most) for by, n in said.items() if most})
    assert policy.trusted(chance.sample(checks, len(checks))) == taken
    about = {by: len({c.identity for c in shown if c.confirmed_by == by}) for by in said}
    assert all(len({c.identity for c in taken if c.confirmed_by == by}) == min(n, most) for by, n in about.items())


def test_what_a_door_saw_is_newer_than_what_a_folder_holds():
    folder, door = a_photo(1, taken="Z_LAST"), a_photo(2, check_id="C-1")
    assert POLICY.choose([folder, door])[side_of("kim")] == (door, folder)
