"""The dashboard's questions at ten million confirmations and a thousand versions, to a real PostgreSQL of our own."""

from datetime import UTC, datetime, timedelta
from statistics import median

import psycopg2

from include.bench.measurement import Found, Say, seconds
from include.bench.services import private_stack
from include.stack.layout import REPOSITORY
from pipeline.bootstrap.dashboard import Dashboard

_MILLIONS = 10
_VERSIONS = 1000
_ASKED = 10
# Two years; a tenth is corrected, and since the champion's dataset 60 days have passed.
_CONFIRMATIONS = """
    INSERT INTO task_confirmations (key, task_id, helper_id, ai_result, final_result, corrected, photo_url,
                                    model_version, confirmed_at, received_at, extra)
    SELECT 'event-' || n, 'TASK-' || n, 'H-' || n %% 50, '양호', CASE WHEN n %% 10 = 0 THEN '불량' ELSE '양호' END,
           n %% 10 = 0, 's3://tasks/TASK-' || n || '.jpg', 'v1.' || 999 - n::bigint * 1000 / %(all)s || '.0',
           %(now)s - n * interval '6.3 seconds', %(now)s - n * interval '6.3 seconds',
           jsonb_build_object('reviewSeconds', n %% 40, 'reviewerId', 'R-' || n %% 200)
    FROM generate_series(%(first)s, %(last)s) n"""
_VERSION_ROWS = """
    CREATE TEMPORARY TABLE began AS
    SELECT n, %(now)s - interval '60 days' - (%(n)s - n) * interval '16 hours' AS at FROM generate_series(1, %(n)s) n;
    INSERT INTO datasets (dataset_id, run_id, model_type, begun_at, corrections_through, completed_at)
    SELECT 'DS-' || n, 'run-' || n, 'LAUNDRY', at, at, at
    FROM began;
    INSERT INTO training_results (run_id, dataset_id, result)
    SELECT run_id, dataset_id, jsonb_build_object('trained_at', begun_at) FROM datasets;
    INSERT INTO model_versions (version, model_type, accuracy, val_accuracy, trained_at, status, run_id, dataset_id,
                                backbone, artifact_uri, manifest_sha256)
    SELECT 'v1.' || n - 1 || '.0', 'LAUNDRY', 0.9, 0.9, %(now)s, 'RETIRED', 'run-' || n, 'DS-' || n, 'ResNet50', '', ''
    FROM generate_series(1, %(n)s) n;
    INSERT INTO transitions (id, phase, model_type, kind, from_version, to_version, entry, position, actor, reason,
                             request_id, requested_at, at)
    SELECT 'bench-' || n, 'served', 'LAUNDRY', 'promote', CASE WHEN n > 1 THEN 'v1.' || n - 2 || '.0' END,
           'v1.' || n - 1 || '.0', n, n, 'bench', 'bench', 'bench-' || n, at, at
    FROM began"""


def overview(say: Say) -> Found:
    with private_stack(say, "postgres") as stack:
        # Its owner: only that may gather statistics of a table.
        _fill(stack.dsn("mlops_owner", "mlops"), say)
        board = Dashboard.from_env()
        asked = {
            "overview": lambda: board.overview("LAUNDRY"),
            "sightings": lambda: board.sightings("LAUNDRY", 90),
            "worth": lambda: board.worth("LAUNDRY"),
            "voices": lambda: board.voices("LAUNDRY"),
        }
        took = {name: median(seconds(ask) for _ in range(_ASKED)) for name, ask in asked.items()}
    figures = {f"dashboard_{name}_seconds": value for name, value in took.items()}
    how = f"{_MILLIONS} million confirmations, {_VERSIONS} versions; the median of {_ASKED}, each on a new connection"
    return Found(figures, how)


def _fill(dsn: str, say: Say) -> None:
    connection, now = psycopg2.connect(dsn), datetime.now(UTC)
    connection.autocommit = True
    with connection.cursor() as cursor:
        # Rows are counted at the end, all together.
        cursor.execute("ALTER TABLE task_confirmations DISABLE TRIGGER USER")
        for million in range(_MILLIONS):
            say(f"{million + 1} of {_MILLIONS} million confirmations")
            first, last = million * 1_000_000 + 1, (million + 1) * 1_000_000
            about = {"now": now, "all": _MILLIONS * 1_000_000, "first": first, "last": last}
            cursor.execute(_CONFIRMATIONS, about)
        cursor.execute("ALTER TABLE task_confirmations ENABLE TRIGGER USER")
        cursor.execute((REPOSITORY / "include/sql/mlops/0032.rollups.sql").read_text())
        cursor.execute(_VERSION_ROWS, {"now": now - timedelta(hours=1), "n": _VERSIONS})
        cursor.execute("VACUUM ANALYZE")
    connection.close()
