"""What a setting may be, at its very bounds, and the words it is refused with."""

import math

import pytest

from pipeline.domain.bounds import Address, Range


@pytest.mark.parametrize(
    ("bounds", "allowed", "refused", "words"),
    [
        (Range(at_least=1, at_most=5), (1, 3, 5), (0.99, 5.01), "from 1 to 5"),
        (Range(above=1, below=5), (1.01, 4.99), (1, 5), "above 1, below 5"),
        (Range(at_least=1), (1, 1e9), (0.99,), "at least 1"),
        (Range(at_least=1, at_most=1e9), (1, 1e9), (0.99, 1e9 + 1), "from 1 to 1,000,000,000"),
        (Range(at_most=5), (-1e9, 5), (5.01,), "at most 5"),
        (Range(at_least=1, below=5), (1, 4.99), (0.99, 5), "at least 1, below 5"),
        (Range(), (-1e9, 0, 1e9), (math.nan, math.inf, -math.inf), ""),
    ],
)
def test_a_range_ends_where_its_words_say(bounds, allowed, refused, words):
    assert all(bounds.allows(value) for value in allowed)
    assert not any(bounds.allows(value) for value in (*refused, math.nan, math.inf))
    assert str(bounds) == words


def test_an_address_has_a_scheme_a_host_and_if_any_a_port_or_is_written_in_the_other_way():
    address = Address(("http", "https"), "a URL", also=r"none")
    for whole in ("http://mail", "https://mail.example:8080/path", "none"):
        assert address.allows(whole), whole
    for part in ("ftp://mail", "http://", "mail", "http://mail:0", "http://mail:port", "http://[", "nonesuch"):
        assert not address.allows(part), part
    assert not Address(("http",), "a URL").allows("none")
