"""Of more new corrections than one run takes: which."""

import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.domain.reasons import ReasonList
from pipeline.domain.selection import SelectionPolicy
from pipeline.domain.turns import TIMES, in_turn
from tests.builders import a_task

REASONS = ReasonList()
KINDS = st.lists(st.tuples(st.sampled_from("ABCDEFGH"), st.sampled_from(REASONS.names[:3])), max_size=80)


def waiting(kinds, first=0):
    """Of these branches and reasons, the last one is the oldest."""
    return [
        a_task(first + n, corrected=True, helper_id=branch, correction_reason=reason)
        for n, (branch, reason) in enumerate(kinds)
    ]


def oldest(tasks):
    return min(tasks, key=lambda t: t.confirmed_at)


def as_even_as_can_be(there, taken):
    """Nobody has fewer than another one, unless that is all there is of it."""
    return all(taken[one] == count or taken[one] >= max(taken.values()) - 1 for one, count in there.items())


@given(kinds=KINDS, limit=st.integers(1, 90), seed=st.integers(0, 9))
def test_no_branch_has_fewer_than_another_while_it_has_more_that_wait(kinds, limit, seed):
    tasks = waiting(kinds)
    taken = in_turn(tasks, limit, REASONS)
    assert len(taken) == len({t.task_id for t in taken}) == min(limit, len(tasks))
    assert {t.task_id for t in taken} <= {t.task_id for t in tasks}
    assert as_even_as_can_be(Counter(t.helper_id for t in tasks), Counter(t.helper_id for t in taken))
    shuffled = random.Random(seed).sample(tasks, len(tasks))
    assert {t.task_id for t in in_turn(shuffled, limit, REASONS)} == {t.task_id for t in taken}


@given(
    rounds=st.lists(KINDS, min_size=1, max_size=6),
    limit=st.integers(1, 40),
)
@settings(max_examples=60)
def test_what_waits_longest_is_taken_first_and_all_come_in_the_end_whatever_comes_later(rounds, limit):
    still, before, number = [], [], 0
    for kinds in rounds:
        # Newer than all before.
        still += [replace(t, confirmed_at=at(number + n)) for n, t in enumerate(waiting(kinds, first=number))]
        number += len(kinds)
        if not still:
            continue
        taken = in_turn(still, limit, REASONS)
        assert oldest(still) in taken
        before += taken
        still = [t for t in still if t not in taken]
    while still:
        taken = in_turn(still, limit, REASONS)
        before, still = before + taken, [t for t in still if t not in taken]
    assert sorted(t.task_id for t in before) == [f"TASK-{n:05d}" for n in range(number)]


def at(number):
    return datetime.fromtimestamp(1_700_000_000 + number, UTC)


@given(reasons=st.lists(st.sampled_from(REASONS.names), min_size=1, max_size=80), limit=st.integers(1, 90))
def test_of_one_branch_no_reason_has_fewer_than_another_while_it_has_more_that_wait(reasons, limit):
    tasks = waiting([("A", reason) for reason in reasons])
    taken = in_turn(tasks, limit, REASONS)
    of_reason = [Counter(t.correction_reason for t in some) for some in (tasks, taken)]
    assert as_even_as_can_be(*of_reason)


# Of up to twenty branches each one waits at every time; of more, only some could have their turn with an old one.
@given(branches=st.integers(1, 20), limit=st.integers(TIMES, 100))
@settings(max_examples=25)
def test_old_and_new_ones_are_taken_alike_even_where_each_branch_has_one_turn(branches, limit):
    tasks = waiting([(f"branch {n % branches}", "얼룩") for n in range(200)])
    taken = {t.task_id for t in in_turn(tasks, limit, REASONS)}
    of_time = [sum(t.task_id in taken for t in tasks[n * 20 : n * 20 + 20]) for n in range(10)]
    assert sum(of_time) == limit and max(of_time) - min(of_time) <= 2, of_time


def test_a_busy_branch_of_the_last_hour_takes_no_place_of_one_that_corrected_once_a_week_ago():
    busy = waiting([("busy", f"커피를 {n}번 쏟음") for n in range(4000)])
    quiet = replace(busy[-1], task_id="TASK-quiet", helper_id="quiet", confirmed_at=at(0))
    taken = SelectionPolicy().new_of([*busy, quiet])
    assert len(taken) == 500 and quiet in taken


@pytest.mark.parametrize("limit", [3, 4])
def test_when_no_more_wait_than_a_run_takes_all_are_taken(limit):
    tasks = waiting([("A", "얼룩"), ("A", "얼룩"), ("B", None)])
    assert in_turn(tasks, limit, REASONS) == tasks


def test_a_row_whose_time_cannot_be_read_takes_no_place_of_one_that_waits():
    tasks = waiting([("A", "얼룩")] * 3)
    broken = replace(tasks[0], confirmed_at=at(0), fault="confirmed_at is no time")
    assert broken not in in_turn([broken, *tasks[1:]], 2, REASONS)
