"""One look of the live accuracy monitor at a million confirmations, through a real PostgreSQL of our own."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import psycopg2

from include.bench.measurement import Found, Say, compared, seconds
from include.bench.services import private_stack
from include.stack.postgres import query
from pipeline.bootstrap import Pipeline

_EVENTS = 1_000_000
_LOOKS = 3
# A third names no version; all fall into the window, which is the worst case.
_FILL = """
    INSERT INTO task_confirmations (key, task_id, helper_id, ai_result, final_result, corrected, photo_url,
                                    model_version, confirmed_at, extra)
    SELECT 'event-' || n, 'TASK-' || n, 'HELPER-001', CASE WHEN n %% 10 = 0 THEN '불량' ELSE '양호' END, '양호',
           n %% 10 = 0, 's3://tasks/TASK-' || n || '.jpg',
           CASE n %% 3 WHEN 0 THEN NULL WHEN 1 THEN 'v1.0.0' ELSE 'v1.1.0' END, %(now)s - n * interval '0.5 seconds',
           CASE WHEN n %% 20 = 0 THEN '{"blindAudit": true}'::jsonb ELSE '{}' END
    FROM generate_series(1, %(count)s) n"""
_SERVED = """
    INSERT INTO transitions (id, phase, model_type, kind, to_version, entry, position, actor, reason, request_id,
                             requested_at, at)
    VALUES (%s, 'served', 'LAUNDRY', 'promote', %s, %s, %s, 'bench', 'bench', 'bench', %s, %s)"""


def monitor(say: Say) -> Found:
    with private_stack(say, "postgres", "rabbitmq") as stack:
        # Its owner: only that may gather statistics of a table.
        dsn = stack.dsn("mlops_owner", "mlops")
        _fill(dsn, say)
        ours = min(seconds(_look) for _ in range(_LOOKS))
        plain = seconds(lambda: _count_here(dsn))
    return Found(
        compared("monitor", "seconds", ours=ours, plain=plain),
        f"{_EVENTS} confirmations in the window: tallies of champion, newest, blind sample and every version; "
        f"the fastest of {_LOOKS} looks. Plain: rows fetched and counted in Python.",
    )


def _fill(dsn: str, say: Say) -> None:
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    with connection.cursor() as cursor:
        say(f"{_EVENTS} confirmations")
        now = datetime.now(UTC)
        cursor.execute(_FILL, {"now": now, "count": _EVENTS})
        for position, (version, days) in enumerate((("v1.0.0", 30), ("v1.1.0", 6)), start=1):
            at = now - timedelta(days=days)
            cursor.execute(_SERVED, (f"bench {version}", version, position, position, at, at))
        cursor.execute("VACUUM ANALYZE task_confirmations")
    connection.close()


def _look() -> None:
    seen = Pipeline.from_env().watch("LAUNDRY")
    assert seen["confirmed"] > _EVENTS // 2


def _count_here(dsn: str) -> None:
    rows = query(dsn, "SELECT model_version, final_result, corrected, confirmed_at FROM task_confirmations")
    Counter((version, label, corrected) for version, label, corrected, _ in rows)
