"""The rows of the matrix that take no minutes, and the checker on a world that is broken on purpose."""

from contextlib import contextmanager

import pytest

from tests.faults.invariants import breaches
from tests.faults.matrix import ROWS, Row, played
from tests.faults.page import page
from tests.faults.world import NotHere, Said
from tests.faults.world import world as running_world
from tests.waiting import WaitedInVain

# A busy machine takes minutes to start all programs.
pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

QUICK = [3, 7, 19, 22]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with running_world(tmp_path_factory.mktemp("matrix")) as made:
        yield made


@pytest.mark.parametrize("number", QUICK)
def test_after_the_fault_everything_that_was_promised_holds(world, number):
    (row,) = [row for row in ROWS if row.number == number]
    outcome = played(row, world)
    assert outcome.held, (outcome.wrong, outcome.broken)
    assert f"| {number} | {row.fault} |" in page([outcome])


class Unmendable:
    def recover(self):
        raise WaitedInVain("waited 240 s for faceserve_1")


def strikes(world):
    return "struck"


def cannot(world):
    raise NotHere("needs the right to mount")


@pytest.mark.parametrize("scenario", [strikes, cannot])
def test_what_does_not_recover_is_a_result_and_not_the_end_of_the_table(scenario):
    outcome = played(Row(1, "a fault", "by hand", scenario), Unmendable())
    assert not outcome.held
    assert "did not recover: WaitedInVain: waited 240 s for faceserve_1" in page([outcome])


# What the checker is there for


@contextmanager
def a_confirmed_message_that_is_nowhere(world):
    world.sent += world.confirmations(1)
    yield
    world.sent.pop()


@contextmanager
def a_confirmation_that_was_counted_twice(world):
    world.ask("UPDATE confirmation_totals SET stored = stored + 1")
    yield
    world.ask("UPDATE confirmation_totals SET stored = stored - 1")


@contextmanager
def an_answer_of_a_version_that_nobody_accepted(world):
    world.callers.answers["v9.9.9"] += 1
    yield
    del world.callers.answers["v9.9.9"]


@contextmanager
def a_log_that_is_ahead_of_all_others(world):
    world.ask("UPDATE model_versions SET status = 'RETIRED'")
    yield
    world.recover()


@contextmanager
def a_success_that_nobody_saw(world):
    world.said.append(Said(("hot-swap",), 0, '{"version": "v9.9.9"}', ""))
    yield
    world.said.pop()


DAMAGE = {
    "I1": a_confirmed_message_that_is_nowhere,
    "I2": a_confirmation_that_was_counted_twice,
    "I3": an_answer_of_a_version_that_nobody_accepted,
    "I4": a_log_that_is_ahead_of_all_others,
    "I5": a_success_that_nobody_saw,
}


@pytest.mark.parametrize("invariant", DAMAGE)
def test_the_checker_sees_what_was_broken_and_nothing_else(world, invariant):
    with DAMAGE[invariant](world):
        assert [name for name, sentences in breaches(world).items() if sentences] == [invariant]
    assert not any(breaches(world).values())
