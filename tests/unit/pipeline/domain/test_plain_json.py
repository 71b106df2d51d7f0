"""What programs read is JSON, whatever could not be measured."""

import json
import math

from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.domain.checks import plain_json

FIGURES = st.none() | st.floats() | st.integers() | st.text()
VALUES = st.recursive(FIGURES, lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text(), inner))


def refuse(constant):
    raise AssertionError(f"{constant} is no JSON")


@given(VALUES)
@example({"value": math.nan, "low": -math.inf, "of": [{"high": math.inf}]})
def test_what_could_not_be_measured_is_null_at_any_depth(value):
    json.loads(plain_json(value), parse_constant=refuse)


def test_what_was_measured_stays_as_it_is():
    assert json.loads(plain_json({"양호": [0.5, 1, True, None, "NaN"]})) == {"양호": [0.5, 1, True, None, "NaN"]}
