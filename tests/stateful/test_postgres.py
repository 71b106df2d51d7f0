"""The same machine over the real tables: what holds in memory holds in PostgreSQL, with its locks and transactions."""

import os

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from include.stack import reset
from pipeline.adapters.blessing_table import BlessingTable
from pipeline.adapters.dataset_table import DatasetTable
from pipeline.adapters.outbox_table import OutboxTable
from pipeline.adapters.reading_table import ReadingTable
from pipeline.adapters.retraining_run_table import RetrainingRunTable
from pipeline.adapters.transition_log import TransitionLog
from pipeline.adapters.version_table import VersionTable
from tests.stateful.test_machine import SETTINGS, Deployments
from tests.stateful.world import StatefulWorld
from tests.unit.pipeline.steps.live_world import LAUNDRY

EXAMPLES = int(os.environ.get("STATEFUL_POSTGRES_EXAMPLES", "6"))


class PostgresWorld(StatefulWorld):
    def __init__(self, database):
        super().__init__()
        self.versions, self.outbox, self.transitions = (
            table(database) for table in (VersionTable, OutboxTable, TransitionLog)
        )
        self.blessings, self.readings, self.runs, self.datasets = (
            table(database) for table in (BlessingTable, ReadingTable, RetrainingRunTable, DatasetTable)
        )

    def dataset_of(self, run_id):
        return self.datasets.begin(run_id, LAUNDRY)


@pytest.mark.integration
@pytest.mark.timeout(600)
def test_no_sequence_of_acts_puts_the_wrong_model_live_over_the_real_tables(services):
    class OverTables(Deployments):
        at_once = False  # in one process, whoever waits for a lock of the database waits for ever

        def make(self):
            reset.truncate(services.stack.dsn("mlops_owner", "mlops"))
            return PostgresWorld(services.mlops)

    few = settings(SETTINGS, max_examples=EXAMPLES, stateful_step_count=15)
    run_state_machine_as_test(OverTables, settings=few)
