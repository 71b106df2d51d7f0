"""Table `model_versions`: the specification's columns, and where the files are."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from psycopg2.errors import UniqueViolation

from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.domain.errors import ServiceUnavailable, UnknownVersion
from pipeline.domain.models import Artifact, ModelType, ModelVersion, Status, newest_first

COLUMNS = (
    "version, model_type, run_id, dataset_id, backbone, artifact_uri, manifest_sha256, accuracy, val_accuracy,"
    " trained_at, status, deployed_at, previous_version"
)
_SELECT = f"SELECT {COLUMNS} FROM model_versions "


class VersionTable:
    def __init__(self, database: MlopsDatabase) -> None:
        self._database = database

    def register(self, version: ModelVersion) -> ModelVersion:
        try:
            self._insert(version)
        except UniqueViolation:
            raise ServiceUnavailable(
                "the next version number", f"{version.version} was just given to another run: register again"
            ) from None
        found = self.of_run(version.run_id)
        assert found is not None
        return found

    def _insert(self, version: ModelVersion) -> None:
        with self._database.transaction() as cursor:
            cursor.execute(
                "INSERT INTO model_versions (version, model_type, accuracy, val_accuracy, trained_at, status, run_id,"
                " dataset_id, backbone, artifact_uri, manifest_sha256)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (run_id) DO NOTHING",
                (
                    version.version,
                    version.model_type,
                    version.accuracy,
                    version.val_accuracy,
                    version.trained_at,
                    version.status,
                    version.run_id,
                    version.dataset_id,
                    version.backbone,
                    version.artifact.uri,
                    version.artifact.manifest_sha256,
                ),
            )

    def get(self, model_type: ModelType, version: str) -> ModelVersion:
        found = self._find("WHERE model_type = %s AND version = %s", model_type, version)
        if not found:
            raise UnknownVersion(f"{model_type} has no version {version[:40]!r}")
        return found[0]

    def of_run(self, run_id: str) -> ModelVersion | None:
        found = self._find("WHERE run_id = %s", run_id)
        return found[0] if found else None

    def all(self, model_type: ModelType) -> Sequence[ModelVersion]:
        found = self._find("WHERE model_type = %s", model_type)
        return newest_first(found)

    def learned_until(self, model_type: ModelType, version: str) -> datetime | None:
        with self._database.transaction() as cursor:
            cursor.execute(
                "SELECT corrections_through FROM model_versions JOIN datasets USING (dataset_id)"
                " WHERE model_versions.model_type = %s AND version = %s",
                (model_type, version),
            )
            row = cursor.fetchone()
        return row[0] if row else None

    def _find(self, where: str, *values: Any) -> list[ModelVersion]:
        with self._database.transaction() as cursor:
            cursor.execute(_SELECT + where, values)
            return [version_of(row) for row in cursor.fetchall()]


def version_of(row: Sequence[Any]) -> ModelVersion:
    """A row of `COLUMNS`."""
    return ModelVersion(
        version=row[0],
        model_type=ModelType(row[1]),
        run_id=row[2],
        dataset_id=row[3],
        backbone=row[4],
        artifact=Artifact(row[5], row[6]),
        accuracy=row[7],
        val_accuracy=row[8],
        trained_at=row[9],
        status=Status(row[10]),
        deployed_at=row[11],
        previous_version=row[12],
    )
