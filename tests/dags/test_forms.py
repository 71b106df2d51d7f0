"""Whatever a form may be given, no DAG takes what its schema or a database cannot keep."""

import copy
import math
import re

import pytest
from airflow.sdk.exceptions import ParamValidationError
from hypothesis import given
from hypothesis import strategies as st

from tests.dags.folder import DAGS

FIELDS = [pytest.param(dag, name, id=f"{dag.dag_id}.{name}") for dag in DAGS.values() for name in dag.params]
# Half a character, characters that no database keeps, and what is no text where one is meant.
BAD_TEXTS = (
    "\ud800abc",
    "abc\udfff",
    "\udc00\ud800abc",
    "a\0bc",
    "abc\0",
    "a\x07bc",
    "a\x1bbc",
    "a\x7fbc",
    "x" * 10_001,
)
BAD_VALUES = (math.nan, math.inf, -math.inf, [], {}, ["abc"], {"abc": 1})


def takes(dag, name, value):
    """The value as the task gets it."""
    try:
        return copy.deepcopy(dag.params.get_param(name)).resolve(value)
    except ParamValidationError:
        return None


@pytest.mark.parametrize("value", [*BAD_TEXTS, *BAD_VALUES], ids=ascii)
@pytest.mark.parametrize(("dag", "name"), FIELDS)
def test_no_field_takes_what_cannot_be_kept(dag, name, value):
    assert takes(dag, name, value) is None


@pytest.mark.parametrize(("dag", "name"), [one for one in FIELDS if one.values[1] == "reason"])
@given(text=st.text(alphabet=st.characters(), min_size=1, max_size=20))
def test_a_reason_that_a_form_takes_can_be_kept_by_a_database(dag, name, text):
    if takes(dag, name, text) is not None:
        assert text.encode() and "\0" not in text


@pytest.mark.parametrize(
    "text", ["새 유니폼", "👩‍🔧 new uniforms", "line\nline", "x" * 500, "bad", "Ünïform – “quoted”"], ids=ascii
)
@pytest.mark.parametrize(("dag", "name"), [one for one in FIELDS if one.values[1] == "reason"])
def test_a_reason_may_be_in_anybodys_writing(dag, name, text):
    assert takes(dag, name, text) == text


@pytest.mark.parametrize("text", ["", "  ", "   ", "\n\n\n", "no"])
def test_what_a_person_decides_wants_a_reason_that_says_something(text):
    assert takes(DAGS["model_decision"], "reason", text) is None
    assert takes(DAGS["model_decision"], "reason", DAGS["model_decision"].params.dump()["reason"]) is None


@pytest.mark.parametrize(("dag", "name"), FIELDS)
def test_every_text_has_a_pattern_or_choices(dag, name):
    schema = dag.params.get_param(name).schema
    if "string" in schema["type"]:
        assert "enum" in schema or re.compile(schema["pattern"])
