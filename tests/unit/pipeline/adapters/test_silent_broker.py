"""A broker that stops answering, at whatever question: nobody waits for it without end."""

import pytest

from pipeline.adapters import amqp
from pipeline.adapters.dead_letters import RabbitDeadLetters
from pipeline.adapters.rabbitmq import RabbitEventPublisher, RabbitEventQueue
from pipeline.domain.errors import ServiceUnavailable
from pipeline.domain.outgoing_events import OutgoingEvent
from tests.silent_broker import silent_broker

NAMES = {"exchange": "task.events", "queue": "mlops.task-confirmed"}


def publish(url):
    RabbitEventPublisher(url, exchange="model.events").publish(OutgoingEvent("id", "HotSwapFailedEvent", {}))


def take_in(url):
    queue = RabbitEventQueue(url, **NAMES)
    for batch in queue.batches(max_messages=1, batch_size=1):
        queue.dead_letter(batch[0], "not JSON")
        queue.acknowledge(batch)


def requeue(url):
    letters = RabbitDeadLetters(url, **NAMES)
    letters.requeue(letters.all()[0].id)


USES = {
    "count messages": lambda url: RabbitEventQueue(url, **NAMES).depth(),
    "count dead letters": lambda url: RabbitDeadLetters(url, **NAMES).waiting(),
    "look at dead letters": lambda url: RabbitDeadLetters(url, **NAMES).all(),
    "requeue a letter": requeue,
    "publish": publish,
    "take a batch in": take_in,
}


GOODBYES = ("Basic.Cancel", "Channel.Close", "Connection.Close")


def questions(use):
    with silent_broker() as broker:
        use(broker.url)
    return broker.asked


def every_silence():
    """For each use, the first question of each name that gets no answer: further ones wait in the same way."""
    for name, use in USES.items():
        asked = questions(use)
        needed = [one for one in dict.fromkeys(asked) if one not in GOODBYES]
        yield from (pytest.param(use, asked.index(one), id=f"{name}: {one}") for one in needed)


@pytest.mark.parametrize(("use", "silent_from"), list(every_silence()))
def test_no_use_waits_for_an_answer_without_end(use, silent_from, monkeypatch):
    monkeypatch.setattr(amqp, "ANSWERS_WITHIN_SECONDS", 0.1)
    with silent_broker(silent_from) as broker, pytest.raises(ServiceUnavailable, match="no answer within|handshake"):
        use(broker.url)


def test_what_was_confirmed_is_done_though_nobody_says_goodbye(monkeypatch):
    monkeypatch.setattr(amqp, "ANSWERS_WITHIN_SECONDS", 4)
    asked = questions(publish)
    # The last one: the channel that asks whether the exchange is there is closed before.
    goodbye = len(asked) - 1 - asked[::-1].index("Channel.Close")
    with silent_broker(goodbye) as broker:
        publish(broker.url)
    assert "Basic.Publish" in broker.asked
