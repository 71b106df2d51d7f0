"""Everything odd at once, from the queue to a dataset: every good neighbour arrives, each odd one comes to its end."""

import hashlib
import re
from datetime import UTC, datetime, timedelta

import boto3
import numpy as np
import psycopg2
import pytest
import stamina

from pipeline.adapters.clock import SystemClock
from pipeline.adapters.confirmation_table import ConfirmationTable
from pipeline.adapters.face_confirmation_table import FaceConfirmationTable
from pipeline.adapters.rabbitmq import RabbitEventQueue
from pipeline.bootstrap import Pipeline
from pipeline.bootstrap.wiring import Wiring
from pipeline.domain.dataset import Augmentation, Manifest
from pipeline.ports.intake import Intake
from pipeline.settings import Settings
from pipeline.steps.accumulate import accumulate
from tests.broker import EXCHANGE, QUEUE, Broker
from tests.builders import BUCKETS, NOW, a_task, event_body
from tests.corpus.messages import messages
from tests.corpus.photos import JPEG, PHOTOS, ROWS, encoded
from tests.corpus.s3_answers import LASTING, OF_ONE_PHOTO, drawn_keys, odd_s3

# Pillow warns of big headers; here they are meant.
pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning"),
]

# Before anybody looks at a photo's bytes, the store may have refused it.
BY_THE_STORE = {
    "over the limit": "over the limit|bytes, .* are allowed",
    "no photo at": "no photo at|is not in an allowed bucket",
}
GOOD, KEYS = 360, 60
LABELS = ("양호", "불량")


def good_tasks():
    return [
        a_task(n, corrected=n % 3 == 0, label=LABELS[n % 2], confirmed_at=NOW - timedelta(minutes=n))
        for n in range(GOOD)
    ]


def good_photo(number):
    return encoded(of=np.random.default_rng(number).integers(0, 256, (9, 9, 3), np.uint8).repeat(12, 0).repeat(12, 1))


def odd_photos():
    """Of each a task, its bytes, and what must be said of it."""
    return [
        (a_task(5000 + n, corrected=True, label="불량", confirmed_at=NOW - timedelta(minutes=n)), body, reason)
        for n, (body, reason) in enumerate(PHOTOS.values())
    ]


def odd_rows():
    """The same of each; the clock here is the real one, and what Python cannot read is written by PostgreSQL."""
    real = {
        "tomorrow": {"confirmed_at": datetime.now(UTC) + timedelta(days=1)},
        "what the driver cannot read": {"confirmed_at": "infinity"},
    }
    return [
        (a_task(6000 + n, corrected=True, **real.get(name, changes)), JPEG, reason)
        for n, (name, (changes, reason)) in enumerate(ROWS.items())
    ]


def odd_answers():
    """Of each a task, what S3 says of its photo, and what must be said of that."""
    said = {**OF_ONE_PHOTO, **LASTING}
    return [(a_task(7000 + n), answer, answer.because) for n, answer in enumerate(said.values())]


def odd_keys():
    """Of each a task and its photo, which no other one is like."""
    return [
        (a_task(8000 + n, photo_url=f"s3://tasks/{key}", confirmed_at=NOW), good_photo(8000 + n))
        for n, key in enumerate(drawn_keys(KEYS))
    ]


def confirm_in_helper(services, tasks):
    owner = psycopg2.connect(services.stack.dsn("helper", "helper"))
    with owner, owner.cursor() as cursor:
        for t in tasks:
            cursor.execute(
                "INSERT INTO tasks VALUES (%s, %s, %s, %s, 'v1', %s, %s, %s, now(), %s)",
                (t.task_id, t.helper_id, t.photo_url, t.ai_result, t.final_result, t.corrected)
                + (t.correction_reason, t.confirmed_at),
            )
    owner.close()


def drain(services, broker):
    queue = RabbitEventQueue(broker.url, exchange=EXCHANGE, queue=QUEUE)
    tables = ConfirmationTable(services.mlops), FaceConfirmationTable(services.mlops)
    return accumulate(Intake(queue, *tables, SystemClock(), BUCKETS), limit=10_000)


def dataset_of(services, s3_endpoint):
    stack = services.stack
    settings = Settings(
        mlops_dsn=stack.dsn("mlops", "mlops"),
        helper_dsn=stack.dsn("mlops_reader", "helper"),
        s3_endpoint=s3_endpoint,
        augmentation=Augmentation(copies=1),
    )
    pipeline = Pipeline(Wiring(settings))
    dataset_id = pipeline.collect("run-1", "LAUNDRY", None)
    pipeline.validate(dataset_id)
    for index in pipeline.slices(dataset_id):
        pipeline.augment_slice(dataset_id, index)
    pipeline.assemble("run-1", dataset_id)
    return dataset_id


@pytest.fixture
def objects(services):
    """The real S3, with odd keys and answers in front of it. Nobody waits a minute for each that fails for good."""
    with odd_s3(services.stack.s3_endpoint) as objects, stamina.set_testing(True, attempts=2):
        yield objects


def test_of_everything_odd_between_good_ones_every_good_one_comes_into_the_table_and_the_dataset(services, objects):
    broker, s3 = Broker(services), boto3.client("s3", endpoint_url=services.stack.s3_endpoint)
    good, keys, answers = good_tasks(), odd_keys(), odd_answers()
    odd = [*odd_photos(), *odd_rows(), *answers]
    for url, body in [(t.photo_url, good_photo(n)) for n, t in enumerate(good)] + [(t.photo_url, b) for t, b, _ in odd]:
        if url.startswith("s3://tasks/") and isinstance(body, bytes):
            s3.put_object(Bucket="tasks", Key=url.removeprefix("s3://tasks/"), Body=body)
    objects.keeps.update((task.photo_url, body) for task, body in keys)
    objects.answers.update((task.photo_url, answer) for task, answer, _ in answers)
    confirm_in_helper(services, [*good, *(task for task, *_ in [*odd, *keys])])
    entries = [entry for _, entry in messages()]
    said = [(event_body(taskId=t.task_id, photoUrl=t.photo_url), b"\0\0") for t in [*good, *(t for t, _ in keys)]]
    between = [[(e.body, e.properties) for e in entries[n : n + 1]] for n in range(len(said))]
    broker.send(*(one for message, odd_one in zip(said, between, strict=True) for one in (message, *odd_one)))
    assert len(entries) < len(said) and drain(services, broker).parked == 0
    with services.mlops.transaction() as cursor:
        cursor.execute("SELECT task_id, photo_url FROM task_confirmations")
        stored = dict(cursor.fetchall())
    assert {t.task_id for t in good} <= stored.keys()
    assert {t.task_id: stored.get(t.task_id) for t, _ in keys} == {t.task_id: t.photo_url for t, _ in keys}
    key = f"{dataset_of(services, objects.url)}/manifest.json"
    manifest = Manifest.from_json(s3.get_object(Bucket="datasets", Key=key)["Body"].read())
    used, aside = {p.task_id: p for p in manifest.photos}, {q.task_id: q for q in manifest.quarantined}
    assert sorted({t.task_id for t in good} - used.keys()) == []
    bytes_of = {task.task_id: hashlib.sha256(body).hexdigest() for task, body in keys}
    assert {task_id: getattr(used.get(task_id), "sha256", aside.get(task_id)) for task_id in bytes_of} == bytes_of
    # Good copies of one photo count once: the others are set aside as such.
    reasons = {t.task_id: reason for t, _, reason in odd}
    assert {q.task_id for q in aside.values() if q.kind == "unusable"} == {i for i, why in reasons.items() if why}
    said = {i: (BY_THE_STORE.get(why, why), aside[i].reason) for i, why in reasons.items() if why}
    assert [one for one in said.items() if not re.search(*one[1])] == []
    assert reasons.keys() <= used.keys() | aside.keys()
