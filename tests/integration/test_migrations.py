"""Databases of before, brought up to date."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg2
import pytest

from include.stack.layout import REPOSITORY
from include.stack.migrations import migrate
from pipeline.adapters.confirmation_table import ConfirmationTable
from pipeline.adapters.dataset_table import DatasetTable
from pipeline.adapters.live_metrics import LiveMetricsView
from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.adapters.transition_log import TransitionLog
from pipeline.adapters.version_table import VersionTable
from pipeline.domain.dataset import Split
from pipeline.domain.events import parse_task_confirmed
from pipeline.domain.ledger import RollbackRequest
from pipeline.domain.live_accuracy import Period
from pipeline.domain.models import ModelType
from pipeline.domain.transitions import By, CanaryAbort, CanaryStart, Entry, Kind, Phase
from tests.builders import BUCKETS, an_event, event_body
from tests.histories import a_history
from tests.waiting import until

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


@contextmanager
def database_of(services, folder, until_number, rows):
    """The address of a database as the migrations up to a number left it, with rows as they were written then."""
    admin = psycopg2.connect(services.stack.dsn("postgres", "postgres"))
    admin.autocommit = True
    with admin.cursor() as cursor:
        cursor.execute("CREATE DATABASE upgraded OWNER mlops")
    dsn = services.stack.dsn("mlops", "upgraded")
    for path in _MIGRATIONS.glob("*.sql"):
        if int(path.name[:4]) <= until_number:
            shutil.copy(path, folder)
    migrate(dsn, folder)
    run(dsn, rows)
    try:
        yield dsn
    finally:
        with admin.cursor() as cursor:
            cursor.execute("DROP DATABASE upgraded WITH (FORCE)")
        admin.close()


def run(dsn, sql):
    connection = psycopg2.connect(dsn)
    with connection, connection.cursor() as cursor:
        cursor.execute(sql)
    connection.close()


@pytest.fixture
def before(services, tmp_path):
    """A database as the first migration left it, with one dataset."""
    with database_of(services, tmp_path, 1, _BEFORE) as dsn:
        yield dsn


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


# The log of transitions before it was a ledger

_AT = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
LAUNDRY, FACE = ModelType.LAUNDRY, ModelType.FACE


def _told(number, phase, kind, to, before, *, id_, model_type="LAUNDRY", position=None, detail=""):
    """A row as it was written then: only what came true has a time of its own."""
    at = f"'{(_AT + timedelta(hours=number)).isoformat()}'::timestamptz"
    was = f"'{before}'" if before else "NULL"
    came_true = at if phase in {"served", "noted"} else "NULL"
    return (
        f"('{id_}', '{phase}', '{model_type}', '{kind}', {was}, '{to}', {was}, {position or 'NULL'}, 'kim',"
        f" 'because of {number}', NULL, {at}, {came_true}, '{detail}', {at} + interval '1 minute')"
    )


_TRIAL = "canary:LAUNDRY:v1.2.0:run-3"
_HISTORY = [
    _told(1, "requested", "promote", "v1.0.0", None, id_="promote:LAUNDRY:run-1"),
    _told(1, "served", "promote", "v1.0.0", None, id_="promote:LAUNDRY:run-1", position=1),
    _told(2, "requested", "promote", "v1.1.0", "v1.0.0", id_="promote:LAUNDRY:run-2"),
    _told(3, "failed", "promote", "v1.1.0", "v1.0.0", id_="promote:LAUNDRY:run-2", detail="replica-2 refused"),
    _told(4, "requested", "promote", "v1.1.0", "v1.0.0", id_="promote:LAUNDRY:run-2"),
    _told(4, "requested", "promote", "v1.0.0", None, id_="promote:FACE:run-9", model_type="FACE"),
    _told(4, "served", "promote", "v1.1.0", "v1.0.0", id_="promote:LAUNDRY:run-2", position=2),
    _told(5, "served", "promote", "v1.0.0", None, id_="promote:FACE:run-9", model_type="FACE", position=1),
    _told(6, "noted", "canary_start", "v1.2.0", "v1.1.0", id_=_TRIAL),
    _told(7, "noted", "canary_abort", "v1.2.0", "v1.1.0", id_=f"{_TRIAL}:aborted"),
    _told(8, "noted", "canary_start", "v1.3.0", "v1.1.0", id_="canary:LAUNDRY:v1.3.0:run-4"),
    _told(9, "served", "canary_promote", "v1.3.0", "v1.1.0", id_="promote:LAUNDRY:run-4", position=3),
    _told(10, "noted", "archive", "v1.0.0", "v1.3.0", id_="archive:LAUNDRY:v1.0.0:1"),
    _told(11, "served", "rollback_auto", "v1.1.0", "v1.3.0", id_="rollback:LAUNDRY:watch-1", position=4),
    _told(12, "noted", "canary_start", "v1.1.0", "v1.0.0", id_="canary:FACE:v1.1.0:run-8", model_type="FACE"),
]
_EARLIER = f"""
    INSERT INTO transitions (id, phase, model_type, kind, from_version, to_version, expected_current, position, actor,
                             reason, blessing_id, requested_at, confirmed_served_at, detail, recorded_at)
    VALUES {", ".join(_HISTORY)}"""


@pytest.fixture
def earlier(services, tmp_path):
    """A database of before the ledger, with a history of two model types."""
    with database_of(services, tmp_path, 4, _EARLIER) as dsn:
        yield dsn


def ledger(dsn, model_type=LAUNDRY):
    return TransitionLog(MlopsDatabase(dsn)).ledger(model_type)


def demand_the_same_answers(dsn):
    laundry, face = ledger(dsn), ledger(dsn, FACE)
    assert (laundry.position, face.position) == (12, 3)
    assert (laundry.champion, laundry.standing) == ("v1.1.0", ("v1.0.0", "v1.1.0"))
    assert laundry.freeze is not None
    assert (laundry.freeze.from_version, laundry.freeze.kind) == ("v1.3.0", Kind.ROLLBACK_AUTO)
    assert set(laundry.condemned) == {"v1.3.0"}
    assert laundry.archived == {"v1.0.0"}
    assert (laundry.trial, laundry.unsettled) == (None, ())
    assert [reign.version for reign in laundry.reigns] == ["v1.0.0", "v1.1.0", "v1.3.0", "v1.1.0"]
    assert laundry.reigns[-1].since == _AT + timedelta(hours=11)
    assert (face.champion, face.trial and face.trial.version) == ("v1.0.0", "v1.1.0")
    assert face.freeze is None


def test_the_history_of_before_answers_as_a_ledger(earlier):
    migrate(earlier, _MIGRATIONS)
    demand_the_same_answers(earlier)


def test_what_was_tried_and_failed_keeps_its_time_and_an_abort_its_trial(earlier):
    migrate(earlier, _MIGRATIONS)
    (failed,) = [e for e in ledger(earlier).entries if e.phase is Phase.FAILED]
    assert (failed.at, failed.detail) == (_AT + timedelta(hours=3, minutes=1), "replica-2 refused")
    (abort,) = [e.act for e in ledger(earlier).entries if isinstance(e.act, CanaryAbort)]
    assert (abort.trial_id, abort.beside) == (_TRIAL, "v1.1.0")
    assert any(isinstance(e.act, CanaryStart) and e.act.id == _TRIAL for e in ledger(earlier).entries)


def test_the_history_of_before_goes_on(earlier):
    migrate(earlier, _MIGRATIONS)
    log, now = TransitionLog(MlopsDatabase(earlier)), _AT + timedelta(days=1)
    history = log.ledger(LAUNDRY)
    cleared = history.clear_freeze(By("lee", "wrong labels", "clearing"), now)
    history = log.append(history, Entry(Phase.NOTED, cleared, now))
    back = history.roll_back(RollbackRequest("v1.3.0", now), By("lee", "it was right", "back"), now)
    history = log.append(history, Entry(Phase.REQUESTED, back, now), Entry(Phase.SERVED, back, now))
    assert log.ledger(LAUNDRY) == history
    assert (history.champion, history.freeze, history.position) == ("v1.3.0", None, 15)
    assert ledger(earlier, FACE).position == 3


def test_a_request_that_was_served_before_the_update_is_still_the_same_request(earlier):
    migrate(earlier, _MIGRATIONS)
    watch = By("watch", "low", "watch-1")
    again = ledger(earlier).roll_back(RollbackRequest("previous", _AT), watch, _AT + timedelta(days=1))
    assert (again.version, again.at) == ("v1.1.0", _AT + timedelta(hours=11))


def test_an_update_that_was_killed_in_the_middle_is_done_again(earlier):
    """It waits for the table, which somebody reads, with half of its work before it."""
    reader = psycopg2.connect(earlier)
    with reader.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM transitions")
    code = (
        "import sys, pathlib; from include.stack.migrations import migrate;"
        "migrate(sys.argv[1], pathlib.Path(sys.argv[2]))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, earlier, str(_MIGRATIONS)], cwd=REPOSITORY)
    until(lambda: waiting(earlier), "the update to reach the table")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    reader.close()
    migrate(earlier, _MIGRATIONS)
    demand_the_same_answers(earlier)


def waiting(dsn):
    connection = psycopg2.connect(dsn)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'transitions'::regclass")
        (count,) = cursor.fetchone()
    connection.close()
    return count


_NEW = [path for path in sorted(_MIGRATIONS.glob("*.sql")) if path.name > "0005"]


@pytest.mark.parametrize("update", _NEW, ids=lambda path: path.name[:4])
def test_an_update_that_was_killed_before_it_was_noted_is_done_again(earlier, tmp_path, update):
    for path in _MIGRATIONS.glob("*.sql"):
        if path.name < update.name:
            shutil.copy(path, tmp_path)
    migrate(earlier, tmp_path)
    run(earlier, update.read_text())
    migrate(earlier, _MIGRATIONS)
    demand_the_same_answers(earlier)
    with pytest.raises(psycopg2.errors.RaiseException, match="append-only"):
        run(earlier, "DELETE FROM transitions")


# Confirmations that were identified by the message they came in

_ONE = "'T-1', 'H', '불량', '양호', true, 's3://tasks/1.jpg', '2026-05-04T11:30:00.25Z'"
_CONFIRMED = f"""
    INSERT INTO task_confirmations (key, task_id, helper_id, ai_result, final_result, corrected, photo_url,
                                    confirmed_at, model_version, received_at)
    VALUES ('message-1', {_ONE}, NULL, '2026-05-04T12:00:00Z'), ('message-2', {_ONE}, NULL, '2026-05-04T12:05:00Z'),
        ('message-3', {_ONE.replace("T-1", "T-2")}, repeat('v', 2000), '2026-05-04T12:00:00Z')"""


def test_a_confirmation_of_before_is_known_by_what_it_says_and_stands_there_once(services, tmp_path):
    body = event_body(taskId="T-1", timestamp="2026-05-04T20:30:00.250000+09:00")
    again = parse_task_confirmed(body, now=_AT, photo_buckets=BUCKETS)
    with database_of(services, tmp_path, 6, _CONFIRMED) as dsn:
        migrate(dsn, _MIGRATIONS)
        table = ConfirmationTable(MlopsDatabase(dsn))
        assert table.backlog(LAUNDRY, None).corrections == 2
        assert table.store([again]).duplicates == 1
        # A row of before may be larger than any that comes now.
        with pytest.raises(psycopg2.errors.CheckViolation):
            table.store([an_event("new", model_version="v" * 129)])


# Confirmations that named a version without a name

_UNNAMED = """
    ALTER TABLE task_confirmations DROP CONSTRAINT bounded;
    INSERT INTO task_confirmations (key, task_id, helper_id, ai_result, final_result, corrected, photo_url,
                                    confirmed_at, model_version)
    SELECT n::text, 'T-' || n, 'H', '양호', '양호', false, 's3://tasks/' || CASE n WHEN 1 THEN repeat('x', 2000)
        ELSE (n / 2)::text END,
        '2026-05-04T14:00:00Z'::timestamptz + n * interval '1 minute', CASE WHEN n % 3 = 0 THEN NULL ELSE '' END
    FROM generate_series(0, 9) n"""


def test_a_confirmation_of_before_that_named_no_version_is_counted_alike_by_every_question(services, tmp_path):
    """Each photo once, however its confirmations were written; also a row that is larger than any that comes now."""
    with database_of(services, tmp_path, 52, _UNNAMED) as dsn:
        migrate(dsn, _MIGRATIONS)
        # The release of before may go on writing.
        run(dsn, _UNNAMED.partition(";")[2].replace("(0, 9)", "(10, 10)"))
        metrics, history = LiveMetricsView(MlopsDatabase(dsn)), a_history("promote v1.0.0")
        since = history.reigns[-1].since
        period = Period(since, since + timedelta(days=1))
        tally = metrics.tally(history, "v1.0.0", period)
        assert tally == metrics.newest(history, "v1.0.0", period, 100)
        (label,) = tally.labels
        assert metrics.by_version(history, period) == {"v1.0.0": (label,)}
        assert label.confirmed == len({0, 1, 3, 5, 7, 9, 10})


# Versions whose accuracy was the trainer's


_TRAINERS = """
    INSERT INTO datasets (dataset_id, run_id, model_type) VALUES ('DS-2026-001', 'run-1', 'LAUNDRY');
    INSERT INTO blessings VALUES ('blessing:run-1', 'run-1', 'LAUNDRY', true,
        '{"checks": [{"name": "holdout_accuracy", "value": 0.9462}, {"name": "validation_accuracy", "value": 0.9669}]}',
        now());
    INSERT INTO model_versions (version, model_type, accuracy, val_accuracy, trained_at, status, run_id, dataset_id,
        backbone, artifact_uri, manifest_sha256)
        SELECT version, 'LAUNDRY', accuracy, said, now(), 'CANDIDATE', run, 'DS-2026-001', 'ResNet50', 's3://m/', 'a'
        FROM (VALUES ('v1.0.0', 0.9883, 0.9699, 'run-1'), ('v1.1.0', 0.9, 0.8, 'unjudged'))
            v (version, accuracy, said, run)
"""


@pytest.fixture
def of_trainers(services, tmp_path):
    with database_of(services, tmp_path, 11, _TRAINERS) as dsn:
        yield dsn


def test_a_version_of_before_gets_the_accuracy_of_its_verdict(of_trainers):
    migrate(of_trainers, _MIGRATIONS)
    newest, first = VersionTable(MlopsDatabase(of_trainers)).all(LAUNDRY)
    assert (first.accuracy, first.val_accuracy) == (0.9669, 0.9699)
    assert (newest.accuracy, newest.val_accuracy) == (0.9, 0.8)
