"""Who withdraws is recognised by nobody and learned from no more, and their name is kept nowhere."""

import hashlib
from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.domain.errors import GiveUp, PhotosErased, ServiceUnavailable
from pipeline.domain.faces.dataset import person_key
from pipeline.domain.transitions import By
from pipeline.steps.faces.collect import collected, vectors_of
from pipeline.steps.faces.erase_person import erase_person
from pipeline.steps.faces.learn import learn
from tests.builders import a_face_confirmation
from tests.fakes.faults import Both, Fault, Killed, unavailable
from tests.unit.pipeline.steps.faces.world import World

GONE = "p000"
HASHES = {hashlib.sha256(f"{GONE}:{shot}".encode()).hexdigest() for shot in range(3)}


@pytest.fixture
def world():
    return World()


def traces(world):
    """Wherever the name or a photo of who was erased is still found."""
    everything = {uri: body for uri, body in world.objects.bodies.items() if not uri.startswith("s3://models/")}
    by_name = [uri for uri, body in everything.items() if GONE.encode() in body]
    by_photo = [uri for uri in everything if any(one in uri for one in HASHES)]
    said = [one.check_id for one in world.confirmations_of_faces.stored.values() if one.person == person_key(GONE)]
    return by_name + by_photo + said + [name for name in world.fleet.enrolled if name == GONE]


def test_nothing_is_left_of_who_was_erased_but_that_somebody_was(world):
    world.folder.bodies[f"{GONE}/broken.jpg"] = b"bad photo"
    world.serve()
    world.confirmations_of_faces.store([a_face_confirmation("1", GONE), a_face_confirmation("2", "p001")])
    assert len(traces(world)) > 5
    before = world.datasets.get("DS-2026-001")
    done = world.erase(GONE)
    assert traces(world) == [] and world.fleet.enrolled == {"p001"}
    assert (done.datasets, done.vectors, done.confirmations) == (["DS-2026-001"], 3, 1)
    world.confirmations_of_faces.store([a_face_confirmation("3", GONE)])
    assert traces(world) == [], "nor what comes later"
    assert done.models == ["FACE v1.0.0 was made with them, and holds nobody's face"]
    after = world.datasets.get("DS-2026-001")
    assert after.photo_count == before.photo_count - 3 and after.sha256 != before.sha256
    assert GONE not in repr(world.erasures.all()) and set(world.erasures.all()[0].sha256s) == HASHES


def test_the_folder_still_has_the_photos_and_no_dataset_takes_them_again(world):
    world.serve()
    world.erase(GONE)
    world.folder.bodies["other/1.jpg"] = world.folder.bodies[f"{GONE}/1.jpg"]
    again = world.collect("run-2")
    assert traces(world) == [] and again.of_person(GONE) == again.of_person("other") == []


def test_who_is_in_no_dataset_yet_never_comes_into_one(world):
    world.erase(GONE)
    assert world.collect().of_person(GONE) == [] and traces(world) == []


def test_a_name_means_the_person_in_whatever_form_it_was_typed(world):
    world.fleet.enrolled = {"é", "e\u0301", "ｅ\u0301"}
    world.folder.bodies |= {f"e\u0301/{shot}.jpg": f"é:{shot}".encode() for shot in range(3)}
    assert len(world.collect().of_person("é")) == 3
    assert world.erase("e\u0301").vectors == 3 and world.fleet.enrolled == set()


def test_who_is_erased_while_a_dataset_is_made_is_not_in_it(world):
    counted = Fault()
    World(people=100).collect(fault=counted)
    for back in range(8):
        one = World(people=100)
        one.collect(fault=Fault(counted.calls - back, meanwhile=lambda one=one: one.erase(GONE)))
        assert traces(one) == []
        assert one.collect().of_person(GONE) == []


FEW = 12
CALLS = 131


def test_so_many_calls_make_a_dataset_of_a_few():
    counted = Fault()
    World(people=FEW).collect(fault=counted)
    assert counted.calls == CALLS


# Counted from the last call, since most of them embed somebody else; an erasure makes more calls than there were.
@settings(max_examples=25, deadline=None)
@given(
    back=st.integers(0, 9) | st.integers(0, CALLS - 1),
    later=st.integers(0, 12),
    after=st.booleans(),
    error=st.sampled_from([Killed, unavailable("the mlops database")]),
)
@example(back=5, later=1, after=False, error=unavailable("the mlops database"))
@example(back=5, later=0, after=True, error=Killed)
def test_erased_at_one_moment_and_failed_at_a_later_one_the_next_try_shows_them_nowhere(back, later, after, error):
    one, at = World(people=FEW), CALLS - back
    with suppress(Killed, ServiceUnavailable):
        one.collect(fault=Both(Fault(at, meanwhile=lambda: one.erase(GONE)), Fault(at + later, after, error)))
    dataset = one.collect()
    assert traces(one) == [] and dataset.of_person(GONE) == []
    assert len(vectors_of(one.making(), dataset)) == sum(map(len, dataset.photos.values())), "a model can be made"


def test_vectors_of_who_is_found_by_a_later_try_go_also_when_another_network_is_in_use_by_then():
    one = World(people=FEW)
    with suppress(Killed):
        # Erased right before the choice is written down, killed right after the dataset is there.
        one.collect(fault=Both(Fault(CALLS - 79, meanwhile=lambda: one.erase(GONE)), Fault(CALLS - 4)))
    assert one.datasets.completed and len(traces(one)) > 1
    one.network.sha256 = "c" * 64
    one.collect()
    assert traces(one) == []


def test_who_is_erased_while_a_model_is_learned_is_not_in_it_after_another_try(world):
    dataset = world.collect()
    world.erase(GONE)
    with pytest.raises(PhotosErased):
        learn(world.making(), "run-1", dataset)
    _, version = world.make()
    assert version.version == "v1.0.0" and traces(world) == []


def test_a_try_that_was_killed_leaves_no_vector_of_who_was_erased_before_the_next():
    counted = Fault()
    World(people=60).collect(fault=counted)
    for back in range(6):
        one = World(people=60)
        with suppress(Killed):
            one.collect(fault=Fault(counted.calls - back))
        one.erase(GONE)
        one.collect()
        assert traces(one) == [], back


def test_killed_anywhere_and_run_again_nothing_is_left():
    counted = Fault()
    first = World(people=60)
    first.collect()
    first.erase(GONE, counted)
    for at in range(1, counted.calls + 1):
        for after in (False, True):
            one = World(people=60)
            one.collect()
            with suppress(Killed):
                one.erase(GONE, Fault(at, after))
            one.erase(GONE)
            assert traces(one) == []
            assert one.datasets.get("DS-2026-001").sha256 == collected(one.making(), "run-1").sha256


def test_servers_that_are_away_are_asked_again_and_all_else_is_done(world):
    world.collect()
    world.fleet.down = {"replica-1", "replica-2"}
    with pytest.raises(ServiceUnavailable, match="the person may still be recognised"):
        world.erase(GONE)
    assert traces(world) == [GONE]
    world.fleet.down.clear()
    world.erase(GONE)
    assert traces(world) == []


def test_servers_without_a_gallery_are_told_to_people(world):
    world.fleet.enrolled = None
    assert "no gallery" in world.erase(GONE).left[0]


@pytest.mark.parametrize(("name", "by"), [(" ", By("kim", "why", "r")), (GONE, By("", "why", "r"))])
def test_an_erasure_is_of_somebody_and_by_somebody(world, name, by):
    with pytest.raises(GiveUp):
        erase_person(None, name, by)
