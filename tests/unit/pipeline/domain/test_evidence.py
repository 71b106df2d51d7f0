"""A photo counts once, however often it was confirmed."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.dataset import Split
from pipeline.domain.evidence import counted_once
from tests.builders import a_photo

HOLDOUT, VALIDATION, LOOKED_FOR = Split.HOLDOUT, Split.VALIDATION, Split.HELD_OUT_CORRECTIONS


def test_one_photo_ten_times_is_one_photo_of_the_holdout_and_training_is_left_alone():
    ten = [a_photo(n, split=HOLDOUT, phash=f"{5:016x}") for n in range(10)]
    training = [a_photo(n, phash=f"{5:016x}") for n in range(20, 23)]
    kept, aside = counted_once([*ten, *training], ())
    assert [p.task_id for p in kept] == ["TASK-00000", *(p.task_id for p in training)]
    told = {(row.task_id, row.photo_url, row.sha256) for row in aside}
    assert told == {(p.task_id, p.photo_url, p.sha256) for p in ten[1:]}
    assert {(row.kind, row.reason) for row in aside} == {
        ("repeated", "shows what the photo of task TASK-00000 shows, which counts for both")
    }


def test_near_duplicates_and_members_of_one_cluster_count_once_and_others_for_themselves():
    photos = [
        a_photo(0, split=VALIDATION, phash=f"{0:016x}"),
        a_photo(1, split=VALIDATION, phash=f"{0b1111:016x}"),
        a_photo(2, split=VALIDATION, phash=f"{0b11111 << 20:016x}"),
        a_photo(3, split=VALIDATION, phash=f"{0b111111 << 40:016x}", cluster_id=f"{0:016x}"),
    ]
    assert [p.task_id for p in counted_once(photos, ())[0]] == ["TASK-00000", "TASK-00002"]


def test_members_of_the_holdout_stay_then_the_natural_sample_then_who_came_first():
    same = {"phash": f"{5:016x}"}
    member = a_photo(9, split=HOLDOUT, confirmed_at="2026-05-09T00:00:00+00:00", **same)
    late = a_photo(8, split=HOLDOUT, confirmed_at="2026-05-08T00:00:00+00:00", **same)
    early = a_photo(7, split=HOLDOUT, confirmed_at="2026-05-07T00:00:00+00:00", **same)
    first = a_photo(6, split=LOOKED_FOR, confirmed_at="2026-05-01T00:00:00+00:00", **same)
    assert counted_once([first, early, late, member], {member.task_id})[0] == [member]
    assert counted_once([first, late, early], {"TASK-404"})[0] == [early]
    assert counted_once([late, first], ())[0] == [late]


@given(st.lists(st.tuples(st.integers(0, 40), st.sampled_from(list(Split))), max_size=40))
def test_no_two_judging_photos_are_alike_and_everybody_is_kept_or_named(rows):
    photos = [a_photo(n, split=split, phash=f"{value:016x}") for n, (value, split) in enumerate(rows)]
    kept, aside = counted_once(photos, ())
    judging = [int(p.phash, 16) for p in kept if p.split is not Split.TRAIN]
    assert all((a ^ b).bit_count() > 4 for i, a in enumerate(judging) for b in judging[:i])
    assert sorted([p.task_id for p in kept] + [q.task_id for q in aside]) == [p.task_id for p in photos]
    assert [p for p in photos if p.split is Split.TRAIN] == [p for p in kept if p.split is Split.TRAIN]
