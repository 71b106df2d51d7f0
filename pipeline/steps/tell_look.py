"""Tell people about a look at a champion, whatever was counted: once an episode, and once about silence."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from pipeline.domain.live_accuracy import Found, RollbackDecision
from pipeline.domain.models import ModelType
from pipeline.domain.outgoing_events import ConfirmationsStoppedEvent, OutgoingEvent
from pipeline.ports.events import Outbox
from pipeline.ports.live import Episode, Episodes


@dataclass(frozen=True)
class Telling:
    """Who is told now, about models of one type, and in which words: of the same episode and state `alarm` makes the
    same event, of the same episode `recovery`.
    """

    model_type: ModelType
    at: datetime
    episodes: Episodes
    outbox: Outbox
    alarm: Callable[[Episode], OutgoingEvent]
    recovery: Callable[[Episode], OutgoingEvent]


def tell_look(t: Telling, found: Found, decision: RollbackDecision) -> None:
    """One event when an episode begins, one when it comes to failing and nothing can be done about it, and one when it
    ends, however often anybody looks in between.
    """
    episode = t.episodes.open_episode(t.model_type)
    if episode is not None and episode.version != found.version:
        t.episodes.end_episode(episode, f"{found.version} serves now", None, at=t.at)
        episode = None
    if episode is None and found.alarming:
        begun = Episode(f"{t.model_type}:{found.version}:{t.at.isoformat()}", found.version)
        t.episodes.begin_episode(t.model_type, begun, t.alarm(begun), at=t.at)
    if episode is not None and found.failing and not decision.act:
        t.outbox.add(t.alarm(episode))
    if episode is not None and found.recovered:
        t.episodes.end_episode(episode, "recovered", t.recovery(episode), at=t.at)


def tell_silence(t: Telling, version: str, since: datetime) -> None:
    """The event's id is made of the last confirmation, or of the reign's beginning when there is none: it is
    told once.
    """
    stopped = ConfirmationsStoppedEvent(
        id=f"confirmations-stopped:{t.model_type}:{version}:{since.isoformat()}",
        model_type=t.model_type,
        model_version=version,
        since=since,
        at=t.at,
    )
    t.outbox.add(stopped.outgoing())
