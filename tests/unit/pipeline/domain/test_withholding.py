"""What may be set aside, and by whom."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.domain.errors import GiveUp
from pipeline.domain.live_accuracy import Period
from pipeline.domain.transitions import By
from pipeline.domain.withholding import GivenBack, Scope, Withheld, Word, asked_before, standing
from tests.builders import NOW, a_withheld
from tests.histories import a_history

BY = By("kim", "poisoned", "run-1")
HISTORY = a_history("promote v1.0.0", "promote v1.1.0", "roll back v1.0.0")


def test_a_versions_time_is_every_time_it_served_until_now():
    first, second, third = HISTORY.reigns
    now = third.since + timedelta(hours=1)
    wanted = Withheld.of("version:v1.0.0", BY, HISTORY, now)
    assert wanted.periods == (Period(first.since, first.until), Period(third.since, now))
    assert Withheld.of("version:v1.1.0", BY, HISTORY, now).periods == (Period(second.since, second.until),)


def test_the_same_request_is_one_and_another_is_refused_while_the_first_stands():
    wanted = Withheld.of("reviewer:lee", BY, HISTORY, NOW)
    assert (wanted.scope, wanted.name, wanted.periods) == (Scope.REVIEWER, "lee", ())
    assert Withheld.of("reviewer:lee", BY, HISTORY, NOW + timedelta(hours=1)).id == wanted.id
    assert asked_before(wanted, [wanted]) is wanted
    again = Withheld.of("reviewer:lee", By("park", "x", "run-2"), HISTORY, NOW)
    with pytest.raises(GiveUp, match=f"reviewer lee was set aside by kim: poisoned already: give {wanted.id} back"):
        asked_before(again, [wanted])
    assert asked_before(again, [a_withheld(Scope.BRANCH, "lee")]) is None


def test_a_request_whose_words_were_given_back_is_not_done_again_and_says_so():
    wanted = Withheld.of("reviewer:lee", BY, HISTORY, NOW)
    back = replace(wanted, given_back=GivenBack("park", "another lee", NOW))
    with pytest.raises(GiveUp, match=f"park gave {wanted.id} back at .* ask with a new one"):
        asked_before(wanted, [back])
    assert asked_before(Withheld.of("reviewer:lee", By("kim", "x", "run-2"), HISTORY, NOW), [back]) is None


@pytest.mark.parametrize(
    "what", ["", "lee", "reviewer:", "reviewer: ", "REVIEWER:lee", "photo:7", "reviewer:\udcff", "branch:a\0b"]
)
def test_what_names_nothing_is_refused_with_how_it_is_said(what):
    with pytest.raises(GiveUp, match=r"say version:v1\.2\.0, branch:… or reviewer:…"):
        Withheld.of(what, BY, HISTORY, NOW)


@pytest.mark.parametrize("name", [" lee ", "x" * 5000, "a:b", "reviewer:lee", "가"])
def test_a_name_is_what_events_say(name):
    wanted = Withheld.of(f"reviewer:{name}", BY, HISTORY, NOW)
    assert wanted.name == name and wanted.covers(NOW, [Word(reviewer=name)])


def test_a_version_that_never_served_has_no_time():
    with pytest.raises(GiveUp, match=r"v9\.9\.9 never served"):
        Withheld.of("version:v9.9.9", BY, HISTORY, NOW)


def test_somebody_says_why():
    with pytest.raises(GiveUp, match="needs an actor and a reason"):
        Withheld.of("reviewer:lee", By("kim", " ", "run-1"), HISTORY, NOW)


def test_a_versions_time_begins_just_after_it_served_and_ends_with_the_next():
    first, second, _ = HISTORY.reigns
    of_v1_1_0 = Withheld.of("version:v1.1.0", BY, HISTORY, NOW)
    moment = timedelta(microseconds=1)
    covered = (second.since, second.since + moment, second.until, second.until + moment)
    assert [of_v1_1_0.covers(at, [Word("B-1", "lee")]) for at in covered] == [False, True, True, False]
    assert not of_v1_1_0.covers(first.since + moment, [])


@pytest.mark.parametrize(
    ("what", "words", "covered"),
    [
        ("branch:lee", [Word("lee", "park")], True),
        ("branch:lee", [Word("B-1", "lee")], False),
        ("reviewer:lee", [Word("lee", "park")], False),
        # As the Helper database calls the branch, or as the event does.
        ("branch:lee", [Word(branch="lee"), Word()], True),
        ("branch:lee", [Word(branch="B-1"), Word(branch="lee")], True),
        ("reviewer:lee", [], False),
    ],
)
def test_a_branch_is_no_reviewer_of_the_same_name(what, words, covered):
    assert Withheld.of(what, BY, HISTORY, NOW).covers(NOW, words) is covered


def test_what_was_given_back_sets_nothing_aside_and_says_who_did():
    one = a_withheld(Scope.BRANCH, "lee")
    back = replace(one, given_back=GivenBack("park", "another lee", NOW))
    assert standing([back, one]) == [one]
    assert back.gave_back == f"park gave {one.id} back at {NOW:%Y-%m-%d %H:%M} UTC"


def test_it_says_what_was_set_aside_by_whom_and_why():
    version = Withheld.of("version:v1.1.0", BY, HISTORY, NOW)
    assert str(version) == "the time of v1.1.0 was set aside by kim: poisoned"
    assert str(Withheld.of("branch:B-7", BY, HISTORY, NOW)) == "branch B-7 was set aside by kim: poisoned"
