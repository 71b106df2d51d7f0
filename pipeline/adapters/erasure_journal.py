"""Erasures, written where no restore of a database undoes them: objects beside the datasets, which are only
ever added.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from pipeline.domain.dataset import Manifest
from pipeline.domain.lineage import Erased
from pipeline.ports.data import Erasures, ObjectFolders


class ErasureJournal:
    """Names of people are in it as hashes, as in the table."""

    def __init__(self, objects: ObjectFolders, prefix: str) -> None:
        self._objects, self._prefix = objects, prefix

    def add(self, erased: Erased) -> None:
        """Existing objects stay; hashes that come later make another object."""
        uri = f"{self._prefix}{_named(erased)}.json"
        if not self._objects.exists(uri):
            body = json.dumps(asdict(erased), default=datetime.isoformat)
            self._objects.write(uri, body.encode(), "application/json")

    def all(self) -> Sequence[Erased]:
        """Oldest first. Raises `ServiceUnavailable`."""
        found = [json.loads(self._objects.read(uri)) for uri in self._objects.list(self._prefix)]
        return sorted(map(_erased, found), key=lambda one: one.at)


class JournaledErasures:
    """The table's erasures, each in the journal before it is in the table."""

    def __init__(self, table: Erasures, journal: ErasureJournal) -> None:
        self._table, self._journal = table, journal

    def record(self, erased: Erased) -> None:
        self._journal.add(erased)
        self._table.record(erased)

    def all(self) -> Sequence[Erased]:
        return self._table.all()

    def replace_manifest(self, dataset_id: str, manifest: Manifest, manifest_sha256: str) -> None:
        self._table.replace_manifest(dataset_id, manifest, manifest_sha256)

    def addresses(self, key: str) -> Sequence[str]:
        return self._table.addresses(key)

    def strike(self, addresses: Sequence[str]) -> Mapping[str, int]:
        return self._table.strike(addresses)

    def anonymise(self, task_id: str) -> Mapping[str, int]:
        return self._table.anonymise(task_id)


def _named(erased: Erased) -> str:
    return hashlib.sha256("\0".join((erased.task_id, *sorted(erased.sha256s))).encode()).hexdigest()


def _erased(said: Mapping[str, Any]) -> Erased:
    at = datetime.fromisoformat(said["at"])
    return Erased(said["task_id"], tuple(said["sha256s"]), said["actor"], said["reason"], at)
