"""Every confirmation is stored once, whatever happens on the way."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.domain.errors import ServiceUnavailable
from pipeline.ports.events import Message
from pipeline.ports.intake import Intake
from pipeline.steps.accumulate import BATCH_SIZE, accumulate, waiting
from tests.builders import BUCKETS, event_body, face_body
from tests.fakes.events import FakeClock, FakeConfirmations, FakeQueue
from tests.fakes.faces import FakeFaceConfirmations
from tests.fakes.faults import Fault, Killed, every_fault, unavailable

NO_FAULT = Fault()


class World:
    def __init__(self):
        self.queue, self.confirmations, self.faces = FakeQueue(), FakeConfirmations(), FakeFaceConfirmations()

    def intake(self):
        return Intake(self.queue, self.confirmations, self.faces, FakeClock(), BUCKETS)

    def drain(self, fault=NO_FAULT, limit=1000):
        intake = self.intake()
        return accumulate(fault.on_ports(intake, but=("clock",)), limit=limit)


def stored(world):
    return sorted(event.task_id for event in world.confirmations.stored.values())


def three_good_one_bad_one_duplicate():
    world = World()
    for number in (1, 2, 3, 3):
        world.queue.send(event_body(taskId=f"TASK-{number}"))
    world.queue.send(b"not json", "garbage")
    return world


def test_events_are_stored_once_and_garbage_is_dead_lettered_with_its_reason():
    world = three_good_one_bad_one_duplicate()
    intake = world.drain()
    assert (intake.received, intake.new, intake.duplicates, intake.dead_lettered) == (5, 3, 1, 1)
    assert world.queue.depth() == 0
    assert [(m.message_id, reason.split(":")[0]) for m, reason in world.queue.dead] == [("garbage", "body is not JSON")]


def test_what_waits_is_counted_only_when_it_could_be_stored():
    world = World()
    intake = world.intake()
    world.confirmations.away = True
    assert waiting(intake) == 0
    world.queue.send(event_body(), "first")
    with pytest.raises(ServiceUnavailable):
        waiting(intake)
    world.confirmations.away = False
    assert waiting(intake) == 1 and world.queue.depth() == 1


def test_the_order_of_arrival_does_not_matter():
    world = World()
    world.queue.send(event_body(timestamp="2026-05-04T11:00:00Z"), "later")
    world.queue.send(event_body(timestamp="2026-05-04T10:00:00Z"), "earlier")
    assert world.drain().new == 2


def test_no_more_than_the_limit_is_taken_and_the_rest_waits():
    world = World()
    for number in range(7):
        world.queue.send(event_body(taskId=f"TASK-{number}"), f"message-{number}")
    assert world.drain(limit=5).received == 5
    assert world.queue.depth() == 2


def test_while_the_database_is_down_nothing_is_acknowledged():
    world = three_good_one_bad_one_duplicate()
    with pytest.raises(ServiceUnavailable):
        world.drain(Fault(at=4, error=unavailable("the mlops database")))
    assert world.queue.depth() == 5
    assert all(m.redelivered for m in world.queue.waiting)


@pytest.mark.parametrize("fault", every_fault(lambda fault: three_good_one_bad_one_duplicate().drain(fault)), ids=str)
def test_killed_at_any_call_the_next_drain_completes_the_work(fault):
    world = three_good_one_bad_one_duplicate()
    with pytest.raises(Killed):
        world.drain(fault)
    # What was not acknowledged is redelivered, so the second drain sees it; what was, is in the database.
    world.drain()
    assert stored(world) == ["TASK-1", "TASK-2", "TASK-3"]
    assert world.queue.depth() == 0
    assert {m.message_id for m, _ in world.queue.dead} == {"garbage"}


def test_while_nothing_could_be_stored_no_message_is_touched():
    world = three_good_one_bad_one_duplicate()
    world.confirmations.away = True
    with pytest.raises(ServiceUnavailable):
        world.drain()
    assert (world.queue.depth(), any(m.redelivered for m in world.queue.waiting)) == (5, False)


@given(st.sets(st.integers(0, 40)), st.sampled_from([ValueError, TypeError, RecursionError, MemoryError]))
def test_a_message_that_cannot_be_stored_stops_no_other(bad, error):
    world, names = World(), [f"TASK-{number:02d}" for number in range(41)]
    world.confirmations.refuses = {names[number]: error("a value of it") for number in bad}
    for name in names:
        world.queue.send(event_body(taskId=name))
    counts = world.drain()
    assert stored(world) == [name for number, name in enumerate(names) if number not in bad]
    assert (counts.new, counts.dead_lettered, world.queue.depth()) == (41 - len(bad), len(bad), 0)
    assert {reason for _, reason in world.queue.dead} <= {f"it cannot be stored: {error.__name__} a value of it"}


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from([None, "m-1", "m-2"])), max_size=12))
@example([(1, "m-1"), (2, "m-1")])
@example([(1, "m-1"), (1, "m-2")])
def test_a_confirmation_is_what_it_says_and_never_the_message_it_comes_in(sent):
    world = World()
    for number, message_id in sent:
        world.queue.send(event_body(taskId=f"TASK-{number}"), message_id)
    counts = world.drain()
    assert stored(world) == sorted({f"TASK-{number}" for number, _ in sent})
    assert counts.new + counts.duplicates == len(sent)


def test_what_no_path_takes_stays_and_the_others_go_on():
    world = three_good_one_bad_one_duplicate()
    world.queue.refused_letters = {b"not json"}
    counts = world.drain()
    assert (stored(world), counts.parked, counts.dead_lettered) == (["TASK-1", "TASK-2", "TASK-3"], 1, 0)
    assert [message.body for message in world.queue.waiting] == [b"not json"]


def test_a_message_whose_headers_nobody_can_read_is_dead_lettered_with_the_reason():
    world = World()
    world.queue.waiting.append(Message(event_body(), None, 0, unreadable="year 10000", properties=b"raw"))
    assert world.drain().dead_lettered == 1
    assert [reason for _, reason in world.queue.dead] == [
        "its AMQP headers cannot be read: year 10000; requeued, it comes without them"
    ]


def test_several_batches_are_counted_together():
    world = World()
    for number in range(BATCH_SIZE + 1):
        world.queue.send(event_body(taskId=f"TASK-{number}"), f"message-{number}")
    assert world.drain().new == BATCH_SIZE + 1
    assert world.queue.depth() == 0


# Confirmations about faces


LAUNDRY = st.builds(lambda n, c: event_body(taskId=f"T-{n}", **RIGHT_OR_WRONG[c]), st.integers(0, 4), st.booleans())
FACES = st.builds(
    lambda n, word, name: face_body(taskId=f"T-{n}", finalResult=word, corrected=word == "different", identity=name),
    st.integers(0, 4),
    st.sampled_from(["same", "different"]),
    st.just("kim"),
)
# Also those that are no confirmation of either.
NEITHER = st.sampled_from([face_body(finalResult="양호"), event_body(finalResult="same"), face_body(modelType="DOG")])
RIGHT_OR_WRONG = [{"finalResult": "불량", "corrected": False}, {"finalResult": "양호", "corrected": True}]


def drained(bodies):
    world = World()
    for body in bodies:
        world.queue.send(body)
    return world, world.drain()


@given(st.lists(LAUNDRY | FACES | NEITHER, max_size=20))
def test_what_is_kept_of_laundry_is_the_same_whatever_comes_about_faces_between(bodies):
    """Also of tasks and checks of one id, in any order."""
    of_faces = [b"FACE" in body for body in bodies]
    together, counts = drained(bodies)
    laundry, alone = drained([body for body, of_face in zip(bodies, of_faces, strict=True) if not of_face])
    assert together.confirmations.stored == laundry.confirmations.stored
    assert (counts.new, counts.duplicates) == (alone.new, alone.duplicates)
    faces, of_faces_alone = drained([body for body, of_face in zip(bodies, of_faces, strict=True) if of_face])
    assert together.faces.stored == faces.faces.stored and laundry.faces.stored == {}
    assert counts.faces == of_faces_alone.faces
    assert counts.received == len(bodies) == counts.new + counts.duplicates + counts.faces + counts.dead_lettered


def some_of_both():
    world = World()
    for number in (1, 2, 2):
        world.queue.send(event_body(taskId=f"TASK-{number}"))
        world.queue.send(face_body(taskId=f"CHECK-{number}"))
    world.queue.send(face_body(identity=...), "garbage")
    return world


@pytest.mark.parametrize("fault", every_fault(lambda fault: some_of_both().drain(fault)), ids=str)
def test_killed_at_any_call_words_on_faces_and_on_laundry_are_kept_once_by_the_next_drain(fault):
    world = some_of_both()
    with pytest.raises(Killed):
        world.drain(fault)
    world.drain()
    assert stored(world) == ["TASK-1", "TASK-2"]
    assert sorted(one.check_id for one in world.faces.stored.values()) == ["CHECK-1", "CHECK-2"]
    assert world.queue.depth() == 0 and {m.message_id for m, _ in world.queue.dead} == {"garbage"}


def test_a_word_on_a_face_that_cannot_be_stored_stops_no_other():
    world = some_of_both()
    world.faces.refuses = {"CHECK-1": ValueError("a value of it")}
    counts = world.drain()
    assert (stored(world), counts.new, counts.faces, counts.dead_lettered) == (["TASK-1", "TASK-2"], 2, 2, 2)
