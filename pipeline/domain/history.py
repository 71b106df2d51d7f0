"""What the transition log says: who serves, who served, what was taken down, what is on trial or still open."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from itertools import zip_longest
from typing import Self, TypeVar

from pipeline.domain.models import ModelType, Status
from pipeline.domain.standing import Walk
from pipeline.domain.transitions import (
    ROLLBACKS,
    Act,
    Archive,
    By,
    CanaryAbort,
    CanaryStart,
    ChampionChange,
    Entry,
    FreezeCleared,
    Kind,
    Phase,
    Restore,
    Transition,
)

Made = TypeVar("Made", bound=Act)

_OPEN = frozenset({Phase.REQUESTED, Phase.UNCONFIRMED})
_DONE = frozenset({Phase.SERVED, Phase.NOTED})


@dataclass(frozen=True)
class Reign:
    """`version` served from `since` until `until`; None while it still does."""

    version: str
    since: datetime
    until: datetime | None = None


@dataclass(frozen=True)
class Row:
    """What `model_versions` has to say of one version."""

    status: Status
    deployed_at: datetime | None = None
    previous_version: str | None = None


@dataclass(frozen=True)
class History:
    """The entries of one model type, oldest first, and what follows from them."""

    model_type: ModelType
    entries: tuple[Entry, ...] = ()

    @property
    def position(self) -> int:
        """How many entries there are. Whoever appends names this number, so that nobody decides on an
        outdated history.
        """
        return len(self.entries)

    def followed_by(self, *entries: Entry) -> Self:
        return replace(self, entries=(*self.entries, *entries))

    def done(self, act_id: str) -> Transition | None:
        """The act as it came true; None while it is open, failed or unknown."""
        return next((e.act for e in self.entries if e.act.id == act_id and e.phase in _DONE), None)

    def came_true(self, kind: type[Made], by: By, version: str | None = None) -> Made | None:
        """What this request (DAG run, command) asked for before and got, whatever happened since: whoever asks again
        gets the same answer, and nothing happens twice. `version` None: whatever it was about.
        """
        asked = (e.act for e in self.entries if isinstance(e.act, kind) and e.act.by.request_id == by.request_id)
        got = (self.done(act.id) for act in asked if version in (None, act.version))
        return next((act for act in got if isinstance(act, kind)), None)

    @cached_property
    def facts(self) -> tuple[Entry, ...]:
        """Changes of champion that were seen to be served, and what was noted between them."""
        return tuple(e for e in self.entries if e.phase in _DONE)

    # Who serves

    @cached_property
    def changes(self) -> tuple[ChampionChange, ...]:
        """Every change of champion that came true, oldest first."""
        return tuple(act for act in (e.act for e in self.facts) if isinstance(act, ChampionChange))

    @cached_property
    def reigns(self) -> tuple[Reign, ...]:
        starts = [e for e in self.facts if isinstance(e.act, ChampionChange)]
        ends = [e.at for e in starts[1:]]
        return tuple(Reign(e.act.version, e.at, until) for e, until in zip_longest(starts, ends))

    @property
    def champion(self) -> str | None:
        return self.changes[-1].version if self.changes else None

    @property
    def standing(self) -> tuple[str, ...]:
        """The versions that lead to the champion, oldest first. A rollback takes everything above its target away, so
        that going back twice goes two steps back.
        """
        return self._walk.standing

    @cached_property
    def _walk(self) -> Walk:
        walk = Walk()
        for change in self.changes:
            walk = walk.after(change)
        return walk

    @property
    def previous(self) -> str | None:
        """What a person's rollback brings back: nothing that is shunned."""
        return next(self._below(self.shunned), None)

    @property
    def sound_target(self) -> str | None:
        """What an automatic rollback brings back: nothing that is shunned, nor what is archived."""
        return next(self._below(self.shunned | self.archived), None)

    def _below(self, shunned: frozenset[str]) -> Iterator[str]:
        return (v for v in reversed(self.standing[:-1]) if v not in shunned and v != self.champion)

    # What was taken down

    @property
    def shunned(self) -> frozenset[str]:
        """Versions to which nobody goes back without naming them: those that the monitor ever took down, and those that
        a person took down and nobody put back since.
        """
        return frozenset(self.condemned) | self._walk.down

    @property
    def taken_down(self) -> Mapping[str, ChampionChange]:
        """Versions that a rollback ended, with the last one that did: the monitor's or a person's."""
        return self._walk.taken_down

    @cached_property
    def condemned(self) -> Mapping[str, ChampionChange]:
        """Versions that an automatic rollback ended; it happens at most once to each."""
        return {c.from_version: c for c in self.changes if c.kind is Kind.ROLLBACK_AUTO and c.from_version}

    @cached_property
    def freeze(self) -> ChampionChange | None:
        """The automatic rollback since which nothing is promoted, until a person has looked."""
        freeze = None
        for entry in self.facts:
            if isinstance(entry.act, ChampionChange) and entry.act.kind is Kind.ROLLBACK_AUTO:
                freeze = entry.act
            elif isinstance(entry.act, FreezeCleared):
                freeze = None
        return freeze

    # Canary

    @cached_property
    def trial(self) -> CanaryStart | None:
        """The canary that gets its share of the requests. A wish to abort it ends it, and so does a new champion."""
        trial = None
        for entry in self.entries:
            act = entry.act
            if isinstance(act, CanaryStart) and entry.phase is Phase.NOTED:
                trial = act
            elif isinstance(act, CanaryAbort) or (isinstance(act, ChampionChange) and entry.phase is Phase.SERVED):
                trial = None
        return trial

    @property
    def trial_since(self) -> datetime | None:
        return next((e.at for e in reversed(self.facts) if e.act == self.trial), None) if self.trial else None

    def aborted(self, version: str) -> CanaryAbort | None:
        """How the last trial of `version` ended, when it was aborted and the version never served since."""
        aborted = None
        for entry in self.entries:
            act = entry.act
            if act.version != version:
                continue
            if isinstance(act, CanaryAbort):
                aborted = act
            elif isinstance(act, ChampionChange | CanaryStart) and entry.phase in _DONE:
                aborted = None
        return aborted

    @property
    def begun(self) -> CanaryStart | None:
        """The canary on trial, or about to be."""
        return self.trial or next((act for act in self.unsettled if isinstance(act, CanaryStart)), None)

    def end_of_trial(self, version: str) -> str:
        """Why the trial of `version` that somebody means is not going on, as part of a sentence."""
        if self.trial is not None and self.trial.version == version:
            return f"{self.trial.by.actor} began another trial of it ({self.trial.by.request_id})"
        if (abort := self.aborted(version)) is not None:
            return f"its trial was aborted by {abort.by.actor} ({abort.by.reason})"
        if any(act.version == version for act in self.changes):
            return "it served everybody since"
        tried = any(isinstance(e.act, CanaryStart) and e.act.version == version for e in self.facts)
        return f"{self.champion} was made champion meanwhile" if tried else "it was never tried"

    # What is open

    @cached_property
    def open_intents(self) -> tuple[Transition, ...]:
        """Acts that were begun and whose outcome nobody knows yet; a later change of champion overtakes them."""
        found: dict[str, Transition] = {}
        for entry in self.entries:
            found.pop(entry.act.id, None)
            if entry.phase in _OPEN:
                found[entry.act.id] = entry.act
            if isinstance(entry.act, CanaryAbort):
                found.pop(entry.act.trial_id, None)
            if entry.phase is Phase.SERVED:
                found = {i: act for i, act in found.items() if isinstance(act, Restore)}
        return tuple(found.values())

    @property
    def unsettled(self) -> tuple[Transition, ...]:
        """Open intents about what serves; a restore only moves files."""
        return tuple(act for act in self.open_intents if not isinstance(act, Restore))

    def is_open(self, act: Transition) -> bool:
        return any(intent.id == act.id for intent in self.open_intents)

    @property
    def incomplete(self) -> Entry | None:
        """The champion's change, while replicas are missing from it: `detail` says which and why."""
        ends = {Phase.SERVED, Phase.INCOMPLETE, Phase.COMPLETED}
        last = next((e for e in reversed(self.entries) if e.phase in ends), None)
        return last if last and last.phase is Phase.INCOMPLETE else None

    @property
    def registry_is_behind(self) -> bool:
        """Until the registry names the champion, a replica that starts with an empty disk may serve another version."""
        ends = {Phase.SERVED, Phase.MIRRORED}
        return next((e.phase for e in reversed(self.entries) if e.phase in ends), None) is Phase.SERVED

    @property
    def failed_rollback(self) -> Entry | None:
        """The latest attempt to change the champion, if it was a rollback that came to nothing."""
        ended = {Phase.SERVED, Phase.FAILED}
        tried = (e for e in reversed(self.entries) if e.phase in ended and isinstance(e.act, ChampionChange))
        last = next(tried, None)
        failed = last is not None and last.phase is Phase.FAILED and last.act.kind in ROLLBACKS
        return last if failed else None

    # Files and rows

    @cached_property
    def archived(self) -> frozenset[str]:
        archived: set[str] = set()
        for entry in self.facts:
            if isinstance(entry.act, Archive):
                archived.add(entry.act.version)
            elif isinstance(entry.act, Restore):
                archived.discard(entry.act.version)
        return frozenset(archived)

    @property
    def needed(self) -> Mapping[str, str]:
        """Versions whose files must stay at hand, with the reason."""
        needed = {act.version: "being deployed" for act in self.unsettled}
        if (sound := self.sound_target) is not None:
            needed[sound] = "what an automatic rollback brings back"
        if (previous := self.previous) is not None:
            needed[previous] = "previous: what a rollback brings back"
        if self.trial is not None:
            needed[self.trial.version] = "canary"
        if self.champion is not None:
            needed[self.champion] = "champion"
        return needed

    @property
    def rows(self) -> Mapping[str, Row]:
        """`model_versions` as it has to be; a version that is not named is a candidate."""
        served = {e.act.version: e for e in self.facts if isinstance(e.act, ChampionChange)}
        return {
            version: Row(self._status(version), *_last_deployment(served.get(version)))
            for version in {e.act.version for e in self.facts}
        }

    def _status(self, version: str) -> Status:
        if version == self.champion:
            return Status.ACTIVE
        if self.trial is not None and version == self.trial.version:
            return Status.CANARY
        return Status.ARCHIVED if version in self.archived else Status.RETIRED


def _last_deployment(served: Entry | None) -> tuple[datetime | None, str | None]:
    if served is None or not isinstance(served.act, ChampionChange):
        return None, None
    return served.at, served.act.from_version
