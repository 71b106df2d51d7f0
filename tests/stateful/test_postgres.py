"""The same machine over the real tables: what holds in memory holds in PostgreSQL, with its locks and transactions.

Two acts at once have a session each, and whoever finds the other one's lock taken waits in the database.
"""

import os
from contextlib import contextmanager

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from psycopg2.errors import LockNotAvailable

from include.stack import reset
from pipeline.adapters.blessing_table import BlessingTable
from pipeline.adapters.dataset_table import DatasetTable
from pipeline.adapters.outbox_table import OutboxTable
from pipeline.adapters.reading_table import ReadingTable
from pipeline.adapters.retraining_run_table import RetrainingRunTable
from pipeline.adapters.transition_log import TransitionLog
from pipeline.adapters.version_table import VersionTable
from pipeline.domain.errors import StaleTransition
from pipeline.steps.clear_freeze import clear_freeze
from tests.fakes.deployment import for_ever
from tests.stateful.test_interleavings import MOST_CALLS, demand_one_story, interleaved, story
from tests.stateful.test_machine import SETTINGS, Deployments
from tests.stateful.world import StatefulWorld
from tests.unit.pipeline.steps.live_world import LAUNDRY, by

EXAMPLES = int(os.environ.get("STATEFUL_POSTGRES_EXAMPLES", "6"))
# So few calls of the first act that all pairs together take half a minute.
CALLS = range(2, MOST_CALLS, 11)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


class LogOfTwo(TransitionLog):
    """Of two acts in one process one runs at a time: whoever would wait for a lock lets the other one go on."""

    def __init__(self, database):
        super().__init__(database)
        self.wait, self._sessions = for_ever, database

    @contextmanager
    def _locked(self, name):
        while self._taken(name):
            self.wait(name)
        with super()._locked(name):
            yield

    def _taken(self, name):
        """Whether another session holds it for longer than it takes one to end."""
        with self._sessions.connection() as connection, connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '1s'")
            try:
                cursor.execute("SELECT pg_advisory_lock(hashtext(%s))", (name,))
            except LockNotAvailable:
                return True
        return False


class PostgresWorld(StatefulWorld):
    def __init__(self, database):
        super().__init__()
        self.versions, self.outbox, self.transitions = (
            table(database) for table in (VersionTable, OutboxTable, LogOfTwo)
        )
        self.blessings, self.readings, self.runs, self.datasets = (
            table(database) for table in (BlessingTable, ReadingTable, RetrainingRunTable, DatasetTable)
        )

    def dataset_of(self, run_id):
        return self.datasets.begin(run_id, LAUNDRY)


@pytest.fixture
def make(services):
    """A world whose tables are empty."""

    def empty():
        reset.truncate(services.stack.dsn("mlops_owner", "mlops"))
        return PostgresWorld(services.mlops)

    return empty


def test_no_sequence_of_acts_puts_the_wrong_model_live_over_the_real_tables(make):
    class OverTables(Deployments):
        def make(self):
            return make()

    few = settings(SETTINGS, max_examples=EXAMPLES, stateful_step_count=15)
    run_state_machine_as_test(OverTables, settings=few)


@pytest.mark.parametrize(
    ("of", "first", "second"),
    [
        ("candidate", "promote", "roll back"),
        ("trial", "promote canary", "abort canary"),
        ("trial", "judge canary", "monitor"),
        ("archived", "roll back by name", "restore"),
        ("frozen", "clear freeze", "roll back"),
    ],
)
def test_two_sessions_at_once_leave_one_story(make, of, first, second):
    demand_one_story(of, (first, second), interleaved(of, first, second, CALLS, make))


def test_whoever_decided_on_a_history_that_went_on_is_refused_and_leaves_nothing(make):
    """The lock of a session that the database ended is free: the position that was expected is all that is left."""
    made = story("frozen", make)
    world, log = made.world, made.world.transitions

    class LostLock:
        """Between reading and writing of this session a rollback runs whole in another one."""

        ledger = log.ledger

        @contextmanager
        def exclusive(self, model_type):
            yield

        def append(self, ledger, *entries, events=()):
            assert made.perform(made.request("roll back", "v1.0.0")).swap is not None
            return log.append(ledger, *entries, events=events)

    with pytest.raises(
        StaleTransition, match="look at `python -m pipeline history --model-type LAUNDRY` and ask again"
    ):
        clear_freeze(LostLock(), LAUNDRY, by("first"), world.clock)
    assert world.champion() == "v1.0.0" and world.ledger.freeze is not None
    made.check()
    made.recover(late=False)
