"""How alike two photos have to be where one is looked for among many people (1:N): the more of them, the more alike."""

from collections.abc import Sequence

Thresholds = Sequence[tuple[int, float]]
"""The cosine from which on somebody is named, up to so many people who are compared with; in ascending order."""

SIZES = (1, *(digit * 10**power for power in range(1, 6) for digit in (1, 2, 5)), 10**6)
"""The numbers of people for which a model lists a threshold."""
NOBODY = 2.0
"""A threshold that no cosine reaches."""


def threshold_among(people: int, listed: Thresholds, alone: float) -> float:
    """For so many people; of more than the model was made for nobody is named.

    `alone` is the threshold for one person who was named beforehand (1:1). A model of before, which lists none, says
    it of any number of people.
    """
    if not listed:
        return alone
    return next((threshold for most, threshold in listed if people <= most), NOBODY)
