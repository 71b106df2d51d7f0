"""Everything odd at once, from the queue to a dataset: every good neighbour arrives, each odd one comes to its end."""

from datetime import timedelta

import boto3
import numpy as np
import psycopg2
import pytest

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

# Pillow warns of big headers; here they are meant.
pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning"),
]

GOOD = 240
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
    """Of each a task; what the driver cannot read it cannot write either, and tomorrow is past by the real clock."""
    return [
        (a_task(6000 + n, corrected=True, **changes), JPEG, reason)
        for n, (name, (changes, reason)) in enumerate(ROWS.items())
        if "fault" not in changes and name != "tomorrow"
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


def dataset_of(services):
    stack = services.stack
    settings = Settings(
        mlops_dsn=stack.dsn("mlops", "mlops"),
        helper_dsn=stack.dsn("mlops_reader", "helper"),
        s3_endpoint=stack.s3_endpoint,
        augmentation=Augmentation(copies=1),
    )
    pipeline = Pipeline(Wiring(settings))
    dataset_id = pipeline.collect("run-1", "LAUNDRY", None)
    pipeline.validate(dataset_id)
    for index in pipeline.slices(dataset_id):
        pipeline.augment_slice(dataset_id, index)
    pipeline.assemble("run-1", dataset_id)
    return dataset_id


def test_of_everything_odd_between_good_ones_every_good_one_comes_into_the_table_and_the_dataset(services):
    broker, s3 = Broker(services), boto3.client("s3", endpoint_url=services.stack.s3_endpoint)
    good, odd = good_tasks(), [*odd_photos(), *odd_rows()]
    bodies = {t.photo_url: good_photo(n) for n, t in enumerate(good)} | {t.photo_url: body for t, body, _ in odd}
    for url, body in bodies.items():
        if url.startswith("s3://tasks/"):
            s3.put_object(Bucket="tasks", Key=url.removeprefix("s3://tasks/"), Body=body)
    confirm_in_helper(services, [*good, *(task for task, _, _ in odd)])
    entries = [entry for _, entry in messages()]
    said = [(event_body(taskId=t.task_id, photoUrl=t.photo_url), b"\0\0") for t in good]
    between = [[(e.body, e.properties) for e in entries[n : n + 1]] for n in range(GOOD)]
    broker.send(*(one for message, odd_one in zip(said, between, strict=True) for one in (message, *odd_one)))
    assert len(entries) < GOOD and drain(services, broker).parked == 0
    with services.mlops.transaction() as cursor:
        cursor.execute("SELECT task_id FROM task_confirmations")
        assert {t.task_id for t in good} <= {task_id for (task_id,) in cursor.fetchall()}
    key = f"{dataset_of(services)}/manifest.json"
    manifest = Manifest.from_json(s3.get_object(Bucket="datasets", Key=key)["Body"].read())
    used, aside = {p.task_id for p in manifest.photos}, {q.task_id: q for q in manifest.quarantined}
    assert sorted({t.task_id for t in good} - used) == []
    # The real store may say another reason than the one that a photo's bytes give.
    wrong = {t.task_id for t, _, reason in odd if reason is not None}
    assert {task_id for task_id, row in aside.items() if row.kind == "unusable" and row.reason} == wrong
    assert {t.task_id for t, _, _ in odd} <= used | aside.keys()
