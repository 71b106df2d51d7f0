"""Databases of before, brought up to date."""

import shutil

import psycopg2
import pytest

from include.stack.layout import REPOSITORY
from include.stack.postgres import migrate
from pipeline.adapters.dataset_table import DatasetTable
from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.domain.dataset import Split
from pipeline.domain.models import ModelType

pytestmark = pytest.mark.integration

_MIGRATIONS = REPOSITORY / "include" / "sql" / "mlops"
_BEFORE = """
    INSERT INTO datasets (dataset_id, run_id, model_type, uri, sha256, photo_count, image_count, train_count,
        validation_count, holdout_count, corrections, completed_at)
        VALUES ('DS-2026-001', 'run-1', 'LAUNDRY', 's3://datasets/DS-2026-001/', 'd', 2, 5, 5, 0, 1, 1, now());
    INSERT INTO photo_clusters (founder, dataset_id) VALUES (-5, 'DS-2026-001'), (7, 'DS-2026-001'), (9, 'DS-2026-001');
    INSERT INTO dataset_photos VALUES
        ('DS-2026-001', 'TASK-1', 's3://tasks/1.jpg', 'a', 'fffffffffffffffb', '양호', 'replay', 'train'),
        ('DS-2026-001', 'TASK-2', 's3://tasks/2.jpg', 'b', '0000000000000007', '불량', 'evaluation', 'holdout')"""


@pytest.fixture
def before(services, tmp_path):
    """A database as the first migration left it, with one dataset; and what brings it up to date."""
    admin = psycopg2.connect(services.stack.dsn("postgres", "postgres"))
    admin.autocommit = True
    with admin.cursor() as cursor:
        cursor.execute("CREATE DATABASE upgraded OWNER mlops")
    dsn = services.stack.dsn("mlops", "upgraded")
    (first,) = _MIGRATIONS.glob("0001.*")
    shutil.copy(first, tmp_path)
    migrate(dsn, tmp_path)
    connection = psycopg2.connect(dsn)
    with connection, connection.cursor() as cursor:
        cursor.execute(_BEFORE)
    connection.close()
    yield dsn
    with admin.cursor() as cursor:
        cursor.execute("DROP DATABASE upgraded WITH (FORCE)")
    admin.close()


def test_sides_of_clusters_and_the_holdout_survive_the_update(before):
    migrate(before, _MIGRATIONS)
    datasets = DatasetTable(MlopsDatabase(before))
    assert datasets.clusters() == {2**64 - 5: Split.TRAIN, 7: Split.HOLDOUT}
    (member,) = datasets.holdout(ModelType.LAUNDRY)
    assert (member.task_id, member.cluster_id, member.phash) == ("TASK-2", "0000000000000007", "0000000000000007")
    assert datasets.get("DS-2026-001").holdout_version == 1


def test_updating_again_changes_nothing(before):
    for _ in range(2):
        migrate(before, _MIGRATIONS)
    assert len(DatasetTable(MlopsDatabase(before)).holdout(ModelType.LAUNDRY)) == 1
