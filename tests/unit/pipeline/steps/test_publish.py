"""What was committed is published at least once."""

import re
from pathlib import Path

import pytest

import pipeline
from pipeline.domain.errors import NotTaken, ServiceRefused, ServiceTooSlow, ServiceUnavailable
from pipeline.domain.outgoing_events import OutgoingEvent
from pipeline.steps.publish import publish, publish_soon
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


class Away:
    """A broker that does not take what it is given."""

    def __init__(self, error):
        self.error = error

    def publish(self, event):
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        ServiceUnavailable("RabbitMQ", "connection refused"),
        ServiceTooSlow("RabbitMQ", "blocked"),
        ServiceRefused("RabbitMQ", "no right to write"),
        NotTaken("too large"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_is_published_soon_ends_well_whatever_the_broker_says_and_waits(error):
    world = World()
    publish_soon(outbox=world.outbox, publisher=Away(error))
    assert len(world.outbox.pending()) == 2


def test_no_step_publishes_in_another_way():
    """What is in the outbox is kept: a broker that is away fails nothing that happened before. A person, or a task that
    does nothing else, may ask for it and hear of a failure.
    """
    sources = Path(pipeline.__file__).parent.rglob("*.py")
    found = {path.name for path in sources if re.search(r"\bpublish\(\s*outbox", path.read_text())}
    assert found == {"publish.py", "live.py"}
