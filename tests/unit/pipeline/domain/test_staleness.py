"""Which photos are the newest, and how old a model is beside them."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.checks import Prediction
from pipeline.domain.staleness import StalenessPolicy, on_newest
from tests.builders import NOW, a_model_version, a_photo


def photo(number, days):
    return a_photo(number, confirmed_at=(NOW - timedelta(days=days)).isoformat())


@given(
    ages=st.lists(st.integers(0, 30), max_size=30),
    policy=st.builds(StalenessPolicy, days=st.integers(1, 9), photos=st.integers(1, 9)),
)
def test_the_newest_photos_are_those_of_the_last_days_and_none_that_is_left_out_is_newer(ages, policy):
    photos = [photo(number, days) for number, days in enumerate(ages)]
    newest = policy.newest(photos)
    age = dict(zip((p.task_id for p in photos), ages, strict=True))
    chosen = [age[p.task_id] for p in newest]
    left = [age[p.task_id] for p in photos if p not in newest]
    assert chosen == sorted(chosen) and len(chosen) <= policy.photos
    assert not ages or max(chosen) <= min(ages) + policy.days
    assert len(chosen) == policy.photos or all(days > min(ages) + policy.days for days in left)
    assert all(days >= max(chosen) for days in left)


@pytest.mark.parametrize(("trained", "age_days"), [(NOW - timedelta(days=90), 80), (NOW + timedelta(days=1), 0)])
def test_a_version_is_as_old_as_the_newest_photos_are_after_its_training(trained, age_days):
    photos = [photo(1, 10), photo(2, 11)]
    said = [Prediction(p.task_id, "양호", "양호") for p in (*photos, photo(3, 40))]
    found = on_newest(a_model_version("v1.0.0", trained_at=trained), photos, said)
    assert (found.version, found.age_days, found.photos, found.right) == ("v1.0.0", age_days, 2, 2)
    assert on_newest(None, photos, said).age_days == 0
