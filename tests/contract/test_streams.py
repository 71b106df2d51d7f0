"""The fake and the real adapter of queue and objects, through the same cases."""

import pika
import pytest

from pipeline.adapters.rabbitmq import RabbitEventQueue, declare_task_topology
from pipeline.adapters.s3 import S3ObjectStore
from pipeline.domain.errors import ServiceUnavailable
from tests.fakes.data import FakeObjects
from tests.fakes.events import FakeQueue

REAL = pytest.param("real", marks=pytest.mark.integration)
EXCHANGE, QUEUE = "task.events", "mlops.task-confirmed"


class RealQueue(RabbitEventQueue):
    """With a way to send, and to see the dead letters."""

    def __init__(self, url):
        super().__init__(url, exchange=EXCHANGE, queue=QUEUE)
        self._connection = pika.BlockingConnection(pika.URLParameters(url))
        self._sender = self._connection.channel()
        self._sender.confirm_delivery()
        declare_task_topology(self._sender, EXCHANGE, QUEUE)

    def send(self, body, message_id=None):
        properties = pika.BasicProperties(message_id=message_id, delivery_mode=2)
        self._sender.basic_publish(EXCHANGE, "TaskConfirmedEvent", body, properties)

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
