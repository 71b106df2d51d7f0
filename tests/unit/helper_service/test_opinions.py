"""Several people's words on one task: the majority counts, and who stands alone against one other is not lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.helper_service.opinions import standing


@pytest.mark.parametrize(
    ("words", "result", "disputed"),
    [
        (["양호"], "양호", False),
        (["양호", "양호"], "양호", False),
        (["양호", "불량"], "양호", True),
        (["불량", "양호", "양호"], "양호", False),
        (["불량", "양호", "불량"], "불량", False),
        (["불량", "양호", "양호", "불량"], "불량", True),
    ],
)
def test_what_words_come_to(words, result, disputed):
    found = standing(words)
    assert (found.result, found.disputed) == (result, disputed)


@given(st.lists(st.sampled_from(["양호", "불량"]), min_size=1, max_size=9))
def test_an_odd_number_of_words_is_never_disputed_and_no_result_has_more_against_it_than_for_it(words):
    found = standing(words)
    assert found.disputed == (words.count("양호") == words.count("불량"))
    assert 2 * words.count(found.result) >= len(words)
