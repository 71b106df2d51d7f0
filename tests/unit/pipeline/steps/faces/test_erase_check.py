"""The photo of a check at a door is forgotten as a task's is, also what a try left that never came to a dataset."""

import hashlib
from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.domain.errors import ServiceUnavailable
from pipeline.domain.faces.identities import Side
from tests.fakes.faults import Both, Fault, Killed, every_fault, unavailable
from tests.unit.pipeline.steps.faces.world import World

FEW = 12
KIM = "Kim"


def a_world():
    """People whom doors saw alone; Kim's first photo is forgotten below, the last one cannot be used."""
    made = World(people=0)
    for number in range(FEW):
        for shot in range(2):
            made.say(f"p{number:03d}", shot)
    made.checks = [made.say(KIM, shot) for shot in range(4)]
    made.doors.photos.bodies[made.checks[-1].photo_url] = b"bad photo"
    return made


def photo_of(check):
    return hashlib.sha256(f"{KIM}:{int(check.check_id[2:]) - 2 * FEW}".encode()).hexdigest()


def lists(world):
    return {uri: body for uri, body in world.objects.bodies.items() if uri.startswith("s3://datasets/")}


def traces(world, check):
    """Whatever names the check, or says what its photo looks like."""
    named = [uri for uri, body in lists(world).items() if f'"{check.check_id}"'.encode() in body]
    set_aside = [uri for uri, body in lists(world).items() if f"{KIM}/{check.check_id}".encode() in body]
    return named + set_aside + [uri for uri in lists(world) if photo_of(check) in uri]


def traces_of_kim(world):
    named = [uri for uri, body in lists(world).items() if KIM.encode() in body]
    return named + [uri for uri in lists(world) if any(photo_of(check) in uri for check in world.checks)]


@pytest.fixture
def world():
    return a_world()


def test_nothing_is_left_of_a_check_that_is_forgotten_and_the_others_stay():
    world = World(people=120)
    world.serve()
    first, *_ = world.checks = [world.say(KIM, shot) for shot in range(3)]
    _, version = world.make("run-2", confirmed=True)
    (photo,) = (one for one in world.collect_confirmed().of_person(KIM) if one.check_id == first.check_id)
    found = world.forget(first.check_id)
    assert not [uri for uri, body in lists(world).items() if photo.photo_id in uri or first.check_id.encode() in body]
    assert len(world.collect_confirmed().of_person(KIM)) == 2
    assert len([uri for uri in found.deleted if photo.photo_id in uri]) == 1
    assert found.rewritten == ["s3://datasets/DS-2026-002/manifest.json"]
    assert found.models == [f"FACE {version.version} was made with it, and holds nobody's face"]
    assert found.left == ["the original of a check at a door belongs to the access service: delete it there"]
    assert world.datasets.get("DS-2026-002").sha256 == world.collect_confirmed().sha256


def test_its_bytes_come_in_under_no_other_check(world):
    world.collect_confirmed()
    forgotten = world.checks[0]
    world.forget(forgotten.check_id)
    again = world.say(KIM, 0)
    dataset = world.collect_confirmed("run-3")
    assert again.check_id not in {photo.check_id for photo in dataset.of_person(KIM)} and traces(world, forgotten) == []


@pytest.mark.parametrize("which", [0, -1], ids=["used", "set aside"])
def test_once_more_it_changes_nothing_and_says_no_longer_that_nobody_knows_it(world, which):
    world.collect_confirmed()
    check = world.checks[which]
    world.forget(check.check_id)
    assert traces(world, check) == []
    before = dict(world.objects.bodies)
    again = world.forget(check.check_id)
    assert world.objects.bodies == before and (again.rewritten, again.deleted) == ([], [])
    assert which or again.left == []


def test_a_check_that_no_dataset_has_is_remembered_and_none_will(world):
    found = world.forget(world.checks[0].check_id)
    assert "no dataset has task 'C-0024'" in found.left[0]
    world.collect_confirmed()
    assert traces(world, world.checks[0]) == []


@pytest.mark.parametrize("name", ["a/b", ".hidden", "a/.b/c"])
def test_who_has_a_slash_or_a_dot_in_the_name_is_named_no_more_among_what_was_set_aside(world, name):
    broken = world.say(name, 1)
    world.doors.photos.bodies[broken.photo_url] = b"bad photo"
    assert any(one.name == f"{name}/{broken.check_id}" for one in world.collect_confirmed().set_aside)
    world.erase(name)
    assert not any(name.encode() in body for body in lists(world).values())


def forgotten_with(fault):
    one = a_world()
    one.collect_confirmed()
    with suppress(Killed):
        one.forget(one.checks[0].check_id, fault)
    one.forget(one.checks[0].check_id)
    return one


def test_killed_anywhere_and_run_again_nothing_is_left_of_it():
    whole = forgotten_with(Fault())
    for fault in every_fault(forgotten_with):
        one = forgotten_with(fault)
        assert traces(one, one.checks[0]) == [], fault
        assert one.objects.bodies == whole.objects.bodies, fault
        assert one.datasets.completed == whole.datasets.completed, fault


ERASURES = {
    "a person": (lambda one: one.erase(KIM), traces_of_kim),
    "a check": (lambda one: one.forget(one.checks[0].check_id), lambda one: traces(one, one.checks[0])),
}


def calls_of_a_collection():
    counted = Fault()
    a_world().collect_confirmed(fault=counted)
    return counted.calls


CALLS = calls_of_a_collection()


@pytest.mark.parametrize("what", ERASURES)
def test_of_a_try_that_ended_anywhere_an_erasure_leaves_nothing(what):
    erase, left = ERASURES[what]
    for at in range(CALLS, 0, -5):
        one = a_world()
        with suppress(Killed):
            one.collect_confirmed(fault=Fault(at, after=at % 2 == 0))
        erase(one)
        assert left(one) == [], at
        assert one.collect_confirmed().photos[Side.TRAIN] and left(one) == [], at


@settings(max_examples=25, deadline=None)
@given(
    when=st.tuples(st.integers(1, CALLS), st.integers(0, 40), st.booleans()),
    error=st.sampled_from([Killed, unavailable("S3")]),
    what=st.sampled_from(sorted(ERASURES)),
    then=st.sampled_from(["collect again", "collect for another run", "erase again"]),
)
@example(when=(CALLS - 30, 24, False), error=Killed, what="a person", then="collect for another run")
@example(when=(CALLS - 3, 0, True), error=Killed, what="a check", then="collect for another run")
@example(when=(CALLS - 1, 1, True), error=Killed, what="a check", then="collect again")
@example(when=(CALLS - 32, 16, False), error=Killed, what="a person", then="erase again")
@example(when=(CALLS - 20, 6, False), error=Killed, what="a check", then="erase again")
def test_erased_while_a_try_goes_on_that_ends_later_whatever_comes_next_leaves_nothing(when, error, what, then):
    (erase, left), one, (at, later, after) = ERASURES[what], a_world(), when
    with suppress(Killed, ServiceUnavailable):
        one.collect_confirmed(fault=Both(Fault(at, meanwhile=lambda: erase(one)), Fault(at + later, after, error)))
    next_ = {"collect for another run": lambda: one.collect_confirmed("run-3"), "erase again": lambda: erase(one)}
    next_.get(then, one.collect_confirmed)()
    assert left(one) == []


def test_of_a_collection_that_ended_well_no_draft_stays(world):
    world.collect_confirmed()
    assert not [uri for uri in lists(world) if "/drafts/" in uri]


def killed(*given):
    raise Killed("before the row is written")


def test_what_only_an_earlier_try_embedded_is_found_by_a_later_erasure(world):
    world.datasets.complete = killed
    with pytest.raises(Killed):
        world.collect_confirmed()
    del world.datasets.complete
    world.doors.checks.said = [check for check in world.doors.checks.said if check.identity != KIM]
    assert world.collect_confirmed().of_person(KIM) == [] and traces_of_kim(world)
    world.erase(KIM)
    assert traces_of_kim(world) == []
