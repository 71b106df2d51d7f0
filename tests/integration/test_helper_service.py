"""The Helper stand-in: task row and event together, published when the broker is there."""

import json

import pika
import psycopg2
import pytest
from fastapi.testclient import TestClient

from include.helper_service.app import create_app
from include.helper_service.sampling import Sampling
from include.helper_service.settings import Settings
from include.helper_service.tasks import Task, Tasks, Verdict
from include.stand_in.confirming import Confirmation
from include.stand_in.database import Database
from include.stand_in.outbox import Outbox
from include.stand_in.relay import Relay
from pipeline.domain.events import parse_task_confirmed
from tests.builders import BUCKETS, NOW
from tests.replica.certificates import Authority
from tests.replica.world import replica
from tests.tiny_model import grey_photo
from tests.waiting import until

pytestmark = pytest.mark.integration

EXCHANGE, QUEUE = "task.events", "mlops.task-confirmed"
CONFIRMATION = {"finalResult": "불량", "aiResult": "양호", "corrected": True, "correctionReason": "AI가 놓친 얼룩"}


@pytest.fixture
def http(services):
    settings = Settings(
        dsn=services.stack.dsn("helper", "helper"), amqp_url=services.stack.amqp_url, exchange=EXCHANGE, queue=QUEUE
    )
    app = create_app(settings, judge=lambda photo_url, task_id: Verdict("양호", "v1.0.0"))
    with TestClient(app) as client:
        client.post("/helper/tasks", json={"taskId": "T-1", "helperId": "H-1", "photoUrl": "s3://tasks/T-1.jpg"})
        yield client


def published(services):
    """Every event on the queue, with its message id; taken off."""
    connection = pika.BlockingConnection(pika.URLParameters(services.stack.amqp_url))
    channel = connection.channel()
    found = []
    while (got := channel.basic_get(QUEUE, auto_ack=True))[0] is not None:
        found.append((got[1].message_id, got[2]))
    connection.close()
    return found


def outbox(services):
    connection = psycopg2.connect(services.stack.dsn("helper", "helper"))
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, published_at IS NOT NULL FROM outbox ORDER BY position")
        rows = cursor.fetchall()
    connection.close()
    return rows


def wait_until_published(services, count=1):
    until(lambda: [done for _, done in outbox(services)] == [True] * count, "the relay to publish")


def test_a_confirmation_becomes_an_event_with_the_specifications_fields(services, http):
    assert http.post("/helper/tasks/T-1/confirm", json=CONFIRMATION).status_code == 200
    wait_until_published(services)
    ((message_id, body),) = published(services)
    fields = json.loads(body)
    assert fields.pop("timestamp").endswith("Z")
    assert fields == {
        "eventType": "TaskConfirmedEvent",
        "taskId": "T-1",
        "helperId": "H-1",
        "finalResult": "불량",
        "aiResult": "양호",
        "corrected": True,
        "correctionReason": "AI가 놓친 얼룩",
        "photoUrl": "s3://tasks/T-1.jpg",
        "modelVersion": "v1.0.0",
    }
    assert message_id == outbox(services)[0][0]


def test_the_pipeline_can_read_what_the_helper_publishes(services, http):
    http.post("/helper/tasks/T-1/confirm", json=CONFIRMATION)
    wait_until_published(services)
    ((message_id, body),) = published(services)
    event = parse_task_confirmed(body, now=NOW.replace(year=2099), photo_buckets=BUCKETS)
    assert (event.task_id, event.corrected) == ("T-1", True)


def test_confirming_twice_makes_one_event(services, http):
    for _ in range(2):
        assert http.post("/helper/tasks/T-1/confirm", json=CONFIRMATION).status_code == 200
    assert len(outbox(services)) == 1


@pytest.mark.parametrize(
    ("task", "changes", "answer"),
    [
        ("T-9", {}, (404, "no task 'T-9'")),
        ("T-1", {"aiResult": "불량", "corrected": False}, (409, "verdict on T-1 was 양호")),
        ("T-1", {"corrected": False}, (409, "corrected must say")),
        ("T-1", {"finalResult": "보통"}, (422, "finalResult")),
        ("T-1", {"corrected": "maybe"}, (422, "corrected")),
        ("T-1", {"correctionReason": "x" * 5000}, (422, "correctionReason")),
        ("..%2Fetc", {}, (404, "Not Found")),
        ("T;1", {}, (422, "task_id")),
    ],
)
def test_a_confirmation_that_makes_no_sense_is_refused_and_leaves_no_event(services, http, task, changes, answer):
    status, complaint = answer
    got = http.post(f"/helper/tasks/{task}/confirm", json={**CONFIRMATION, **changes})
    assert got.status_code == status
    assert complaint in got.text
    assert outbox(services) == []


def test_a_task_id_belongs_to_one_photo(http):
    again = {"taskId": "T-1", "helperId": "H-1", "photoUrl": "s3://tasks/other.jpg"}
    assert http.post("/helper/tasks", json=again).status_code == 409


def test_another_word_on_a_task_supersedes_the_first_one_and_is_a_confirmation_of_its_own(services, http):
    back = {"finalResult": "양호", "aiResult": "양호", "corrected": False}
    for said in (CONFIRMATION, back, back, CONFIRMATION):
        assert http.post("/helper/tasks/T-1/confirm", json=said).json()["finalResult"] == said["finalResult"]
    wait_until_published(services, 3)
    now = NOW.replace(year=2099)
    events = [parse_task_confirmed(body, now=now, photo_buckets=BUCKETS) for _, body in published(services)]
    assert [(e.final_result, e.corrected) for e in events] == [("불량", True), ("양호", False), ("불량", True)]
    assert len({e.key for e in events}) == 3
    assert [e.confirmed_at for e in events] == sorted({e.confirmed_at for e in events})


def test_without_a_broker_the_confirmation_stands_and_its_event_comes_later(services, http):
    with services.without("rabbitmq"):
        assert http.post("/helper/tasks/T-1/confirm", json=CONFIRMATION).status_code == 200
        assert [done for _, done in outbox(services)] == [False]
    wait_until_published(services)
    assert len(published(services)) == 1


class _DiesBeforeMarking(Outbox):
    def mark_published(self, event_ids):
        raise OSError("killed between publishing and marking")


def test_killed_between_publishing_and_marking_the_event_comes_twice_with_one_id(services):
    dsn, url = services.stack.dsn("helper", "helper"), services.stack.amqp_url
    database = Database(dsn)
    tasks = Tasks(database, Sampling())
    tasks.create(Task("T-1", "H-1", "s3://tasks/T-1.jpg", "양호", "v1.0.0"))
    tasks.confirm("T-1", Confirmation("불량", "양호", True, None))
    dying = Relay(_DiesBeforeMarking(database), url, EXCHANGE, QUEUE)
    dying.start()
    seen = []
    until(lambda: seen.extend(published(services)) or seen, "the first publication")
    dying.stop()
    reborn = Relay(Outbox(database), url, EXCHANGE, QUEUE)
    reborn.start()
    wait_until_published(services)
    reborn.stop()
    seen += published(services)
    assert len(seen) >= 2
    assert len(set(seen)) == 1


def test_who_confirms_by_naming_the_verdict_is_not_of_the_blind_sample(services):
    database = Database(services.stack.dsn("helper", "helper"))
    tasks = Tasks(database, Sampling(blind_share=1.0))
    tasks.create(Task("T-1", "H-1", "s3://tasks/T-1.jpg", "양호", "v1.0.0"))
    tasks.confirm("T-1", Confirmation("양호", "양호", False, None))
    (event,) = [payload for _, payload, _ in Outbox(database).unpublished(10)]
    database.close()
    assert "blindAudit" not in event


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A replica that speaks TLS and wants a token, with a photo that is dark; and who signed its certificate."""
    folder = tmp_path_factory.mktemp("guarded")
    authority = Authority(folder)
    pair = {"tls_certificate": authority.server.certificate, "tls_key": authority.server.key}
    with replica(folder, inference_token="asks", tls_ports=("inference",), **pair) as made:
        made.source.objects["s3://tasks/T-1.jpg"] = grey_photo(20)
        made.serve("v1.0.0")
        yield made, authority.certificate


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (("asks", True), (201, '"aiResult":"불량"')),
        (("", True), (503, "requests need `authorization: Bearer <token>`")),
        (("guess", True), (503, "requests need `authorization: Bearer <token>`")),
        (("asks", False), (503, "no verdict: ")),
    ],
)
def test_a_replica_that_wants_tls_and_a_token_is_asked_with_both(services, guarded, monkeypatch, said, answer):
    (made, authority), (token, tls) = guarded, said
    for name, value in {"TOKEN": token, "TLS_CA": authority if tls else ""}.items():
        monkeypatch.setenv(f"HELPER_FACESERVE_{name}", str(value))
    settings = Settings(
        dsn=services.stack.dsn("helper", "helper"),
        amqp_url=services.stack.amqp_url,
        faceserve_replicas=(made.address,),
    )
    status, text = answer
    with TestClient(create_app(settings)) as client:
        got = client.post("/helper/tasks", json={"taskId": "T-1", "helperId": "H-1", "photoUrl": "s3://tasks/T-1.jpg"})
    assert (got.status_code, text in got.text) == (status, True), got.text
