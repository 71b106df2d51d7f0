"""Which versions stand below the champion: where a rollback without a name goes (ADR 0016)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.domain.transitions import ROLLBACKS, ChampionChange


@dataclass(frozen=True)
class Walk:
    """How the champion came to serve: `standing` leads to it, `first` numbers the versions in the order in which they
    first served.

    `taken_down` are those that a rollback ever ended, `down` those of them that did not serve again.
    """

    standing: tuple[str, ...] = ()
    first: Mapping[str, int] = field(default_factory=dict)
    taken_down: Mapping[str, ChampionChange] = field(default_factory=dict)
    down: frozenset[str] = frozenset()

    def after(self, change: ChampionChange) -> "Walk":
        version, first = change.version, {change.version: len(self.first), **self.first}
        if change.kind not in ROLLBACKS or not self._is_back(version):
            # A rollback that names a newer version goes forward: it takes nothing down.
            return Walk((*self.standing, version), first, self.taken_down, self.down - {version})
        ended = self.standing[-1]
        taken_down = {**self.taken_down, ended: change}
        return Walk((*self._below(version), version), first, taken_down, (self.down | {ended}) - {version})

    def _is_back(self, version: str) -> bool:
        return version in self.standing or self.first[version] < self.first[self.standing[-1]]

    def _below(self, version: str) -> tuple[str, ...]:
        """The versions that stand below `version`, or stood there when it first served."""
        if version in self.standing:
            newest = max(i for i, one in enumerate(self.standing) if one == version)
            return self.standing[:newest]
        return tuple(one for one in self.standing if self.first[one] < self.first[version])
