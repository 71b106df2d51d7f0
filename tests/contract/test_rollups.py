"""Whatever happens to confirmations, what is kept of them by day and version says what the rows say."""

import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta

import pytest

from pipeline.adapters.confirmation_table import ConfirmationTable, wait_for_roll_ups
from pipeline.adapters.dataset_table import DatasetTable
from pipeline.adapters.erasure_table import ErasureTable
from pipeline.adapters.evidence_table import EvidenceTable
from pipeline.adapters.withholding_table import WithholdingTable
from pipeline.domain.errors import GiveUp
from pipeline.domain.live_accuracy import Period
from pipeline.domain.models import ModelType
from pipeline.domain.withholding import GivenBack, Scope, Word, standing
from tests.builders import NOW, a_withheld, an_event
from tests.waiting import until

pytestmark = pytest.mark.integration

DAYS = """
    SELECT d.counted_by, d.day, count(*) FROM task_confirmations c CROSS JOIN LATERAL (VALUES
        ('confirmed', (GREATEST(c.confirmed_at, c.came_back_at) AT TIME ZONE 'UTC')::date),
        ('received', (GREATEST(c.received_at, c.came_back_at) AT TIME ZONE 'UTC')::date)) AS d (counted_by, day)
    WHERE corrected AND counts AND NOT withheld GROUP BY 1, 2 ORDER BY 1, 2"""
REVIEWS = """
    SELECT COALESCE(model_version, ''), corrected, count(*), count(took), COALESCE(sum(took), 0),
        COALESCE(sum(took * took), 0)
    FROM (SELECT c.*, review_seconds_of(extra)::numeric AS took FROM task_confirmations c) c
    WHERE counts GROUP BY 1, 2 ORDER BY 1, 2"""
QUARTERS = """
    SELECT quarter_of(confirmed_at), COALESCE(model_version, ''), final_result, blind, count(*),
        count(*) FILTER (WHERE NOT corrected)
    FROM task_confirmations WHERE counts GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"""
KEPT_QUARTERS = """
    SELECT quarter, model_version, final_result, blind, confirmed, agreed FROM verdict_quarters
    WHERE (confirmed, agreed) <> (0, 0) ORDER BY 1, 2, 3, 4"""
KEPT_DAYS = "SELECT counted_by, day, waiting FROM correction_days WHERE waiting <> 0 ORDER BY 1, 2"
KEPT_REVIEWS = """
    SELECT model_version, corrected, counting, timed, seconds, squares FROM review_totals
    WHERE counting <> 0 ORDER BY 1, 2"""
SINCE = """
    SELECT corrections_{what}_since(%(since)s),
        (SELECT count(*) FROM task_confirmations
         WHERE corrected AND counts AND NOT withheld AND GREATEST({what}_at, came_back_at) > %(since)s)"""


def rows(services, sql, **values):
    with services.mlops.transaction() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall()


def some_event(dice, number):
    """Often about a task that somebody spoke of before."""
    extra = {"reviewerId": dice.choice(["kim", "lee"]), "blindAudit": dice.random() < 0.2}
    if dice.random() < 0.7:
        extra["reviewSeconds"] = dice.choice([0, 4, round(dice.uniform(0.5, 90), 3)])
    return an_event(
        f"event-{number}",
        task_id=f"TASK-{dice.randrange(60)}",
        photo_url=f"s3://tasks/{dice.randrange(40)}.jpg",
        corrected=dice.random() < 0.5,
        model_version=dice.choice([None, "v1.0.0", "v1.1.0"]),
        # Often in the same quarter of an hour, and at its very ends.
        confirmed_at=NOW
        + dice.choice([timedelta(hours=dice.uniform(-72, 72)), timedelta(minutes=5 * dice.randrange(9))]),
        extra=extra,
    )


def withhold(db, wanted):
    with suppress(GiveUp):  # it stands
        WithholdingTable(db).withhold(wanted)


def acts(dice, db):
    return [
        lambda n: ConfirmationTable(db).store([some_event(dice, f"{n}-{i}") for i in range(dice.randint(1, 12))]),
        lambda n: EvidenceTable(db).recognise({f"s3://tasks/{dice.randrange(40)}.jpg": f"{dice.randrange(9):016x}"}),
        lambda n: withhold(db, a_withheld(Scope.REVIEWER, dice.choice(["kim", "lee"]), id=f"{n}")),
        lambda n: [
            WithholdingTable(db).give_back(one.id, GivenBack("kim", "right", NOW))
            for one in WithholdingTable(db).all()[: dice.randrange(3)]
        ],
        lambda n: withhold(
            db, a_withheld(Scope.VERSION, "v1.0.0", id=f"{n}", periods=(Period(NOW, NOW + timedelta(hours=20)),))
        ),
        lambda n: DatasetTable(db).begin(f"{n}", ModelType.LAUNDRY),
    ]


ADVISORY_WAITS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


@pytest.mark.parametrize("second", ["recognise", "anonymise"])
@pytest.mark.parametrize("first", ["store", "withhold"])
def test_whoever_writes_of_the_same_photo_at_once_waits_and_both_are_done(services, first, second):
    db = services.mlops
    photo = {"task_id": "TASK-1", "photo_url": "s3://tasks/1.jpg", "corrected": True, "extra": {"reviewerId": "kim"}}
    ConfirmationTable(db).store([an_event("1", **photo)])
    again = an_event("2", **photo, confirmed_at=NOW + timedelta(hours=1))
    acts = {
        "store": lambda: ConfirmationTable(db).store([again]),
        "withhold": lambda: WithholdingTable(db).withhold(a_withheld(Scope.REVIEWER, "kim")),
        "recognise": lambda: EvidenceTable(db).recognise({photo["photo_url"]: "00000000000000ff"}),
        "anonymise": lambda: ErasureTable(db).anonymise("TASK-1"),
    }

    with ThreadPoolExecutor(2) as both:
        with db.transaction() as holding:
            wait_for_roll_ups(holding)
            begun = []
            for act in (first, second):
                begun.append(both.submit(acts[act]))
                until(lambda: rows(services, ADVISORY_WAITS) == [(len(begun),)], "both to wait for their turn")
        for one in begun:
            one.result(60)
    assert rows(services, KEPT_DAYS) == rows(services, DAYS)


@pytest.mark.parametrize("seed", range(2))
def test_of_each_photo_the_last_trusted_word_counts_whatever_happened(services, seed):
    dice, db = random.Random(seed), services.mlops
    for number in range(30):
        dice.choice([acts(dice, db)[0], *acts(dice, db)])(number)
    known = standing(WithholdingTable(db).all())
    said = rows(services, "SELECT confirmed_at, key, task_id, photo, model_version, extra FROM task_confirmations")

    def trusted(row):
        return not any(one.covers(row[0], [Word("HELPER-001", row[5].get("reviewerId"))]) for one in known)

    last = {row[2]: row for row in sorted(said, key=lambda row: row[:2])}.values()
    first = {(row[3], row[4]): row[1] for row in sorted(last, key=lambda row: (trusted(row), *row[:2]))}
    assert {key for (key,) in rows(services, "SELECT key FROM task_confirmations WHERE counts")} == set(first.values())
    withheld = rows(services, "SELECT key FROM task_confirmations WHERE corrected AND counts AND withheld")
    distrusted = {row[1] for row in said if not trusted(row)}
    corrected = {key for (key,) in rows(services, "SELECT key FROM task_confirmations WHERE corrected AND counts")}
    assert {key for (key,) in withheld} == corrected & distrusted


@pytest.mark.parametrize("seed", range(3))
def test_rollups_say_what_the_rows_say_whatever_happened(services, seed):
    dice, db = random.Random(seed), services.mlops
    may = [*acts(dice, db), lambda n: ErasureTable(db).anonymise(f"TASK-{dice.randrange(60)}")]
    for number in range(40):
        dice.choice([may[0], *may])(number)
    rows(services, "DELETE FROM task_confirmations WHERE task_id = 'TASK-7' RETURNING key")
    assert rows(services, KEPT_DAYS) == rows(services, DAYS)
    assert rows(services, KEPT_REVIEWS) == rows(services, REVIEWS)
    assert rows(services, KEPT_QUARTERS) == rows(services, QUARTERS)
    for hours in (-100, -71.5, -24, 0, 0.001, 13, 100):
        for what in ("confirmed", "received"):
            ((kept, counted),) = rows(services, SINCE.format(what=what), since=NOW + timedelta(hours=hours))
            assert kept == counted, f"{what} since {hours} hours"
    ((everything, counted),) = rows(services, SINCE.format(what="confirmed"), since="-infinity")
    assert everything == counted
