"""Values of settings that are not in the environment, but somewhere else that whoever starts this can ask."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Outside:
    """A value as the environment would have it, and where it was found, such as `connection retraining_mlops`."""

    raw: str = field(repr=False)
    place: str


# By the names of the variables; the environment comes first.
Elsewhere = Mapping[str, Outside]
NOWHERE: Elsewhere = {}
