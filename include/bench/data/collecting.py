"""A selection out of millions of confirmed tasks: how long its queries take, and how much memory collecting needs."""

import hashlib
from datetime import UTC, datetime, timedelta

import cv2
import numpy as np

from include.bench.child import in_child
from include.bench.measurement import Found, Say, seconds
from include.bench.services import private_stack
from include.stack.layout import Stack
from include.stack.postgres import query
from pipeline.domain.selection import SelectionPolicy

_MILLION = 1_000_000
_NEW_CORRECTIONS = 150
_NEWEST = datetime(2026, 11, 1, tzinfo=UTC)
_SECONDS_BETWEEN_TASKS, _TASKS_PER_CORRECTION = 10, 20
# Of the corrections, 150 are newer than what the champion learned from.
_SINCE = _NEWEST - timedelta(seconds=_NEW_CORRECTIONS * _TASKS_PER_CORRECTION * _SECONDS_BETWEEN_TASKS - 1)
_ROWS = """
    INSERT INTO tasks
        (task_id, helper_id, photo_url, ai_result, final_result, corrected, correction_reason, confirmed_at)
    SELECT 'TASK-' || n, 'HELPER-' || n %% 40, 's3://tasks/' || n || '.jpg',
           CASE WHEN n %% 2 = 0 THEN '양호' ELSE '불량' END,
           CASE WHEN (n %% 2 = 0) <> (n %% %(per_correction)s = 0) THEN '양호' ELSE '불량' END,
           n %% %(per_correction)s = 0, CASE WHEN n %% %(per_correction)s = 0 THEN 'stain' END,
           %(newest)s - n * %(gap)s * interval '1 second'
    FROM generate_series(%(first)s, %(last)s) AS n"""


def collecting(say: Say) -> Found:
    with private_stack(say, "postgres", "s3") as stack:
        _fill(stack, 0, _MILLION, say)
        asked = in_child(_ask, stack.dsn("mlops_reader", "helper"))
        say(f"all questions of one selection: {asked['seconds'] * 1000:.0f} ms")
        one = _collected(stack, "one million", say)
        _fill(stack, _MILLION, 5 * _MILLION, say)
        five = _collected(stack, "five million", say)
    figures = {
        "collect_seconds_150_of_1000000": asked["seconds"],
        "collect_seconds_corrections_query_of_1000000": asked["corrections_seconds"],
        "collect_peak_memory_mb_1000000": round(one["peak_mb"]),
        "collect_peak_memory_mb_5000000": round(five["peak_mb"]),
    }
    return Found(
        figures,
        f"Private PostgreSQL, rows by generate_series, every {_TASKS_PER_CORRECTION}th a correction, "
        f"{_NEW_CORRECTIONS} of them new. "
        "Seconds: every read of one selection (new corrections, 2 000 newest, 500 of all time, up to 500 earlier "
        "corrections); the corrections query alone beside it. Memory: the whole collect step with its own database, "
        "manifest to S3; each photo is made on the spot from its address, and inspected.",
    )


def _collected(stack: Stack, tasks: str, say: Say) -> dict[str, float]:
    addresses = stack.dsn("mlops_reader", "helper"), stack.dsn("mlops", "mlops"), stack.s3_endpoint
    found = in_child(_collect, *addresses, tasks)
    say(f"collecting out of {tasks}: {found['photos']:.0f} photos, {found['peak_mb']:.0f} MB")
    return found


def _fill(stack: Stack, first: int, last: int, say: Say) -> None:
    values = {
        "first": first,
        "last": last - 1,
        "per_correction": _TASKS_PER_CORRECTION,
        "newest": _NEWEST,
        "gap": _SECONDS_BETWEEN_TASKS,
    }
    took = seconds(lambda: query(stack.dsn("helper_owner", "helper"), f"{_ROWS}; ANALYZE tasks", values))
    say(f"tasks {first:,} to {last:,} written in {took:.0f} s")


def _ask(helper_dsn: str) -> dict[str, float]:
    from pipeline.adapters.helper_db import HelperDatabase

    source, policy = HelperDatabase(helper_dsn), SelectionPolicy()
    found: list[int] = []

    def corrections() -> None:
        found.append(len(source.corrections(since=_SINCE, limit=policy.correction_limit)))

    def everything() -> None:
        corrections()
        source.confirmed(limit=policy.sample_limit)
        source.history(limit=policy.history_limit)
        source.earlier_corrections(until=_SINCE, limit=policy.earlier_limit)

    whole, alone = seconds(everything), seconds(corrections)
    if found != [_NEW_CORRECTIONS] * 2:
        raise RuntimeError(f"{found} corrections came instead of {_NEW_CORRECTIONS}: the figures would say nothing")
    return {"seconds": whole, "corrections_seconds": alone}


class _DrawnPhotos:
    """A photo store that draws a photo for every address, always the same one for the same address."""

    def read(self, url: str) -> bytes:
        seed = int.from_bytes(hashlib.sha256(url.encode()).digest()[:8])
        blocks = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), np.uint8)
        ok, encoded = cv2.imencode(".jpg", cv2.resize(blocks, (640, 480), interpolation=cv2.INTER_NEAREST))
        assert ok, "OpenCV encodes any uint8 image"
        return bytes(encoded.tobytes())


def _collect(helper_dsn: str, mlops_dsn: str, endpoint: str, run_id: str) -> dict[str, float]:
    from pipeline.adapters.clock import SystemClock
    from pipeline.adapters.dataset_table import DatasetTable
    from pipeline.adapters.erasure_table import ErasureTable
    from pipeline.adapters.helper_db import HelperDatabase
    from pipeline.adapters.mlops_db import MlopsDatabase
    from pipeline.adapters.s3 import S3ObjectStore
    from pipeline.adapters.withholding_table import WithholdingTable
    from pipeline.domain.dataset import Augmentation, Manifest
    from pipeline.domain.dataset_folder import DatasetFolder
    from pipeline.domain.learned import Learned
    from pipeline.domain.models import ModelType
    from pipeline.domain.selection import Recipe
    from pipeline.learning.photos import PillowPhotoInspector
    from pipeline.ports.bundles import DataSources
    from pipeline.steps.collect import collect

    database, objects = MlopsDatabase(mlops_dsn), S3ObjectStore(endpoint=endpoint)
    sources = DataSources(
        source=HelperDatabase(helper_dsn),
        photos=_DrawnPhotos(),
        inspector=PillowPhotoInspector(),
        datasets=DatasetTable(database),
        erasures=ErasureTable(database),
        withholdings=WithholdingTable(database),
        objects=objects,
        clock=SystemClock(),
        recipe=Recipe(("양호", "불량"), SelectionPolicy(), Augmentation()),
        prefix="s3://datasets/",
    )
    dataset_id = collect(sources, run_id, ModelType.LAUNDRY, learned=Learned(_SINCE))
    manifest = Manifest.from_json(objects.read(DatasetFolder.of(sources.prefix, dataset_id).manifest))
    return {"photos": len(manifest.photos)}
