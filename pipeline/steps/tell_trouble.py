"""People hear of what does not work: when it begins, now and then while it lasts, and once when it is over."""

from collections.abc import Mapping
from datetime import datetime

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
    """A step failed for good in one run."""
    now = clock.now()
    trouble = _worth_telling(troubles, fault.place, fault.part, now)
    if trouble is not None:
        failed = StepFailedEvent(
            id=f"step-failed:{trouble.id}:{now.isoformat()}",
            dag_id=fault.place.dag_id,
            step=str(fault.place.step),
            run_id=fault.run_id,
            reason=fault.in_short(),
            advice=fault.advice,
            link=fault.link,
            at=now,
        )
        troubles.keep(trouble, failed.outgoing())


def tell_success(troubles: Troubles, clock: Clock, place: Place, part: int) -> bool:
    """A step succeeded; True when that ended a trouble."""
    now, trouble = clock.now(), troubles.at(place)
    over = trouble.ended(part, now) if trouble else None
    if over is None:
        return False
    recovered = StepRecoveredEvent(
        id=f"step-recovered:{over.id}", dag_id=place.dag_id, step=str(place.step), failed_since=over.since, at=now
    )
    troubles.keep(over, recovered.outgoing())
    return True


def tell_pauses(troubles: Troubles, clock: Clock, paused: Mapping[str, bool], consequences: Mapping[str, str]) -> None:
    """`paused` says of each DAG whether it is; `consequences`, what does not happen then."""
    for dag_id, is_paused in paused.items():
        now, place = clock.now(), Place(dag_id)
        if is_paused and (trouble := _worth_telling(troubles, place, -1, now)):
            event = DagPausedEvent(
                id=f"dag-paused:{trouble.id}:{now.isoformat()}", dag_id=dag_id, consequence=consequences[dag_id], at=now
            )
            troubles.keep(trouble, event.outgoing())
        elif not is_paused and (trouble := troubles.at(place)) and (over := trouble.ended(-1, now)):
            resumed = DagResumedEvent(id=f"dag-resumed:{over.id}", dag_id=dag_id, paused_since=over.since, at=now)
            troubles.keep(over, resumed.outgoing())


def tell_overdue(outbox: Outbox, clock: Clock, dag_id: str, run_id: str, link: str) -> None:
    """A run was ended because it took too long: none of its steps failed, so none of them says so."""
    event = RunOverdueEvent(
        id=f"run-overdue:{dag_id}:{run_id}", dag_id=dag_id, run_id=run_id, link=link, at=clock.now()
    )
    outbox.add(event.outgoing())


def _worth_telling(troubles: Troubles, place: Place, part: int, now: datetime) -> Trouble | None:
    known = troubles.at(place)
    return known.reminded(now) if known else Trouble(place, part, since=now, told_at=now)
