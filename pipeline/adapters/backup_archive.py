"""Backups in S3: `base/<name>/copy.tar.gz` with its description beside it, and `log/<file>.gz`."""

import gzip
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from pipeline.adapters.s3 import OF_THE_MACHINE, Keys, S3ObjectStore, client, split, unavailable
from pipeline.domain.backups import Archive, Base, Needless, Segment
from pipeline.ports.backups import Stream

# S3 takes 10 000 parts: 640 GB of compressed copy. As many parts as go at once are in memory.
_PARTS = TransferConfig(multipart_chunksize=64 * 1024**2, max_concurrency=2, use_threads=True)
_AT_ONCE = 8


class S3BackupArchive:
    def __init__(self, uri: str, *, endpoint: str | None, keys: Keys = OF_THE_MACHINE) -> None:
        """`uri` is a folder, `s3://…/`."""
        self._uri, self._endpoint, self._keys = uri, endpoint, keys
        self._objects = S3ObjectStore(endpoint=endpoint, keys=keys)

    def contents(self) -> Archive:
        described = [uri for uri in self._objects.list(f"{self._uri}base/") if uri.endswith("/base.json")]
        log = [
            uri.removeprefix(f"{self._uri}log/").removesuffix(".gz") for uri in self._objects.list(f"{self._uri}log/")
        ]
        return Archive(tuple(_base(self._objects.read(uri)) for uri in described), tuple(log))

    def write_copy(self, name: str, stream: Stream) -> int:
        bucket, key = split(self._copy(name))
        counting = _Counting(stream)
        try:
            self._s3.upload_fileobj(counting, bucket, key, Config=_PARTS)
        except (ClientError, BotoCoreError, Boto3Error) as error:
            raise unavailable(error) from error
        return counting.bytes

    def finish(self, base: Base) -> None:
        said = {
            "name": base.name,
            "begins": str(base.begins),
            "whole_at": base.whole_at.isoformat(),
            "bytes": base.bytes,
        }
        self._objects.write(f"{self._uri}base/{base.name}/base.json", json.dumps(said).encode(), "application/json")

    @contextmanager
    def read_copy(self, base: Base) -> Iterator[Stream]:
        bucket, key = split(self._copy(base.name))
        try:
            body = self._s3.get_object(Bucket=bucket, Key=key)["Body"]
        except (ClientError, BotoCoreError) as error:
            raise unavailable(error) from error
        with closing(body):
            yield _Reading(body)

    def keep_log(self, path: Path) -> None:
        self._objects.write(self._log(path.name), gzip.compress(path.read_bytes(), 1), "application/gzip")

    def has_log(self, file: str) -> bool:
        return self._objects.exists(self._log(file))

    def fetch_log(self, files: Sequence[str], folder: Path) -> None:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for file, body in zip(
                files, pool.map(lambda name: self._objects.read(self._log(name)), files), strict=True
            ):
                (folder / f"{file}.gz").write_bytes(body)

    def forget(self, needless: Needless) -> None:
        # The description is deleted first: half a copy must never look like a whole one.
        for base in needless.bases:
            self._objects.delete(f"{self._uri}base/{base.name}/base.json")
            self._objects.delete(self._copy(base.name))
        for file in needless.log:
            self._objects.delete(self._log(file))

    def _copy(self, name: str) -> str:
        return f"{self._uri}base/{name}/copy.tar.gz"

    def _log(self, file: str) -> str:
        return f"{self._uri}log/{file}.gz"

    @property
    def _s3(self) -> Any:
        return client(self._endpoint, self._keys)


class _Reading:
    """A download that breaks off is no damaged backup."""

    def __init__(self, body: Stream) -> None:
        self._body = body

    def read(self, size: int = -1, /) -> bytes:
        try:
            return self._body.read(size)
        except (BotoCoreError, HTTPError) as error:
            raise unavailable(error) from error


class _Counting:
    """A stream that says how much was read of it."""

    def __init__(self, stream: Stream) -> None:
        self._stream, self.bytes = stream, 0

    def read(self, size: int = -1, /) -> bytes:
        read = self._stream.read(size)
        self.bytes += len(read)
        return read


def _base(body: bytes) -> Base:
    said = json.loads(body)
    begins = Segment.parse(said["begins"])
    assert begins is not None
    return Base(said["name"], begins, datetime.fromisoformat(said["whole_at"]), said["bytes"])
