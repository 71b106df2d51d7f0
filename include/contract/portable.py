"""Makes errors survive the way out of another process, whatever arguments their constructors take."""

from collections.abc import Mapping
from typing import Any


class Portable(Exception):
    """Python rebuilds a pickled error from its text alone, and fails where the constructor takes more."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _as_it_was, (type(self), self.args, vars(self))


def _as_it_was(kind: type[Portable], args: tuple[Any, ...], carried: Mapping[str, Any]) -> Portable:
    made = kind.__new__(kind)
    made.args = args
    vars(made).update(carried)
    return made
