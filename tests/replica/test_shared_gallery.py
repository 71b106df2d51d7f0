"""Several replicas, one gallery: who is enrolled or withdrawn at one of them is so at all of them."""

import threading
from contextlib import ExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceserve.errors import StorageUnavailable
from include.contract.lifecycle_client import FaceserveError
from tests.replica.world import replica
from tests.tiny_model import FolderSource, coloured_photo
from tests.waiting import until

PEOPLE = {
    "kim": coloured_photo(250, 20, 20),
    "lee": coloured_photo(20, 250, 20),
    "park": coloured_photo(20, 20, 250),
}
COUNT = 3


class Link:
    """One replica's way to the store, which may be `cut`."""

    def __init__(self, source):
        self._source = source
        self.cut = False

    def __getattr__(self, name):
        if self.cut:
            raise StorageUnavailable("S3: timed out")
        return getattr(self._source, name)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    source = FolderSource()
    with ExitStack() as stack:
        made = [
            stack.enter_context(
                replica(tmp_path_factory.mktemp("state"), Link(source), gallery_uri="s3://faces/", replica=f"r-{n}")
            )
            for n in range(COUNT)
        ]
        for one in made:
            one.serve("v1.0.0", "face")
        yield made


def named(world, photo):
    """Everybody that a replica compares a photo with."""
    return {match.identity for match in world.client.compare("face", photo, count=10)}


def test_who_is_enrolled_at_one_replica_is_known_to_all(fleet):
    fleet[0].lifecycle.enroll("face", "kim", PEOPLE["kim"])
    for one in fleet:
        until(lambda one=one: "kim" in named(one, PEOPLE["kim"]), "every replica to know who was enrolled")


@settings(max_examples=4, deadline=None, derandomize=True)
@given(
    acts=st.lists(
        st.tuples(st.sampled_from(["enroll", "withdraw"]), st.sampled_from(sorted(PEOPLE)), st.integers(0, COUNT - 1)),
        max_size=6,
    )
)
def test_whoever_changes_what_and_where_nobody_names_a_person_who_withdrew(fleet, acts):
    enrolled = named(fleet[0], PEOPLE["kim"])
    for act, person, at in acts:
        if act == "enroll":
            fleet[at].lifecycle.enroll("face", person, PEOPLE[person])
            enrolled = enrolled | {person}
            assert person in named(fleet[at], PEOPLE[person])
        else:
            fleet[at].lifecycle.withdraw("face", person)
            enrolled = enrolled - {person}
            assert not any(person in named(one, PEOPLE[person]) for one in fleet)
    for one in fleet:
        until(lambda one=one: named(one, PEOPLE["kim"]) == enrolled, "all replicas to know the same people")


def test_while_photos_are_compared_all_the_time_nobody_is_named_after_the_withdrawal(fleet):
    fleet[0].lifecycle.enroll("face", "kim", PEOPLE["kim"])
    withdrawn, late, stop = threading.Event(), [], threading.Event()

    def ask(one):
        while not stop.is_set():
            before = withdrawn.is_set()
            if "kim" in named(one, PEOPLE["kim"]) and before:
                late.append(one.address)

    askers = [threading.Thread(target=ask, args=(one,)) for one in fleet]
    for asker in askers:
        asker.start()
    fleet[1].lifecycle.withdraw("face", "kim")
    withdrawn.set()
    assert not any("kim" in named(one, PEOPLE["kim"]) for one in fleet for _ in range(5))
    stop.set()
    for asker in askers:
        asker.join()
    assert late == []


def test_a_replica_that_cannot_see_the_gallery_names_nobody_rather_than_somebody_who_withdrew(fleet):
    cut = fleet[2]
    fleet[0].lifecycle.enroll("face", "kim", PEOPLE["kim"])
    until(lambda: "kim" in named(cut, PEOPLE["kim"]), "the replica to know who was enrolled")
    cut.source.cut = True
    try:
        fleet[0].lifecycle.withdraw("face", "kim")
        with pytest.raises(FaceserveError, match="the gallery could not be read yet") as caught:
            named(cut, PEOPLE["kim"])
        assert caught.value.code == "UNAVAILABLE"
        assert cut.client.classify("face", PEOPLE["kim"]).model_version == "v1.0.0"
    finally:
        cut.source.cut = False
    assert "kim" not in named(cut, PEOPLE["kim"])


def test_a_candidate_that_was_prepared_before_knows_who_withdrew_elsewhere(fleet):
    fleet[0].lifecycle.enroll("face", "kim", PEOPLE["kim"])
    fleet[1].prepare("v1.1.0", "face", turn=1)
    fleet[0].lifecycle.withdraw("face", "kim")
    fleet[1].lifecycle.activate("face", "v1.1.0")
    assert "kim" not in named(fleet[1], PEOPLE["kim"])


def test_a_photo_that_somebody_deleted_by_hand_is_forgotten_soon(fleet, monkeypatch):
    fleet[0].lifecycle.enroll("face", "kim", PEOPLE["kim"])
    monkeypatch.setattr("faceserve.faces.enrolment._LISTED_SECONDS", 0.0)
    fleet[0].source.delete("s3://faces/face/kim")
    until(lambda: "kim" not in named(fleet[0], PEOPLE["kim"]), "the photo to be missed")


def test_while_everybody_is_listed_for_long_people_come_and_go_and_are_compared(fleet, monkeypatch):
    one, other = fleet[:2]
    lists, go_on, plain = threading.Event(), threading.Event(), one.source.marks

    def marks(prefix):
        lists.set()
        assert go_on.wait(120)
        return plain(prefix)

    monkeypatch.setattr(one.source._source, "marks", marks)
    monkeypatch.setattr("faceserve.faces.enrolment._LISTED_SECONDS", 0.0)
    try:
        assert lists.wait(60)
        other.lifecycle.enroll("face", "new", PEOPLE["kim"])
        until(lambda: "new" in named(one, PEOPLE["kim"]), "the replica that lists to know who came")
        other.lifecycle.withdraw("face", "new")
        assert not any("new" in named(each, PEOPLE["kim"]) for each in fleet)
    finally:
        go_on.set()
    assert "new" not in named(one, PEOPLE["kim"])


def test_too_many_that_withdraw_at_once_are_told_so_and_the_rest_goes_on(fleet):
    answers = []

    def withdraw(number):
        try:
            answers.append(fleet[0].lifecycle.withdraw("face", f"stranger-{number}"))
        except FaceserveError as error:
            answers.append(error.code)

    threads = [threading.Thread(target=withdraw, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    assert fleet[0].lifecycle.status("face").version == "v1.0.0"
    for thread in threads:
        thread.join()
    assert "RESOURCE_EXHAUSTED" in answers and any(isinstance(one, int) for one in answers)


def test_a_listing_that_fails_is_told_once_and_waits_for_its_next_turn(fleet, monkeypatch, caplog):
    listed, away = [], threading.Event()

    def marks(prefix):
        if prefix == "s3://faces/face/":
            listed.append(prefix)
            away.set()
            raise StorageUnavailable("S3: timed out")
        return plain(prefix)

    enrolment, plain = fleet[0].server._enrolment, fleet[0].source.marks
    monkeypatch.setitem(vars(fleet[0].source), "marks", marks)
    enrolment._listed["face"] = (-1e9, 0.0)
    assert away.wait(60)
    until(lambda: enrolment._listed["face"][0] > 0, "the listing to end")
    for _ in range(3):
        enrolment.list_again("face")
    assert len(listed) == 1 and caplog.text.count("what was done by hand") == 1
