"""What of old retrainings goes: to the second, and never what somebody still needs."""

from datetime import timedelta

import pytest

from pipeline.domain.blessing import Override, OverrideKind
from pipeline.domain.pruning import PruningPolicy
from tests.builders import NOW, a_blessing

POLICY = PruningPolicy(keep_datasets=2, keep_refused_days=90, keep_unanswered_days=365)
A_SECOND = timedelta(seconds=1)


def said(kind, days_later=0):
    return Override("run-1", kind, "kim", "looked", NOW + timedelta(days=days_later))


def goes_after(verdict, days):
    """Whether it stays for so many days to the second, and then goes."""
    at = NOW + timedelta(days=days)
    return not POLICY.is_over(verdict, None, at) and POLICY.is_over(verdict, None, at + A_SECOND)


@pytest.mark.parametrize(
    ("verdict", "days"),
    [
        (a_blessing(accepted=False), 90),
        # A person's no counts from when it was said.
        (a_blessing(accepted=False, held=True, override=said(OverrideKind.REFUSED, 30)), 120),
        (a_blessing(accepted=False, held=True), 365),
    ],
    ids=["refused", "refused by a person", "unanswered"],
)
def test_a_models_files_stay_for_their_time_to_the_second(verdict, days):
    assert goes_after(verdict, days)


@pytest.mark.parametrize(
    "verdict",
    [
        a_blessing(),
        a_blessing(accepted=False, held=True, override=said(OverrideKind.APPROVED)),
        a_blessing(accepted=False, override=said(OverrideKind.FORCED)),
    ],
    ids=["accepted", "approved", "forced"],
)
def test_what_may_go_live_stays_for_ever(verdict):
    assert not POLICY.is_over(verdict, NOW, NOW + timedelta(days=9999))


def test_a_model_that_nobody_judged_goes_as_an_unanswered_one_does_by_when_it_was_trained():
    late = NOW + timedelta(days=365)
    assert not POLICY.is_over(None, NOW, late)
    assert POLICY.is_over(None, NOW, late + A_SECOND)
    assert not POLICY.is_over(None, None, late + A_SECOND)


def test_the_newest_datasets_keep_their_images_and_so_does_one_in_use():
    assert POLICY.old_datasets(["DS-1", "DS-2", "DS-3", "DS-4"], {"DS-2", "DS-4"}) == ("DS-1",)
    assert POLICY.old_datasets(["DS-3", "DS-4"], ()) == ()


@pytest.mark.parametrize("of", ["readings", "decisions", "events", "experiments"])
def test_each_kind_of_row_goes_by_its_own_days(of):
    policy = PruningPolicy(**{f"keep_{of}_days": 7.5})
    others = {"readings", "decisions", "events", "experiments"} - {of}
    assert getattr(policy, f"{of}_before")(NOW) == NOW - timedelta(hours=180)
    assert {getattr(policy, f"{other}_before")(NOW) for other in others} == {NOW - timedelta(days=400)}
