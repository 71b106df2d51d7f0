"""What was committed is published at least once."""

import pytest

from pipeline.domain.model_events import OutgoingEvent
from pipeline.steps.publish import publish
from tests.fakes.events import FakeOutbox, FakePublisher
from tests.fakes.faults import Fault, Killed, every_fault


class World:
    def __init__(self):
        self.outbox, self.publisher = FakeOutbox(), FakePublisher()
        for number in (1, 2):
            self.outbox.add(OutgoingEvent(f"event-{number}", "ModelDeployedEvent", {"modelVersion": f"v1.{number}.0"}))

    def publish(self, fault):
        return publish(outbox=fault.on(self.outbox), publisher=fault.on(self.publisher))


def test_pending_events_are_published_oldest_first_and_only_once():
    world = World()
    assert (world.publish(Fault()), world.publish(Fault())) == (2, 0)
    assert [e.id for e in world.publisher.published] == ["event-1", "event-2"]


@pytest.mark.parametrize("fault", every_fault(lambda fault: World().publish(fault)), ids=str)
def test_killed_at_any_call_no_event_is_lost(fault):
    world = World()
    with pytest.raises(Killed):
        world.publish(fault)
    world.publish(Fault())
    assert {e.id for e in world.publisher.published} == {"event-1", "event-2"}
    assert world.outbox.pending() == []
