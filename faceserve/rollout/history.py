"""What served here, one entry for each change, and the version to go back to."""

from dataclasses import dataclass
from functools import cached_property

from faceserve.models.generation import Origin

LENGTH = 10


@dataclass(frozen=True)
class History:
    """Oldest first, at most `LENGTH` versions; the last entry serves now, or did before a restart.

    To serve a version that served before is to go back, and undoes what came after it: in v1, v2, v1, v2 the third step
    goes back and the fourth goes on again. What is not undone is the line; no version is on it twice. Going to and fro
    never makes it forget a version.
    """

    entries: tuple[Origin, ...] = ()

    def and_now(self, origin: Origin) -> "History":
        """With what serves now at the end. Beyond `LENGTH` versions, what was undone is forgotten before the oldest."""
        again = bool(self.entries) and self.entries[-1].version == origin.version
        line, undone, went_back = History((*(self.entries[:-1] if again else self.entries), origin))._told
        while len(line) + len(undone) > LENGTH:
            (undone or line).pop(0)
        return History(_written(line, undone, went_back=went_back))

    def last(self, version: str) -> Origin | None:
        """The newest entry of a version."""
        return next((one for one in reversed(self.entries) if one.version == version), None)

    @property
    def versions(self) -> list[Origin]:
        """Each version once, what served last first."""
        found: dict[str, Origin] = {}
        for one in reversed(self.entries):
            found.setdefault(one.version, one)
        return list(found.values())

    @property
    def went_back(self) -> bool:
        """Whether the last change went back."""
        return self._told[2]

    @property
    def before(self) -> Origin | None:
        """The version before the last entry on the line."""
        line = self._told[0]
        return line[-2] if len(line) > 1 else None

    @cached_property
    def _told(self) -> tuple[list[Origin], list[Origin], bool]:
        """The line, what was undone, and whether the last change went back."""
        line: list[Origin] = []
        undone: dict[str, Origin] = {}
        went_back = False
        for origin in self.entries:
            passed = [one.version for one in line]
            went_back = origin.version in passed
            if went_back:
                at = passed.index(origin.version)
                undone |= {one.version: one for one in line[at + 1 :]}
                line = [*line[:at], origin]
            else:
                undone.pop(origin.version, None)
                line.append(origin)
        return line, list(undone.values()), went_back


def _written(line: list[Origin], undone: list[Origin], *, went_back: bool) -> tuple[Origin, ...]:
    """Entries that tell the same in the fewest steps."""
    if not undone or len(line) == 1 and not went_back:
        return tuple(line)
    if went_back:
        return (*line, *undone, line[-1])
    return (*line[:-1], *undone, *line[-2:])
