"""The world before the demo: photos in S3, and the archive of tasks that were confirmed a month ago."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import boto3
import psycopg2
from psycopg2.extras import execute_values

from include.demo.branch_managers import Garment
from include.demo.photos import PhotoSpec, draw_all

BUCKET = "tasks"
_UPLOADS_AT_ONCE = 8


def garments(specs: Sequence[PhotoSpec], prefix: str) -> list[Garment]:
    return [
        Garment(f"{prefix}-{number:05d}", f"s3://{BUCKET}/{prefix}-{number:05d}.jpg", spec.label)
        for number, spec in enumerate(specs)
    ]


def upload(
    specs: Sequence[PhotoSpec], prefix: str, *, endpoint: str, on_done: Callable[[], None], processes: int = 2
) -> list[bytes]:
    """Draw every photo and put it in the bucket; returns the photos in order."""
    s3 = boto3.client("s3", endpoint_url=endpoint)

    def put(numbered: tuple[int, bytes]) -> bytes:
        number, photo = numbered
        s3.put_object(Bucket=BUCKET, Key=f"{prefix}-{number:05d}.jpg", Body=photo, ContentType="image/jpeg")
        on_done()
        return photo

    with ThreadPoolExecutor(_UPLOADS_AT_ONCE) as uploads:
        return list(uploads.map(put, enumerate(draw_all(specs, processes))))


def read(uri: str, *, endpoint: str) -> bytes:
    """The object at an `s3://` address."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bytes(boto3.client("s3", endpoint_url=endpoint).get_object(Bucket=bucket, Key=key)["Body"].read())


def archive(garments_: Sequence[Garment], *, helper_dsn: str) -> None:
    """Tasks confirmed a month ago, before there was any AI verdict to correct: label and verdict agree."""
    month_ago = datetime.now(UTC) - timedelta(days=30)
    rows = [
        (g.task_id, "HELPER-000", g.photo_url, g.label, g.label, False, month_ago + timedelta(seconds=number))
        for number, g in enumerate(garments_)
    ]
    connection = psycopg2.connect(helper_dsn)
    with connection, connection.cursor() as cursor:
        execute_values(
            cursor,
            "INSERT INTO tasks (task_id, helper_id, photo_url, ai_result, final_result, corrected, confirmed_at)"
            " VALUES %s",
            rows,
        )
    connection.close()
