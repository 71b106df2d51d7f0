"""Which reasons of the list a text means."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.helper_service.settings import Settings as HelperSettings
from pipeline.domain.reasons import OTHER, ReasonList

REASONS = ReasonList()


@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        ("얼룩", ("얼룩",)),
        ("소매에 커피를 쏟음", ("얼룩",)),
        ("Coffee STAIN on the sleeve", ("얼룩",)),
        ("기름때와 작은 구멍", ("기름", "찢어짐")),
        ("a wrinkle, spoiled by shrinking", (OTHER,)),
        ("잘 모르겠음", (OTHER,)),
        ("", ()),
        (" \n", ()),
        (None, ()),
    ],
)
def test_a_text_means_the_reasons_it_names_or_another_one_or_says_nothing(text, reasons):
    assert REASONS.of(text) == reasons


@given(st.sampled_from(REASONS.names), st.text(), st.text())
def test_a_reason_by_its_name_is_found_in_any_text(name, before, after):
    assert name in REASONS.of(f"{before} {name} {after}")


@given(st.text(st.characters(exclude_characters=string.whitespace, exclude_categories=["Z", "Cc"]), min_size=1))
def test_whatever_somebody_writes_has_a_reason_of_the_list_or_is_another_one(text):
    found = REASONS.of(text)
    assert found == (OTHER,) or (found and set(found) <= set(REASONS.names))


@pytest.mark.parametrize("names", [("얼룩", "얼룩"), ("얼룩", OTHER), ("",)])
def test_a_list_names_each_reason_once_and_not_the_one_for_what_it_does_not_name(names):
    with pytest.raises(ValueError, match=f"reasons has an empty name, {OTHER}, or the same one twice"):
        ReasonList(tuple((name, ()) for name in names))


def test_people_are_offered_the_reasons_that_models_learn():
    assert HelperSettings().reasons == (*REASONS.names, OTHER)
