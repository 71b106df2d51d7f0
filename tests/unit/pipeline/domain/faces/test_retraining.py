"""A face model is retrained by corrections at doors, when they are about enough people."""

from datetime import timedelta

import pytest

from pipeline.domain.cheap_hours import CheapHours
from pipeline.domain.faces.retraining import FaceRetrainingPolicy
from pipeline.domain.retraining import Claim
from tests.builders import NOW, a_backlog, an_asker

ALWAYS = CheapHours("00:00", "24:00")
KIM = an_asker(by="kim", by_hand=True)


def decided(policy=None, cheap=ALWAYS, asker=None, claim=None, **backlog):
    rules = (policy or FaceRetrainingPolicy()).rules(cheap)
    waiting = a_backlog(**{"corrections": 60, "since_last_try": 60, "people": 30, **backlog})
    return rules.decide(waiting, asker or an_asker(), now=NOW, claim=claim)


@pytest.mark.parametrize(
    ("backlog", "rule"),
    [
        ({}, "threshold"),
        ({"corrections": 49}, "too_few"),
        ({"corrections": 50, "since_last_try": 50, "people": 20}, "threshold"),
        ({"people": 19}, "too_few_people"),
        ({"people": None}, "too_few_people"),
        ({"corrections": 10**6, "people": 1}, "too_few_people"),
        ({"since_last_try": 0}, "tried"),
        ({"last_trained_at": None}, "no_champion"),
        # However many: none is urgent.
        ({"corrections": 10**6, "since_last_try": 10**6, "last_trained_at": NOW - timedelta(days=6)}, "too_soon"),
    ],
)
def test_a_retraining_is_due_by_corrections_and_by_whom_they_are_about(backlog, rule):
    found = decided(**backlog)
    assert (found.rule, found.due) == (rule, rule == "threshold")


def test_the_reason_says_how_many_people_are_missing():
    assert decided(people=1, corrections=100).reason == "100 corrections are about 1 people, 20 needed"


def test_who_has_no_model_yet_is_told_how_to_make_the_first():
    assert "face-model FOLDER" in decided(last_trained_at=None).reason


def test_by_day_only_a_person_begins_one():
    night = CheapHours("02:00", "02:01")
    assert decided(cheap=night).rule == "waits_for_night" and decided(cheap=night, asker=KIM).due


def test_force_asks_nobody_and_a_run_that_goes_on_stops_everybody():
    forced = an_asker(forced_by="kim")
    assert decided(asker=forced, people=0, corrections=0).rule == "forced"
    assert decided(asker=forced, people=0, claim=Claim("run-1", NOW)).rule == "running"
