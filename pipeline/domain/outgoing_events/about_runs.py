"""Events about the application's own running: steps that fail, DAGs that are paused, questions to people."""

from dataclasses import dataclass
from datetime import datetime

from pipeline.domain.outgoing_events.event import ModelEvent


@dataclass(frozen=True, kw_only=True)
class OfDag(ModelEvent):
    """An event about one of Airflow's DAGs."""

    dag_id: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class StepFailedEvent(OfDag):
    """A step failed and is not tried again; told again while that goes on. `link` shows its log."""

    step: str
    run_id: str
    reason: str
    advice: str
    link: str


@dataclass(frozen=True, kw_only=True)
class StepRecoveredEvent(OfDag):
    """A step that failed works again."""

    step: str
    failed_since: datetime


@dataclass(frozen=True, kw_only=True)
class RunOverdueEvent(OfDag):
    """A run was ended because it took longer than any should."""

    run_id: str
    link: str


@dataclass(frozen=True, kw_only=True)
class RunLateEvent(OfDag):
    """A run goes on that should have ended by now."""

    run_id: str
    link: str


@dataclass(frozen=True, kw_only=True)
class DagPausedEvent(OfDag):
    """A DAG that should always run is paused; `consequence` is a sentence: what does not happen."""

    consequence: str


@dataclass(frozen=True, kw_only=True)
class DagResumedEvent(OfDag):
    """It runs again; it was seen to be paused since `paused_since`."""

    paused_since: datetime


@dataclass(frozen=True, kw_only=True)
class ProblemSeenEvent(OfDag):
    """The monitor sees something that a person has to mend although no step fails; told again while it goes on."""

    step: str
    problem: str


@dataclass(frozen=True, kw_only=True)
class QuestionAskedEvent(OfDag):
    """A run waits for a person's word until `until`; `link` shows where."""

    run_id: str
    question: str
    until: datetime
    link: str


@dataclass(frozen=True, kw_only=True)
class QuestionLapsedEvent(OfDag):
    """Nobody answered in time; `outcome` is a sentence: what that led to."""

    run_id: str
    question: str
    outcome: str
    link: str
