"""The fake and the real adapter of queue and objects, through the same cases."""

import dataclasses

import pika
import pytest

from include.contract.task_queue import declare_task_topology
from pipeline.adapters.dead_letters import RabbitDeadLetters
from pipeline.adapters.rabbitmq import RabbitEventQueue
from pipeline.adapters.s3 import S3ObjectStore
from pipeline.domain.errors import GiveUp, ServiceUnavailable
from tests.fakes.data import FakeObjects
from tests.fakes.events import FakeDeadLetters, FakeQueue
from tests.waiting import until

REAL = pytest.param("real", marks=pytest.mark.integration)
EXCHANGE, QUEUE = "task.events", "mlops.task-confirmed"


class RealQueue(RabbitEventQueue):
    """With a way to send, and to see the dead letters."""

    def __init__(self, url):
        super().__init__(url, exchange=EXCHANGE, queue=QUEUE)
        self._address = url
        self._connection = pika.BlockingConnection(pika.URLParameters(url))
        self._sender = self._connection.channel()
        self._sender.confirm_delivery()
        declare_task_topology(self._sender, EXCHANGE, QUEUE)

    def send(self, body, message_id=None, traceparent=None):
        headers = {"traceparent": traceparent} if traceparent else None
        properties = pika.BasicProperties(message_id=message_id, delivery_mode=2, headers=headers)
        self._sender.basic_publish(EXCHANGE, "TaskConfirmedEvent", body, properties)

    def letters(self):
        return RabbitDeadLetters(self._address, exchange=EXCHANGE, queue=QUEUE)

    def close(self):
        self._connection.close()


@pytest.fixture(params=["fake", REAL])
def queue(request):
    if request.param == "fake":
        yield FakeQueue()
        return
    real = RealQueue(request.getfixturevalue("services").stack.amqp_url)
    yield real
    real.close()


@pytest.fixture
def letters(queue):
    """Two dead letters of `queue`."""
    queue.send(b"not json", "first")
    queue.send(b"\xff\xfe", None)
    for batch in queue.batches(max_messages=2, batch_size=2):
        for message, reason in zip(batch, ("not JSON", "not UTF-8"), strict=True):
            queue.dead_letter(message, reason)
        queue.acknowledge(batch)
    return FakeDeadLetters(queue) if isinstance(queue, FakeQueue) else queue.letters()


@pytest.fixture(params=["fake", REAL])
def objects(request):
    if request.param == "fake":
        return FakeObjects()
    return S3ObjectStore(endpoint=request.getfixturevalue("services").stack.s3_endpoint)


def test_batches_have_the_order_of_arrival_and_stop_at_the_limit(queue):
    for number in range(5):
        queue.send(f"{number}".encode(), f"message-{number}")
    taken = []
    for batch in queue.batches(max_messages=4, batch_size=3):
        taken.append([m.message_id for m in batch])
        queue.acknowledge(batch)
    assert taken == [["message-0", "message-1", "message-2"], ["message-3"]]
    assert queue.depth() == 1


def test_what_was_not_acknowledged_comes_again_marked_as_redelivered(queue):
    for number in range(4):
        queue.send(f"{number}".encode())
    batches = queue.batches(max_messages=10, batch_size=2)
    queue.acknowledge(next(batches))
    next(batches)
    batches.close()
    (again,) = queue.batches(max_messages=10, batch_size=10)
    assert [(m.body, m.redelivered) for m in again] == [(b"2", True), (b"3", True)]


def test_a_tag_ends_with_its_channel(queue):
    queue.send(b"late")
    (batch,) = queue.batches(max_messages=1, batch_size=1)
    with pytest.raises(ServiceUnavailable, match="no batch is being read"):
        queue.acknowledge(batch)


def test_an_empty_queue_gives_no_batch(queue):
    assert list(queue.batches(max_messages=10, batch_size=10)) == []


def test_looking_at_dead_letters_leaves_them_where_they_are(letters):
    first, again = letters.all(), letters.all()
    assert first == again
    assert [(d.message_id, d.reason, d.body) for d in first] == [
        ("first", "not JSON", b"not json"),
        (None, "not UTF-8", b"\xff\xfe"),
    ]


def test_of_many_letters_some_are_looked_at_and_each_stays_whole(letters):
    every = set(letters.all())
    for _ in range(4):
        (seen,) = letters.oldest(1)
        assert seen in every
    assert (set(letters.all()), letters.waiting()) == (every, 2)


def test_a_letter_keeps_the_headers_that_nobody_can_read(queue, letters):
    queue.send(b"third", None)
    for batch in queue.batches(max_messages=1, batch_size=1):
        queue.dead_letter(dataclasses.replace(batch[0], unreadable="year 10000", properties=b"\0raw\xff"), "why")
        queue.acknowledge(batch)
    assert [letter.headers for letter in letters.all()] == ["", "", r"{'x-unreadable': b'\x00raw\xff'}"]


def test_only_what_is_acknowledged_leaves_the_queue(queue):
    for number in range(4):
        queue.send(f"{number}".encode())
    for batch in queue.batches(max_messages=4, batch_size=2):
        queue.acknowledge(batch[1:])
    until(lambda: queue.depth() == 2, "the others to be back")
    (again,) = queue.batches(max_messages=10, batch_size=10)
    assert [message.body for message in again] == [b"0", b"2"]


def test_a_requeued_letter_is_back_in_the_queue_with_its_id(queue, letters):
    letters.requeue(letters.all()[0].id)
    ((message,),) = queue.batches(max_messages=5, batch_size=5)
    assert (message.body, message.message_id) == (b"not json", "first")
    assert [d.reason for d in letters.all()] == ["not UTF-8"]


def test_a_letter_that_is_put_back_is_part_of_the_same_trace_however_often_it_was_looked_at(queue, letters):
    traceparent = f"00-{'a' * 32}-{'b' * 16}-01"
    queue.send(b"traced", "third", traceparent)
    for batch in queue.batches(max_messages=1, batch_size=1):
        queue.dead_letter(batch[0], "why")
        queue.acknowledge(batch)
    for _ in range(3):
        traced = letters.all()[-1]
    assert traced.headers == repr({"traceparent": traceparent})
    letters.requeue(traced.id)
    ((message,),) = queue.batches(max_messages=5, batch_size=5)
    assert (message.body, message.message_id, message.traceparent) == (b"traced", "third", traceparent)


def test_a_discarded_letter_is_gone_and_the_others_stay(queue, letters):
    letters.discard(letters.all()[1].id)
    assert [d.message_id for d in letters.all()] == ["first"]
    assert queue.depth() == 0


def test_an_unknown_letter_is_refused_and_nothing_changes(letters):
    for attempt in (letters.requeue, letters.discard):
        with pytest.raises(GiveUp, match="no dead letter 'nonsense'"):
            attempt("nonsense")
    assert len(letters.all()) == 2


def test_an_object_is_read_as_written_and_overwritten_whole(objects):
    objects.write("s3://datasets/DS-1/a.bin", b"long first version")
    objects.write("s3://datasets/DS-1/a.bin", b"short")
    assert objects.read("s3://datasets/DS-1/a.bin") == b"short"
    assert objects.exists("s3://datasets/DS-1/a.bin")


def test_an_object_that_is_not_there_is_a_key_error(objects):
    with pytest.raises(KeyError):
        objects.read("s3://datasets/none")
    assert not objects.exists("s3://datasets/none")


def test_zero_bytes_are_an_object_too(objects):
    objects.write("s3://datasets/empty", b"")
    assert objects.read("s3://datasets/empty") == b""
