"""A person's name: the same everywhere, in whatever Unicode form it was typed."""

import unicodedata

LONGEST_NAME = 100
"""The longest canonical name that can be enrolled, in characters."""
# Above four times that: a character falls into four at most where no others take its place (NFD). What putting marks
# in order takes grows with the square of their number, and one character may become eighteen (NFKC).
_LONGEST_TYPED = 500


def canonical(name: str) -> str:
    """NFKC: letters of several characters and their single form, and wide and narrow forms, are the same.

    Raises `ValueError` for what is too long to be anybody's name in any form, without looking at it.
    """
    found = name if len(name) > _LONGEST_TYPED else " ".join(unicodedata.normalize("NFKC", name).split())
    if len(found) > _LONGEST_TYPED:
        raise ValueError(f"a name has {_LONGEST_TYPED} characters at most")
    return found


def can_be_enrolled(name: str) -> bool:
    """Of a canonical one: letters, digits and . _ @ -, of which the first is a letter, a digit or _.

    Marks and signs that writing puts within a word, as Thai and Catalan do, may stand after the first.
    """
    return (
        0 < len(name) <= LONGEST_NAME
        and (name[0].isalnum() or name[0] == "_")
        and all(one.isalnum() or one in ".@-" or f"a{one}".isidentifier() for one in name)
    )
