"""Of corrections of before: what their budget is spent on, and what only judges."""

import dataclasses
from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.domain.dataset import Source, Split
from pipeline.domain.lineage import Erased
from pipeline.domain.live_accuracy import Period
from pipeline.domain.selection import SelectionPolicy
from pipeline.domain.withholding import Scope
from tests.builders import NOW, a_withheld
from tests.unit.pipeline.steps.dataset_world import World

SECOND = "s3://datasets/DS-2026-002/"


class LongAgo(World):
    """Three hundred corrections that were all looked at, so that everybody knows which of them judge; the champion gets
    them all wrong.
    """

    policy = SelectionPolicy(min_train_photos=0, sample_limit=1, history_limit=0, holdout_limit=0, earlier_limit=60)

    def __init__(self):
        super().__init__()
        self.confirm(range(900))
        self.corrections = [task for task in self.source.rows if task.corrected]
        self.collect(policy=SelectionPolicy(min_train_photos=0))
        self.side_of = {photo.task_id: photo.split for photo in self.manifest().photos}
        self.said = {task.task_id: task.ai_result for task in self.corrections}

    def learned_again(self, policy=None):
        """Corrections that are all of before, by what they are in the second dataset."""
        since = max(task.confirmed_at for task in self.source.rows)
        self.collect(run_id="run-2", since=since, policy=policy or self.policy)
        return Counter(photo.source for photo in self.manifest(SECOND).photos if photo.corrected)

    def erase(self, *tasks):
        for task in tasks:
            self.erasures.record(Erased(task.task_id, (), "kim", "asked", NOW))


WHOLE_BUDGET = {Source.MISSED_CORRECTION: 18, Source.EARLIER_CORRECTION: 42}


@pytest.mark.parametrize("erased", [0, 100])
def test_what_earlier_corrections_have_is_spent_on_those_that_can_be_learned(erased):
    """As reported: of 150 of kinds that the champion gets wrong 87 were learned, as the others judge or were erased."""
    world = LongAgo()
    learnable = [task for task in world.corrections if world.side_of.get(task.task_id) is Split.TRAIN]
    world.erase(*sorted(learnable, key=lambda task: task.task_id)[:erased])
    learned = world.learned_again()
    assert WHOLE_BUDGET.items() <= learned.items()


def test_earlier_corrections_that_judge_go_on_judging_beside_those_that_are_learned():
    learned = LongAgo().learned_again()
    assert learned[Source.EVALUATION] == round(60 * 0.36)


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_where_a_person_set_earlier_corrections_aside_as_many_others_are_learned_as_there_are(data):
    """Which of them lie before the others is a matter of hashes: what is left of the first ones may be very few."""
    world = LongAgo()
    times = sorted(task.confirmed_at for task in world.corrections)
    until = data.draw(st.sampled_from(times))
    aside = a_withheld(Scope.VERSION, "v1.0.0", periods=(Period(times[0] - timedelta(minutes=1), until),))
    world.withholdings.known[aside.id] = aside
    policy = dataclasses.replace(world.policy, earlier_limit=8, missed_share=0)
    left = [task.task_id for task in world.corrections if task.confirmed_at > until]
    could = sum(world.side_of.get(task_id) is Split.TRAIN for task_id in left)
    if not left:
        return
    assert world.learned_again(policy)[Source.EARLIER_CORRECTION] == min(8, could)
