"""Locks of the transition log between processes, and what is left of one when its process or the database dies."""

import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace

import pytest

from include.stack.layout import REPOSITORY
from pipeline.adapters import transition_log
from pipeline.adapters.transition_log import TransitionLog
from pipeline.domain.errors import StaleTransition
from pipeline.domain.models import ModelType, Status
from tests.contract.test_tables import versions
from tests.contract.test_transitions import RealLog, tell
from tests.histories import a_history
from tests.waiting import until

pytestmark = pytest.mark.integration

LAUNDRY = ModelType.LAUNDRY
LOCKS = ("exclusive", "preparing")
# Nobody has it within these: a moment, and longer than a statement may take.
MOMENT_SECONDS, LONG_SECONDS = 0.5, 1.5
_HOLD = """
import sys, time
from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.adapters import transition_log
from pipeline.adapters.transition_log import TransitionLog
from pipeline.domain.models import ModelType
with getattr(TransitionLog(MlopsDatabase(sys.argv[1])), sys.argv[2])(ModelType.LAUNDRY):
    print("held", flush=True)
    time.sleep(800)
"""


@pytest.fixture
def log(services):
    return TransitionLog(services.mlops)


@contextmanager
def held_elsewhere(services, lock):
    """Another process holds it; killed at the end, as by the kernel."""
    command = [sys.executable, "-c", _HOLD, services.stack.dsn("mlops", "mlops"), lock]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield
        finally:
            os.kill(process.pid, signal.SIGKILL)


class Waiter:
    """Wants a lock in a thread of its own."""

    def __init__(self, log, lock):
        self._held, self.error = threading.Event(), None
        self._thread = threading.Thread(target=self._take, args=(getattr(log, lock),))
        self._thread.start()

    def _take(self, lock):
        try:
            with lock(LAUNDRY):
                self._held.set()
        except Exception as error:  # noqa: BLE001 - the test looks at whatever it was
            self.error = error

    def has_it(self, within_seconds):
        return self._held.wait(within_seconds)

    def join(self):
        self._thread.join(60)


@pytest.mark.parametrize(("lock", "other"), [LOCKS, LOCKS[::-1]])
def test_a_lock_excludes_itself_and_not_the_other_and_is_free_when_its_process_is_killed(services, log, lock, other):
    with held_elsewhere(services, lock):
        waiter, free = Waiter(log, lock), Waiter(log, other)
        assert free.has_it(within_seconds=120)
        assert not waiter.has_it(within_seconds=MOMENT_SECONDS)
        with getattr(log, lock)(ModelType.FACE):
            assert not waiter.has_it(within_seconds=MOMENT_SECONDS)
    assert waiter.has_it(within_seconds=120)
    for one in (waiter, free):
        one.join()


def test_no_time_limit_of_a_statement_ends_a_long_wait(services, log, monkeypatch):
    monkeypatch.setattr(transition_log, "_ASK_AGAIN_SECONDS", 1)
    with log.exclusive(LAUNDRY):
        waiter = Waiter(log, "exclusive")
        assert not waiter.has_it(within_seconds=LONG_SECONDS)
        assert waiter.error is None
    assert waiter.has_it(within_seconds=120)
    waiter.join()


_WAIT = """
import signal, sys
from pipeline.adapters import transition_log
from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.domain.models import ModelType
transition_log._ASK_AGAIN_SECONDS = 1
for one in (signal.SIGTERM, signal.SIGINT):
    signal.signal(one, lambda *_: sys.exit(7))
print("begins", flush=True)
with transition_log.TransitionLog(MlopsDatabase(sys.argv[1])).exclusive(ModelType.LAUNDRY):
    print("has it", flush=True)
"""


@pytest.mark.parametrize("ends", [signal.SIGTERM, signal.SIGINT])
def test_whoever_waits_for_a_lock_may_be_ended(services, log, ends):
    command = [sys.executable, "-c", _WAIT, services.stack.dsn("mlops", "mlops")]
    with (
        log.exclusive(LAUNDRY),
        subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process,
    ):
        assert process.stdout is not None
        assert process.stdout.readline() == "begins\n"
        process.send_signal(ends)
        assert process.wait(120) == 7


def test_after_a_restart_of_the_database_the_holder_of_a_lost_lock_overwrites_nothing(services, log):
    log.append(log.ledger(LAUNDRY), a_history("promote v1.0.0").entries[0])
    late, now = (a_history("promote v1.0.0", f"promote {version}").entries[-1] for version in ("v1.1.0", "v1.2.0"))
    late = replace(late, act=replace(late.act, id="of the first"))
    with log.exclusive(LAUNDRY):
        seen = log.ledger(LAUNDRY)
        with services.without("postgres"):
            pass
        # Nobody has to wait for a lock that its database forgot.
        with log.exclusive(LAUNDRY):
            after = log.append(log.ledger(LAUNDRY), now)
        with pytest.raises(StaleTransition):
            log.append(seen, late)
    assert log.ledger(LAUNDRY) == after
    assert after.champion == "v1.2.0"


def test_whoever_puts_rows_right_by_an_older_ledger_does_not_have_the_last_word(services, log):
    """A projection and an append at once: the row looks right to the append until the projection is committed."""
    tables = RealLog(services)
    versions(tables, "v1.0.0", "v1.1.0")
    tell(tables, "promote v1.0.0")
    tables.edit("v1.1.0", status=Status.CANARY)
    trial = a_history("promote v1.0.0", "try v1.1.0").entries[-1]
    appending = threading.Thread(target=log.append, args=(log.ledger(LAUNDRY), trial))
    with services.mlops.transaction() as projecting:
        projecting.execute("SELECT version FROM model_versions FOR UPDATE")
        projecting.execute("UPDATE model_versions SET status = 'CANDIDATE' WHERE version = 'v1.1.0'")
        appending.start()
        until(lambda: somebody_waits(services), "the append to wait for the rows")
    appending.join()
    assert tables.versions.get(LAUNDRY, "v1.1.0").status is Status.CANARY


def somebody_waits(services):
    with services.mlops.transaction() as cursor:
        cursor.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = 'mlops'")
        return cursor.fetchone() is not None
