"""Confirmations that people have set aside: later datasets do not use them until they are given back."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self

from pipeline.domain.checksums import sha256
from pipeline.domain.dataset import ConfirmedTask, Photo, Quarantined
from pipeline.domain.errors import GiveUp
from pipeline.domain.history import History
from pipeline.domain.live_accuracy import Period
from pipeline.domain.transitions import By, storable

WITHHELD = "withheld"
# Names that the page can ask about: its form takes a line of 250 characters, and a name has visible characters.
NAMEABLE = r"\A(?=.*\S)[^\x00-\x1f]{1,240}\Z"
_HOW = "say version:v1.2.0, branch:… or reviewer:…"


class Scope(StrEnum):
    VERSION = "version"
    BRANCH = "branch"
    REVIEWER = "reviewer"


@dataclass(frozen=True)
class Word:
    """Who confirmed a task, according to its event."""

    branch: str | None = None
    reviewer: str | None = None


@dataclass(frozen=True)
class GivenBack:
    actor: str
    reason: str
    at: datetime


@dataclass(frozen=True)
class Withheld:
    """`periods` are those in which a version served; branches and reviewers have none, and what they say later is set
    aside, too. `corrections` is how many stopped counting when it was decided.
    """

    id: str
    scope: Scope
    name: str
    periods: tuple[Period, ...]
    actor: str
    reason: str
    at: datetime
    corrections: int = 0
    given_back: GivenBack | None = None

    @classmethod
    def of(cls, what: str, by: By, history: History, now: datetime) -> Self:
        """`what` is `version:…`, `branch:…` or `reviewer:…`, each as events tell it. Raises `GiveUp` for anything else,
        for a version that never served, and when nobody says why.
        """
        by.demand_a_name("setting confirmations aside")
        kind, _, name = what.partition(":")
        if kind not in set(Scope) or not name.strip() or name != storable(name):
            raise GiveUp(f"{what[:80]!r} names nothing that could be set aside: {_HOW}")
        scope = Scope(kind)
        # A request that is asked twice counts once.
        id_ = sha256(f"{scope}:{name}:{by.request_id}".encode())[:12]
        periods = _times(history, name, now) if scope is Scope.VERSION else ()
        return cls(id_, scope, name, periods, by.actor, by.reason, now)

    def covers(self, at: datetime, words: Iterable[Word]) -> bool:
        match self.scope:
            case Scope.VERSION:
                return any(p.since < at <= p.until for p in self.periods)
            case Scope.BRANCH:
                return any(word.branch == self.name for word in words)
            case _:
                return any(word.reviewer == self.name for word in words)

    @property
    def gave_back(self) -> str:
        """Who gave it back and when, if somebody did."""
        assert self.given_back is not None
        return f"{self.given_back.actor} gave {self.id} back at {self.given_back.at:%Y-%m-%d %H:%M} UTC"

    def __str__(self) -> str:
        what = f"the time of {self.name}" if self.scope is Scope.VERSION else f"{self.scope} {self.name}"
        return f"{what} was set aside by {self.actor}: {self.reason}"


def _times(history: History, version: str, now: datetime) -> tuple[Period, ...]:
    found = tuple(Period(r.since, r.until or now) for r in history.reigns if r.version == version)
    if not found:
        raise GiveUp(f"{version} never served: there is no time of it")
    return found


def standing(known: Iterable[Withheld]) -> list[Withheld]:
    return [one for one in known if one.given_back is None]


def asked_before(wanted: Withheld, known: Iterable[Withheld]) -> Withheld | None:
    """What the same request set aside, asked again; None for a new one.

    Raises `GiveUp` while another request's stands that sets the same aside, and when what this one did was given back.
    """
    known = list(known)
    same = next((one for one in known if one.id == wanted.id), None)
    if same and same.given_back:
        raise GiveUp(f"this request set it aside as {same.id}, and {same.gave_back}: ask with a new one")
    for one in standing(known):
        if (one.scope, one.name) == (wanted.scope, wanted.name) and one.id != wanted.id:
            raise GiveUp(f"{one} already: give {one.id} back first")
    return same


def withheld_tasks(
    tasks: Iterable[ConfirmedTask], known: Sequence[Withheld], words: Mapping[str, Word]
) -> dict[str, Quarantined]:
    """Ids of the tasks that are set aside, each with a sentence that says by whom and why."""
    return {
        task.task_id: Quarantined(task.task_id, task.photo_url, str(one), WITHHELD)
        for task in tasks
        if (one := _covering(task.confirmed_at, task.helper_id, words.get(task.task_id, Word()), known))
    }


def withheld_photos(photos: Iterable[Photo], known: Sequence[Withheld], words: Mapping[str, Word]) -> list[Withheld]:
    """The decisions that cover photos of a manifest, once for each photo."""
    at = datetime.fromisoformat
    found = (_covering(at(p.confirmed_at), p.helper_id, words.get(p.task_id, Word()), known) for p in photos)
    return [one for one in found if one]


def _covering(at: datetime, helper_id: str, word: Word, known: Sequence[Withheld]) -> Withheld | None:
    return next((one for one in known if one.covers(at, (Word(branch=helper_id), word))), None)
