"""Databases are lost, and come back as they were at the moment that somebody names; what runs is not touched."""

import hashlib
import io
import json
import subprocess
import tarfile
import threading
from contextlib import contextmanager

import psycopg2
import pytest

from include.stack.layout import environment
from include.stack.migrations import MIGRATIONS, migrate
from include.stack.postgres import query
from pipeline.adapters.postgres_programs import program
from pipeline.adapters.rebuilt_cluster import PostgresBuilder, RebuiltCluster
from pipeline.adapters.safeguard_table import SafeguardTable
from pipeline.bootstrap import GiveUp, Pipeline, TryAgain
from pipeline.domain.backups import Safeguard
from pipeline.domain.faces.dataset import person_key
from pipeline.domain.lineage import Erased
from tests.builders import NOW
from tests.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("judged")]


@pytest.fixture
def stack(services, monkeypatch, tmp_path):
    for name, value in environment(services.stack).items():
        if name.startswith("RETRAIN_"):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("RETRAIN_BACKUP_URI", f"s3://backups/{tmp_path.name}/")
    yield services.stack
    query(services.stack.dsn("mlops_owner", "mlops"), "DROP TABLE IF EXISTS precious")
    slots = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
    query(services.stack.dsn("postgres", "postgres"), slots)


@contextmanager
def receiving(folder):
    """The log is kept meanwhile."""
    stop, failed = threading.Event(), []

    def receive():
        try:
            Pipeline.from_env().receive_log(folder, stop)
        except TryAgain as error:
            failed.append(error)

    thread = threading.Thread(target=receive)
    thread.start()
    try:
        until(lambda: failed or Pipeline.from_env().backups()["backups"], "the first copy")
        yield failed
    finally:
        stop.set()
        thread.join()


@contextmanager
def of_an_earlier_release(owner):
    """Whose tables had not yet the column that a later one erases by."""
    query(
        owner,
        "ALTER TABLE face_confirmations DROP COLUMN shown; DELETE FROM _yoyo_migration WHERE migration_id >= '0040'",
    )
    try:
        yield
    finally:
        migrate(owner, MIGRATIONS / "mlops")


@pytest.fixture
def handed_over(monkeypatch):
    """Who is erased in the clusters that were."""
    erased, hand_over = [], RebuiltCluster.hand_over

    def asked(cluster, into):
        erased.extend(query(cluster.dsn("mlops"), "SELECT task_id, actor FROM erased_photos"))
        hand_over(cluster, into)

    monkeypatch.setattr(RebuiltCluster, "hand_over", asked)
    return erased


def rows_of(dsn):
    return query(dsn, "SELECT count(*) FROM precious")


def test_a_dropped_table_comes_back_as_it_was_the_moment_before_and_the_whole_data_folder_too(
    stack, tmp_path, handed_over
):
    owner, pipeline = stack.dsn("mlops_owner", "mlops"), Pipeline.from_env()
    with receiving(tmp_path / "on-its-way"):
        query(owner, "CREATE TABLE precious AS SELECT generate_series(1, 1000) AS id")
        with of_an_earlier_release(owner):
            before = pipeline.restorable_moment()
    pipeline._w.erasures.record(kim := Erased(person_key("kim"), (), "lee", "withdrew", NOW))
    # Nobody receives: the server keeps what is written.
    query(owner, "DROP TABLE precious")
    query(stack.dsn("postgres", "postgres"), "SELECT pg_switch_wal()")
    with receiving(tmp_path / "on-its-way"):
        pipeline.restorable_moment()
    kept = pipeline.backups()
    assert kept["holes"] == [] and kept["log_files"] >= 3
    with pipeline.rebuilt_databases(before) as cluster:
        assert rows_of(cluster.dsn("mlops")) == [(1000,)]
        with pytest.raises(psycopg2.errors.UndefinedTable):
            rows_of(owner)
    assert pipeline.restore_databases(before, tmp_path / "data")["erased_again"] == 1
    assert handed_over == [(kim.task_id, "lee")]
    said = subprocess.run([program("pg_controldata"), tmp_path / "data"], capture_output=True, text=True, check=True)
    assert "Database cluster state:               shut down\n" in said.stdout
    assert not (tmp_path / "data/recovery.signal").exists()


def test_a_restore_that_is_tried_leaves_its_word(stack, tmp_path):
    with receiving(tmp_path / "on-its-way"):
        assert Pipeline.from_env().test_restore()["versions"] == 0
    noted = query(stack.dsn("mlops_viewer", "mlops"), "SELECT kind FROM safeguards ORDER BY kind")
    assert noted == [("base",), ("log",), ("restore_test",)]


def a_copy(body=b"15\n", of=b"15\n"):
    """A cluster of one file, which was `of` when it was copied."""
    listed = {"Path": "PG_VERSION", "Size": len(of), "Last-Modified": "2026-05-04 12:00:00 GMT"}
    listed |= {"Checksum-Algorithm": "SHA256", "Checksum": hashlib.sha256(of).hexdigest()}
    said = f'{{ "PostgreSQL-Backup-Manifest-Version": 1,\n"Files": [\n{json.dumps(listed)}\n],\n"WAL-Ranges": [],\n'
    signed = f'{said}"Manifest-Checksum": "{hashlib.sha256(said.encode()).hexdigest()}"}}\n'
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, content in (("PG_VERSION", body), ("backup_manifest", signed.encode())):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return made.getvalue()


@pytest.mark.parametrize(
    ("copy", "said"),
    [
        (a_copy(b"15\r"), 'the backup is damaged, use an older one: .*"PG_VERSION"'),
        (a_copy()[:60], "the backup cannot be unpacked .* use an older one"),
        (b"", "the backup cannot be unpacked .* use an older one"),
        (a_copy(), "the databases were not rebuilt"),
    ],
    ids=["another byte in a file", "half of it", "nothing", "whole, and no cluster"],
)
def test_a_copy_that_is_none_is_refused_and_leaves_nothing(tmp_path, copy, said):
    builder = PostgresBuilder(tmp_path)
    with pytest.raises(GiveUp, match=said), builder.rebuild(io.BytesIO(copy), lambda folder: None, NOW):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_goes_away_ends_the_receiver_with_a_sentence(services, stack, tmp_path):
    with receiving(tmp_path / "on-its-way") as failed, services.without("postgres"):
        until(lambda: failed, "the receiver to end")
    assert "the database that is backed up is unavailable" in str(failed[0])


def test_who_copies_the_cluster_reads_no_table(stack):
    for database in ("mlops", "helper"):
        with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
            psycopg2.connect(stack.dsn("backup", database))


def test_without_a_server_to_back_up_a_command_says_so_and_nobody_is_alerted_of_old_backups(
    services, stack, monkeypatch
):
    monkeypatch.setenv("RETRAIN_BACKUP_DSN", "")
    assert Pipeline.from_env().backups_wanted() is False
    SafeguardTable(services.mlops).note(Safeguard.LOG, NOW, "")
    assert Pipeline.from_env().backups_still_wanted() is False
    assert SafeguardTable(services.mlops).newest() == {}
    with pytest.raises(GiveUp, match="RETRAIN_BACKUP_DSN is empty"):
        Pipeline.from_env().back_up()
