"""Each account of RabbitMQ tries what it must not, and does what it is for."""

from contextlib import contextmanager

import pika
import pytest
from pika.exceptions import ChannelClosedByBroker, ProbableAccessDeniedError, ProbableAuthenticationError

from include.contract import work_queues
from include.stack.accounts import ACCOUNTS
from pipeline.adapters.dead_letters import RabbitDeadLetters
from pipeline.adapters.rabbitmq import RabbitEventPublisher, RabbitEventQueue
from pipeline.domain.outgoing_events import OutgoingEvent
from tests.builders import event_body

pytestmark = pytest.mark.integration

TASKS, MODELS, QUEUE = "task.events", "model.events", "mlops.task-confirmed"
DEAD, OF_HELPER = f"{QUEUE}.dead", "helper.model-changes"
WORK = work_queues.EXCHANGE
HOSTS = {account.name: account.virtual_host for account in ACCOUNTS}
REFUSED = 403


@pytest.fixture
def stack(services):
    # The queue is the pipeline's.
    RabbitEventQueue(services.stack.amqp_url_of("pipeline"), exchange=TASKS, queue=QUEUE).depth()
    yield services.stack
    with channel_of(services.stack.amqp_url) as channel:
        channel.queue_delete(OF_HELPER)


@contextmanager
def channel_of(url):
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        channel = connection.channel()
        channel.confirm_delivery()
        yield channel
    finally:
        if connection.is_open:
            connection.close()


def publish(exchange, key="TaskConfirmedEvent"):
    return lambda channel: channel.basic_publish(exchange, key, b"{}")


def read(queue):
    return lambda channel: channel.basic_get(queue)


def purge(queue):
    return lambda channel: channel.queue_purge(queue)


def delete(queue):
    return lambda channel: channel.queue_delete(queue)


def delete_exchange(exchange):
    return lambda channel: channel.exchange_delete(exchange)


def listen(exchange):
    """To everything, with a queue of its own that goes with the connection."""

    def bind(channel):
        name = channel.queue_declare("", exclusive=True).method.queue
        channel.queue_bind(name, exchange, "#")

    return bind


def redirect(channel):
    channel.queue_bind(QUEUE, TASKS, "#")


FORBIDDEN = {
    "helper": [
        publish(MODELS, "ModelDeployedEvent"),
        publish("", QUEUE),
        *(act(queue) for queue in (QUEUE, DEAD) for act in (read, purge, delete)),
        delete_exchange(MODELS),
        listen(TASKS),
        redirect,
    ],
    "pipeline": [
        publish(TASKS),
        read(OF_HELPER),
        purge(OF_HELPER),
        delete(OF_HELPER),
        delete_exchange(TASKS),
        listen(MODELS),
    ],
    "access": [
        publish(MODELS, "ModelDeployedEvent"),
        publish("", QUEUE),
        *(act(queue) for queue in (QUEUE, DEAD, OF_HELPER) for act in (read, purge, delete)),
        *(delete_exchange(exchange) for exchange in (TASKS, MODELS)),
        *(listen(exchange) for exchange in (TASKS, MODELS)),
        redirect,
    ],
    "watcher": [
        *(publish(exchange) for exchange in (TASKS, MODELS, "")),
        *(act(queue) for queue in (QUEUE, DEAD, OF_HELPER) for act in (read, purge, delete)),
        *(delete_exchange(exchange) for exchange in (TASKS, MODELS)),
        *(listen(exchange) for exchange in (TASKS, MODELS)),
    ],
    # Only Airflow says what workers do, and only workers hear it.
    "airflow": [
        *(act(queue) for queue in work_queues.QUEUES for act in (read, purge, delete)),
        *(publish("", queue) for queue in work_queues.QUEUES),
        delete_exchange(WORK),
        listen(WORK),
    ],
    "worker": [
        *(publish(WORK, queue) for queue in work_queues.QUEUES),
        *(publish("", queue) for queue in work_queues.QUEUES),
        *(delete(queue) for queue in work_queues.QUEUES),
        delete_exchange(WORK),
        listen(WORK),
    ],
}


def test_every_account_is_tried():
    assert set(FORBIDDEN) == {account.name for account in ACCOUNTS}


@pytest.mark.parametrize("account", FORBIDDEN)
def test_what_an_account_is_not_for_is_refused(stack, account):
    with channel_of(stack.amqp_url_of("helper")) as channel:
        channel.queue_declare(OF_HELPER, durable=True, arguments={"x-queue-type": "quorum"})
    for act in FORBIDDEN[account]:
        with channel_of(stack.amqp_url_of(account, virtual_host=HOSTS[account])) as channel:
            with pytest.raises(ChannelClosedByBroker) as refused:
                act(channel)
            assert refused.value.reply_code == REFUSED


def test_a_confirmation_goes_from_the_helper_to_the_pipeline_and_a_model_event_back(stack):
    pipeline, helper = stack.amqp_url_of("pipeline"), stack.amqp_url_of("helper")
    with channel_of(helper) as channel:
        channel.basic_publish(TASKS, "TaskConfirmedEvent", event_body(), mandatory=True)
        channel.queue_declare(OF_HELPER, durable=True, arguments={"x-queue-type": "quorum"})
        channel.queue_bind(OF_HELPER, MODELS, "ModelDeployedEvent")
        RabbitEventPublisher(pipeline, exchange=MODELS).publish(OutgoingEvent("1", "ModelDeployedEvent", {}))
        _, properties, _ = channel.basic_get(OF_HELPER, auto_ack=True)
        assert properties.message_id == "1"
    queue = RabbitEventQueue(pipeline, exchange=TASKS, queue=QUEUE)
    assert queue.depth() == 1
    for (message,) in queue.batches(max_messages=1, batch_size=1):
        queue.dead_letter(message, "for this test")
        queue.acknowledge([message])
    letters = RabbitDeadLetters(pipeline, exchange=TASKS, queue=QUEUE)
    assert RabbitDeadLetters(stack.amqp_url_of("watcher"), exchange=TASKS, queue=QUEUE).waiting() == 1
    letters.requeue(letters.all()[0].id)
    assert (queue.depth(), letters.waiting()) == (1, 0)


def test_a_task_goes_from_airflow_to_a_worker(stack):
    airflow, worker = (stack.amqp_url_of(one, virtual_host=work_queues.VIRTUAL_HOST) for one in ("airflow", "worker"))
    with channel_of(airflow) as sending, channel_of(worker) as taking:
        for queue in work_queues.QUEUES:
            sending.basic_publish(WORK, queue, b"a task", mandatory=True)
            assert taking.basic_get(queue, auto_ack=True)[2] == b"a task"


def test_neither_workers_nor_their_tasks_reach_the_confirmations(stack):
    hosts = {work_queues.VIRTUAL_HOST: ("helper", "pipeline", "access", "watcher"), "/": ("airflow", "worker")}
    for host, strangers in hosts.items():
        for account in strangers:
            with pytest.raises(ProbableAccessDeniedError):
                pika.BlockingConnection(pika.URLParameters(stack.amqp_url_of(account, virtual_host=host)))


def test_a_broker_that_starts_has_the_queue_so_that_the_helper_need_not_wait_for_the_pipeline(services):
    with channel_of(services.stack.amqp_url) as channel:
        channel.queue_delete(QUEUE)
        channel.queue_delete(DEAD)
    with services.without("rabbitmq"):
        pass
    with channel_of(services.stack.amqp_url_of("helper")) as channel:
        channel.basic_publish(TASKS, "TaskConfirmedEvent", event_body(), mandatory=True)
    queue = RabbitEventQueue(services.stack.amqp_url_of("pipeline"), exchange=TASKS, queue=QUEUE)
    for (message,) in queue.batches(max_messages=1, batch_size=1):
        queue.dead_letter(message, "for this test")
        queue.acknowledge([message])
    watching = RabbitDeadLetters(services.stack.amqp_url_of("watcher"), exchange=TASKS, queue=QUEUE)
    assert (queue.depth(), watching.waiting()) == (0, 1)


def test_neither_a_password_of_somebody_else_nor_the_brokers_own_account_opens_the_door(stack):
    of_nobody = stack.amqp_url.replace(f"retraining:{stack.secrets['rabbitmq']}", "guest:guest")
    for stranger in (stack.amqp_url_of("pipeline", "rabbitmq_helper"), of_nobody):
        with pytest.raises(ProbableAuthenticationError):
            pika.BlockingConnection(pika.URLParameters(stranger))
