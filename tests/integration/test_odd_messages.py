"""Any message between good ones is stored, or dead-lettered with its reason, and the queue drains."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.adapters.clock import SystemClock
from pipeline.adapters.confirmation_table import ConfirmationTable
from pipeline.adapters.dead_letters import RabbitDeadLetters
from pipeline.adapters.face_confirmation_table import FaceConfirmationTable
from pipeline.adapters.rabbitmq import RabbitEventQueue
from pipeline.ports.intake import Intake
from pipeline.steps.accumulate import Counts, accumulate
from tests.broker import DEAD, EXCHANGE, QUEUE, Broker
from tests.builders import BUCKETS, event_body
from tests.corpus.fuzz import BODIES, PROPERTIES, drawn
from tests.corpus.messages import messages
from tests.waiting import until

pytestmark = pytest.mark.integration


@pytest.fixture
def broker(services):
    return Broker(services)


@pytest.fixture
def letters(broker):
    return RabbitDeadLetters(broker.url, exchange=EXCHANGE, queue=QUEUE)


def drained(services, broker) -> Counts:
    queue = RabbitEventQueue(broker.url, exchange=EXCHANGE, queue=QUEUE)
    tables = ConfirmationTable(services.mlops), FaceConfirmationTable(services.mlops)
    return accumulate(Intake(queue, *tables, SystemClock(), BUCKETS), limit=10_000)


def stored(services):
    with services.mlops.transaction() as cursor:
        cursor.execute("SELECT task_id FROM task_confirmations ORDER BY task_id")
        return [task_id for (task_id,) in cursor.fetchall()]


def good(number):
    return event_body(taskId=f"good-{number:04d}"), b"\0\0"


def test_every_message_of_the_corpus_comes_to_its_end_between_good_ones(services, broker, letters):
    odd = dict(messages())
    sent = [one for number, entry in enumerate(odd.values()) for one in (good(number), (entry.body, entry.properties))]
    assert broker.send(*sent, good(len(odd))) == 2 * len(odd) + 1
    counts = drained(services, broker)
    neighbours = [f"good-{number:04d}" for number in range(len(odd) + 1)]
    kept = [entry.task_id for entry in odd.values() if entry.because is None]
    assert stored(services) == sorted(neighbours + kept)
    refused = {entry.body: entry.because for entry in odd.values() if entry.because is not None}
    reasons = {letter.body: letter.reason for letter in letters.all()}
    assert reasons.keys() == refused.keys()
    assert [reason for body, reason in reasons.items() if refused[body] not in reason] == []
    assert (counts.dead_lettered, counts.parked, broker.waiting()) == (len(refused), 0, 0)
    until(lambda: {letter.body for letter in letters.all()} == refused.keys(), "the letters to be back")


def test_an_unreadable_message_can_be_looked_at_and_put_back_without_its_headers_or_thrown_away(
    services, broker, letters
):
    odd = dict(messages())
    good_body, no_json = odd["year-10000"], odd["headers-of-5000-levels-and-no-json"]
    broker.send((good_body.body, good_body.properties), (no_json.body, no_json.properties))
    assert drained(services, broker).dead_lettered == 2
    first, second = letters.all()
    assert first.headers.startswith("{'x-unreadable': b'")
    letters.requeue(first.id)
    assert drained(services, broker).new == 1
    letters.discard(second.id)
    assert letters.all() == []


def test_an_unreadable_message_that_the_broker_gave_up_can_be_looked_at_again_and_again(services, broker, letters):
    odd = dict(messages())["year-10000"]
    with broker.policy(f"^{QUEUE}$", '{"delivery-limit": 0}'):
        broker.send((odd.body, odd.properties), good(1))
        batches = RabbitEventQueue(broker.url, exchange=EXCHANGE, queue=QUEUE).batches(max_messages=2, batch_size=2)
        assert len(next(batches)) == 2
        batches.close()
        until(lambda: broker.waiting(DEAD) == 2, "the broker to give them up")
    for _ in range(3):
        until(lambda: len(letters.all()) == 2, "the letters to be back")
    reasons = {letter.body: letter.reason for letter in letters.all()}
    assert "headers cannot be read" in reasons[odd.body]
    assert reasons[good(1)[0]] == "given up by the broker: delivery_limit"
    for letter in letters.all():
        letters.requeue(letter.id)
    assert drained(services, broker).new == 2


# A drain takes a second whatever it takes: each case is many messages at once.
@drawn(3)
@given(odd=st.lists(st.tuples(BODIES, PROPERTIES), min_size=20, max_size=60))
def test_any_message_between_good_ones_is_stored_or_dead_lettered_and_the_queue_drains(running_services, odd):
    running_services.empty()
    broker = Broker(running_services)
    letters = RabbitDeadLetters(broker.url, exchange=EXCHANGE, queue=QUEUE)
    taken = broker.send(*(one for number, message in enumerate(odd) for one in (good(number), message)))
    counts = drained(running_services, broker)
    assert (counts.received, counts.parked, broker.waiting()) == (taken, 0, 0)
    assert {f"good-{number:04d}" for number in range(len(odd))} <= set(stored(running_services))
    assert len(letters.all()) == counts.dead_lettered
