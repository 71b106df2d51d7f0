"""Shards of images: Parquet with the columns `image` (JPEG), `label` (index), `task_id`, `copy` (ADR 0008)."""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_JPEG_QUALITY = 95
_SCHEMA = pa.schema([("image", pa.binary()), ("label", pa.int32()), ("task_id", pa.string()), ("copy", pa.int32())])


@dataclass(frozen=True)
class Row:
    """`image` uint8 RGB [224, 224, 3]; `copy` 0 is the photo itself, higher ones are augmented."""

    image: npt.NDArray[np.uint8]
    label: int
    task_id: str
    copy: int


@dataclass(frozen=True)
class Images:
    """`images` uint8 RGB [N, 224, 224, 3], `labels` int32 [N], `task_ids` whose photo each image is."""

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int32]
    task_ids: tuple[str, ...] = ()


def task_ids(shards: Sequence[bytes]) -> set[str]:
    """Ids of the tasks whose photos are in the shards."""
    return {
        str(task_id)
        for shard in shards
        for task_id in pq.read_table(io.BytesIO(shard), columns=["task_id"]).column("task_id").to_pylist()
    }


def without(shard: bytes, task_id: str) -> bytes | None:
    """The shard without this task's images, the others byte for byte as they were; None when it has none."""
    table = pq.read_table(io.BytesIO(shard))
    kept = table.filter(pc.not_equal(table.column("task_id"), task_id))
    return _written(kept) if len(kept) < len(table) else None


def pack(rows: Iterable[Row]) -> bytes:
    """The same rows give the same bytes. JPEG at quality 95 without chroma subsampling: 1/6 of the raw size."""
    flags = [
        cv2.IMWRITE_JPEG_QUALITY,
        _JPEG_QUALITY,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]
    columns: dict[str, list[object]] = {name: [] for name in _SCHEMA.names}
    for row in rows:
        ok, encoded = cv2.imencode(".jpg", cv2.cvtColor(row.image, cv2.COLOR_RGB2BGR), flags)
        assert ok, "OpenCV encodes any uint8 RGB image"
        values = (encoded.tobytes(), row.label, row.task_id, row.copy)
        for name, value in zip(columns, values, strict=True):
            columns[name].append(value)
    return _written(pa.table(columns, schema=_SCHEMA))


def unpack(shards: Sequence[bytes], limit: int | None = None) -> Images:
    """All images of all shards, in order, or the first `limit` of each."""
    images: list[npt.NDArray[np.uint8]] = []
    labels: list[int] = []
    task_ids: list[str] = []
    for shard in shards:
        table = pq.read_table(io.BytesIO(shard), columns=["image", "label", "task_id"])
        table = table.slice(0, limit) if limit else table
        for encoded in table.column("image").to_pylist():
            pixels = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
            assert pixels is not None, "the shard's sha256 was checked"
            images.append(np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8))
        labels += table.column("label").to_pylist()
        task_ids += table.column("task_id").to_pylist()
    shape = (0, 224, 224, 3)
    stacked = np.stack(images) if images else np.zeros(shape, np.uint8)
    return Images(stacked, np.array(labels, np.int32), tuple(task_ids))


def _written(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, compression="none")
    return out.getvalue()
