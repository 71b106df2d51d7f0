"""Tell people what does not work: when it begins, now and then while it lasts, and once when it is over."""

from collections.abc import Mapping
from datetime import datetime

from pipeline.domain.outgoing_events import (
    DagPausedEvent,
    DagResumedEvent,
    ProblemSeenEvent,
    RunLateEvent,
    RunOverdueEvent,
    StepFailedEvent,
    StepRecoveredEvent,
)
from pipeline.domain.troubles import MONITOR, Fault, Place, Trouble, in_short, kind_of
from pipeline.ports.clock import Clock
from pipeline.ports.events import Outbox
from pipeline.ports.troubles import Troubles


def tell_fault(troubles: Troubles, clock: Clock, fault: Fault) -> None:
    """A step failed for good in one run; people hear of a reason that they were not told lately."""
    now = clock.now()
    known = troubles.at(fault.place) or Trouble(fault.place, since=now, failed_at=now)
    kind = kind_of(fault.reason)
    failed = StepFailedEvent(
        id=f"step-failed:{known.id_of_news(kind)}",
        dag_id=fault.place.dag_id,
        step=str(fault.place.step),
        run_id=fault.run_id,
        reason=in_short(fault.reason),
        advice=fault.advice,
        link=fault.link,
        at=now,
    )
    news = failed.outgoing() if known.is_news(kind, now) else None
    troubles.keep(known.failed(fault.part, kind, now), news)


def note_success(troubles: Troubles, clock: Clock, place: Place, part: int) -> None:
    """A step succeeded; people hear of it after it has worked for a while."""
    trouble = troubles.at(place)
    if trouble and (works := trouble.worked(part, clock.now())):
        troubles.keep(works, None)


def tell_problems(troubles: Troubles, clock: Clock, seen: Mapping[str, str | None]) -> None:
    """For each thing that the monitor looks at, a fault that somebody has to mend although no step fails; None for
    none. People hear of faults that last.
    """
    for what, problem in seen.items():
        _tell_problem(troubles, clock.now(), Place(MONITOR, what), problem)


def _tell_problem(troubles: Troubles, now: datetime, place: Place, problem: str | None) -> None:
    known = troubles.at(place)
    if problem is None:
        over = known and (known.worked(-1, now) if known.told else known.ended(now))
        if over:
            troubles.keep(over, None)
        return
    known, kind = known or Trouble(place, since=now, failed_at=now), kind_of(problem)
    if not known.lasts(now):
        troubles.keep(known, None)
        return
    seen = ProblemSeenEvent(
        id=f"problem-seen:{known.id_of_news(kind)}",
        dag_id=place.dag_id,
        step=str(place.step),
        problem=in_short(problem),
        at=now,
    )
    troubles.keep(known.failed(-1, kind, now), seen.outgoing() if known.is_news(kind, now) else None)


def tell_recoveries(troubles: Troubles, clock: Clock) -> None:
    """Steps that failed and have worked for a while are told to work again; those that nobody asks for any more end
    without news.
    """
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
        elif trouble.is_stale(now):
            troubles.keep(trouble.ended(now), None)


def tell_pauses(troubles: Troubles, clock: Clock, paused: Mapping[str, bool], consequences: Mapping[str, str]) -> None:
    """`paused` says whether each DAG is paused; `consequences`, what does not happen while it is."""
    for dag_id, is_paused in paused.items():
        now, place = clock.now(), Place(dag_id)
        trouble = troubles.at(place)
        if is_paused:
            trouble = trouble or Trouble(place, since=now, failed_at=now)
            event_id = f"dag-paused:{trouble.id_of_news('')}"
            event = DagPausedEvent(id=event_id, dag_id=dag_id, consequence=consequences[dag_id], at=now)
            news = event.outgoing() if trouble.is_news("", now) else None
            troubles.keep(trouble.failed(-1, "", now), news)
        elif trouble:
            resumed = DagResumedEvent(id=f"dag-resumed:{trouble.id}", dag_id=dag_id, paused_since=trouble.since, at=now)
            troubles.keep(trouble.ended(now), resumed.outgoing())


def tell_late(outbox: Outbox, clock: Clock, dag_id: str, run_id: str, link: str) -> None:
    """A run goes on for longer than it should; told once."""
    event = RunLateEvent(id=f"run-late:{dag_id}:{run_id}", dag_id=dag_id, run_id=run_id, link=link, at=clock.now())
    outbox.add(event.outgoing())


def tell_overdue(outbox: Outbox, clock: Clock, dag_id: str, run_id: str, link: str) -> None:
    """A run was ended because it took too long: none of its steps failed, so none of them says so."""
    event = RunOverdueEvent(
        id=f"run-overdue:{dag_id}:{run_id}", dag_id=dag_id, run_id=run_id, link=link, at=clock.now()
    )
    outbox.add(event.outgoing())
