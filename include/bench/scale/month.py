"""A month of ten million confirmations: what is decided, how much is kept, and which question takes longest.

Scaled down by `BENCHSCALE`.
"""

from datetime import UTC, datetime, timedelta

from include.bench.measurement import Figures, Found, Say, seconds
from include.bench.scale import SCALE
from include.bench.scale.page import Chosen, Decided, Kept, Lived, page
from include.bench.scale.people import DAYS, PROMISED, SLOTS_A_DAY, Month
from include.bench.scale.replay import Replay
from include.bench.services import private_stack
from include.stack.layout import Stack
from include.stack.postgres import query
from pipeline.adapters.helper_db import HelperDatabase
from pipeline.domain.selection import SelectionPolicy

_ALL = 10_000_000
_TABLES = """
    SELECT relname, n_live_tup, pg_total_relation_size(relid) FROM pg_stat_user_tables
    WHERE schemaname = 'public' AND n_live_tup > 0 AND relname !~ '^(_yoyo|bench)' ORDER BY 3 DESC, 1"""
_DECIDED = "SELECT rule, due, decided FROM decision_totals ORDER BY 3 DESC, 1"
# A week of corrections that nothing learned from, of branches as unlike as the month's.
_WAITING = """
    INSERT INTO tasks
        (task_id, helper_id, photo_url, ai_result, final_result, corrected, correction_reason, confirmed_at)
    SELECT 'TASK-' || n, 'HELPER-' || floor(300 * (n * 7919 %% 1000 / 1000.0) ^ 2), 's3://tasks/' || n || '.jpg',
           '양호', '불량', true, (ARRAY['커피 얼룩', '진흙', '기름때', '탈색'])[1 + n %% 4] || ' ' || n %% 50,
           now() - interval '7 days' * n / %(count)s
    FROM generate_series(1, %(count)s) n"""


def month(say: Say) -> Found:
    with private_stack(say, "postgres") as stack:
        begins = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=DAYS + 1)
        replay = Replay(Month(_ALL // SCALE, begins), stack.dsn("mlops", "mlops"), stack.dsn("mlops_owner", "mlops"))
        before, took = _log_bytes(stack), seconds(lambda: _live(replay, say))
        log, kept = _log_bytes(stack) - before, _kept(stack)
        decided = [Decided(*row) for row in query(stack.dsn("mlops", "mlops"), _DECIDED)]
        chosen = _chosen(stack, round(_ALL * 7 / DAYS * PROMISED))
    lived = Lived(SCALE, replay, took, decided, kept, log, chosen)
    how = f"{DAYS} days in half hours, one of {SCALE} confirmations; a private PostgreSQL, one process."
    return Found(_figures(lived), how, {"scale.md": page(lived).encode()})


def _figures(lived: Lived) -> Figures:
    due, times = lived.replay.due, lived.replay.times
    return {
        "confirmations": lived.confirmations,
        "seconds_of_the_replay": lived.seconds,
        "confirmations_stored_per_second": lived.stored_per_second,
        "trainings": len(due),
        "urgent_trainings": sum(one.begun.rule == "urgent" for one in due),
        "bytes_of_tables": sum(one.bytes for one in lived.kept),
        "bytes_of_the_log": lived.log_bytes,
        "slowest_question_seconds": times.longest(lived.questions[0]),
        "seconds_to_choose_corrections": lived.chosen.seconds,
    }


def _live(replay: Replay, say: Say) -> None:
    for number, end in enumerate(replay.half_hours(), 1):
        if number % SLOTS_A_DAY == 0:
            say(f"{end:%Y-%m-%d}: {len(replay.due)} trainings")


def _log_bytes(stack: Stack) -> int:
    ((position,),) = query(stack.dsn("mlops", "mlops"), "SELECT pg_current_wal_lsn() - '0/0'")
    return int(position)


def _kept(stack: Stack) -> list[Kept]:
    query(stack.dsn("mlops_owner", "mlops"), "ANALYZE")
    return [Kept(*row) for row in query(stack.dsn("mlops", "mlops"), _TABLES)]


def _chosen(stack: Stack, waiting: int) -> Chosen:
    query(stack.dsn("helper_owner", "helper"), f"{_WAITING}; ANALYZE tasks", {"count": waiting})
    policy, source = SelectionPolicy(), HelperDatabase(stack.dsn("mlops_reader", "helper"))
    pool = list(source.corrections(since=None, limit=policy.correction_pool))
    took = seconds(lambda: source.corrections(since=None, limit=policy.correction_pool))
    taken = policy.new_of(pool)
    ((branches,),) = query(stack.dsn("helper", "helper"), "SELECT count(DISTINCT helper_id) FROM tasks")
    return Chosen(waiting, len(taken), len({t.helper_id for t in taken}), branches, took)
