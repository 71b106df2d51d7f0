"""Years of confirmations: what is asked every few minutes never reads a large table through (real PostgreSQL)."""

from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from pipeline.adapters.confirmation_table import ConfirmationTable
from pipeline.adapters.dataset_table import DatasetTable
from pipeline.adapters.decision_table import DecisionTable
from pipeline.adapters.erasure_table import ErasureTable
from pipeline.adapters.evidence_table import EvidenceTable
from pipeline.adapters.face_confirmation_table import FaceConfirmationTable
from pipeline.adapters.face_reading_table import FaceReadingTable
from pipeline.adapters.live_metrics import LiveMetricsView
from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.adapters.outbox_table import OutboxTable
from pipeline.adapters.reading_table import ReadingTable
from pipeline.adapters.safeguard_table import SafeguardTable
from pipeline.adapters.sighting_table import SightingTable
from pipeline.adapters.total_tables import TotalTables
from pipeline.adapters.withholding_table import WithholdingTable
from pipeline.bootstrap.exporter import watching
from pipeline.domain.dataset import Manifest
from pipeline.domain.figures.production import Branches
from pipeline.domain.live_accuracy import Period
from pipeline.domain.models import ModelType
from pipeline.domain.withholding import Scope
from pipeline.settings import Settings
from pipeline.steps.faces.tell_face_facts import tell_face_facts
from pipeline.steps.tell_facts import tell_facts
from pipeline.steps.tell_safeguards import tell_safeguards
from tests.builders import NOW, a_dataset, a_face_confirmation, a_photo, a_withheld, an_event
from tests.histories import a_history
from tests.waiting import until

pytestmark = pytest.mark.integration

LAUNDRY, FACE = ModelType.LAUNDRY, ModelType.FACE
LARGE = (
    *("task_confirmations", "dataset_photos", "retraining_decisions", "live_accuracy_readings", "outbox"),
    *("face_confirmations", "face_readings", "set_aside_tasks"),
)
# A version serves for a hundredth of the confirmations, and the champion's corrections end near the end.
FILL = """
    INSERT INTO task_confirmations (key, task_id, helper_id, ai_result, final_result, corrected, photo_url,
                                    model_version, confirmed_at, received_at, extra)
    SELECT 'event-' || n, 'TASK-' || n, 'HELPER-001', '양호', CASE WHEN n % 10 = 0 THEN '불량' ELSE '양호' END,
           n % 10 = 0, 's3://tasks/TASK-' || n || '.jpg', CASE WHEN n % 3 > 0 THEN 'v1.' || n / 400 || '.0' END,
           {now} - n * interval '5 minutes', {now} - n * interval '5 minutes',
           CASE WHEN n % 20 = 0 THEN '{{"blindAudit": true}}'::jsonb ELSE '{{}}' END
    FROM generate_series(1, 40000) n;
    INSERT INTO datasets (dataset_id, run_id, model_type, begun_at, corrections_through, completed_at)
    SELECT 'DS-2026-' || n, 'run-' || n, 'LAUNDRY', {now} - (1000 - n) * interval '6 hours' - interval '1 day',
           {now} - (1000 - n) * interval '6 hours' - interval '1 day', {now}
    FROM generate_series(1, 1000) n;
    INSERT INTO training_results (run_id, dataset_id, result)
    SELECT run_id, dataset_id, jsonb_build_object('trained_at', begun_at) FROM datasets;
    INSERT INTO blessings (id, run_id, model_type, accepted, verdict, decided_at)
    SELECT run_id, run_id, model_type, true, '{{}}', begun_at FROM datasets;
    INSERT INTO model_versions (version, model_type, accuracy, val_accuracy, trained_at, status, run_id, dataset_id,
                                backbone, artifact_uri, manifest_sha256)
    SELECT 'v1.' || n || '.0', 'LAUNDRY', 0.9, 0.9, {now}, 'CANDIDATE', 'run-' || n, 'DS-2026-' || n, 'ResNet50', '',
           ''
    FROM generate_series(1, 1000) n;
    INSERT INTO dataset_photos (dataset_id, task_id, photo_url, sha256, cluster_id, label, source, split)
    SELECT 'DS-2026-' || 1 + n % 1000, 'TASK-' || n, 's3://tasks/' || n, n, 'b', '양호', 'evaluation', 'train'
    FROM generate_series(1, 40000) n;
    INSERT INTO retraining_decisions (id, model_type, due, rule, reason, corrections, since_last_try, asked_by,
                                      decided_at)
    SELECT n::text, 'LAUNDRY', false, 'none', 'too few', 1, 1, 'test', {now} FROM generate_series(1, 10000) n;
    INSERT INTO live_accuracy_readings (model_type, version, at, state, reason, confirmed, agreed, low, high,
                                        blind_confirmed, blind_agreed, labels, versions, decision)
    SELECT 'LAUNDRY', 'v1.1.0', {now} - n * interval '5 minutes', 'ok', '', 1, 1, 0, 1, 0, 0, '[]', '{{}}', ''
    FROM generate_series(1, 10000) n;
    INSERT INTO face_confirmations (key, check_id, door_id, person, claimed, ai_result, final_result, photo_url,
                                    model_version, confirmed_at, received_at, score, threshold)
    SELECT 'check-' || n, 'C-' || n, 'D-1', 'person:' || n % 400, true, 'same',
           CASE WHEN n % 10 = 0 THEN 'different' ELSE 'same' END, 's3://tasks/' || n, 'v1.' || n / 4000 || '.0',
           {now} - n * interval '5 minutes', {now} - n * interval '5 minutes', 0.7, 0.5
    FROM generate_series(1, 40000) n;
    INSERT INTO datasets (dataset_id, run_id, model_type, begun_at, corrections_through, completed_at)
    VALUES ('DS-2026-1001', 'faces-1', 'FACE', {now} - interval '1 day', {now} - interval '1 day', {now});
    INSERT INTO blessings (id, run_id, model_type, accepted, verdict, decided_at)
    VALUES ('faces-1', 'faces-1', 'FACE', true, '{{}}', {now} - interval '1 day');
    INSERT INTO model_versions (version, model_type, accuracy, val_accuracy, trained_at, status, run_id, dataset_id,
                                backbone, artifact_uri, manifest_sha256)
    VALUES ('v1.0.0', 'FACE', 0.9, 0.9, {now}, 'CANDIDATE', 'faces-1', 'DS-2026-1001', 'MobileFaceNet', '', '');
    INSERT INTO face_readings (version, at, state, reason, refused_failed, refused_checks, refused_people, refused_low,
                               refused_high, accepted_failed, accepted_checks, accepted_people, accepted_low,
                               accepted_high, decision)
    SELECT 'v1.0.0', {now} - n * interval '5 minutes', 'ok', '', 0, 1, 1, 0, 1, 0, 1, 1, 0, 1, ''
    FROM generate_series(1, 20000) n;
    INSERT INTO set_aside_tasks (dataset_id, task_id, photo_url, kind, reason, sha256)
    SELECT 'DS-2026-' || 1 + n % 1000, 'ASIDE-' || n, 's3://tasks/aside-' || n, 'repeated', '', 'aside-' || n
    FROM generate_series(1, 20000) n;
    INSERT INTO outbox (id, type, payload, published_at, told_at)
    SELECT n::text, 'ModelDeployedEvent', '{{}}', {now}, {now} FROM generate_series(1, 10000) n;
"""


@pytest.fixture(scope="module")
def years(running_services):
    running_services.empty()
    with running_services.mlops.transaction() as cursor:
        cursor.execute(FILL.format(now=f"'{NOW.isoformat()}'::timestamptz"))
    # Others may not: for them PostgreSQL only warns.
    with running_services.owner.connection() as connection:
        connection.autocommit = True
        connection.cursor().execute("VACUUM ANALYZE")
    yield running_services.mlops
    running_services.empty()


def read_through(database):
    """How often each large table was read from its first row to its last; a connection tells it when it ends."""
    with database.transaction() as cursor:
        until(lambda: not others(cursor), "the connection that asked has ended")
        cursor.execute("SELECT relname, seq_scan FROM pg_stat_user_tables WHERE relname = ANY(%s)", (list(LARGE),))
        return dict(cursor.fetchall())


def others(cursor):
    # Else a transaction sees who was there at its first look.
    cursor.execute("SELECT pg_stat_clear_snapshot()")
    cursor.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        " AND datname = current_database()"
    )
    return cursor.fetchone()[0]


SERVED = a_history("promote v1.998.0", "promote v1.999.0")
PERIOD = Period(NOW - timedelta(days=7), NOW)
QUESTIONS = {
    "how many corrections wait": lambda db: ConfirmationTable(db).backlog(LAUNDRY, "v1.1000.0"),
    "store a confirmation": lambda db: ConfirmationTable(db).store([an_event("a")]),
    "a version's accuracy": lambda db: LiveMetricsView(db).tally(SERVED, "v1.1.0", PERIOD),
    "its newest confirmations": lambda db: LiveMetricsView(db).newest(SERVED, "v1.1.0", PERIOD, 100),
    "its blind sample": lambda db: LiveMetricsView(db).blind(SERVED, "v1.1.0", PERIOD),
    "every version's accuracy": lambda db: LiveMetricsView(db).by_version(SERVED, PERIOD),
    "photos that nobody looked at": lambda db: EvidenceTable(db).unseen(PERIOD, limit=200),
    "what the photos of a week show": lambda db: EvidenceTable(db).founders(PERIOD),
    "two photos are one": lambda db: EvidenceTable(db).recognise(
        {f"s3://tasks/TASK-{n}.jpg": "0000000000000007" for n in (1, 2)}
    ),
    "what is to be published": lambda db: OutboxTable(db).pending(),
    "what is to be told": lambda db: OutboxTable(db).untold(),
    "an event was published": lambda db: OutboxTable(db).mark_published("500"),
    "everything that Prometheus is told": lambda db: list(
        tell_facts(replace(watching(Settings(), db), shown=0), Branches())
    ),
    "its last look at some versions": lambda db: TotalTables(db).looks(LAUNDRY, {"v1.1.0", "v1.2.0"}),
    "the monitor's last look": lambda db: SightingTable(db).last(LAUNDRY),
    "its looks of a week": lambda db: SightingTable(db).within(LAUNDRY, PERIOD, most=700),
    "the last answers of the policy": lambda db: SightingTable(db).answers(LAUNDRY, most=5),
    "how much is to be published": lambda db: SightingTable(db).unpublished(),
    "what people set aside": lambda db: SightingTable(db).withheld(),
    "whose corrections there are": lambda db: SightingTable(db).voices(SERVED, PERIOD, most=30),
    "who said what of a dataset": lambda db: WithholdingTable(db).words([f"TASK-{n}" for n in range(20)]),
    "a reviewer is set aside": lambda db: WithholdingTable(db).withhold(a_withheld(Scope.REVIEWER, "kim")),
    "what reviews took": lambda db: SightingTable(db).reviews(),
    "the open alert": lambda db: ReadingTable(db).open_episode(LAUNDRY),
    "where a task's photo went": lambda db: DatasetTable(db).appearances(task_id="TASK-500"),
    "who shows the same photo": lambda db: DatasetTable(db).kept("TASK-500"),
    "the photos of a dataset": lambda db: DatasetTable(db).appearances(dataset_id="DS-2026-7"),
    "where what is forgotten lies": lambda db: [ErasureTable(db).addresses(one) for one in ("TASK-500", "person:7")],
    "texts that name what is forgotten": lambda db: ErasureTable(db).strike(["s3://tasks/TASK-500.jpg", "s3://a/b"]),
    "forget a photo": lambda db: ErasureTable(db).anonymise("TASK-500"),
    "whether a selection has what was erased": lambda db: DatasetTable(db).finish(
        a_dataset(id="DS-2026-7"),
        Manifest("DS-2026-7", "LAUNDRY", ("양호", "불량"), None, NOW.isoformat(), tuple(a_photo(n) for n in range(20))),
    ),
    "what a dataset set aside": lambda db: DatasetTable(db).set_aside("DS-2026-7"),
    "store a confirmation about a face": lambda db: FaceConfirmationTable(db).store([a_face_confirmation("a")]),
    "how many corrections of faces wait": lambda db: FaceConfirmationTable(db).backlog(FACE, "v1.0.0"),
    "both rates of faces": lambda db: FaceConfirmationTable(db).tallies(PERIOD.since, PERIOD.until),
    "the last word on a face model": lambda db: FaceConfirmationTable(db).newest("v1.0.0", PERIOD.since, PERIOD.until),
    "forget a person's checks": lambda db: FaceConfirmationTable(db).forget("person:7"),
    "the last look at faces": lambda db: FaceReadingTable(db).last(),
    "what is past its time": lambda db: [
        one.forget(LAUNDRY, before=NOW - timedelta(days=400), dry_run=dry)
        for one in (DecisionTable(db), ReadingTable(db))
        for dry in (True, False)
    ],
    "looks at faces that are past their time": lambda db: [
        FaceReadingTable(db).forget(before=NOW - timedelta(days=68), dry_run=dry) for dry in (True, False)
    ],
    "events that everybody has": lambda db: [
        OutboxTable(db).forget(before=NOW - timedelta(days=400), dry_run=dry) for dry in (True, False)
    ],
    "looks at faces": lambda db: FaceReadingTable(db).within(PERIOD, most=100),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_large_table_is_never_read_through(years, question):
    before = read_through(years)
    QUESTIONS[question](years)
    assert read_through(years) == before


class Explained(MlopsDatabase):
    """`patterns` says on how many rows each question of SQL tried one, `read` how many rows of large tables it read."""

    def __init__(self, database):
        self._asked, self.patterns, self.read = database, [], {}

    @contextmanager
    def transaction(self):
        with self._asked.transaction() as cursor:
            yield SimpleNamespace(
                execute=lambda sql, values=(): self._execute(cursor, sql, values),
                fetchall=cursor.fetchall,
                fetchone=cursor.fetchone,
            )

    def _execute(self, cursor, sql, values):
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", values)
        plan = cursor.fetchone()[0][0]["Plan"]
        self.patterns += tried(plan)
        self.read[" ".join(sql.split())] = rows_of_large_tables(plan)
        cursor.execute(sql, values)


def tried(plan):
    below = [rows for one in plan.get("Plans", ()) for rows in tried(one)]
    rows = (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
    return [*below, rows] if " ~ " in plan.get("Filter", "") else below


def rows_of_large_tables(plan):
    below = sum(rows_of_large_tables(one) for one in plan.get("Plans", ()))
    if plan.get("Relation Name") not in LARGE:
        return below
    passed = sum(plan.get(f"Rows Removed by {why}", 0) for why in ("Filter", "Index Recheck"))
    return below + (plan["Actual Rows"] + passed) * plan["Actual Loops"]


def test_what_prometheus_asks_every_few_seconds_reads_few_rows_by_their_index(years):
    """An index that is read through takes as long as its table, and no sequential scan tells of it."""
    explained = Explained(years)
    told = [
        *tell_facts(replace(watching(Settings(), explained), shown=0), Branches()),
        *tell_face_facts(FaceReadingTable(explained), Settings().face_watch),
        *tell_safeguards(SafeguardTable(explained), NOW),
    ]
    assert {"corrections_pending", "confirmations_total", "decisions_total", "face_rates_state"} <= {
        fact.family for fact in told
    }
    # A thousand corrections may wait, of ten million confirmations as of these forty thousand.
    assert len(explained.read) > 15
    assert {sql: rows for sql, rows in explained.read.items() if rows > 1000} == {}


def test_names_are_tried_one_by_one_and_not_the_confirmations_that_have_them(years):
    """A pattern takes as long as reading twenty rows: of ten million confirmations the page waited for two seconds."""
    explained = Explained(years)
    found = SightingTable(explained).voices(SERVED, Period(NOW - timedelta(days=90), NOW), most=30)
    assert [(voice.name, voice.corrections > 1000) for voice in found[-1:]] == [("HELPER-001", True)]
    assert explained.patterns and max(explained.patterns) <= 2


def test_no_function_is_asked_about_each_row_of_a_table(years):
    """PostgreSQL plans such a function apart from the question, and asks it once for each row: minutes, of a large
    table, for what takes a second inside the question.
    """
    with years.transaction() as cursor:
        cursor.execute(
            "SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_type t ON t.oid = ANY(p.proargtypes)"
            " WHERE t.typtype = 'c' AND p.pronamespace = 'public'::regnamespace"
        )
        assert cursor.fetchall() == []
