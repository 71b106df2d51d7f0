"""What served here, one entry for each change, and to which version one would go back."""

from dataclasses import dataclass
from functools import cached_property

from faceserve.models.generation import Origin

LENGTH = 10


@dataclass(frozen=True)
class History:
    """Oldest first, at most `LENGTH` entries; the last one serves now, or did before a restart.

    To serve a version that served before is to go back, and undoes what came after it: in v1, v2, v1, v2 the third step
    goes back and the fourth goes on again. What is not undone is the line; no version is on it twice.
    """

    entries: tuple[Origin, ...] = ()

    def and_now(self, origin: Origin) -> "History":
        """With what serves now at the end. Beyond `LENGTH`, entries off the line are forgotten before the oldest."""
        again = bool(self.entries) and self.entries[-1].version == origin.version
        after = History((*(self.entries[:-1] if again else self.entries), origin))
        while len(after.entries) > LENGTH:
            after = after._without(after._dispensable)
        return after

    def last(self, version: str) -> Origin | None:
        """The newest entry of a version."""
        return next((one for one in reversed(self.entries) if one.version == version), None)

    @property
    def went_back(self) -> bool:
        """Whether the last change went back."""
        return bool(self.entries) and self._line[-1] != len(self.entries) - 1

    @property
    def before(self) -> Origin | None:
        """What stands on the line before the last entry."""
        return self.entries[self._line[-2]] if len(self._line) > 1 else None

    @cached_property
    def _line(self) -> list[int]:
        """Indices of entries."""
        line: list[int] = []
        for index, origin in enumerate(self.entries):
            passed = [self.entries[one].version for one in line]
            line = line[: passed.index(origin.version) + 1] if origin.version in passed else [*line, index]
        return line

    @property
    def _dispensable(self) -> int:
        aside = [index for index in range(len(self.entries) - 1) if index not in self._line]
        return aside[0] if aside else 0

    def _without(self, index: int) -> "History":
        return History((*self.entries[:index], *self.entries[index + 1 :]))
