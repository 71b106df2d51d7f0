"""What people confirm at doors comes into the next dataset, beside what the champion has learned from."""

import hashlib
import unicodedata
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.domain.errors import DatasetRefused, PhotoRefused, ServiceUnavailable
from pipeline.domain.faces.dataset import FaceDataset
from pipeline.domain.faces.identities import FaceSelectionPolicy, Side, side_of
from pipeline.domain.lineage import Erased
from pipeline.domain.models import ModelType
from pipeline.ports.faces import Doors
from pipeline.steps.faces.collect import Offer, Offered, collect, vectors_of
from pipeline.steps.faces.collect_confirmed import collect_confirmed
from tests.builders import NOW, a_check
from tests.fakes.data import FakePhotos
from tests.fakes.faults import Fault, Killed
from tests.unit.pipeline.steps.dataset_world import URI
from tests.unit.pipeline.steps.dataset_world import World as DataWorld
from tests.unit.pipeline.steps.faces.world import World


@pytest.fixture
def world():
    made = World(people=120)
    made.serve()
    return made


def seen_at_doors_alone():
    made = World(people=0)
    for number in range(24):
        made.say(f"p{number % 12:03d}", number)
    return made


class PhotosThatEnd(FakePhotos):
    """Read once, some are gone afterwards, or others."""

    def __init__(self, bodies, ends):
        super().__init__(bodies)
        self.ends = ends

    def read(self, url):
        body, end = super().read(url), self.ends.get(url)
        if end == TAKEN_AWAY:
            del self.bodies[url]
        elif end:
            self.bodies[url] = b"somebody:else"
        return body


def names(dataset):
    return {photo.identity for of_side in dataset.photos.values() for photo in of_side}


def checks_of(dataset, identity):
    return [photo.check_id for photo in dataset.of_person(identity) if photo.check_id]


def of_side(side):
    """Somebody in the folder who stands there."""
    return next(name for name in (f"p{n:03d}" for n in range(120)) if side_of(name) is side)


def test_what_doors_saw_joins_what_the_champion_has_learned_from(world):
    old, before = of_side(Side.TRAIN), len(world.network.embedded)
    world.say(old, "door")
    world.say("new", 1)
    world.say("new", 2)
    world.say("once", 1)
    world.folder.bodies.clear()
    dataset = world.collect_confirmed()
    assert len(names(dataset)) == 121 and "once" not in names(dataset), "one photo has no mate"
    assert (len(dataset.of_person(old)), len(dataset.of_person("new"))) == (4, 2)
    assert len(world.network.embedded) == before + 3, "what is known of a photo is not computed again"
    assert world.datasets.completed[dataset.dataset_id].corrections_through == world.doors.checks.said[-1].confirmed_at


def test_a_stranger_is_no_photo_of_the_person_and_one_who_was_let_in_is_learned_from_as_an_impostor(world):
    old, judge = of_side(Side.TRAIN), of_side(Side.TEST)
    said = world.say(old, "stranger", same=False, corrects=True)
    shut = world.say(old, "other", same=False, corrects=False)
    world.say(judge, "third", same=False, corrects=True)
    dataset = world.collect_confirmed()
    assert checks_of(dataset, old) == checks_of(dataset, judge) == []
    assert [(one.check_id, one.identity) for one in dataset.impostors] == [(said.check_id, old)]
    assert set(vectors_of(world.making(), dataset)) >= {one.photo_id for one in dataset.impostors}
    assert FaceDataset.from_json(dataset.to_json()) == dataset
    assert dataset.through >= shut.confirmed_at.isoformat(), "all were looked at"


@pytest.mark.parametrize("side", Side)
def test_whoever_it_really_was_has_the_photo_and_nobody_who_judges_is_an_impostor(world, side):
    old, real = of_side(Side.TRAIN), [n for n in (f"p{n:03d}" for n in range(120)) if side_of(n) is side][-1]
    said = world.say(old, "seen", same=False, corrects=True, shown=real)
    world.doors.photos.bodies[said.photo_url] = f"{real}:seen".encode()
    world.doors.checks.said.append(replace(said, identity=real, same=True, shown=""))
    dataset = world.collect_confirmed()
    assert checks_of(dataset, real) == [said.check_id]
    assert [one.check_id for one in dataset.impostors] == ([said.check_id] if side is Side.TRAIN else [])
    world.erase(real)
    left = world.collect_confirmed()
    assert names(left) == names(dataset) - {real} and left.impostors == (), "the photo shows who was erased"


# Whether whom the photo really shows has a row of its own depends on how many others they have, and on the limit.
@settings(max_examples=15, deadline=None)
@given(
    rows=st.lists(st.tuples(st.booleans(), st.sampled_from(["", "broken", "gone"])), min_size=1, max_size=4),
    name=st.sampled_from(["Zoe", "Ｚｏｅ", "  Zoe "]),
)
@example(rows=[(False, "")], name="Zoe")
@example(rows=[(True, ""), (False, "broken")], name="  Zoe ")
def test_no_photo_of_who_was_erased_stays_as_somebody_elses_impostor(rows, name):
    one, kept = seen_at_doors_alone(), f"p{0:03d}"
    assert side_of(kept) is side_of("Zoe") is Side.TRAIN
    for number, (own_row, fate) in enumerate(rows):
        said = one.say(kept, "", same=False, corrects=True, shown=name)
        one.doors.photos.bodies[said.photo_url] = b"bad photo" if fate == "broken" else f"Zoe:{number}".encode()
        if own_row:
            one.doors.checks.said.append(replace(said, identity=name, same=True, shown=""))
        if fate == "gone":
            del one.doors.photos.bodies[said.photo_url]
    making = replace(one.making(), max_unusable_share=1.0)
    of_zoe = {hashlib.sha256(f"Zoe:{number}".encode()).hexdigest() for number in range(len(rows))}
    numbers = {check.check_id for check in one.doors.checks.said[24:]}

    def left():
        everything = b"".join((*map(str.encode, one.objects.bodies), *one.objects.bodies.values()))
        return [trace for trace in (*of_zoe, *numbers) if trace.encode() in everything]

    before = collect_confirmed(making, one.doors, "run-2", lambda *_: None)
    assert len(before.impostors) == sum(fate == "" for _, fate in rows) and left() != []
    one.erase("Zoe")
    assert left() == []
    after = collect_confirmed(making, one.doors, "run-3", lambda *_: None)
    assert left() == [] and after.impostors == (), "withdrawn at doors later, or never"


@pytest.mark.parametrize("side", Side)
def test_who_judges_is_nobodys_impostor_though_their_own_row_is_not_among_what_was_asked_for(world, side):
    real = of_side(side)
    said = world.say("p000" if side_of("p000") is Side.TRAIN else "p001", "seen", same=False, corrects=True, shown=real)
    found = world.collect_confirmed().impostors
    assert [one.check_id for one in found] == ([said.check_id] if side is Side.TRAIN else [])


@pytest.mark.parametrize("again", ["", "~1", "~15"])
def test_a_photo_that_shows_what_one_of_the_person_shows_is_nobodys_impostor_of_them(world, again):
    old = of_side(Side.TRAIN)
    world.say(old, "door")
    said = world.say(old, f"door{again}", same=False, corrects=True)
    dataset = world.collect_confirmed()
    aside = {one.name: one.reason for one in dataset.set_aside}
    assert dataset.impostors == () and "said not to show" in aside[f"{old}/{said.check_id}"]


def test_nothing_is_kept_of_an_impostor_when_the_person_or_the_check_is_forgotten(world):
    old = of_side(Side.TRAIN)
    said = [world.say(old, f"stranger-{n}", same=False, corrects=True) for n in range(2)]
    before = world.collect_confirmed()
    vectors = {uri for uri in world.objects.bodies if any(one.photo_id in uri for one in before.impostors)}
    assert len(vectors) == 2
    world.forget(said[0].check_id)
    assert [one.check_id for one in world.collect_confirmed().impostors] == [said[1].check_id]
    world.erase(old)
    assert world.collect_confirmed().impostors == () and vectors.isdisjoint(world.objects.bodies)


def test_a_check_is_about_one_person_in_whatever_form_the_name_was_typed(world):
    for number, form in enumerate(("NFC", "NFD", "NFKD")):
        world.say(unicodedata.normalize(form, "김민준"), number)
    assert len(world.collect_confirmed().of_person("김민준")) == 3


@pytest.mark.parametrize("how", ["before", "by another form of the name", "the check alone"])
def test_nothing_comes_of_who_was_erased(world, how):
    checks = [world.say("Kim", shot) for shot in range(3)]
    if how == "the check alone":
        world.erasures.record(Erased(checks[0].check_id, (), "kim", "privacy", NOW))
        assert checks_of(world.collect_confirmed(), "Kim") == [checks[2].check_id, checks[1].check_id]
    else:
        world.erase("Kim" if how == "before" else "Ｋｉｍ")
        dataset = world.collect_confirmed()
        assert dataset.of_person("Kim") == [] and b"Kim" not in dataset.to_json()


def test_who_is_erased_while_the_dataset_is_made_is_not_in_it():
    def prepared():
        made = World(people=60)
        made.say("Kim", 1)
        made.say("Kim", 2)
        for n in range(60):
            for shot in range(2):
                made.say(f"p{n:03d}", shot)
        return made

    counted = Fault()
    prepared().collect_confirmed(fault=counted)
    for back in range(0, 8, 2):
        one = prepared()
        one.collect_confirmed(fault=Fault(counted.calls - back, meanwhile=lambda one=one: one.erase("Kim")))
        assert one.collect_confirmed().of_person("Kim") == []
        assert not any(b"Kim" in body for uri, body in one.objects.bodies.items() if uri.startswith("s3://datasets/"))


def test_one_persons_word_counts_for_no_more_than_their_share(world):
    for number in range(40):
        world.say(f"friend-{number % 20}", number, confirmed_by="lee")
    others = [world.say(f"guest-{number % 10}", number) for number in range(20)]
    dataset = world.collect_confirmed()
    taken = {photo.check_id for side in dataset.photos.values() for photo in side if photo.check_id}
    assert {check.check_id for check in others} <= taken
    assert len(taken) <= 20 + 60 * FaceSelectionPolicy().max_confirmer_share


def test_corrections_come_first_where_they_are_learned_from_and_judge_as_often_as_they_happen(world):
    for side in Side:
        name = of_side(side)
        for shot in range(10):
            world.say(name, f"door-{shot}", corrects=shot < 3)
    dataset = world.collect_confirmed()
    found = {side: [photo.corrects for photo in dataset.of_person(of_side(side))] for side in Side}
    assert [sum(found[side]) for side in Side] == [3, 0, 0] and all(len(photos) == 5 for photos in found.values())
    assert world.datasets.completed[dataset.dataset_id].corrections == 3


def test_a_photo_that_an_earlier_dataset_looked_at_is_not_read_again(world):
    checks = [world.say("new", shot) for shot in range(3)]
    world.make("run-2", confirmed=True)
    world.serve("run-2")
    world.doors.photos.bodies.clear()
    assert checks_of(world.collect_confirmed("run-3"), "new") == [check.check_id for check in reversed(checks)]


def test_a_photo_that_is_gone_is_set_aside_and_the_others_are_used(world):
    gone, *_ = [world.say("new", shot) for shot in range(3)]
    world.say("old", 1)
    world.say("old", 2)
    del world.doors.photos.bodies[gone.photo_url]
    dataset = world.collect_confirmed()
    assert [one.name for one in dataset.set_aside] == [f"new/{gone.check_id}"] and len(dataset.of_person("new")) == 2


@settings(max_examples=20, deadline=None)
@given(shots=st.lists(st.integers(0, 3), min_size=2, max_size=8))
@example(shots=[0, 1, 0])
def test_a_photo_that_shows_what_a_newer_one_of_the_person_shows_is_named_by_its_check(shots):
    one = seen_at_doors_alone()
    checks = [one.say("new", shot) for shot in shots]
    aside = {row.name: row for row in one.collect_confirmed().set_aside}
    older = [f"new/{check.check_id}" for n, check in enumerate(checks) if shots[n] in shots[n + 1 :]]
    assert sorted(aside) == sorted(older)
    assert {row.reason for row in aside.values()} <= {REPEATED} and all(row.photo_id for row in aside.values())


def test_forgetting_one_of_two_checks_with_one_photo_forgets_that_photo():
    one = seen_at_doors_alone()
    older, _, newer = (one.say("new", shot) for shot in (0, 1, 0))
    for forgotten in (older, newer):
        other = deepcopy(one)
        other.collect_confirmed()
        other.forget(forgotten.check_id)
        left = other.collect_confirmed()
        assert not {older.check_id, newer.check_id} & {*checks_of(left, "new")} and left.set_aside == ()
        again = other.say("new", 0)
        assert again.check_id not in checks_of(other.collect_confirmed("run-3"), "new")


def no_bytes(number):
    raise PhotoRefused(f"no photo {number}")


REPEATED = "a newer photo of the same person shows the same, and stands for both"
TAKEN_AWAY, CHANGED = "no photo at", "it was changed since"


@settings(max_examples=20, deadline=None)
@given(fate=st.lists(st.sampled_from([None, TAKEN_AWAY, CHANGED]), min_size=4, max_size=4))
@example(fate=[TAKEN_AWAY, None, None, None])
@example(fate=[CHANGED, TAKEN_AWAY, CHANGED, None])
def test_a_photo_that_is_no_more_what_was_looked_at_is_set_aside_and_the_others_are_used(fate):
    one = seen_at_doors_alone()
    checks = [one.say("new", shot) for shot in range(4)]
    ends = {check.photo_url: word for check, word in zip(checks, fate, strict=True) if word}
    one.doors = Doors(one.doors.checks, PhotosThatEnd(one.doors.photos.bodies, ends))
    dataset = one.collect_confirmed()
    reasons = {aside.name.partition("/")[2]: aside.reason for aside in dataset.set_aside}
    expected = {check.check_id: word for check, word in zip(checks, fate, strict=True) if word}
    assert reasons.keys() == expected.keys() and all(word in reasons[check] for check, word in expected.items())
    left = [check.check_id for check, word in zip(checks, fate, strict=True) if not word]
    assert sorted(checks_of(dataset, "new")) == (left if len(left) > 1 else []), "one photo has no mate"
    assert len(vectors_of(one.making(), dataset)) == sum(map(len, dataset.photos.values()))


def test_where_the_last_photos_of_a_side_are_taken_away_the_dataset_is_refused():
    one = seen_at_doors_alone()
    for shot in range(20):
        one.say(of_side(Side.TRAIN), f"door-{shot}")
    ends = {check.photo_url: TAKEN_AWAY for check in one.doors.checks.said if side_of(check.identity) is Side.TEST}
    one.doors = Doors(one.doors.checks, PhotosThatEnd(one.doors.photos.bodies, ends))
    with pytest.raises(DatasetRefused, match="nobody stands on the side test"):
        one.collect_confirmed()


@pytest.mark.parametrize("name", ["", " ", "\u3000", "\u2003\t"])
def test_a_check_about_nobody_is_set_aside_with_that_reason_and_ends_nothing(name):
    one = seen_at_doors_alone()
    odd = one.say(name, 1)
    (aside,) = one.collect_confirmed().set_aside
    assert (aside.name, aside.reason) == (f"{name}/{odd.check_id}", "a person has a name")


@settings(max_examples=30, deadline=None)
@given(names=st.lists(st.text(max_size=3) | st.sampled_from(["", " ", "\u3000", "\x85"]), min_size=1, max_size=4))
@example(names=[" ", "kim"])
def test_whatever_doors_are_told_for_a_name_everybodys_checks_have_their_turn(names):
    policy = FaceSelectionPolicy(max_confirmer_share=1.0)
    said = [a_check(number, name, confirmed_by="lee") for number, name in enumerate(names)]
    assert policy.trusted(said) == tuple(reversed(said))


def test_a_later_word_that_it_was_somebody_else_takes_a_photo_out_again(world):
    checks = [world.say("new", shot) for shot in range(3)]
    world.make("run-2", confirmed=True)
    world.serve("run-2")
    world.doors.checks.said.remove(checks[0])
    assert checks[0].check_id not in checks_of(world.collect_confirmed("run-3"), "new")


def test_of_another_network_no_vector_is_taken_over(world):
    world.network.sha256 = "c" * 64
    with pytest.raises(DatasetRefused, match="nobody stands on the side"):
        world.collect_confirmed()


def test_killed_anywhere_and_run_again_it_is_the_same_dataset():
    def prepared():
        made = World(people=60)
        for n in range(60):
            for shot in range(2):
                made.say(f"p{n:03d}", shot)
        return made

    counted = Fault()
    whole = prepared().collect_confirmed(fault=counted)
    for at in range(1, counted.calls + 1, counted.calls // 12):
        one = prepared()
        with suppress(Killed):
            one.collect_confirmed(fault=Fault(at))
        assert one.collect_confirmed() == whole
    assert FaceDataset.from_json(whole.to_json()) == whole


@pytest.mark.parametrize("name", ["AnotherNetwork", "Face"], ids=["another name", "the same name"])
def test_another_head_is_a_minor_version_a_threshold_alone_a_patch_and_another_network_a_major_one(world, name):
    world.say("new", 1)
    world.say("new", 2)
    world.learner.keeps = True
    _, patch = world.make("run-2", confirmed=True)
    _, next_patch = world.make("run-3", confirmed=True)
    world.learner.keeps = False
    world.folder.bodies |= {f"q{n}/{shot}.jpg": f"q{n}:{shot}".encode() for n in range(40) for shot in range(3)}
    _, minor = world.make("run-4")
    world.network.name, world.network.sha256 = name, "c" * 64
    _, major = world.make("run-5")
    assert [v.version for v in (patch, next_patch, minor, major)] == ["v1.0.1", "v1.0.2", "v1.1.0", "v2.0.0"]


def restored(lost_run):
    """Objects are newer than the database: a dataset is lost there, and its number is given again."""
    one = seen_at_doors_alone()
    for number in range(12):
        one.say(f"lost{number % 6}", number)
    lost = one.collect_confirmed(lost_run)
    del one.datasets.ids[lost_run], one.datasets.types[lost.dataset_id], one.datasets.completed[lost.dataset_id]
    return one, lost


def lies_in_s3(world, name):
    return [uri for uri, body in world.objects.bodies.items() if "/datasets/" in uri and name.encode() in body]


def test_a_number_that_is_given_again_after_a_restore_is_made_anew():
    one, lost = restored("run-2")
    one.doors.checks.said = [check for check in one.doors.checks.said if not check.identity.startswith("lost")]
    for number in range(20):
        one.say(f"new{number % 10}", number)
    made = one.collect_confirmed("run-3")
    assert made.dataset_id == lost.dataset_id and not any(name.startswith("lost") for name in names(made))
    row = one.datasets.get(made.dataset_id)
    assert (row.sha256, row.corrections_through.isoformat()) == (made.sha256, made.through)
    one.forget("C-0000")
    assert one.erase("lost0").vectors == 2 and lies_in_s3(one, "lost0") == []
    assert one.erase("new0").datasets == [made.dataset_id] and lies_in_s3(one, "new0") == []


@pytest.mark.parametrize("given_to", [None, "LAUNDRY"])
def test_who_is_in_a_list_that_a_restored_database_lost_is_erased_there(given_to):
    one, lost = restored("run-2")
    if given_to:
        one.datasets.begin("run-3", ModelType(given_to))
    one.forget("C-0000")
    assert one.erase("lost1").vectors == 2
    assert lies_in_s3(one, "lost1") == [] and one.datasets.completed == {}


def of_tasks(world):
    """What makes datasets of tasks beside."""
    beside = DataWorld()
    beside.objects = world.objects
    return beside


def test_a_list_that_was_lost_is_found_behind_the_selection_of_tasks_that_took_its_number():
    one, lost = restored("run-2")
    beside = of_tasks(one)
    beside.datasets = one.datasets
    assert beside.collect(run_id="run-3") == lost.dataset_id
    one.forget("C-0000")
    assert lies_in_s3(one, "lost1") != []
    assert one.erase("lost1").vectors == 2
    assert lies_in_s3(one, "lost1") == []


def test_lists_that_were_lost_are_found_however_many_numbers_lie_between():
    one, lost = restored("run-2")
    for uri in one.objects.list(f"s3://datasets/{lost.dataset_id}/"):
        later = uri.replace(lost.dataset_id, "DS-2026-250")
        one.objects.bodies[later] = one.objects.bodies.pop(uri).replace(lost.dataset_id.encode(), b"DS-2026-250")
    assert one.erase("lost1").vectors == 2 and lies_in_s3(one, "lost1") == []


def test_a_list_of_faces_leaves_nothing_of_the_tasks_whose_lost_number_it_takes():
    one = seen_at_doors_alone()
    for number in range(12):
        one.say(f"new{number % 6}", number)
    beside = of_tasks(one)
    beside.collect()
    beside.prepare()
    made = one.collect_confirmed("run-2")
    assert made.dataset_id == "DS-2026-001" and lies_in_s3(one, "TASK-") == []
    assert one.objects.list(f"{URI}shards/") == []


class Unreadable(FakePhotos):
    """Some photos are refused one by one, or S3 fails on them."""

    def __init__(self, bodies, refused=(), failing=()):
        super().__init__(bodies)
        self.refused, self.failing = set(refused), set(failing)

    def read(self, url):
        if url in self.refused:
            raise PhotoRefused(f"S3 denies access to {url}: it is not there, or this role may not read it")
        if url in self.failing:
            raise ServiceUnavailable("S3", "we encountered an internal error")
        return super().read(url)


def with_photos(world, **moods):
    world.doors = Doors(world.doors.checks, Unreadable(world.doors.photos.bodies, **moods))


@settings(max_examples=30, deadline=None)
@given(denied=st.sets(st.integers(0, 23)))
@example(denied=set(range(24)))
@example(denied={23})
@example(denied={22, 23, 5})
def test_what_cannot_be_read_is_learned_another_time_or_stops_the_run_with_a_sentence(denied):
    one = seen_at_doors_alone()
    said = one.doors.checks.said
    with_photos(one, refused=[said[number].photo_url for number in denied])
    if len(denied) > 24 * 0.2:
        told = rf"{len(denied)} of 24 confirmed checks cannot be used: {said[max(denied)].check_id}.* S3 denies access"
        with pytest.raises(DatasetRefused, match=rf"{told}.* \(20% allowed\); .*RETRAIN_MAX_UNUSABLE_SHARE"):
            one.collect_confirmed()
        return
    with suppress(DatasetRefused):
        used = one.collect_confirmed()
        assert used.through == max(c.confirmed_at for n, c in enumerate(said) if n not in denied).isoformat()


@pytest.mark.parametrize("why", ["nobody is trusted", "all are refused, which is allowed"])
def test_a_retraining_without_any_of_what_was_confirmed_would_learn_nothing_new(why):
    one = World(people=60)
    dataset = one.collect()
    said = one.say("p000", "door")
    known = [Offered(p.identity, p.identity, p.taken_at, bytes, known=p) for side in Side for p in dataset.photos[side]]
    refused = Offered("p000/door", "p000", "2026", bytes, check_id=said.check_id)
    asked = [] if why == "nobody is trusted" else [replace(refused, read=partial(no_photo, said))]
    making = replace(one.making(), max_unusable_share=1.0)
    with pytest.raises(DatasetRefused, match="none of 1 confirmed checks can be used: "):
        collect(making, "run-2", lambda _: Offer([*known, *asked], None, frozenset({said.check_id})), lambda *_: None)


@pytest.mark.parametrize(
    ("share", "new", "why"),
    [
        (0.2, no_bytes, "50 of 50 confirmed checks cannot be used"),
        (1.0, no_bytes, "none of 50 confirmed checks can be used: .*no photo"),
        (
            1.0,
            lambda number: f"new{number}:1".encode(),
            "none of 50 confirmed checks can be used: .*2 or more distinct photos",
        ),
    ],
)
def test_what_earlier_datasets_looked_at_waters_nothing_down_and_the_cause_is_named(share, new, why):
    one = World(people=120)
    photos = [(f"K-{n}", p) for n, p in enumerate(one.collect().every_photo())]
    known = [Offered(p.place, p.identity, p.taken_at, bytes, check_id=number, known=p) for number, p in photos]
    fresh = [Offered(f"new{n}/N-{n}", f"new{n}", "2026", partial(new, n), check_id=f"N-{n}") for n in range(50)]
    needed = frozenset(offered.check_id for offered in (fresh if "distinct" in why else [*known, *fresh]))
    making = replace(one.making(), max_unusable_share=share)
    with pytest.raises(DatasetRefused, match=why):
        collect(making, "run-2", lambda _: Offer([*known, *fresh], None, needed), lambda *_: None)


def no_photo(said):
    raise PhotoRefused(f"no photo at {said.photo_url}")


@pytest.mark.parametrize("which", [0, 11, 23])
def test_one_photo_that_storage_keeps_failing_on_is_set_aside(which):
    one = seen_at_doors_alone()
    failing = one.doors.checks.said[which]
    with_photos(one, failing=[failing.photo_url])
    (aside,) = one.collect_confirmed().set_aside
    assert aside.name.endswith(failing.check_id) and aside.reason.endswith("for this photo alone")


@pytest.mark.parametrize("failing", [4, 24])
def test_storage_that_is_away_is_no_fault_of_a_photo(failing):
    one = seen_at_doors_alone()
    with_photos(one, failing=[check.photo_url for check in one.doors.checks.said[:failing]])
    with pytest.raises(ServiceUnavailable):
        one.collect_confirmed()
