"""What people are told, once for each occasion, and of what they need not hear."""

import pytest

from pipeline.domain.errors import ModelRefused
from pipeline.domain.ledger import PREVIOUS, RollbackRequest
from pipeline.domain.outgoing_events import OutgoingEvent
from pipeline.ports.events import Message
from pipeline.steps.announce_dead_letters import announce_dead_letters
from pipeline.steps.announce_failed_rollback import announce_failed_rollback
from tests.fakes.events import FakeClock, FakeDeadLetters, FakeOutbox
from tests.fakes.faults import Fault, unavailable
from tests.unit.pipeline.steps.live_world import LAUNDRY, World, by

# Dead letters


def waiting(count):
    letters = FakeDeadLetters()
    letters.queue.dead += [(Message(b"not json", None, number), "body is not JSON") for number in range(count)]
    return letters


def test_dead_letters_are_told_once_a_day_with_their_number():
    outbox, clock = FakeOutbox(), FakeClock()
    for count in (3, 4):
        announce_dead_letters(waiting(count), outbox, clock)
    at = "2026-05-04T12:00:00.001Z"
    payload = {"eventType": "DeadLettersWaitingEvent", "count": 3, "at": at}
    assert outbox.pending() == [OutgoingEvent("dead-letters:2026-05-04", "DeadLettersWaitingEvent", payload)]


def test_no_dead_letters_or_a_broker_out_of_reach_are_no_news():
    outbox = FakeOutbox()
    for letters in (waiting(0), Fault(1, error=unavailable()).on(waiting(3))):
        announce_dead_letters(letters, outbox, FakeClock())
    assert outbox.pending() == []


# A rollback that came to nothing


def announce(world, target=PREVIOUS, request="request-1", judged=None):
    asked = RollbackRequest(target, world.clock.now(), judged)
    announce_failed_rollback(world.deployment(), LAUNDRY, asked, by(request, reason="no replica answers"))
    return [event for event in world.outbox.pending() if event.type == "RollbackFailedEvent"]


def test_a_rollback_that_nobody_finished_is_told_with_the_version_that_was_to_come_back():
    world = World().live("first", "second")
    (event,) = announce(world)
    assert event.id == f"rollback-failed:LAUNDRY:request-1:{world.ledger.position}"
    assert {name: value for name, value in event.payload.items() if name != "at"} == {
        "eventType": "RollbackFailedEvent",
        "modelType": "LAUNDRY",
        "modelVersion": "v1.0.0",
        "reason": "no replica answers",
    }


def test_the_same_failure_is_told_once_and_another_one_again():
    world = World().live("first", "second")
    announce(world)
    assert len(announce(world)) == 1
    world.fleet.refuses.add("v1.0.0")
    with pytest.raises(ModelRefused):
        world.roll_back(request="request-1")
    assert len(announce(world)) == 2


def test_a_rollback_that_did_serve_is_no_failure():
    world = World().live("first", "second")
    world.roll_back(request="request-1")
    assert announce(world) == []


def test_what_another_change_made_pointless_or_refused_to_the_person_who_asked_is_no_news():
    world = World().live("first", "second")
    assert announce(world, judged="v1.0.0") == []
    assert announce(world, target="v9.9.9") == []


def test_what_is_refused_to_the_monitor_nobody_has_read():
    world = World().live("first")
    (event,) = announce(world, judged="v1.0.0")
    assert event.payload["modelVersion"] == PREVIOUS
