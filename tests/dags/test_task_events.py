"""The trigger only looks, waits through outages, and survives a restart of the triggerer."""

import asyncio
from importlib import import_module

import pytest

from pipeline.bootstrap import Pipeline
from pipeline.domain.errors import ServiceUnavailable
from plugins.task_events.trigger import TaskEventsTrigger


class Queue:
    """Says each of `depths` in turn; an exception among them is raised."""

    def __init__(self, *depths):
        self.depths = list(depths)

    def event_queue_depth(self):
        depth = self.depths.pop(0)
        if isinstance(depth, Exception):
            raise depth
        return depth


@pytest.fixture
def fire(monkeypatch):
    def fire(*depths):
        queue = Queue(*depths)
        monkeypatch.setattr(Pipeline, "from_env", classmethod(lambda cls: queue))
        trigger = TaskEventsTrigger(poll_seconds=0.001, first_delay_seconds=0)
        event = asyncio.run(anext(trigger.run()))
        return event.payload, queue.depths

    return fire


def test_it_fires_when_the_first_message_waits(fire):
    assert fire(0, 0, 3) == ({"waiting": 3}, [])


def test_it_waits_while_the_broker_is_away(fire):
    away = ServiceUnavailable("RabbitMQ", "connection refused")
    assert fire(away, away, 0, 1) == ({"waiting": 1}, [])


def test_it_is_the_same_after_a_restart_of_the_triggerer():
    path, fields = TaskEventsTrigger(poll_seconds=7, first_delay_seconds=1).serialize()
    module, name = path.rsplit(".", 1)
    again = getattr(import_module(module), name)(**fields)
    assert again.serialize() == (path, fields)
