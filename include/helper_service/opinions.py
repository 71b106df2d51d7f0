"""The outcome of several people's words on one task."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Standing:
    """`result` counts for now; while it is `disputed`, one more person is asked."""

    result: str
    disputed: bool


def standing(words: Sequence[str]) -> Standing:
    """The standing of one or more words, oldest first: what most people said; in a tie, what was said first."""
    (result, most), *others = Counter(words).most_common()
    return Standing(result, any(count == most for _, count in others))
