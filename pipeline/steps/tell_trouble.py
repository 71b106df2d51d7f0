"""People hear of what does not work: when it begins, now and then while it lasts, and once when it is over."""

from collections.abc import Mapping

from pipeline.domain.loop_events import (
    DagPausedEvent,
    DagResumedEvent,
    RunOverdueEvent,
    StepFailedEvent,
    StepRecoveredEvent,
)
from pipeline.domain.troubles import Fault, Place, Trouble
from pipeline.ports.clock import Clock
from pipeline.ports.events import Outbox
from pipeline.ports.troubles import Troubles


def tell_fault(troubles: Troubles, clock: Clock, fault: Fault) -> None:
    """A step failed for good in one run; people hear of a reason that they were not told lately."""
    now = clock.now()
    known = troubles.at(fault.place) or Trouble(fault.place, since=now, failed_at=now)
    failed = StepFailedEvent(
        id=f"step-failed:{known.id}:{now.isoformat()}",
        dag_id=fault.place.dag_id,
        step=str(fault.place.step),
        run_id=fault.run_id,
        reason=fault.in_short(),
        advice=fault.advice,
        link=fault.link,
        at=now,
    )
    news = failed.outgoing() if known.is_news(fault.kind, now) else None
    troubles.keep(known.failed(fault.part, fault.kind, now), news)


def note_success(troubles: Troubles, clock: Clock, place: Place, part: int) -> None:
    """A step succeeded; people hear of it once it went well for a while."""
    trouble = troubles.at(place)
    if trouble and (works := trouble.worked(part, clock.now())):
        troubles.keep(works, None)


def tell_recoveries(troubles: Troubles, clock: Clock) -> None:
    """What failed before and went well for a while works again."""
    now = clock.now()
    for trouble in troubles.open():
        if trouble.is_over(now):
            recovered = StepRecoveredEvent(
                id=f"step-recovered:{trouble.id}",
                dag_id=trouble.place.dag_id,
                step=str(trouble.place.step),
                failed_since=trouble.since,
                at=now,
            )
            troubles.keep(trouble.ended(now), recovered.outgoing())


def tell_pauses(troubles: Troubles, clock: Clock, paused: Mapping[str, bool], consequences: Mapping[str, str]) -> None:
    """`paused` says of each DAG whether it is; `consequences`, what does not happen then."""
    for dag_id, is_paused in paused.items():
        now, place = clock.now(), Place(dag_id)
        trouble = troubles.at(place)
        if is_paused:
            trouble = trouble or Trouble(place, since=now, failed_at=now)
            event = DagPausedEvent(
                id=f"dag-paused:{trouble.id}:{now.isoformat()}", dag_id=dag_id, consequence=consequences[dag_id], at=now
            )
            news = event.outgoing() if trouble.is_news("", now) else None
            troubles.keep(trouble.failed(-1, "", now), news)
        elif trouble:
            resumed = DagResumedEvent(id=f"dag-resumed:{trouble.id}", dag_id=dag_id, paused_since=trouble.since, at=now)
            troubles.keep(trouble.ended(now), resumed.outgoing())


def tell_overdue(outbox: Outbox, clock: Clock, dag_id: str, run_id: str, link: str) -> None:
    """A run was ended because it took too long: none of its steps failed, so none of them says so."""
    event = RunOverdueEvent(
        id=f"run-overdue:{dag_id}:{run_id}", dag_id=dag_id, run_id=run_id, link=link, at=clock.now()
    )
    outbox.add(event.outgoing())
