"""What served here, one entry for each change, and which way the last change went."""

from dataclasses import dataclass

from faceserve.models.generation import Origin

LENGTH = 10


@dataclass(frozen=True)
class History:
    """Oldest first, at most `LENGTH` entries; the last one serves now, or did before a restart."""

    entries: tuple[Origin, ...] = ()

    def and_now(self, origin: Origin) -> "History":
        """With what serves now at its end."""
        if self.entries and self.entries[-1].version == origin.version:
            return History((*self.entries[:-1], origin))
        kept = [*self.entries, origin]
        # Entries of what serves now stay: they tell that it served before (see `went_back`).
        others = [one for one in kept if one.version != origin.version]
        for one in others[: max(0, len(kept) - LENGTH)]:
            kept.remove(one)
        return History(tuple(kept))

    def last(self, version: str = "", *, but: str = "") -> Origin | None:
        """The newest entry of a version, or of any; never of the version `but`."""
        fitting = [one for one in self.entries if one.version != but and version in {"", one.version}]
        return fitting[-1] if fitting else None

    @property
    def went_back(self) -> bool:
        """Whether the last change went back to a version that had served, not on to another one.

        Going back ends what came after it: serving v1, v2, v1, v2 is going on, back, and on again.
        """
        line: list[str] = []
        back = False
        for origin in self.entries:
            back = origin.version in line
            line = line[: line.index(origin.version)] if back else line
            line.append(origin.version)
        return back
