"""How many files and connections this process may have open, and which port gets how many of them.

Every port takes from the same descriptors, and so does the file that says what serves: whoever only connects must not
take the last one, or nobody could roll back any more.
"""

import resource
from dataclasses import dataclass
from typing import Self

# Kept for everything else: files of models and state, the store, the registry, a child that tries a model.
_SPARE = 256
_ENOUGH = 8192
_MOST_INFERENCE, _MOST_OTHER = 4096, 512


@dataclass(frozen=True)
class Connections:
    """At most so many at once; `http` for each of inference over HTTP and the metrics, `probes` for health alone."""

    inference: int
    lifecycle: int
    http: int
    probes: int

    @classmethod
    def within(cls, descriptors: int) -> Self:
        """The connections for this many descriptors; some descriptors are always left, unless there are too few for
        anything.
        """
        room = max(0, descriptors - min(_SPARE, descriptors // 2))
        other = max(1, min(_MOST_OTHER, room // 6))
        probes = max(1, other // 8)
        return cls(max(1, min(_MOST_INFERENCE, room - 3 * other - probes)), other, other, probes)

    @property
    def total(self) -> int:
        return self.inference + self.lifecycle + 2 * self.http + self.probes


def raised() -> int:
    """Raises this process's limit as far as allowed and needed; returns the limit."""
    soft, hard = (_ENOUGH if limit == resource.RLIM_INFINITY else limit for limit in _limits())
    if soft < min(hard, _ENOUGH):
        soft = min(hard, _ENOUGH)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, _limits()[1]))
    return soft


def _limits() -> tuple[int, int]:
    return resource.getrlimit(resource.RLIMIT_NOFILE)
