"""Which copy a restore begins with, what may go, and whether the log has a hole."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.domain.backups import Archive, BackupPolicy, Base, Counted, Segment, lost
from pipeline.domain.errors import GiveUp

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
POLICY = BackupPolicy(keep_days=30)


def base(hours_ago, number):
    at = NOW - timedelta(hours=hours_ago)
    return Base(at.isoformat(), Segment(number, 1), at, 10)


def files(*numbers):
    return tuple(str(Segment(number, 1)) for number in numbers)


segments = st.builds(Segment, st.integers(0, 2**40 - 1), st.integers(1, 2**32 - 1))


@given(segments)
def test_a_file_of_the_log_is_known_by_its_name(segment):
    assert Segment.parse(str(segment)) == segment
    assert len(str(segment)) == 24


@pytest.mark.parametrize("name", ["00000002.history", "000000010000000000000003.partial", "x" * 24, ""])
def test_what_is_no_file_of_the_log_is_none(name):
    assert Segment.parse(name) is None


@pytest.mark.parametrize(
    ("position", "file"),
    [
        ("0/3000028", "000000010000000000000003"),
        ("0/FF000000", "0000000100000000000000FF"),
        ("1/0", "000000010000000100000000"),
        ("A/1FFFFFF", "000000010000000A00000001"),
    ],
)
def test_a_position_lies_in_the_file_that_postgresql_names(position, file):
    assert str(Segment.of_position(position, 1)) == file


def test_the_newest_copy_that_was_whole_by_then_is_restored_and_the_log_after_it():
    archive = Archive((base(50, 1), base(26, 4), base(2, 8)), files(*range(1, 12)))
    found = archive.base_for(NOW - timedelta(hours=3))
    assert found == base(26, 4)
    assert archive.log_for(found) == files(*range(4, 12))


def test_without_a_copy_from_before_the_sentence_says_how_far_back_there_is_one():
    with pytest.raises(GiveUp, match="the oldest is of 2026-05-04T10:00:00"):
        Archive((base(2, 1),), files(1)).base_for(NOW - timedelta(hours=3))
    with pytest.raises(GiveUp, match="there is none"):
        Archive((), ()).base_for(NOW)


def test_a_hole_in_the_log_ends_what_is_read_and_is_named():
    archive = Archive((base(26, 4),), files(4, 5, 8, 9))
    assert archive.log_for(base(26, 4)) == files(4, 5)
    assert archive.holes() == ("the log lacks 2 files after number 5",)


def test_a_copy_without_the_log_it_begins_with_is_refused():
    with pytest.raises(GiveUp, match="000000010000000000000004, is missing"):
        Archive((base(26, 4),), files(5, 6)).base_for(NOW)


def test_the_history_of_a_timeline_is_read_and_never_goes():
    archive = Archive((base(24 * 40, 4), base(24 * 35, 6)), (*files(4, 5, 6), "00000002.history"))
    assert "00000002.history" in archive.log_for(base(24 * 35, 6))
    assert archive.needless(NOW, POLICY).log == files(4, 5)


archives = st.lists(st.tuples(st.integers(0, 24 * 60), st.integers(1, 40)), min_size=1, max_size=8, unique=True).map(
    lambda made: Archive(
        # A later copy begins later in the log.
        tuple(
            base(ago, number)
            for ago, number in zip(sorted((a for a, _ in made), reverse=True), sorted(n for _, n in made), strict=True)
        ),
        files(*range(1, 60)),
    )
)


@given(archives, st.integers(0, 30 * 24))
@example(Archive((base(24 * 40, 4), base(24 * 40, 6)), files(*range(1, 60))), 0)
def test_whatever_goes_every_moment_of_the_promised_time_is_restored_as_before(archive, hours_ago):
    at = NOW - timedelta(hours=hours_ago)
    gone = archive.needless(NOW, POLICY)
    left = Archive(
        tuple(one for one in archive.bases if one not in gone.bases),
        tuple(file for file in archive.log if file not in gone.log),
    )
    try:
        before = archive.base_for(at)
    except GiveUp:
        return
    assert left.base_for(at) == before
    assert left.log_for(before) == archive.log_for(before)


@given(archives)
def test_of_what_is_older_than_promised_one_copy_stays(archive):
    gone = archive.needless(NOW, POLICY)
    horizon = NOW - timedelta(days=30)
    left = [one for one in archive.bases if one not in gone.bases and one.whole_at <= horizon]
    assert len(left) == min(1, len([one for one in archive.bases if one.whole_at <= horizon]))
    assert not archive.needless(NOW - timedelta(days=100), POLICY).bases


def test_rows_that_are_missing_or_others_are_named():
    live = [Counted("a", 3, "x"), Counted("b", 3, "x"), Counted("c", 3, "x"), Counted("d", 3, "x")]
    restored = [Counted("a", 3, "x"), Counted("b", 2, "y"), Counted("c", 3, "y")]
    assert lost(live, restored) == (
        "table b has 2 rows restored, 3 live",
        "table c has other rows restored than live",
        "table d has no rows restored, 3 live",
    )
