"""What the pipeline says of a deployment that ended, and to whom."""

from types import SimpleNamespace

import pytest

from pipeline.bootstrap import Pipeline
from pipeline.domain.errors import ServiceUnavailable
from pipeline.domain.models import ModelType
from tests.fakes.events import FakeDeadLetters, FakePublisher
from tests.unit.pipeline.steps.live_world import World


class Desk:
    def __init__(self):
        self.world = World().live("first")
        self.publisher, self.letters = FakePublisher(), FakeDeadLetters()
        w = self.world
        wiring = SimpleNamespace(
            versions=w.versions,
            transitions=w.transitions,
            fleet=w.fleet,
            outbox=w.outbox,
            clock=w.clock,
            event_publisher=self.publisher,
            dead_letters=self.letters,
        )
        self.pipeline = Pipeline(wiring)
        self.pipeline.__dict__["_live"] = SimpleNamespace(accuracy_policy=None, metrics=w.metrics, readings=w.readings)

    def told(self):
        return [notice["subject"] for notice in self.pipeline.untold()]


@pytest.fixture
def desk():
    return Desk()


def test_a_run_whose_model_serves_was_deployed(desk):
    assert desk.pipeline.conclude_deployment("first") == "deployed"


def test_a_run_without_a_version_failed(desk):
    assert desk.pipeline.conclude_deployment("none") == "failed"


def test_nothing_stays_on_trial_of_a_run_that_ended(desk):
    desk.world.start(desk.world.candidate("second"))
    assert desk.pipeline.conclude_deployment("second") == "canary aborted"
    assert desk.world.trial() is None


def test_a_swap_that_failed_is_urgent_and_told_once(desk):
    version = desk.world.candidate("second")
    for _ in range(2):
        desk.pipeline.announce_failed_swap("LAUNDRY", version, "run-1", "replica-2 refused")
    assert [e.type for e in desk.publisher.published].count("HotSwapFailedEvent") == 1
    assert desk.told()[-1] == "URGENT: LAUNDRY v1.1.0 could not go live"


def test_an_aborted_canary_is_not_a_failed_swap_too(desk):
    desk.world.start(desk.world.candidate("second"))
    desk.world.abort("v1.1.0")
    desk.pipeline.announce_failed_swap("LAUNDRY", "v1.1.0", "run-1", "the canary was aborted")
    assert "HotSwapFailedEvent" not in [e.type for e in desk.publisher.published]


def test_what_was_told_is_told_no_more_and_what_nobody_waits_for_is_not_told(desk):
    desk.world.start(desk.world.candidate("second"))
    assert desk.told() == ["LAUNDRY v1.0.0 is live"]
    desk.pipeline.told([notice["id"] for notice in desk.pipeline.untold()])
    assert desk.told() == []


def test_waiting_dead_letters_are_told_once_a_day(desk):
    desk.letters.queue.dead = [("a message", "body is not JSON")] * 3
    for _ in range(3):
        desk.pipeline._announce_dead_letters()
    assert desk.told()[-1] == "3 dead letters wait"
    assert desk.told().count("3 dead letters wait") == 1


def test_a_broker_out_of_reach_keeps_nothing_from_happening(desk, caplog):
    def away(*args):
        raise ServiceUnavailable("RabbitMQ", "connection refused")

    desk.publisher.publish = desk.letters.waiting = away
    desk.pipeline._announce_dead_letters()
    desk.pipeline.announce_failed_swap("LAUNDRY", "v1.1.0", "run-1", "replica-2 refused")
    assert desk.world.outbox.pending()[-1].type == "HotSwapFailedEvent"
    assert "stay in the outbox" in caplog.text


def test_the_history_has_canaries_and_freezes_between_the_champions(desk):
    desk.world.start(desk.world.candidate("second"))
    desk.world.abort("v1.1.0")
    rows = desk.pipeline.history(ModelType.LAUNDRY)
    assert [(row["kind"], row["version"]) for row in rows] == [
        ("promote", "v1.0.0"),
        ("canary_start", "v1.1.0"),
        ("canary_abort", "v1.1.0"),
    ]
